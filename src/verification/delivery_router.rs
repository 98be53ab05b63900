//! [`DeliveryRouter`]: chooses mail, text message or outbox by the kind of handle.

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{clock::SharedClock, handle::Handle};

use super::{
    breaker::Breaker,
    codes_sent::{CodesSent, SendingMethod},
    config::{Config, DeliveryMethod, DeliveryMethods},
    delivery::{Delivery, DeliveryError, Message},
    error::OpenError,
    mail::MailDelivery,
    outbox::Outbox,
    text::TextDelivery,
};

/// One delivery for each kind of handle.
pub struct DeliveryRouter {
    mail: (SendingMethod, Arc<dyn Delivery>),
    text: (SendingMethod, Arc<dyn Delivery>),
    counts: Arc<CodesSent>,
    pauses: DeliveryPauses,
}

/// Which sending methods are paused, because their server fails. For metrics.
#[derive(Clone, Debug, Default)]
pub struct DeliveryPauses(Vec<(SendingMethod, Arc<Breaker>)>);

impl DeliveryPauses {
    /// Whether `method` sends nothing at present. False after the pause: the next code shows whether the server works again.
    pub fn is_paused(&self, method: SendingMethod) -> bool {
        self.0.iter().any(|(of, breaker)| *of == method && breaker.is_paused())
    }
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
        let mut pauses = Vec::new();
        let mail: (_, Arc<dyn Delivery>) = match &methods.mail {
            DeliveryMethod::Outbox => (SendingMethod::Outbox, Arc::clone(&outbox)),
            DeliveryMethod::Section(mail) => {
                let opened = MailDelivery::open(mail).map_err(OpenError::of("mail"))?;
                pauses.push((SendingMethod::Mail, opened.breaker()));
                (SendingMethod::Mail, Arc::new(opened))
            }
        };
        let text: (_, Arc<dyn Delivery>) = match &methods.text {
            DeliveryMethod::Outbox => (SendingMethod::Outbox, outbox),
            DeliveryMethod::Section(text) => {
                let opened = TextDelivery::open(text, Arc::clone(clock));
                let opened = opened.map_err(OpenError::of("text"))?;
                pauses.push((SendingMethod::Text, opened.breaker()));
                (SendingMethod::Text, Arc::new(opened))
            }
        };
        Ok(Self { mail, text, counts: Arc::default(), pauses: DeliveryPauses(pauses) })
    }

    /// How many codes were sent, with which outcome.
    pub fn codes_sent(&self) -> Arc<CodesSent> {
        Arc::clone(&self.counts)
    }

    /// Which sending methods are paused.
    pub fn pauses(&self) -> DeliveryPauses {
        self.pauses.clone()
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

impl DeliveryRouter {
    fn route(&self, handle: &Handle) -> &(SendingMethod, Arc<dyn Delivery>) {
        match handle {
            Handle::Email(_) => &self.mail,
            Handle::Phone(_) => &self.text,
        }
    }
}

impl Delivery for DeliveryRouter {
    fn is_local(&self, handle: &Handle) -> bool {
        self.route(handle).1.is_local(handle)
    }

    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        let (method, delivery) = self.route(&message.to);
        let sending = self.counts.begin(*method, &message.to);
        Box::pin(async move {
            let outcome = delivery.deliver(message).await;
            sending.end(outcome);
            outcome
        })
    }
}
