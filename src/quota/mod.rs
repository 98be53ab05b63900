//! Quotas: how much an account or a network may ask.
//!
//! Without quotas a client could query the directory for every number there is. These limits apply:
//!
//! * **new handles** of an account: a handle that it has not asked for in 30 days is charged, a repeat is free. An account has
//!   some each day, and one that holds a handle has an address book more, which it regains slowly ([`new_handles`]);
//! * **new handles** of a network, of the accounts without a handle behind it, and of all accounts without a handle ([`budgets`]);
//! * **requests** of an account, where a long batch is charged as several, and its **changes**;
//! * **lookups** of an account, of a network, and of all accounts that hold no handle: each makes a record, repeat or not;
//! * **sign-ups** of a network and of all networks, since they need no token. [`limits::network_of`](crate::limits::network_of)
//!   defines a network;
//! * **refused lookups** of a network and of all networks that are recorded one by one.
//!
//! The last three bound what strangers write to the disk: `config/dispatchd.toml` has the sum.
//!
//! An account that asks like a sweep ([`sweep`]) is flagged: it gets no new handles until it proves a handle again or an operator
//! clears it. The registry keeps the flag.
//!
//! # What is remembered
//!
//! Asked handles are 64-bit fingerprints of account and subscriber under a key ([`fingerprint`]), in a fixed number of bytes
//! ([`asked`]). The memory and the files say nothing about who asked for whom without the keys of the query log's hours. What was
//! charged for new handles, the states of accounts and the fingerprints survive a restart; the other counters do not.
//!
//! # Several nodes
//!
//! The nodes of a cluster count together: see [`Sharing`]. Its counters are those of [`Counter`]. Each node looks for sweeps in what it answers
//! itself, and all nodes know the flags.

mod account_left;
mod accounts;
mod asked;
mod budgets;
mod call;
mod config;
mod counter;
mod figures;
mod fingerprint;
mod journal;
mod keyed;
mod limit;
mod limiter;
mod new_handles;
mod rate;
mod receiving;
mod records;
mod sharing;
mod spending;
mod standing;
mod sweep;
mod unwritten;

pub use call::LookupCall;
pub use config::Config;
pub use counter::Counter;
pub use figures::{QuotaFigures, QuotaState};
pub use journal::QuotaFiles;
#[cfg(feature = "testing")]
pub use journal::fuzz_rows;
pub use limit::{Allowance, Charged, Exceeded, Left, record_units, whole_seconds};
pub use limiter::Quota;
pub use new_handles::NewToAccount;
pub use receiving::NotRestored;
pub use sharing::{Owed, QuotaNews, QuotaReceipt, Round, Sharing, SharingFigures, Spent};
pub use standing::Standing;

#[cfg(test)]
mod tests;
