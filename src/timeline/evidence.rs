//! What an answer rests on.

use super::change_ref::ChangeRef;
use crate::{clock::Timestamp, handle::Handle};

/// Why an answer was what it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// The change that led to it.
    pub(super) because: Option<ChangeRef>,
    /// The change since which a handle that was bound before is live: a check-in, or that it is shown again.
    pub(super) live_since: Option<ChangeRef>,
    /// The last import before it that did not record its handles one by one; only if nothing else led to it.
    pub(super) bulk_import: Option<Timestamp>,
    /// The other spelling that decided.
    pub(super) through: Option<Handle>,
    /// Whether the holder asked.
    pub(super) by_its_owner: bool,
}
