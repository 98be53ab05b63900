//! Verification: proof that somebody can read what is sent to a handle.
//!
//! A *session* sends a code to a handle and waits for the client to return it. A session with a device binds the handle
//! to it. A session without a device takes the handle from every device (deregistration).
//!
//! A [`Delivery`] sends the codes. [`DeliveryRouter`] chooses the outbox, mail or the text-message gateway by the kind
//! of handle. `delivery_tasks.rs` defines what a failed delivery undoes.
//!
//! Everything here is in memory; codes and link codes only as keyed hashes. A restart forgets open sessions and the
//! counts of sent codes. A session lives ten minutes and its owner can ask again. The counts guard against floods, which
//! a restart does not help. The [`registry`](crate::registry) stores the proofs, durably.

mod code;
mod config;
mod delivery;
mod delivery_router;
mod delivery_tasks;
mod error;
mod link_code;
mod mail;
mod method_config;
mod outbox;
mod retry;
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
pub use delivery_router::DeliveryRouter;
pub use error::{BeginError, ConfirmError, LinkError, OpenError};
pub use link_code::{LinkCode, Redeemed};
pub use mail::{Encryption, MailConfig};
pub use outbox::Outbox;
pub use service::{Begun, Confirmed, VerificationService};
pub use session::{SessionCounts, Verification};
pub use text::TextConfig;
