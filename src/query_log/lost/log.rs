//! [`LostLog`]: the log of one lost node, as its copies show it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    error::LostLogError,
    fetched::{Copies, FetchedHour, Wanted},
    hour_clock::HourClock,
    shared::Shared,
};
use crate::{
    clock::{Hour, SharedClock, Timestamp},
    envelope::Keyring,
    files, limits,
    query_log::{
        catalog::Form,
        copies::{
            name::CopiedFile,
            stored::{Extents, Stored},
        },
        fetch::FetchError,
        filter::{Filter, Order},
        segment_name::SegmentId,
    },
};

/// The log of a lost node. Clones share it. Its calls wait for the object store and read files.
#[derive(Clone)]
pub struct LostLog {
    pub(super) shared: Arc<Shared>,
    /// What the names of the node's objects begin with.
    pub(super) node: String,
    pub(super) keyring: Arc<Keyring>,
    /// As of the last listing.
    pub(super) hours: Arc<BTreeMap<Hour, Copies>>,
}

/// The copies of a listing, by hour.
pub(super) fn by_hour(stored: Stored) -> BTreeMap<Hour, Copies> {
    let mut hours: BTreeMap<Hour, Copies> = BTreeMap::new();
    for (file, extents) in stored {
        hours.entry(file.id.hour).or_default().push((file, extents));
    }
    hours
}

impl LostLog {
    /// The instant of the newest record that was copied. None if no record can be read.
    ///
    /// # Errors
    /// If the store or the disk fails, or `stop` says that nobody waits.
    pub fn newest(&self, stop: &dyn Fn() -> bool) -> Result<Option<Timestamp>, LostLogError> {
        let dates = self.keyring.dates();
        let hours = self.hours.keys().rev().filter(|hour| dates.contains_key(hour));
        for hour in hours {
            let fetched = self.fetched(*hour, stop)?;
            let mut rows = fetched.reader.search(&Filter::default(), Order::Desc, None);
            if let Some((_, row)) = rows.next().transpose()? {
                return Ok(Some(row.at));
            }
        }
        Ok(None)
    }

    /// Whether the log ends as that of a process that stopped, with a key for each hour that has not expired. Sealed hours count as whole:
    /// whoever reads them finds their damage.
    ///
    /// # Errors
    /// As [`Self::newest`].
    pub fn is_ended(&self, stop: &dyn Fn() -> bool) -> Result<bool, LostLogError> {
        let dates = self.keyring.dates();
        if !self.hours_without_copies().is_empty() {
            return Ok(false);
        }
        for (hour, copies) in &*self.hours {
            if !dates.contains_key(hour) {
                if self.is_lost_without_key(*hour) {
                    return Ok(false);
                }
                continue;
            }
            let is_sealed = |(file, extents): &(CopiedFile, Extents)| {
                let mut of_segment = copies.iter().filter(|(other, _)| other.id == file.id);
                file.form == Form::Sealed && !extents.has_gap() && of_segment.nth(1).is_none()
            };
            if !copies.iter().all(is_sealed) {
                let fetched = self.fetched(*hour, stop)?;
                if !fetched.is_finished || !fetched.damaged.is_empty() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Hours before the last copied one that have a key and no object. Either nothing was recorded, and the key served the audit log only, or
    /// the copies are lost, or were never made: new frames are copied before older sealed hours.
    pub(super) fn hours_without_copies(&self) -> Vec<Hour> {
        let Some((last, _)) = self.hours.last_key_value() else { return Vec::new() };
        let mut hours: Vec<_> = self.keyring.hours().range(..last).copied().collect();
        hours.retain(|hour| !self.hours.contains_key(hour));
        hours
    }

    /// Whether an hour without a key here should have one: by its number it has not expired.
    pub(super) fn is_lost_without_key(&self, hour: Hour) -> bool {
        let expiry = hour.start().plus(self.shared.retention);
        self.shared.clock.latest().plus(limits::CLOCK_AGREEMENT) < expiry
    }

    /// Whether something of a segment was copied, or it has expired.
    fn has_copies(&self, id: SegmentId) -> bool {
        let is_copied = |copies: &Copies| copies.iter().any(|(file, _)| file.id == id);
        self.hours.get(&id.hour).is_some_and(is_copied) || self.keyring.get(id.hour).is_none()
    }

    /// The segment behind which nothing was copied.
    fn newest_segment(&self) -> Option<SegmentId> {
        let (_, newest) = self.hours.last_key_value()?;
        newest.iter().map(|(file, _)| file.id).max()
    }

    /// The clock by which rows of an hour expire.
    fn clock_of(&self, hour: Hour) -> SharedClock {
        let dated = self.keyring.dates().get(&hour).copied().unwrap_or(hour);
        Arc::new(HourClock::of(&self.shared.clock, hour, dated))
    }

    /// An hour on this machine: fetched now, or for an earlier question.
    pub(super) fn fetched(
        &self,
        hour: Hour,
        stop: &dyn Fn() -> bool,
    ) -> Result<Arc<FetchedHour>, LostLogError> {
        let (none, shared) = (Copies::new(), &self.shared);
        let copies = self.hours.get(&hour).unwrap_or(&none);
        if let Some(kept) = shared.kept(&self.node, hour, copies) {
            return Ok(kept);
        }
        let lengths = copies.iter().map(|(_, extents)| extents.end());
        let bytes = lengths.fold(0, u64::saturating_add);
        let dir = shared.new_directory();
        let space = files::space_of(files::parent(&dir)).ok();
        let reserve = |space: files::Space| space.reserve(shared.disk_reserve);
        if space.is_some_and(|it| it.free.saturating_sub(reserve(it)) < bytes) {
            return Err(LostLogError::Full(bytes));
        }
        let objects = shared.objects().map_err(FetchError::from)?;
        let wanted = Wanted {
            node: &self.node,
            copies,
            newest: self.newest_segment(),
            has_copies: &|id| self.has_copies(id),
            keyring: &self.keyring,
            clock: self.clock_of(hour),
            retention: shared.retention,
        };
        let fetched = FetchedHour::fetch(&wanted, &objects, dir, stop);
        let fetched = Arc::new(fetched.inspect_err(|_| shared.forget_store())?);
        shared.keep((self.node.clone(), hour), copies.clone(), bytes, &fetched);
        Ok(fetched)
    }
}

impl fmt::Debug for LostLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LostLog").field("node", &self.node).finish_non_exhaustive()
    }
}
