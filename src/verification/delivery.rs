//! How a code gets to a handle: the seam.

use futures_util::future::BoxFuture;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{MessageId, VerificationId},
};

use super::code::Code;

/// A code on its way.
#[derive(Clone, Debug)]
pub struct Message {
    /// Which one: whoever meets it twice must send it once.
    pub id: MessageId,
    /// Where to.
    pub to: Handle,
    /// The code.
    pub code: Code,
    /// The session that waits for it.
    pub verification: VerificationId,
    /// What the code will do.
    pub purpose: Purpose,
    /// When it was made.
    pub at: Timestamp,
}

/// What a code will do, so that the message can say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Bind the handle to a device.
    Bind,
    /// Take the handle back from every device.
    Deregister,
}

/// Which way a code went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SentBy {
    /// Text message.
    Sms,
    /// Mail.
    Email,
}

/// Sends codes.
pub trait Delivery: Send + Sync {
    /// Sends `message`, or takes on to send it so that a crash of this process does not lose it. Ends within
    /// [`limits::DELIVERY_TIMEOUT_MAX`](crate::limits::DELIVERY_TIMEOUT_MAX).
    fn deliver(&self, message: Message) -> BoxFuture<'_, Result<(), DeliveryError>>;
}

/// A code could not be sent, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Certainly nothing was sent.
    #[error("the code was not sent")]
    NotSent,
    /// It was handed over, and no answer came: it may arrive.
    #[error("it is not known whether the code was sent")]
    PerhapsSent,
}

impl Purpose {
    /// The name in JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Deregister => "deregister",
        }
    }
}

impl SentBy {
    /// The way to `handle`.
    #[must_use]
    pub const fn way_to(handle: &Handle) -> Self {
        match handle {
            Handle::Phone(_) => Self::Sms,
            Handle::Email(_) => Self::Email,
        }
    }

    /// The name in JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}
