//! Codes by mail.
//!
//! A mail server does not know a message again, so one mail is handed over at most once: attempts are repeated only
//! while nothing but commands has been sent. From the first byte of the content on, an answer is waited for until the
//! end of the span, and without one it stays open whether the mail arrives.

mod config;
mod content;
mod smtp;

use futures_util::future::BoxFuture;

use super::{
    attempts::Pace,
    delivery::{Delivery, DeliveryError, Message},
    delivery_router::OpenError,
};

use content::LetterHead;
use smtp::Server;

pub use config::{Encryption, MailConfig};

/// Sends codes by mail.
pub(super) struct Mail {
    head: LetterHead,
    server: Server,
    pace: Pace,
}

impl Mail {
    /// Reads the password, the templates and the trusted certificates that `config` names.
    pub(super) fn open(config: &MailConfig) -> Result<Self, OpenError> {
        let head = config.letter_head().map_err(|(key, why)| OpenError::new(key, why))?;
        Ok(Self { head, server: Server::open(config)?, pace: config.pace() })
    }
}

impl Delivery for Mail {
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        Box::pin(async move {
            let verification = message.verification;
            let letter = self.head.write(&message).map_err(|unwritable| {
                let kind = unwritable.0;
                tracing::warn!(%verification, method = "mail", kind, "a code was not delivered");
                DeliveryError::NotSent
            })?;
            let attempt = |deadlines| self.server.send(&letter, deadlines);
            self.pace.deliver("mail", verification, attempt).await
        })
    }
}
