//! The shared log: the one order of the registry's changes, when several machines serve one directory.
//!
//! An engine outside of this process holds a short tail of entries, numbered without gaps. Each node keeps the whole registry and
//! applies the entries in their order: state machine replication over a shared log (Balakrishnan et al., "Tango", SOSP 2013;
//! "Virtual Consensus in Delos", OSDI 2020). What an entry means is the registry's business: here it is bytes.
//!
//! A node that lags behind must not answer from what it has. So each request passes the [`Fence`] first: it waits until this node has
//! applied every entry that the log had when the request arrived.
//!
//! The default is one machine without an engine: its store is the log.

pub mod etcd;
mod fence;
mod follower;
mod interface;
#[cfg(any(test, feature = "testing"))]
mod memory;

pub use fence::{Fence, FenceFigures, NotCurrent, RoundFailure};
pub use follower::{Followed, Follower, Stopped};
pub use interface::{Appended, EngineError, Entry, Head, SharedLog};
#[cfg(any(test, feature = "testing"))]
pub use memory::{Backup, Call, Fault, MemoryLog};
