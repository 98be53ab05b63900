//! The seam through which the log takes the registry's changes.

use futures_util::future::BoxFuture;

use super::store::Unrecorded;

/// Resolves when the log has committed what was handed to it, or has failed to.
pub type Recording = BoxFuture<'static, Result<(), SinkFailed>>;

/// Where changes are recorded: the log, behind a seam.
pub trait ChangeSink: Send + Sync {
    /// Whether the log takes records at the moment. A hint: changes are refused before anything is done.
    fn is_writable(&self) -> bool;

    /// Takes `changes`, all or none, in this order, after everything handed over before. Called while no lookup can
    /// decide: it must only fill a buffer.
    ///
    /// The log goes on whether or not the future is polled; it only says how it ended.
    ///
    /// # Errors
    /// If the log takes no records at the moment; the registry offers the same changes again later.
    fn record(&self, changes: &[Unrecorded]) -> Result<Recording, SinkRefused>;
}

/// The log takes no records at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log takes no records")]
pub struct SinkRefused;

/// The log could not commit what it had taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log could not commit records")]
pub struct SinkFailed;
