//! [`Delivery`]: the interface of everything that sends codes.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{MessageId, VerificationId},
};

use super::code::Code;

/// A code and the handle to send it to.
#[derive(Clone, Debug)]
pub struct Message {
    /// Identifies the message: a receiver that gets an id twice must send the code once.
    pub id: MessageId,
    /// The recipient.
    pub to: Handle,
    /// The code to send.
    pub code: Code,
    /// The session that waits for it.
    pub verification: VerificationId,
    /// What the code will do, so that the message can say so.
    pub purpose: Purpose,
    /// When the code was requested.
    pub at: Timestamp,
}

/// What confirming a code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// It binds the handle to a device.
    Bind,
    /// It takes the handle from every device.
    Deregister,
}

/// By which kind of message a code was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SentBy {
    /// By text message.
    Sms,
    /// By mail.
    Email,
}

/// Sends codes.
pub trait Delivery: Send + Sync {
    /// Sends `message`, or hands it to another program so that a crash of this process does not lose it. Returns within
    /// [`DELIVERY_TIMEOUT_MAX`](crate::limits::DELIVERY_TIMEOUT_MAX).
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>>;

    /// Whether messages to `handle` are only handed to another program on this machine. Then even an asker without a token
    /// waits for it, since nobody else can make it slow or learn anything by it.
    fn is_local(&self, _handle: &Handle) -> bool {
        false
    }
}

/// A delivery did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryError {
    /// The code was certainly not sent, and another attempt may succeed.
    NotSent,
    /// The code was certainly not sent: the mail server or gateway refused the message for good.
    Refused,
    /// The code was handed over, and no answer came. It may arrive.
    PerhapsSent,
    /// The code was certainly not sent, because the mail server or gateway fails or asks for a pause, and is left alone for now.
    Paused {
        /// The same request can succeed after this span.
        retry_after: Duration,
    },
}

impl SentBy {
    /// The kind of message that reaches `handle`.
    pub const fn for_handle(handle: &Handle) -> Self {
        match handle {
            Handle::Phone(_) => Self::Sms,
            Handle::Email(_) => Self::Email,
        }
    }
}
