//! The trait that an engine implements, and what it tells.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::BoxFuture;

/// How far a log goes: its last entry's place, and that entry's hash. Each entry's bytes name the head before it, so a head stands for
/// the whole chain of entries that led to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The place of the last entry. The first one has place 1.
    pub place: u64,
    /// SHA-256 of the last entry's bytes.
    pub hash: [u8; 32],
}

impl Head {
    /// The head of a log without entries.
    pub const EMPTY: Self = Self { place: 0, hash: [0; 32] };

    /// The head once `entry` was appended.
    #[must_use]
    pub fn after(self, entry: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, entry).as_ref());
        Self { place: self.place + 1, hash }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth, ..] = self.hash;
        write!(f, "Head({}, {first:02x}{second:02x}{third:02x}{fourth:02x}…)", self.place)
    }
}

/// An entry as the engine holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the one order.
    pub place: u64,
    /// Its bytes, as they were appended.
    pub bytes: Vec<u8>,
}

/// Without the bytes: they may hold what must not be printed.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {} bytes)", self.place, self.bytes.len())
    }
}

/// What became of an entry that a node tried to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The log took it, now and durably, at the place after the expected head.
    Mine,
    /// The log's head is another than expected. If the entry was sent before and its answer was lost, in this call or an earlier one, then
    /// it may be what moved the head: the entry at the place after the expected head tells. It will not be appended any more.
    Taken(Head),
}

/// The engine gave no answer, or not the one that was asked for. Its texts hold no entry and no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No member answered in time, or one said that it does not know. What was asked may have been done, or may still be done.
    #[error("no member of the log's engine gave an answer: {0}")]
    Unknown(String),
    /// The entries from the asked place on are gone: each member of the cluster had them once. The first that is left has this place.
    #[error("the log's engine has no entries before place {first}")]
    Trimmed {
        /// The place of the first entry that the engine still has, or the next one's if it has none.
        first: u64,
    },
    /// The engine refuses: it does not know the caller, takes no such entry, or is no such engine. This call did nothing. An earlier one that
    /// ended with [`Self::Unknown`] is not settled by it.
    #[error("the log's engine refused: {0}")]
    Refused(String),
    /// What the engine holds is no log: its head and its entries contradict each other.
    #[error("what the log's engine holds is damaged: {0}")]
    Damaged(&'static str),
}

/// A log that several nodes append to. `append`, `head` and `trim` are linearizable: their effects and answers are as if each had happened
/// at one moment between its begin and its end. Places begin at 1.
pub trait SharedLog: Send + Sync {
    /// Appends `entry`, if the log's head is `expected`, and makes it durable on a majority of the etcd members. After
    /// [`EngineError::Unknown`] it may have happened, or may still: the same call settles that. A call that is dropped before its end is as open. An entry has at most
    /// [`SHARED_LOG_ENTRY_MAX`](crate::limits::SHARED_LOG_ENTRY_MAX) bytes, and no two have the same bytes.
    fn append<'a>(
        &'a self,
        expected: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>>;

    /// The head at a moment that is not before this call's begin. The fence depends on that.
    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>>;

    /// Entries from place `first` on, in their order and without gaps: at least one if there is one, and not more than fit into `bytes`.
    /// None if the log ends before `first`. An engine whose reads can be stale may answer as it was a moment ago; [`Self::head`] tells.
    fn read(&self, first: u64, bytes: usize) -> BoxFuture<'_, Result<Vec<Entry>, EngineError>>;

    /// Deletes all entries below place `below`. The head stays, also if it is below.
    fn trim(&self, below: u64) -> BoxFuture<'_, Result<(), EngineError>>;
}
