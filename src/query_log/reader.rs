//! The reading side of the log: beside the writer of a running server, or over the files of a stopped one.
//!
//! The only thing that a reader learns from the writer is how far the files are committed. It checks every row against
//! the retention at the moment it gives it out. Retention itself makes expired rows unreadable by destroying their key.

use std::{path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    catalog::{Segment, SegmentState},
    copies::{Copies, CopyOptions},
    cursor::Cursor,
    filter::{Filter, Order},
    flips::{self, FlipPart, FlipQuery, FlipReport, FlipWindow, FlipsRead},
    recovery::{self, OpenError},
    search::{
        tail::{Tail, TailPosition},
        walk::Walk,
        {Job, ReadError, Search, Sources},
    },
    verify::{
        forgotten::{self, ForgottenError, ForgottenReport},
        {self, VerifyReport},
    },
};
use crate::{
    clock::{Hour, SharedClock, Timestamp},
    envelope::{KeyFiles, Keyring},
};

/// One segment of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentSummary {
    /// The hour (since the Unix epoch), and the number of the file within the hour.
    #[schema(example = "0000495368-000000")]
    pub segment: String,
    /// Its state.
    pub state: SegmentState,
    /// Its records are at or after this instant.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Its records are before this instant.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Records in it.
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When retention destroys its key.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// The reading side of the log. Clones share it. Its calls read files, so make them on a thread that may block.
#[derive(Clone, Debug)]
pub struct LogReader {
    pub(super) sources: Sources,
    /// Copies in an object store, if there are any.
    pub(super) copies: Option<Arc<Copies>>,
}

impl LogReader {
    /// Opens the files of a data directory and changes nothing. A file that a crash left unfinished is read as far as it is
    /// whole.
    pub fn open_read_only(
        dir: &Path,
        keys: KeyFiles,
        clock: SharedClock,
        retention: Duration,
    ) -> Result<Self, OpenError> {
        let (catalog, keyring) = recovery::open_read_only(dir, &keys)?;
        let (catalog, keyring) = (Arc::new(catalog), Arc::new(keyring));
        Ok(Self { sources: Sources { catalog, keyring, clock, retention }, copies: None })
    }

    /// The same with copies, which [`Self::prove_forgotten`] then looks at, too.
    #[must_use]
    pub fn with_copies(self, options: CopyOptions) -> Self {
        let copies = Copies::new(options, self.sources.clock.boot());
        Self { copies: Some(Arc::new(copies)), ..self }
    }

    /// The rows that match `filter`, behind `after` in this order.
    pub fn search(&self, filter: &Filter, order: Order, after: Option<Cursor>) -> Search {
        Search::new(Job::new(self.sources.clone(), filter.clone(), order, after))
    }

    /// All rows that match `filter`, in the order of storage.
    pub fn walk(&self, filter: &Filter) -> Walk {
        Walk::new(self.sources.clone(), filter.clone())
    }

    /// The position behind every row that is committed now.
    pub fn position(&self) -> TailPosition {
        let catalog = &self.sources.catalog;
        let next = catalog.next_ordinal();
        let newest = next.checked_sub(1).and_then(|ordinal| catalog.first_from(ordinal));
        match newest.filter(|segment| segment.state() == SegmentState::Active) {
            Some(active) => {
                TailPosition::new(active.ordinal, active.bytes(), self.sources.clock.now())
            }
            None => TailPosition::new(next, 0, Timestamp::EPOCH),
        }
    }

    /// The rows that match `filter` and are committed after `position`.
    pub fn tail(&self, position: TailPosition, filter: &Filter) -> Tail {
        Tail::new(self.sources.clone(), filter.clone(), position)
    }

    /// Records of the current era at or before this instant have expired.
    pub fn horizon(&self) -> Timestamp {
        self.sources.horizon(self.sources.clock.stamp().1)
    }

    /// How many hours would have expired if trusted time jumped to `then`, and how many there are. The jump would correct those of
    /// the current era.
    pub fn expired_hours(&self, then: Timestamp) -> (usize, usize) {
        let (hours, era) = (self.sources.keyring.hours(), self.sources.clock.stamp().1);
        let is_due = |hour: &&Hour| hour.era() != era && self.sources.expiry(**hour) <= then;
        (hours.iter().filter(is_due).count(), hours.len())
    }

    /// The keyring of the hours, for other data that must expire with the log.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.sources.keyring)
    }

    /// The handles whose route changed back and forth, most changes first. It reads the whole time range on a thread of low
    /// priority, for which the caller waits, and calls `stop` between pages. Damage is no error; the report counts it.
    pub fn flips(
        &self,
        query: &FlipQuery,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<FlipReport, ReadError> {
        flips::flips(&self.sources, query, stop)
    }

    /// What this log has of each handle, for a node that counts flips over several logs: ascending by handle. It reads on
    /// this thread, which should have a low priority. `each` takes a handle, and says whether to go on.
    pub fn flip_parts(
        &self,
        window: &FlipWindow,
        stop: &dyn Fn() -> bool,
        each: &mut dyn FnMut(FlipPart) -> bool,
    ) -> Result<FlipsRead, ReadError> {
        flips::parts(&self.sources, window, stop, each)
    }

    /// Every segment, oldest first.
    pub fn segments(&self) -> Vec<SegmentSummary> {
        let summary = |segment: Arc<Segment>| {
            let hour = segment.id.hour;
            SegmentSummary {
                segment: segment.id.to_string(),
                state: segment.state(),
                from: hour.start(),
                until: hour.end(),
                records: segment.records(),
                bytes: segment.bytes(),
                expires_at: self.sources.expiry(hour),
            }
        };
        self.sources.catalog.segments().into_iter().map(summary).collect()
    }

    /// Reads every segment and reports what is wrong. It changes nothing.
    pub fn verify(&self) -> VerifyReport {
        verify::verify(&self.sources)
    }

    /// Searches for keys, files, records and copies that should have expired. It changes nothing. An error proves nothing.
    pub fn prove_forgotten(&self) -> Result<ForgottenReport, ForgottenError> {
        forgotten::check(&self.sources, self.copies.as_deref())
    }
}
