//! Quotas: how much an account or a network may ask.
//!
//! Without quotas a client could query the directory for every number of an address book. These limits apply:
//!
//! * **new handles** of an account: a handle that it has not asked for in 30 days is charged, a repeat is free. Ordinary
//!   phones never reach this limit, and scrapers reach it at once ([`new_handles`]);
//! * **requests** of an account, where a long batch is charged as several, and its **changes**;
//! * **lookups** of an account, of a network, and of all accounts that hold no handle: each makes a record, repeat or not;
//! * **sign-ups** of a network and of all networks, since they need no token. [`limits::network_of`](crate::limits::network_of)
//!   defines a network;
//! * **refused lookups** of a network and of all networks that are recorded one by one.
//!
//! The last three bound what strangers write to the disk: `config/dispatchd.toml` has the sum.
//!
//! All counters are in memory, so a restart resets them. Each limit counts at most
//! [`QUOTA_KEYS_MAX`](crate::limits::QUOTA_KEYS_MAX) accounts or networks at once. The handles of an account are kept as 64-bit hashes under a key
//! that exists only in this process. Neither memory nor a core dump reveals who asked for whom. If two handles have the
//! same hash, the second one is free.

mod config;
mod keyed;
mod limit;
mod limiter;
mod new_handles;

pub use config::Config;
pub use limit::{Allowance, Exceeded, record_units, whole_seconds};
pub use limiter::{LookupCall, Quota};
