//! [`Delivery`]: the interface of everything that sends codes.

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
}

/// A delivery did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryError {
    /// The code was certainly not sent.
    NotSent,
    /// The code was handed over, and no answer came. It may arrive.
    PerhapsSent,
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
