//! The trait of what applies the log's entries.

use futures_util::future::BoxFuture;

use super::interface::Head;

/// Applies the log's entries in this process, in their order: the registry.
pub trait Follower: Send + Sync {
    /// The head of what is applied: every entry up to it is durable and visible in this process.
    fn applied(&self) -> Head;

    /// Tells that the log has an entry at `place`, so that the follower reads it now and not at its next poll. Returns at once.
    fn nudge(&self, place: u64);

    /// Waits until the entry at `place` is applied, and returns what is applied then: that entry or a later one. It waits without
    /// end if the entry cannot be read or applied: the caller sets the limit.
    fn reached(&self, place: u64) -> BoxFuture<'_, Result<Head, Diverged>>;
}

/// The log does not continue what this process has applied, such as a log that was restored from an old backup. The follower applies
/// nothing more until the process starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared log does not continue what this node has applied")]
pub struct Diverged;
