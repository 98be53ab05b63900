//! One round: open and check the store, list what this node has there, delete what has expired, copy what is new.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    expiry::expired,
    name::{CopiedFile, probe, stop_mark},
    stored::{self, Extents, Stored},
};
use crate::{
    clock::Hour,
    limits,
    lock::lock,
    object_storage::{Objects, Stop, StoreError},
    query_log::{Config, catalog::Form, search::Sources, segment_name::SegmentId},
};

/// Whether the files of an hour may be copied now. On a node of a cluster that is so once another node holds the hour's key: without it
/// the copy opens nothing.
pub type MayCopy = Arc<dyn Fn(Hour) -> bool + Send + Sync>;

/// Opens the store. Called again if it refused the credentials, which may have been replaced since.
pub type OpenStore = Arc<dyn Fn() -> Result<Objects, StoreError> + Send + Sync>;

/// Where copies of the log go.
#[derive(Clone)]
pub struct CopyOptions {
    /// Opens the store.
    pub open: OpenStore,
    /// What the names of this node's objects begin with. No other node has the same, also not later.
    pub node: String,
    /// What they began with before, as long as this machine was another node, or none.
    pub former: Vec<String>,
    /// How often new bytes are copied.
    pub interval: Duration,
    /// Which hours may be copied.
    pub may_copy: MayCopy,
}

impl CopyOptions {
    /// The ones of the configuration. None if it names no store.
    pub fn of(
        config: &Config,
        (node, former): (String, Vec<String>),
        may_copy: MayCopy,
    ) -> Option<Self> {
        let (store, interval) = (config.store.clone(), config.copy_interval);
        store.is_on().then(|| Self {
            open: Arc::new(move || Objects::open(&store)),
            node,
            former,
            interval,
            may_copy,
        })
    }
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Copies the log of one node.
pub(crate) struct Copies {
    pub(super) options: CopyOptions,
    /// Locked for a whole round, which waits for the store. Only rounds take it.
    pub(super) work: Mutex<Work>,
    /// Locked for moments.
    pub(super) progress: Mutex<Progress>,
    pub(super) counts: Counts,
}

/// What rounds remember.
#[derive(Default)]
pub(super) struct Work {
    /// The store, once it is known to refuse overwriting.
    pub(super) objects: Option<Objects>,
    /// This node's files in the store: as of the last listing, and what was created and deleted since.
    pub(super) stored: Stored,
    /// The files under each former name: as of the last listing, and what was deleted since.
    pub(super) former: BTreeMap<String, Stored>,
    /// By the boot clock.
    listed_at: Option<Duration>,
    /// The files of the log whose head was read.
    pub(super) seen: HashMap<(SegmentId, Form), SeenFile>,
    /// Files of which an object holds other bytes.
    pub(super) conflicts: BTreeMap<CopiedFile, Conflict>,
    failures: u32,
    /// By the boot clock.
    retry_at: Duration,
}

/// An object that holds other bytes than the log.
#[derive(Clone, Copy)]
pub(super) struct Conflict {
    /// Where in the file it begins.
    pub(super) offset: u64,
    /// Whether the store was listed since: then it is tried again.
    pub(super) is_due: bool,
}

impl Work {
    /// How many bytes of a file are in the store from its start on, as the log has them.
    pub(super) fn copied(&self, file: CopiedFile) -> u64 {
        let end = self.stored.get(&file).map_or(0, Extents::end);
        self.conflicts.get(&file).map_or(end, |conflict| end.min(conflict.offset))
    }
}

/// A file of the log.
#[derive(Clone, Copy)]
pub(super) struct SeenFile {
    pub(super) file: CopiedFile,
    /// Its committed length, as of the last round.
    pub(super) bytes: u64,
}

/// What is known outside of a round.
pub(super) struct Progress {
    /// Records of each segment that are in the store, in either form.
    pub(super) records: BTreeMap<SegmentId, u64>,
    /// Everything that was committed then is in the store; by the boot clock.
    pub(super) caught_up_at: Duration,
    /// Objects of expired hours that are not deleted yet.
    pub(super) expired: u64,
    /// The same of each other node, as far as it could be listed.
    pub(super) expired_elsewhere: BTreeMap<String, u64>,
    pub(super) conflicts: u64,
    pub(super) health: Health,
}

/// Whether the store does what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Unknown,
    Working,
    Failing(StoreError),
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) objects: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) deleted: AtomicU64,
    pub(super) failures: AtomicU64,
}

impl Copies {
    /// `started_at` is the present by the boot clock.
    pub(crate) fn new(options: CopyOptions, started_at: Duration) -> Self {
        let progress = Progress {
            records: BTreeMap::new(),
            caught_up_at: started_at,
            expired: 0,
            expired_elsewhere: BTreeMap::new(),
            conflicts: 0,
            health: Health::Unknown,
        };
        let (work, progress) = (Mutex::default(), Mutex::new(progress));
        Self { options, work, progress, counts: Counts::default() }
    }

