//! The log as its readers hold it: on a running server beside the writer, or on a stopped one's files.
//!
//! The only thing that a reader learns from the writer is how far the files are committed. It checks every row against
//! the retention at the moment it gives it out. Retention itself makes expired rows unreadable by destroying their key.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    catalog::{Catalog, SegmentState},
    cursor::Cursor,
    filter::Filter,
    flips::{self, FlipQuery, FlipReport},
    recovery::{self, OpenError},
    search::{
        tail::{Tail, TailPosition},
        walk::Walk,
        {Order, ReadError, Search, Sources},
    },
    summary::{self, SegmentSummary},
    verify::{
        forgotten::{self, ForgottenError, ForgottenReport},
        {self, VerifyReport},
    },
};
use crate::{
    clock::{SharedClock, Timestamp},
    envelope::{KeyFiles, Keyring},
};

/// The reading side of the log. Cheap to clone. Its calls read files, so they belong on a thread that may wait.
#[derive(Clone, Debug)]
pub struct LogReader {
    sources: Sources,
}

impl LogReader {
    pub(super) const fn new(
        catalog: Arc<Catalog>,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        retention: Duration,
    ) -> Self {
        Self { sources: Sources { catalog, keyring, clock, retention } }
    }

    #[cfg(test)]
    pub(super) const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Opens the files of a data directory and changes nothing. A file that a crash left unfinished is read as far as it is
    /// whole.
    ///
    /// # Errors
    /// If the keys are not in order, or the directory cannot be read.
    pub fn open_read_only(
        dir: &Path,
        keys: KeyFiles,
        clock: SharedClock,
        retention: Duration,
    ) -> Result<Self, OpenError> {
        let (catalog, keyring) = recovery::open_read_only(dir, &keys)?;
        Ok(Self::new(Arc::new(catalog), Arc::new(keyring), clock, retention))
    }

    /// The rows that `filter` asks for, after the place `after` in the given order.
    #[must_use]
    pub fn search(&self, filter: &Filter, order: Order, after: Option<Cursor>) -> Search {
        Search::new(self.sources.clone(), filter.clone(), order, after)
    }

    /// The rows that `filter` asks for, all of them, in the order in which they lie on disk.
    #[must_use]
    pub fn walk(&self, filter: &Filter) -> Walk {
        Walk::new(self.sources.clone(), filter.clone())
    }

    /// The place behind everything that is committed now.
    #[must_use]
    pub fn position(&self) -> TailPosition {
        let (catalog, now) = (&self.sources.catalog, self.sources.clock.now());
        let next = catalog.next_ordinal();
        let newest = next.checked_sub(1).and_then(|ordinal| catalog.first_from(ordinal));
        match newest.filter(|segment| segment.state() == SegmentState::Active) {
            Some(active) => TailPosition::new(active.ordinal, active.bytes(), now),
            None => TailPosition::new(next, 0, now),
        }
    }

    /// Follows the log from `position` on.
    #[must_use]
    pub fn tail(&self, position: TailPosition, filter: &Filter) -> Tail {
        Tail::new(self.sources.clone(), filter.clone(), position)
    }

    /// Records at or before this instant have expired.
    #[must_use]
    pub fn horizon(&self) -> Timestamp {
        self.sources.horizon()
    }

    /// The keys of the hours, for what must be forgotten with the log.
    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.sources.keyring)
    }

    /// The handles whose route went back and forth, most often first. Reads the whole window, on a thread of low priority
    /// that the caller waits for; `stop` is asked between pages.
    ///
    /// # Errors
    /// If the operating system cannot read a segment; damage is none, it is counted.
    ///
    /// # Panics
    /// If reading does.
    pub fn flips(
        &self,
        query: &FlipQuery,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<FlipReport, ReadError> {
        flips::flips(&self.sources, query, stop)
    }

    /// Every segment, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentSummary> {
        summary::summarise(&self.sources)
    }

    /// Reads everything and says what is not as it should be. Changes nothing.
    #[must_use]
    pub fn verify(&self) -> VerifyReport {
        verify::verify(&self.sources)
    }

    /// Looks for what should be forgotten and is still there. Changes nothing.
    ///
    /// # Errors
    /// If the directory or the keys cannot be read: then nothing is proved.
    pub fn prove_forgotten(&self) -> Result<ForgottenReport, ForgottenError> {
        forgotten::look(&self.sources)
    }
}
