//! [`Kept`]: what is kept of one handle while a range of handles is read.

use super::super::{record::Outcome, segment::HandleEvent};
use crate::{handle::Handle, vocabulary::Reason};

/// What an allocation costs besides its bytes, about; the counts of a shared text too.
pub(super) const ALLOCATION_BYTES: usize = 32;

/// What is kept of one handle. One machine keeps counts ([`State`](super::state::State)). A node of a cluster keeps what another
/// node needs to count over all nodes ([`FlipPart`](super::FlipPart)).
pub(in crate::query_log) trait Kept: Sized {
    /// Whether changes must have their ids.
    const WITH_IDS: bool;

    fn new(handle: Handle) -> Self;

    fn handle(&self) -> &Handle;

    /// Takes the handle's next event that [`counts`].
    fn apply(&mut self, event: &HandleEvent);

    /// About how much memory it takes.
    fn bytes(&self) -> usize;
}

/// Whether an event is about the handle's route: an answer that everyone would have got, or a change of the registry.
pub(super) fn counts(event: &HandleEvent) -> bool {
    match event.outcome {
        Outcome::Change { .. } => true,
        Outcome::Refusals { .. } => false,
        Outcome::Lookup { route, reason, status } => {
            status == 200 && route.is_some() && reason != Reason::Undiscoverable
        }
    }
}

/// The bytes of a handle's text.
pub(super) fn text_bytes(handle: &Handle) -> usize {
    match handle {
        Handle::Phone(_) => 0,
        Handle::Email(address) => address.as_str().len() + ALLOCATION_BYTES,
    }
}
