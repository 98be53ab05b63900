//! [`DeliveryRouter`]: chooses mail, text message or outbox by the kind of handle.

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{clock::SharedClock, handle::Handle};

use super::{
    config::{Config, DeliveryMethod, DeliveryMethods},
    delivery::{Delivery, DeliveryError, Message},
    error::OpenError,
    mail::MailDelivery,
    outbox::Outbox,
    text::TextDelivery,
};

/// One delivery for each kind of handle.
pub struct DeliveryRouter {
    mail: Arc<dyn Delivery>,
    text: Arc<dyn Delivery>,
}

impl DeliveryRouter {
    /// Reads the secrets, templates and trusted certificates that `config` names, without opening the outbox.
    ///
    /// # Errors
    /// If one of them cannot be read or used.
    pub fn check(config: &Config, clock: &SharedClock) -> Result<(), OpenError> {
        Self::with_outbox(config, clock, || Ok(Arc::new(Outbox::stdout()))).map(drop)
    }

    /// Opens the methods that `config` names, with one outbox in the directory `data` if any of them is the outbox.
    /// Reads secrets, templates and trusted certificates, and connects to nothing.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn open(config: &Config, data: &Path, clock: &SharedClock) -> Result<Self, OpenError> {
        let mut opened: Option<Arc<Outbox>> = None;
        Self::with_outbox(config, clock, || {
            let outbox = match opened.take() {
                Some(outbox) => outbox,
                None => Arc::new(Outbox::open(config, data)?),
            };
            Ok(Arc::clone(opened.insert(outbox)))
        })
    }

    fn with_outbox(
        config: &Config,
        clock: &SharedClock,
        mut outbox: impl FnMut() -> Result<Arc<Outbox>, OpenError>,
    ) -> Result<Self, OpenError> {
        let both = DeliveryMethods::default();
        let methods = match &config.delivery {
            DeliveryMethod::Outbox => &both,
            DeliveryMethod::Section(methods) => methods,
        };
        let mail: Arc<dyn Delivery> = match &methods.mail {
            DeliveryMethod::Outbox => outbox()?,
            DeliveryMethod::Section(mail) => {
                Arc::new(MailDelivery::open(mail).map_err(OpenError::of_mail)?)
            }
        };
        let text: Arc<dyn Delivery> = match &methods.text {
            DeliveryMethod::Outbox => outbox()?,
            DeliveryMethod::Section(text) => {
                let opened = TextDelivery::open(text, Arc::clone(clock));
                Arc::new(opened.map_err(OpenError::of_text)?)
            }
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
