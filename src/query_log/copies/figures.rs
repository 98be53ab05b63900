//! What metrics and `doctor` show of the copies.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    copier::{Copies, Health},
    copying::is_wanted,
};
use crate::{
    lock::lock,
    object_storage::StoreError,
    query_log::{search::Sources, segment_name::SegmentId},
};

/// How it stands with the copies of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyFigures {
    /// The oldest committed record that is not in the store is at most this old. Zero if all are.
    pub lag: Duration,
    /// Objects that this process created.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Objects that this process deleted.
    pub deleted: u64,
    /// Rounds that ended with an error of the store.
    pub failures: u64,
    /// Objects of expired hours that are not deleted yet.
    pub expired: u64,
    /// Files that are not copied because an object holds other bytes.
    pub conflicts: u64,
    /// Why the last round failed, if it did.
    pub error: Option<StoreError>,
}

impl Copies {
    /// The figures now. Waits for no disk and no store.
    pub(crate) fn figures(&self, sources: &Sources) -> CopyFigures {
        let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let (now, boot) = (sources.clock.now(), sources.clock.boot());
        let segments = sources.catalog.segments();
        let progress = lock(&self.progress);
        let copied = |id: &SegmentId| progress.records.get(id).copied().unwrap_or(0);
        let pending =
            segments.iter().filter(|it| is_wanted(sources, it) && copied(&it.id) < it.records());
        // Of records of an earlier process only the hour is known.
        let ages = pending.map(|it| {
            let hour = it.id.hour;
            let end = hour.end().moved(sources.clock.shift_us(hour.era()));
            now.since(end).max(boot.saturating_sub(progress.caught_up_at))
        });
        CopyFigures {
            lag: ages.max().unwrap_or_default(),
            objects: count(&self.counts.objects),
            bytes: count(&self.counts.bytes),
            deleted: count(&self.counts.deleted),
            failures: count(&self.counts.failures),
            expired: progress.expired + progress.expired_elsewhere.values().sum::<u64>(),
            conflicts: progress.conflicts,
            error: match &progress.health {
                Health::Failing(error) => Some(error.clone()),
                Health::Unknown | Health::Working => None,
            },
        }
    }
}
