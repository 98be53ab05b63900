//! Codes by text message, through a gateway that receives them by HTTP.

mod config;
mod gateway;
mod retry_after;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{clock::SharedClock, ids::VerificationId};

use super::{
    breaker::Breaker,
    delivery::{Delivery, DeliveryError, Message, Purpose},
    method_config::InvalidKey,
    retry::Retries,
    template::{ByPurpose, Template},
};

use gateway::Gateway;

pub use config::TextConfig;
#[cfg(feature = "testing")]
pub use retry_after::fuzz_retry_after;

pub(super) struct TextDelivery {
    templates: ByPurpose<Template>,
    gateway: Gateway,
    retries: Retries,
}

/// The body of a request to the gateway.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    to: &'a str,
    text: &'a str,
    verification: VerificationId,
    purpose: Purpose,
}

impl TextDelivery {
    /// Reads the secret, the templates and the trusted certificates that `config` names.
    pub(super) fn open(config: &TextConfig, clock: SharedClock) -> Result<Self, InvalidKey> {
        let (templates, retries) = (config.templates()?, Retries::new("text", config.retries()?));
        Ok(Self { templates, gateway: Gateway::open(config, clock)?, retries })
    }

    pub(super) fn breaker(&self) -> Arc<Breaker> {
        self.retries.breaker()
    }
}

impl Delivery for TextDelivery {
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        Box::pin(async move {
            let text = self.templates.get(message.purpose).fill(&message.code);
            let id = message.id.to_string();
            let body = Body {
                id: &id,
                to: &message.to.canonical(),
                text: &text,
                verification: message.verification,
                purpose: message.purpose,
            };
            // A struct of strings always serializes.
            let body = Zeroizing::new(serde_json::to_vec(&body).unwrap_or_default());
            let attempt = |deadlines| self.gateway.post(&id, &body, deadlines);
            self.retries.deliver(message.verification, attempt).await
        })
    }
}
