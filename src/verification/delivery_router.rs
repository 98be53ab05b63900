//! Which way a code goes: by mail, by text message, or into the outbox.

use std::{io, path::Path, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{clock::SharedClock, handle::Handle};

use super::{
    config::{Config, DeliveryMethod, DeliveryMethods},
    delivery::{Delivery, DeliveryError, Message},
    mail::Mail,
    outbox::Outbox,
    text::TextMessages,
};

/// A delivery for each kind of handle.
pub struct DeliveryRouter {
    mail: Arc<dyn Delivery>,
    text: Arc<dyn Delivery>,
}

/// A way cannot be opened: the key and what is wrong with what it names.
#[derive(Debug, thiserror::Error)]
#[error("ownership.{key}: {why}")]
pub struct OpenError {
    key: &'static str,
    why: String,
}

impl OpenError {
    pub(super) const fn new(key: &'static str, why: String) -> Self {
        Self { key, why }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::new("outbox", error.to_string())
    }
}

impl DeliveryRouter {
    /// Reads the secrets, templates and trusted certificates that `config` names.
    ///
    /// # Errors
    /// If one of them cannot be read or used.
    pub fn check(config: &Config, clock: &SharedClock) -> Result<(), OpenError> {
        let DeliveryMethod::Section(methods) = &config.delivery else { return Ok(()) };
        if let DeliveryMethod::Section(mail) = &methods.mail {
            Mail::open(mail)?;
        }
        if let DeliveryMethod::Section(text) = &methods.text {
            TextMessages::open(text, Arc::clone(clock))?;
        }
        Ok(())
    }

    /// The ways that `config` names, with an outbox in the directory `data` if one of them leads there. Reads secrets,
    /// templates and trusted certificates; connects to nothing.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn open(config: &Config, data: &Path, clock: &SharedClock) -> Result<Self, OpenError> {
        let both = DeliveryMethods::default();
        let methods = match &config.delivery {
            DeliveryMethod::Outbox => &both,
            DeliveryMethod::Section(methods) => methods,
        };
        let mut outbox: Option<Arc<dyn Delivery>> = None;
        let mut to_outbox = || -> Result<Arc<dyn Delivery>, OpenError> {
            if let Some(outbox) = &outbox {
                return Ok(Arc::clone(outbox));
            }
            Ok(Arc::clone(outbox.insert(Arc::new(Outbox::open(config, data)?))))
        };
        let mail: Arc<dyn Delivery> = match &methods.mail {
            DeliveryMethod::Outbox => to_outbox()?,
            DeliveryMethod::Section(mail) => Arc::new(Mail::open(mail)?),
        };
        let text: Arc<dyn Delivery> = match &methods.text {
            DeliveryMethod::Outbox => to_outbox()?,
            DeliveryMethod::Section(text) => Arc::new(TextMessages::open(text, Arc::clone(clock))?),
        };
        Ok(Self { mail, text })
    }
}

impl Delivery for DeliveryRouter {
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        match message.to {
            Handle::Email(_) => self.mail.deliver(message),
            Handle::Phone(_) => self.text.deliver(message),
        }
    }
}
