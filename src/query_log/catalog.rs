//! The files of the log: which exist, how far readers may read them, and in which order they were created.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::segment_name::{LogFileName, SegmentId};
use crate::{clock::Hour, files::Disk, lock::lock, vocabulary::codes};

codes! {
    /// The state of a segment.
    #[derive(Default)]
    SegmentState {
        /// This process writes it.
        Active = 1 "active",
        /// It is finished and not sealed yet.
        Closed = 2 "closed",
        /// A write failed. It ends after its last commit; the next start finishes it.
        Abandoned = 3 "abandoned",
        /// It is not finished and no process writes it. Only a reader of a stopped server's files sees this state.
        Unfinished = 4 "unfinished",
        /// Its key is missing, though it has not expired.
        KeyMissing = 5 "key-missing",
        /// Its header is damaged, so nothing in it can be read.
        #[default]
        Unreadable = 6 "unreadable",
        /// It is sealed: sorted by handle, compressed, and never changed again.
        Sealed = 7 "sealed",
    }
}

/// The file format of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Form {
    /// A file of frames, in the order of time.
    Frames,
    /// A sealed file, sorted by handle and time.
    Sealed,
}

/// One segment, shared by its writer and its readers.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    pub(super) form: Form,
    /// The order of creation. Hours do not give it once a clock went back.
    pub(super) ordinal: u64,
    /// No lock: a reader runs at the lowest priority, and one that holds a lock would stop the thread that commits.
    bytes: AtomicU64,
    records: AtomicU64,
    /// Changes when the segment is finished, not with a commit.
    state: Mutex<SegmentState>,
}

impl Segment {
    /// Committed bytes; a reader never reads further.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    pub(super) fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    pub(super) fn state(&self) -> SegmentState {
        *lock(&self.state)
    }

    /// Lets readers read up to `bytes`.
    pub(super) fn commit(&self, bytes: u64, records: u64) {
        // A smaller offset would hide committed records from readers. Only one thread commits.
        let (bytes_before, records_before) = (self.bytes(), self.records());
        assert!(bytes_before <= bytes && records_before <= records, "committed offsets only grow");
        self.records.store(records, Ordering::Release);
        self.bytes.store(bytes, Ordering::Release);
    }

    pub(super) fn set_state(&self, state: SegmentState) {
        *lock(&self.state) = state;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    segments: BTreeMap<SegmentId, Arc<Segment>>,
    /// Other files, which retention unlinks with their hour.
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

    /// Adds a segment, or replaces frames by the sealed file: from here on readers open that.
    pub(super) fn add(
        &self,
        form: Form,
        id: SegmentId,
        bytes: u64,
        records: u64,
        state: SegmentState,
    ) -> Arc<Segment> {
        let mut catalog = lock(&self.state);
        let known = catalog.segments.get(&id);
        // Readers and retention would never see the other file again.
        assert!(form == Form::Sealed || known.is_none(), "two segments have the same name");
        // Readers switch to the sealed file at once, so a missing record would be lost.
        assert!(known.is_none_or(|it| it.records() == records), "sealing keeps all records");
        let (ordinal, is_new) =
            known.map_or((catalog.next_ordinal, true), |frames| (frames.ordinal, false));
        catalog.next_ordinal += u64::from(is_new);
        let name = match form {
            Form::Frames => LogFileName::Frames(id),
            Form::Sealed => LogFileName::Sealed(id),
        };
        let (path, state) = (self.path(name), Mutex::new(state));
        let (bytes, records) = (bytes.into(), records.into());
        let segment = Arc::new(Segment { id, path, form, ordinal, bytes, records, state });
        catalog.segments.insert(id, Arc::clone(&segment));
        segment
    }

    /// Adds a file that is no segment, so that retention unlinks it with its hour.
    pub(super) fn add_other(&self, id: SegmentId, path: PathBuf) {
        let mut catalog = lock(&self.state);
        if !catalog.others.iter().any(|other| other.1 == path) {
            catalog.others.push((id, path));
        }
    }

    /// The segment with this name, in its present form.
    pub(super) fn get(&self, id: SegmentId) -> Option<Arc<Segment>> {
        lock(&self.state).segments.get(&id).cloned()
    }

    pub(super) fn is_sealed(&self, id: SegmentId) -> bool {
        self.get(id).is_some_and(|segment| segment.form == Form::Sealed)
    }

    /// A number that no file of this hour has, not even a cut or abandoned one.
    pub(super) fn next_number(&self, hour: Hour) -> u32 {
        let catalog = lock(&self.state);
        let ids = catalog.segments.keys().chain(catalog.others.iter().map(|other| &other.0));
        let used = ids.filter(|id| id.hour == hour).map(|id| id.number).max();
        let next = used.unwrap_or(0) + 1;
        // A longer number would make a name that no start recognises.
        assert!(next < 1_000_000, "an hour has more than 999,999 segments");
        next
    }

    /// Every segment, in order of hour and number.
    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        lock(&self.state).segments.values().cloned().collect()
    }

    /// The segments of one hour, in order of number.
    pub(super) fn of_hour(&self, hour: Hour) -> Vec<Arc<Segment>> {
        let [from, to] = [0, u32::MAX].map(|number| SegmentId { hour, number });
        let catalog = lock(&self.state);
        catalog.segments.range(from..=to).map(|(_, segment)| Arc::clone(segment)).collect()
    }

    /// The oldest segment with at least this ordinal.
    pub(super) fn first_from(&self, ordinal: u64) -> Option<Arc<Segment>> {
        let catalog = lock(&self.state);
        let later = catalog.segments.values().filter(|segment| segment.ordinal >= ordinal);
        later.min_by_key(|segment| segment.ordinal).cloned()
    }

    pub(super) fn next_ordinal(&self) -> u64 {
        lock(&self.state).next_ordinal
    }

    /// Every file of the log, with the segment that it belongs to.
    pub(super) fn files(&self) -> Vec<(SegmentId, PathBuf)> {
        let catalog = lock(&self.state);
        let segments = catalog.segments.values().map(|segment| (segment.id, segment.path.clone()));
        segments.chain(catalog.others.iter().cloned()).collect()
    }

    /// Unlinks a file if it exists, and removes it from the catalog.
    pub(super) fn unlink(&self, disk: &dyn Disk, id: SegmentId, path: &Path) -> io::Result<()> {
        match disk.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.remove(id, path);
                Ok(())
            }
        }
    }

    /// Removes a file that no longer exists under this name.
    pub(super) fn remove(&self, id: SegmentId, path: &Path) {
        let mut catalog = lock(&self.state);
        catalog.others.retain(|other| other.1 != path);
        if catalog.segments.get(&id).is_some_and(|segment| segment.path == path) {
            catalog.segments.remove(&id);
        }
    }
}
