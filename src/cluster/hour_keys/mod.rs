//! Keys of hours of other nodes' logs: each node holds those of all others, and destroys them by its own clock.
//!
//! The log of a machine that is lost can be read from a copy of its encrypted files only if somebody else has the keys. So each node asks
//! each other one about each second for the keys that it lacks:
//!
//! ```text
//! caller   a new X25519 key pair; the public half, signed, and which hours it holds, by node; of the callee's hours, proofs
//! callee   the keys that the caller lacks, each sealed to that public half: its own, and those that it holds of third nodes
//!          which of its own hours the caller has proved to hold
//! caller   opens them, writes them into its keyring of that node, syncs it, and forgets the private half
//! ```
//!
//! - **Nothing that was recorded opens a key later.** The private half is in memory for one call. The public half is signed, so a stolen
//!   token gets nothing.
//! - **A holder destroys by its own trusted time.** [`MemberKeyrings`] dates each key by what the holder's clock showed when the hour
//!   began. That date has an era of the holder, so what corrects the holder's clock later corrects the date, as it does for its own hours. An hour
//!   is dated by its start in whole hours: one that the owner's corrected clock began at 10:20 is destroyed 20 minutes early, never late.
//! - **Two nodes whose clocks differ by more than [`CLUSTER_HOUR_KEY_CLOCK_MAX`](crate::limits::CLUSTER_HOUR_KEY_CLOCK_MAX)** take no
//!   keys from each other: nobody could say when the hour was.
//! - **What a caller says it holds is durable there, and it proves that the key is the right one** ([`proof`]). So
//!   [`HourKeys::is_held_elsewhere`] is true only of keys that survive this machine.
//! - **A node has the last word on its own hours.** A member could give a false key of a third node's hour. That node sees that the proof is
//!   wrong and sends its key, which replaces what others gave. If it was lost before, a false key stays where it is. Those who have
//!   proved that they hold the hour have the right one.
//! - **A late date has a bound by the holder's own clock.** A key whose hour begins more than
//!   [`CLUSTER_HOUR_KEY_AHEAD_MAX`](crate::limits::CLUSTER_HOUR_KEY_AHEAD_MAX) ahead is refused. So a member that tells a late date
//!   makes a holder keep the right key for the retention from when it came, and two hours. The number of the hour is no nearer bound: if
//!   the owner's clock was behind and was corrected, the hour began later than its number says.

mod exchange;
mod holder;
mod keyrings;
mod messages;
mod proof;
mod ranges;
#[cfg(test)]
mod tests;

pub use exchange::HourKeyExchange;
pub use holder::{HourKeys, HourKeysError, UnsharedHour, WantedKeys};
pub use keyrings::{Giver, MemberKeyFiles, MemberKeyrings};
pub use messages::{HourKeysAnswer, HourKeysRequest, SealedHourKey};
pub use ranges::HourRanges;
