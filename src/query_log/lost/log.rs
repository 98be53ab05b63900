//! [`LostLog`]: the log of one lost node, as its copies show it.

use std::{fmt, sync::Arc};

use super::{
    error::LostLogError,
    fetched::{Copies, FetchedHour, Hours, Wanted},
    hour_clock::HourClock,
    shared::Shared,
};
use crate::{
    clock::{Hour, SharedClock, Timestamp},
    envelope::Keyring,
    files, limits,
    object_storage::StoreError,
    query_log::{
        catalog::Form,
        copies::{
            name::{CopiedFile, stop_mark},
            stored::Extents,
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
    pub(super) hours: Arc<Hours>,
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

    /// The last hour of which something was copied.
    pub fn last_hour(&self) -> Option<Hour> {
        self.hours.keys().next_back().copied()
    }

    /// Whether a process that stopped has copied all of the log, and left the mark of a stop, and there is a key for each hour that has not
    /// expired. Sealed hours count as whole: whoever reads them finds their damage.
    ///
    /// # Errors
    /// As [`Self::newest`].
    pub fn is_ended(&self, stop: &dyn Fn() -> bool) -> Result<bool, LostLogError> {
        let dates = self.keyring.dates();
        let last = self.last_hour();
        // A key behind the last copied hour: something was recorded then, and not copied.
        if !self.hours_without_copies().is_empty() || last < self.keyring.hours().last().copied() {
            return Ok(false);
        }
        if !self.has_mark_of_stop()? {
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

    /// Whether the mark of a stop names the newest segment that was copied.
    fn has_mark_of_stop(&self) -> Result<bool, LostLogError> {
        let Some(newest) = self.newest_segment().map(|id| id.to_string()) else { return Ok(false) };
        let objects = self.shared.objects().map_err(FetchError::from)?;
        match objects.read(&stop_mark(&self.node), 0..newest.len() as u64 + 1) {
            Ok(mark) => Ok(mark == newest.as_bytes()),
            Err(StoreError::Missing) => Ok(false),
            Err(error) => Err(FetchError::from(error).into()),
        }
    }

    /// Hours before the last copied one that have a key and no object, and have not expired. Either nothing was recorded, and the key served
    /// the audit log only, or the copies are lost, or were never made: new frames are copied before older sealed hours.
    pub(super) fn hours_without_copies(&self) -> Vec<Hour> {
        let Some((last, _)) = self.hours.last_key_value() else { return Vec::new() };
        let mut hours: Vec<_> = self.keyring.hours().range(..last).copied().collect();
        hours.retain(|hour| !self.hours.contains_key(hour) && !self.has_expired(*hour));
        hours
    }

    /// Whether an hour without a key here should have one: by its number it has not expired.
    pub(super) fn is_lost_without_key(&self, hour: Hour) -> bool {
        let expiry = hour.start().plus(self.shared.retention);
        self.shared.clock.latest().plus(limits::CLOCK_AGREEMENT) < expiry
    }

    /// Whether the node itself, cut off and with a clock that is ahead, may have deleted the copies of an hour because it has expired.
    pub(super) fn has_expired(&self, hour: Hour) -> bool {
        let Shared { clock, retention, .. } = &*self.shared;
        let Some(dated) = self.keyring.date_of(hour) else {
            return !self.is_lost_without_key(hour);
        };
        clock.expiry(dated, *retention) <= clock.latest().plus(limits::CLUSTER_ENTRY_AHEAD_MAX)
    }

    /// Whether something of a segment was copied, or it has expired.
    fn has_copies(&self, id: SegmentId) -> bool {
        let is_copied = |copies: &Copies| copies.iter().any(|(file, _)| file.id == id);
        self.hours.get(&id.hour).is_some_and(is_copied)
            || self.keyring.get(id.hour).is_none()
            || self.has_expired(id.hour)
    }

    /// The segment behind which nothing was copied.
    fn newest_segment(&self) -> Option<SegmentId> {
        let (_, newest) = self.hours.last_key_value()?;
        newest.iter().map(|(file, _)| file.id).max()
    }

    /// The clock by which rows of an hour expire.
    fn clock_of(&self, hour: Hour) -> SharedClock {
        let dated = self.keyring.date_of(hour).unwrap_or(hour);
        Arc::new(HourClock::of(&self.shared.clock, hour, dated))
    }

    /// An hour on this machine: fetched now, or for an earlier question.
    pub(super) fn fetched(
        &self,
        hour: Hour,
        stop: &dyn Fn() -> bool,
    ) -> Result<Arc<FetchedHour>, LostLogError> {
        let fetched = self.fetched_as_listed(hour, stop)?;
        if !fetched.is_outdated {
            return Ok(fetched);
        }
        // A node that still runs may have sealed the hour since, and deleted the objects of its frames.
        let hours =
            self.shared.hours_of(&self.node, Some(&self.hours), stop).map_err(FetchError::from)?;
        Self { hours, ..self.clone() }.fetched_as_listed(hour, stop)
    }

    fn fetched_as_listed(
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
        // What is damaged may be whole at the next try.
        if fetched.damaged.is_empty() {
            shared.keep((self.node.clone(), hour), copies.clone(), bytes, &fetched);
        }
        Ok(fetched)
    }
}

impl fmt::Debug for LostLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LostLog").field("node", &self.node).finish_non_exhaustive()
    }
}
