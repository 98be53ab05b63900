//! Verification: proof that somebody can read what is sent to a handle.
//!
//! A *session* sends a code to a handle and waits for the client to return it. A session with a device binds the handle
//! to it. A session without a device takes the handle from every device (deregistration).
//!
//! A [`Delivery`] sends the codes. [`DeliveryRouter`] chooses the outbox, mail or the text-message gateway by the kind
//! of handle. `delivery_tasks.rs` defines what a failed delivery undoes.
//!
//! The state is rows of the [`registry`](crate::registry): sessions with their attempts, link codes, counters of sent codes.
//! They change only in its transactions, so a restart forgives nothing. Each decision is a plan, a pure function of rows:
//!
//! 1. The plan runs on what is visible. A request that is refused needs no commit.
//! 2. It runs again within a transaction, which makes its changes durable together with what the code proves.
//! 3. Then the code is sent, or the caller is answered.
//!
//! Codes, link codes and whatever counters count by are stored as hashes. [`HashKey`] lies outside the store.

mod asker_class;
mod begin_plan;
mod breaker;
mod code;
mod codes_sent;
mod config;
mod confirming;
mod conversion;
mod countries;
mod delivery;
mod delivery_router;
mod delivery_tasks;
mod error;
mod figures;
#[cfg(feature = "testing")]
pub mod fuzz;
mod hash_key;
mod link_code;
mod linking;
mod mail;
mod method_config;
mod outbox;
mod retry;
mod rows;
mod send_limits;
mod send_policy;
mod sending;
mod service;
mod session;
mod template;
mod text;
mod typed;

#[cfg(test)]
mod tests;

pub use code::Code;
pub use codes_sent::{CodeKind, CodesSent, SendingMethod, SendingOutcome};
pub use config::{Config, DeliveryMethod, DeliveryMethods, OutboxKind};
pub use confirming::Confirmed;
pub use countries::Countries;
pub use delivery::{Delivery, DeliveryError, Message, Purpose, SentBy};
pub use delivery_router::{DeliveryPauses, DeliveryRouter};
pub use error::{BeginError, ConfirmError, JoinError, LinkError, OpenError};
pub use figures::SessionCounts;
pub use hash_key::{HashKey, HashKeyError};
pub use link_code::LinkCode;
pub use mail::{Encryption, MailConfig};
pub use outbox::Outbox;
pub use service::{Begun, VerificationService};
pub use session::Verification;
pub use text::TextConfig;
