//! Codes by text message, through a gateway that takes them by HTTP.

mod config;
mod gateway;
mod signature;

use futures_util::future::BoxFuture;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock::SharedClock;

use super::{
    attempts::Pace,
    delivery::{Delivery, DeliveryError, Message},
    delivery_router::OpenError,
    template::{ByPurpose, Template},
};

use gateway::Gateway;

pub use config::TextConfig;

/// Sends codes by text message.
pub(super) struct TextMessages {
    templates: ByPurpose<Template>,
    gateway: Gateway,
    pace: Pace,
}

/// What the gateway is told.
#[derive(Serialize)]
struct Body<'a> {
    id: String,
    to: &'a str,
    text: &'a str,
    verification: String,
    purpose: &'static str,
}

impl TextMessages {
    /// Reads the secret, the templates and the trusted certificates that `config` names.
    pub(super) fn open(config: &TextConfig, clock: SharedClock) -> Result<Self, OpenError> {
        let templates = config.templates().map_err(|(key, why)| OpenError::new(key, why))?;
        Ok(Self { templates, gateway: Gateway::open(config, clock)?, pace: config.pace() })
    }
}

impl Delivery for TextMessages {
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        Box::pin(async move {
            let text = self.templates.get(message.purpose).fill(&message.code);
            let id = message.id.to_string();
            let body = Body {
                id: id.clone(),
                to: &message.to.canonical(),
                text: &text,
                verification: message.verification.to_string(),
                purpose: message.purpose.code(),
            };
            // Strings only: this cannot fail.
            let body = Zeroizing::new(serde_json::to_vec(&body).unwrap_or_default());
            let attempt = |deadlines| self.gateway.post(&id, &body, deadlines);
            self.pace.deliver("text", message.verification, attempt).await
        })
    }
}