    /// Copies what is committed and deletes what has expired. After failures it pauses: then it does nothing. When `stop` returns true it
    /// ends early: between two objects, or in a listing.
    pub(crate) fn round(&self, sources: &Sources, stop: Stop<'_>) {
        self.round_of(&mut lock(&self.work), sources, stop);
    }

    /// The last round, of a log that was closed. Once everything is in the store, an object says so.
    pub(crate) fn last_round(&self, sources: &Sources, stop: Stop<'_>) {
        let mut work = lock(&self.work);
        if !self.round_of(&mut work, sources, stop) {
            return;
        }
        let newest = work.stored.keys().map(|file| file.id).max();
        let Some((newest, objects)) = newest.zip(work.objects.as_ref()) else { return };
        if let Err(error) =
            objects.create(&stop_mark(&self.options.node), newest.to_string().into())
        {
            tracing::warn!(%error, "everything is copied, but the store does not say so");
        }
    }

    /// Whether everything that was committed when it began is in the store.
    fn round_of(&self, work: &mut Work, sources: &Sources, stop: Stop<'_>) -> bool {
        let began = sources.clock.boot();
        if began < work.retry_at {
            return false;
        }
        let mut is_whole = false;
        match self.try_round(work, sources, stop) {
            Ok(is_complete) => {
                is_whole = is_complete;
                work.failures = 0;
                let mut progress = lock(&self.progress);
                if is_complete {
                    progress.caught_up_at = began;
                }
                progress.become_healthy();
            }
            Err(StoreError::Stopped) => {}
            Err(error) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                // The first retry is the next round.
                let more = (1 << work.failures.min(16)) - 1;
                let pause = (self.options.interval * more).min(limits::LOG_COPY_PAUSE_MAX);
                work.failures += 1;
                work.retry_at = sources.clock.boot() + pause;
                if error == StoreError::Denied {
                    work.objects = None;
                }
                lock(&self.progress).fail(error);
            }
        }
        let is_expired = expired(sources);
        let all = work.stored.iter().chain(work.former.values().flatten());
        let due = all.filter(|(file, _)| is_expired(file.id.hour));
        let expired: usize = due.map(|(_, extents)| extents.each().count()).sum();
        let mut progress = lock(&self.progress);
        progress.expired = expired as u64;
        progress.conflicts = work.conflicts.len() as u64;
        is_whole
    }

    /// Whether everything that was committed when it began is in the store.
    fn try_round(
        &self,
        work: &mut Work,
        sources: &Sources,
        stop: Stop<'_>,
    ) -> Result<bool, StoreError> {
        let objects = match &work.objects {
            Some(objects) => objects.clone(),
            None => {
                let objects = (self.options.open)()?;
                objects.check_creation(&probe(&self.options.node))?;
                // From now on more may be recorded than was copied at the last stop.
                objects.delete(&[stop_mark(&self.options.node)], stop)?;
                work.objects.insert(objects).clone()
            }
        };
        self.list(work, &objects, sources, stop)?;
        // Whether or not something can be deleted, new bytes are copied.
        let forgotten = self.forget(work, &objects, sources, stop);
        let is_complete = self.copy(work, &objects, sources, stop)?;
        forgotten.map(|()| is_complete)
    }

    /// Lists what this node has in the store, at the first round and each hour. What it says counts: if an object is not listed, it is
    /// created again.
    fn list(
        &self,
        work: &mut Work,
        objects: &Objects,
        sources: &Sources,
        stop: Stop<'_>,
    ) -> Result<(), StoreError> {
        let now = sources.clock.boot();
        if work.listed_at.is_some_and(|at| now < at + limits::LOG_COPY_LIST_EVERY) {
            return Ok(());
        }
        work.stored = stored::list_of(objects, &self.options.node, stop)?;
        for name in &self.options.former {
            work.former.insert(name.clone(), stored::list_of(objects, name, stop)?);
        }
        work.conflicts.values_mut().for_each(|conflict| conflict.is_due = true);
        work.listed_at = Some(now);
        Ok(())
    }
}

impl Progress {
    fn become_healthy(&mut self) {
        match self.health {
            Health::Unknown => tracing::info!("the log is copied to the object store"),
            Health::Failing(_) => tracing::info!("the log is copied to the object store again"),
            Health::Working => {}
        }
        self.health = Health::Working;
    }

    fn fail(&mut self, error: StoreError) {
        let health = Health::Failing(error.clone());
        if self.health != health {
            tracing::error!(%error, "the log is not copied to the object store; trying again");
        }
        self.health = health;
    }
}

impl fmt::Debug for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copies").field("options", &self.options).finish_non_exhaustive()
    }
}
