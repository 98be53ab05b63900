//! The registry: which account holds which handle, on which devices, and until when.
//!
//! # State
//!
//! A *device* belongs to an account, has a token and a lease that a check-in renews. An account's *claim* on a handle
//! says when it was proved, whether strangers may find it, and which of the account's devices back it. A handle is live
//! while the lease of one of these devices lasts: a comparison at the moment of the lookup, so no sweep decides
//! anything. A handle follows its newest proof; a check-in renews a device, never a claim. When a handle's last device
//! is gone the claim ends, and how it ended is remembered for 30 days: for the log, and for the devices that had it.
//!
//! Small durable facts that end by themselves, such as sessions and counters, lie beside the accounts as expiring rows
//! (see [`expiring`]). Accounts that get no new handles are flagged by such a row.
//!
//! An account with all that is one row of the store, read and written as a whole. The index keeps of it what lookups
//! need, packed (see [`packed`]); the rest is read from the store when somebody asks.
//!
//! # Path of a change
//!
//! [`Registry`] puts a command into the writer's bounded queue. The writer plans it and commits it to the
//! store. While no lookup decides, it hands the record to the log through [`ChangeSink`] and makes the change visible in the
//! index. Then it answers. The index and the store apply the same steps. Lookups hold a [`View`]: one point in time.
//!
//! A registry that is a [`LogMember`] appends each change to the shared log first, and applies what other nodes append.

mod account;
mod arena;
mod change_outbox;
mod commands;
mod config;
mod counts;
mod device;
mod directory;
mod entry;
mod error;
mod expiring;
mod flag;
mod flag_counts;
mod follower;
mod handle_state;
mod hold;
mod index;
mod job;
mod lease_offset;
mod member;
mod offline;
mod packed;
mod plan;
mod row_changes;
mod row_view;
mod state;
mod store;
mod subject;
mod table;
mod token;
mod totals;
mod transfer;
mod view;
mod writer;

#[cfg(test)]
mod tests;

pub use account::LostDetails;
pub use change_outbox::{ChangeSink, Recording, SinkFailed};
pub use commands::{ImportRecords, Imported, SignUp, SignedUp, Ticked};
pub use config::Config;
pub use counts::{Counts, LiveCounts};
pub use device::{DeviceDetails, HandleDetails};
pub use directory::Registry;
#[cfg(feature = "testing")]
pub use entry::fuzz_entries;
pub use entry::{
    ClusterId, EntryError, EntryFormat, EntryKey, EntryKeys, NodeId, NodeKey, NodePublicKey,
    Statement, cluster_of, genesis, key_of,
};
pub use error::{ChangeError, DeviceError, Loading, OpenError, TokenError};
pub use expiring::RowKind;
pub use flag::AccountFlag;
pub use handle_state::HandleState;
pub use hold::Hold;
pub use index::IndexBytes;
pub use member::{Authors, LogMember, LogPosition, LogStop};
pub use offline::StoppedRegistry;
pub use row_changes::Rows;
pub use row_view::RowsView;
#[cfg(feature = "testing")]
pub use store::fuzz_rows;
pub use store::{CopyFor, StoreError, Unrecorded};
pub use subject::Subject;
pub use token::DeviceToken;
pub use totals::Totals;
pub use transfer::{TransferAccount, TransferClaim, TransferDevice};
pub use view::{Asker, View};
