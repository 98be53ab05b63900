//! The log's files as this process knows them: what readers see, how far they may read, and in which order files came.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::segment_name::{LogFileName, SegmentId};
use crate::clock::Hour;

/// What state a segment is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum SegmentState {
    /// It is being written.
    Active = 0,
    /// It is finished, and waits to be sealed.
    Closed = 1,
    /// Writing it failed; it ends after its last commit, and the next start finishes it.
    Abandoned = 2,
    /// It is not finished, and nobody writes it: seen only by a reader of a stopped server's files.
    Unfinished = 3,
    /// Its key is missing, though it has not expired.
    KeyMissing = 4,
    /// Its head is damaged: nothing in it can be read.
    Unreadable = 5,
    /// It is finished and sealed: sorted by handle, compressed, never to change.
    Sealed = 6,
}

impl SegmentState {
    const ALL: [Self; 7] = [
        Self::Active,
        Self::Closed,
        Self::Abandoned,
        Self::Unfinished,
        Self::KeyMissing,
        Self::Unreadable,
        Self::Sealed,
    ];
}

/// In which form a segment's records lie on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Frames, in the order of time.
    Frames,
    /// A sealed file, by handle and time.
    Sealed,
}

/// One segment, shared between its writer and its readers.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) form: Form,
    /// Files are told apart by when they came: an hour's number says nothing across hours once a clock went back.
    pub(super) ordinal: u64,
    bytes: AtomicU64,
    records: AtomicU64,
    state: AtomicU8,
}

impl Segment {
    fn new(
        id: SegmentId,
        path: PathBuf,
        form: Form,
        ordinal: u64,
        (bytes, records): (u64, u64),
        state: SegmentState,
    ) -> Self {
        let (bytes, records) = (AtomicU64::new(bytes), AtomicU64::new(records));
        Self { id, path, form, ordinal, bytes, records, state: AtomicU8::new(state as u8) }
    }

    /// Bytes that are committed: a reader goes no further.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    pub(super) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    pub(super) fn state(&self) -> SegmentState {
        let state = usize::from(self.state.load(Ordering::Acquire));
        SegmentState::ALL.get(state).copied().unwrap_or(SegmentState::Unreadable)
    }

    /// Moves on how far readers may go.
    pub(super) fn commit(&self, bytes: u64, records: u64) {
        self.records.store(records, Ordering::Release);
        self.bytes.store(bytes, Ordering::Release);
    }

    pub(super) fn set_state(&self, state: SegmentState) {
        self.state.store(state as u8, Ordering::Release);
    }
}

/// Every file of the log that this process knows.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    segments: BTreeMap<SegmentId, Arc<Segment>>,
    /// Files beside the segments that die with their hour.
    others: Vec<(SegmentId, PathBuf)>,
    next_ordinal: u64,
}

impl Catalog {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.into(), state: Mutex::default() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn path(&self, name: LogFileName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    pub(super) fn add(
        &self,
        id: SegmentId,
        bytes: u64,
        records: u64,
        state: SegmentState,
    ) -> Arc<Segment> {
        let mut catalog = self.lock();
        let ordinal = catalog.next_ordinal;
        catalog.next_ordinal += 1;
        let path = self.path(LogFileName::Frames(id));
        let segment =
            Arc::new(Segment::new(id, path, Form::Frames, ordinal, (bytes, records), state));
        catalog.segments.insert(id, Arc::clone(&segment));
        segment
    }

    /// Adds a sealed segment, or puts it in the place of its frames: from here on readers open the sealed file.
    pub(super) fn add_sealed(&self, id: SegmentId, bytes: u64, records: u64, state: SegmentState) {
        let mut catalog = self.lock();
        let ordinal = match catalog.segments.get(&id) {
            Some(frames) => frames.ordinal,
            None => {
                catalog.next_ordinal += 1;
                catalog.next_ordinal - 1
            }
        };
        let path = self.path(LogFileName::Sealed(id));
        let sealed = Segment::new(id, path, Form::Sealed, ordinal, (bytes, records), state);
        catalog.segments.insert(id, Arc::new(sealed));
    }

    /// Notes a file that is no segment and dies with its hour.
    pub(super) fn add_other(&self, id: SegmentId, path: PathBuf) {
        let mut catalog = self.lock();
        if !catalog.others.iter().any(|other| other.1 == path) {
            catalog.others.push((id, path));
        }
    }

    /// The segment of this name, in its present form.
    pub(super) fn get(&self, id: SegmentId) -> Option<Arc<Segment>> {
        self.lock().segments.get(&id).cloned()
    }

    /// A number that no file of this hour has, not even one that was cut or abandoned.
    pub(super) fn next_number(&self, hour: Hour) -> u32 {
        let catalog = self.lock();
        let ids = catalog.segments.keys().chain(catalog.others.iter().map(|other| &other.0));
        let used = ids.filter(|id| id.hour == hour).map(|id| id.number).max();
        used.unwrap_or(0) + 1
    }

    /// Every segment, in order of hour and number.
    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        self.lock().segments.values().cloned().collect()
    }

    /// The segments of one hour, in order of their numbers.
    pub(super) fn of_hour(&self, hour: Hour) -> Vec<Arc<Segment>> {
        let from = SegmentId { hour, number: 0 };
        let to = SegmentId { hour, number: u32::MAX };
        self.lock().segments.range(from..=to).map(|(_, segment)| Arc::clone(segment)).collect()
    }

    /// The segment that came first among those with at least this ordinal.
    pub(super) fn first_from(&self, ordinal: u64) -> Option<Arc<Segment>> {
        let catalog = self.lock();
        let later = catalog.segments.values().filter(|segment| segment.ordinal >= ordinal);
        later.min_by_key(|segment| segment.ordinal).cloned()
    }

    /// The ordinal that the next segment will get.
    pub(super) fn next_ordinal(&self) -> u64 {
        self.lock().next_ordinal
    }

    /// Every file of the log, those that are no segments too, with the hour that it dies with.
    pub(super) fn files(&self) -> Vec<(SegmentId, PathBuf)> {
        let catalog = self.lock();
        let segments = catalog.segments.values().map(|segment| (segment.id, segment.path.clone()));
        segments.chain(catalog.others.iter().cloned()).collect()
    }

    /// Forgets a file that is gone.
    pub(super) fn remove(&self, id: SegmentId, path: &Path) {
        let mut catalog = self.lock();
        catalog.others.retain(|other| other.1 != path);
        if catalog.segments.get(&id).is_some_and(|segment| segment.path == path) {
            catalog.segments.remove(&id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
