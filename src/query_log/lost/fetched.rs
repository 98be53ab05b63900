//! [`FetchedHour`]: the copies of one hour, on this machine for a while.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::error::LostLogError;
use crate::{
    clock::{Hour, SharedClock},
    envelope::Keyring,
    files::{self, OsDisk},
    limits,
    object_storage::Objects,
    query_log::{
        catalog::SegmentState,
        copies::{
            name::CopiedFile,
            stored::{Extents, Stored},
        },
        fetch::{self, Fetch, io_at},
        reader::LogReader,
        segment_name::SegmentId,
    },
};

/// The files of one hour, and the lengths of their copies.
pub(super) type Copies = Vec<(CopiedFile, Extents)>;

/// The copies of a listing, by hour.
pub(super) type Hours = BTreeMap<Hour, Copies>;

/// The copies of a listing, by hour.
pub(super) fn by_hour(stored: Stored) -> Hours {
    let mut hours = Hours::new();
    for (file, extents) in stored {
        hours.entry(file.id.hour).or_default().push((file, extents));
    }
    hours
}

/// An hour that is to be fetched.
pub(super) struct Wanted<'a> {
    /// What the names of the node's objects begin with.
    pub(super) node: &'a str,
    pub(super) copies: &'a Copies,
    /// The segment of the node behind which nothing was copied.
    pub(super) newest: Option<SegmentId>,
    /// Whether something of a segment was copied, or it has expired.
    pub(super) has_copies: &'a dyn Fn(SegmentId) -> bool,
    pub(super) keyring: &'a Arc<Keyring>,
    /// By which the rows of the hour expire.
    pub(super) clock: SharedClock,
    pub(super) retention: Duration,
}

/// One hour of a lost node's log. Its files are removed when it is dropped.
#[derive(Debug)]
pub(super) struct FetchedHour {
    pub(super) reader: LogReader,
    /// Segments of which something cannot be read, or is not in the store.
    pub(super) damaged: BTreeSet<SegmentId>,
    /// How many of them cannot be read at all.
    pub(super) unreadable: u64,
    /// Whether every segment ends as a process ends it that stops, or that goes on to the next hour.
    pub(super) is_finished: bool,
    /// Whether an object is gone since the store was listed.
    pub(super) is_outdated: bool,
    _directory: Directory,
}

#[derive(Debug)]
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = files::remove_tree(&self.0) {
            let path = self.0.display();
            tracing::warn!(%error, %path, "copies of a lost node's log are not removed; the next start does it");
        }
    }
}

impl FetchedHour {
    /// Fetches an hour into the new directory `dir`.
    pub(super) fn fetch(
        wanted: &Wanted<'_>,
        objects: &Objects,
        dir: PathBuf,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, LostLogError> {
        files::create_dir(&dir).map_err(io_at(&dir))?;
        let directory = Directory(dir);
        let Wanted { node, copies, newest, has_copies, keyring, clock, retention } = wanted;
        let open = || {
            let (keyring, clock) = (Arc::clone(keyring), SharedClock::clone(clock));
            LogReader::open_with(&directory.0, keyring, clock, *retention)
                .map_err(fetch::FetchError::from)
        };
        let empty = open()?;
        let disk = OsDisk::shared();
        let fetch = Fetch {
            sources: &empty.sources,
            objects,
            node,
            disk: &*disk,
            stop,
            gone: Cell::default(),
        };
        let mut segments: BTreeMap<SegmentId, Copies> = BTreeMap::new();
        for (file, extents) in *copies {
            segments.entry(file.id).or_default().push((*file, extents.clone()));
        }
        let mut damaged = missing_before(segments.keys());
        let (mut unreadable, mut is_finished) = (damaged.len() as u64, true);
        for (id, copies) in segments {
            let found = best(&fetch, copies)?;
            // Behind the newest file there may be more that was never copied. Of an older one the end must be there.
            let is_last = *newest == Some(id);
            is_finished &= found.ended;
            unreadable += u64::from(!found.readable);
            if !found.sound || !(found.ended || is_last) {
                damaged.insert(id);
            }
            if let Some(before) = found.predecessor.filter(|before| !has_copies(*before)) {
                unreadable += u64::from(damaged.insert(before));
            }
        }
        fetch.clear()?;
        let (reader, is_outdated) = (open()?, fetch.gone.get());
        Ok(Self { reader, damaged, unreadable, is_finished, is_outdated, _directory: directory })
    }
}

/// What was found of a segment.
#[derive(Default)]
struct Found {
    readable: bool,
    sound: bool,
    /// Whether it has its end.
    ended: bool,
    records: u64,
    /// The segment that was sealed before it.
    predecessor: Option<SegmentId>,
}

/// The segments of an hour that are missing before others: their numbers begin with 1.
fn missing_before<'a>(ids: impl Iterator<Item = &'a SegmentId>) -> BTreeSet<SegmentId> {
    let ids: BTreeSet<_> = ids.copied().collect();
    let Some(last) = ids.last() else { return BTreeSet::new() };
    let all = (1..last.number).map(|number| SegmentId { number, ..*last });
    all.filter(|id| !ids.contains(id)).take(limits::LOST_SEGMENTS_NAMED_MAX).collect()
}

/// Fetches the best copy of a segment: one that is whole, or else the one of which most can be read.
fn best(fetch: &Fetch<'_>, mut copies: Copies) -> Result<Found, LostLogError> {
    fetch::sort(&mut copies);
    let mut best = Found::default();
    for (file, extents) in copies {
        let Some(report) = fetch.download(file, &extents)? else { continue };
        let sound = report.sound && !extents.has_gap();
        if !sound && report.records <= best.records {
            fetch.discard(file)?;
            continue;
        }
        fetch.place(file)?;
        let ended = matches!(report.state, SegmentState::Closed | SegmentState::Sealed);
        let sealed = fetch.sealed(file);
        let predecessor = sealed.and_then(|sealed| Some(sealed.note.predecessor?.0));
        best = Found { readable: true, sound, ended, records: report.records, predecessor };
        if sound {
            break;
        }
    }
    Ok(best)
}
