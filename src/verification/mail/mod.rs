//! Codes by mail.
//!
//! A mail server does not recognise a mail that it has received before, so each mail is sent at most once. Attempts are
//! repeated only while nothing but commands has been sent, or if the server answers that it has not accepted the content.
//! After the first byte of the content, the delivery waits for the answer until its time runs out. Without an answer the code
//! was perhaps sent.

mod composer;
mod config;
mod connection;
mod reply;
mod smtp;
mod tls;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{
    breaker::Breaker,
    delivery::{Delivery, DeliveryError, Message},
    method_config::InvalidKey,
    retry::Retries,
};

use composer::Composer;
use smtp::SmtpServer;

pub use config::{Encryption, MailConfig};
#[cfg(feature = "testing")]
pub use reply::fuzz_replies;

pub(super) struct MailDelivery {
    composer: Composer,
    server: SmtpServer,
    retries: Retries,
}

impl MailDelivery {
    /// Reads the password, the templates and the trusted certificates that `config` names.
    pub(super) fn open(config: &MailConfig) -> Result<Self, InvalidKey> {
        let composer = config.composer()?;
        let server = SmtpServer::open(config, composer.domain())?;
        Ok(Self { composer, server, retries: Retries::new("mail", config.retries()?) })
    }

    pub(super) fn breaker(&self) -> Arc<Breaker> {
        self.retries.breaker()
    }
}

impl Delivery for MailDelivery {
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>> {
        Box::pin(async move {
            let verification = message.verification;
            let mail = self.composer.compose(&message).map_err(|kind| {
                tracing::warn!(%verification, method = "mail", kind, "a code was not delivered");
                DeliveryError::Refused
            })?;
            let attempt = |deadlines| self.server.send(&mail, deadlines);
            self.retries.deliver(verification, attempt).await
        })
    }
}
