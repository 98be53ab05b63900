//! What is asked about a handle.

use std::{iter, time::Duration};

use crate::{clock::Timestamp, handle::Handle, vocabulary::codes};

codes! {
    /// How a timeline shows lookups.
    #[derive(Default)]
    Detail {
        /// Lookups with the same answer for the same reason are one entry, as long as nothing changes.
        #[default]
        Folded = 1 "folded",
        /// Each lookup is an entry.
        All = 2 "all",
    }
}

/// What is asked about a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The handle.
    pub handle: Handle,
    /// The moment to explain; the present if none, or if it lies ahead.
    pub at: Option<Timestamp>,
    /// Entries from this instant on.
    pub since: Option<Timestamp>,
    /// Entries before this instant; those up to the moment if none.
    pub until: Option<Timestamp>,
    /// How a timeline shows lookups.
    pub detail: Detail,
    /// Entries at most, the latest; all if none. If they are limited they come at the end.
    pub limit: Option<usize>,
}

/// The smallest span of time there is.
pub(super) const STEP: Duration = Duration::from_micros(1);

impl Question {
    /// The handle and its other spellings: what the log is searched for.
    pub fn spellings(&self) -> impl Iterator<Item = Handle> + use<> {
        iter::once(self.handle.clone()).chain(self.handle.equivalents())
    }

    /// The moment, if it is past.
    pub(super) fn past(&self, now: Timestamp) -> Option<Timestamp> {
        self.at.filter(|at| *at < now)
    }

    /// Before which instant entries are told.
    pub(super) fn window_end(&self, now: Timestamp) -> Timestamp {
        let moment = self.past(now).map_or(Timestamp::MAX, |past| past.plus(STEP));
        self.until.unwrap_or(moment)
    }
}
