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
    /// Opens the methods that `config` names: reads secrets, templates and trusted certificates, and connects to nothing.
    /// Opens the outbox in the directory `data` if any method needs it; without `data` none, for a check.
    pub fn open(
        config: &Config,
        data: Option<&Path>,
        clock: &SharedClock,
    ) -> Result<Self, OpenError> {
        let methods = match &config.delivery {
            DeliveryMethod::Outbox => &DeliveryMethods::default(),
            DeliveryMethod::Section(methods) => methods,
        };
        let uses_outbox =
            methods.mail == DeliveryMethod::Outbox || methods.text == DeliveryMethod::Outbox;
        let outbox: Arc<dyn Delivery> = Arc::new(match data.filter(|_| uses_outbox) {
            Some(data) => Outbox::open(config, data).map_err(|error| OpenError {
                key: "ownership.outbox".into(),
                why: error.to_string(),
            })?,
            None => Outbox::stdout(),
        });
        let mail = match &methods.mail {
            DeliveryMethod::Outbox => Arc::clone(&outbox),
            DeliveryMethod::Section(mail) => {
                Arc::new(MailDelivery::open(mail).map_err(OpenError::of("mail"))?)
            }
        };
        let text = match &methods.text {
            DeliveryMethod::Outbox => outbox,
            DeliveryMethod::Section(text) => {
                let opened = TextDelivery::open(text, Arc::clone(clock));
                Arc::new(opened.map_err(OpenError::of("text"))?)
            }
        };
        Ok(Self { mail, text })
    }

    /// Finds what [`DeliveryRouter::open`] would refuse, of each method, and makes no outbox.
    pub fn check(config: &Config, clock: &SharedClock) -> Vec<OpenError> {
        let DeliveryMethod::Section(methods) = &config.delivery else { return Vec::new() };
        let DeliveryMethods { mail, text } = methods.clone();
        let mail = DeliveryMethods { mail, ..DeliveryMethods::default() };
        let text = DeliveryMethods { text, ..DeliveryMethods::default() };
        let open = |methods| {
            let delivery = DeliveryMethod::Section(methods);
            Self::open(&Config { delivery, ..config.clone() }, None, clock).err()
        };
        [mail, text].into_iter().filter_map(open).collect()
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
