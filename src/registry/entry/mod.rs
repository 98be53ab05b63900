//! Entries of the shared log: one transaction of the registry each, as all nodes apply it.
//!
//! ```text
//! head    u8 format · 16 bytes cluster · u64 place · 16 bytes batch · u64 node · u64 decided at, microseconds
//!         · 32 bytes hash of the entry before · u32 key · 12 bytes nonce          (postcard, in the clear)
//! body    the steps and the change records, encrypted with AES-256-GCM · 16 bytes tag
//! end     64 bytes signature of the node, with Ed25519, over all before
//! ```
//!
//! The tag authenticates the head, too. All nodes have the key of the body, and nodes that were removed may have kept it. So the
//! signature says which node wrote the entry: one of a node that is no member at that place changes nothing. The hashes make a chain: an engine that lost an entry, or was restored from a backup, is
//! noticed at the next one. The batch is 128 random bits, so the bytes of no two entries are the same: a node finds out by them
//! whether an append that got no answer took place.
//!
//! The first entry is no such transaction but the [`genesis`]: it says which cluster the log belongs to. Each member's store holds it
//! from the start.
//!
//! The body is what `store/steps.rs` writes: rows as the store keeps them. A new form of rows is a new format of entries. Nobody
//! writes a format before all nodes read it: [`EntryFormat`] says which one to write. A node stops at an entry that it cannot read.

mod error;
mod format;
#[cfg(feature = "testing")]
mod fuzz;
mod key;
mod node;

pub use error::EntryError;
pub use format::{EntryFormat, cluster_of, genesis, key_of};
#[cfg(feature = "testing")]
pub use fuzz::entries as fuzz_entries;
pub use key::{EntryKey, EntryKeys};
pub use node::{ClusterId, NodeId, NodeKey, NodePublicKey, Statement};

pub(super) use format::Entry;
