//! The trait of what applies the log's entries.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::interface::{Head, SharedLog};

/// Applies the log's entries in this process, in their order: the registry.
pub trait Follower: Send + Sync {
    /// The head of what is applied: every entry up to it is durable and visible in this process.
    fn applied(&self) -> Head;

    /// Tells that the log has an entry at `place`, so that the follower reads it now and not at its next poll. Returns at once.
    fn nudge(&self, place: u64);

    /// Waits until the entry at `place` is applied, and returns what is applied then: that entry or a later one. It waits for as long
    /// as the entry may still be applied: the caller sets the limit.
    ///
    /// # Errors
    /// If the follower has stopped, also where it has applied that entry.
    fn reached(&self, place: u64) -> BoxFuture<'_, Result<Head, Stopped>>;
}

/// A log, and what applies its entries in this process.
#[derive(Clone)]
pub struct Followed {
    /// The log.
    pub log: Arc<dyn SharedLog>,
    /// What applies it.
    pub follower: Arc<dyn Follower>,
}

/// Why a follower applies nothing more until the process starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The log does not continue what this process has applied, such as a log that was restored from an old backup.
    #[error("the shared log does not continue what this node has applied")]
    Diverged,
    /// The log has the next entry no more, or its key was destroyed.
    #[error("the shared log does not have the next entry any more, or its key was destroyed")]
    Trimmed,
    /// The next entry cannot be read or applied.
    #[error("the next entry of the shared log cannot be applied")]
    Entry,
    /// The engine holds no log.
    #[error("the shared log is damaged")]
    Damaged,
}
