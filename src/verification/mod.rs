//! VerificationService: proofs that somebody can read what is sent to a handle.
//!
//! A *session* sends a code to a handle and waits for it to come back, either to bind the handle to a device or, without
//! a device, to take it back from every device. Codes and link codes are kept only as keyed hashes.
//!
//! Codes leave by a [`Delivery`]: the [`Outbox`], mail, or a gateway for text messages, as [`DeliveryRouter`] has it by kind of
//! handle. What holds of a code that is on its way, and of one that perhaps got through, is told in `flight.rs`.
//!
//! Everything here is in memory. A restart forgets open sessions and the counts of sent codes: a session lives ten
//! minutes, asking again costs its owner one tap, and what is not written cannot leak. The counts guard against floods,
//! which a restart does not help. Proofs themselves are the [`registry`](crate::registry)'s, and durable.

mod attempts;
mod code;
mod config;
mod delivery;
mod delivery_attempt;
mod delivery_router;
mod error;
mod link_code;
mod mail;
mod outbox;
mod secret;
mod send_limits;
mod service;
mod session;
mod template;
mod text;

#[cfg(test)]
mod tests;

pub use code::Code;
pub use config::{Config, DeliveryMethod, DeliveryMethods, OutboxKind};
pub use delivery::{Delivery, DeliveryError, Message, Purpose, SentBy};
pub use delivery_router::{DeliveryRouter, OpenError};
pub use error::{BeginError, ConfirmError, LinkError, SendLimit};
pub use link_code::{LinkCode, Redeemed};
pub use mail::{Encryption, MailConfig};
pub use outbox::Outbox;
pub use service::{Begun, Confirmed, VerificationService};
pub use session::Verification;
pub use text::TextConfig;
