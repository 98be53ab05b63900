//! What a registry needs to follow a shared log, and how far it has come.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{runtime::Handle, sync::watch};

use super::{
    entry::{ClusterId, EntryError, EntryFormat, EntryKeys, NodeId, NodeKey, NodePublicKey},
    store::Applied,
};
use crate::{
    clock::Timestamp,
    limits,
    shared_log::{EngineError, Head, SharedLog, Stopped},
};

/// The public key of a member, by the rows of [`RowKind::Member`](super::RowKind::Member). None if no member has this number.
pub type Authors = fn(NodeId, &mut dyn Iterator<Item = &[u8]>) -> Option<NodePublicKey>;

/// A node's membership of a cluster, as its registry needs it.
#[derive(Clone)]
pub struct LogMember {
    /// The log.
    pub log: Arc<dyn SharedLog>,
    /// Where the engine's calls run. It needs timers, and must outlive the registry.
    pub runtime: Handle,
    /// Which log it must be.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// The key with which this node signs its entries.
    pub key: Arc<NodeKey>,
    /// Who may write entries.
    pub authors: Authors,
    /// The keys of entries.
    pub keys: Arc<dyn EntryKeys>,
    /// The format to write: one that every node reads.
    pub format: EntryFormat,
}

/// Why a registry follows its shared log no further. Only a restart goes on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogStop {
    /// The log does not continue what this node has applied, as one that was restored from a backup.
    #[error("the shared log does not continue what this node has applied")]
    Diverged,
    /// The log has no entries before this place any more. The node needs a snapshot of another node.
    #[error("the shared log has no entries before place {0} any more: this node needs a snapshot")]
    Trimmed(u64),
    /// The key of the next entry was destroyed before this node had read it. The node needs a snapshot of another node.
    #[error("key {0} of the shared log's entries was destroyed: this node needs a snapshot")]
    KeyGone(u32),
    /// The entry behind the last one.
    #[error(transparent)]
    Entry(EntryError),
    /// The engine holds no log.
    #[error("the shared log is damaged: {0}")]
    Damaged(&'static str),
}

impl LogStop {
    /// What an engine's error means for a registry. None if the same call may succeed later.
    pub(super) fn of(error: &EngineError) -> Option<Self> {
        match error {
            EngineError::Trimmed { first } => Some(Self::Trimmed(*first)),
            EngineError::Damaged(what) => Some(Self::Damaged(what)),
            EngineError::Unknown(_) | EngineError::Refused(_) => None,
        }
    }
}

impl From<EntryError> for LogStop {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::NotNext(_) => Self::Diverged,
            EntryError::KeyMissing(key) => Self::KeyGone(key),
            error => Self::Entry(error),
        }
    }
}

impl From<LogStop> for Stopped {
    fn from(why: LogStop) -> Self {
        match why {
            LogStop::Diverged => Self::Diverged,
            LogStop::Trimmed(_) | LogStop::KeyGone(_) => Self::Trimmed,
            LogStop::Entry(_) => Self::Entry,
            LogStop::Damaged(_) => Self::Damaged,
        }
    }
}

/// How far a registry has come in its shared log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The last entry of which the changes are durable and visible here.
    pub applied: Head,
    /// Why it comes no further.
    pub stopped: Option<LogStop>,
}

/// The position, as the writer tells it and others wait for it.
pub(super) struct Position {
    told: watch::Sender<LogPosition>,
    /// The highest place that somebody knows the log to have.
    nudged: AtomicU64,
    lost_races: AtomicU64,
    /// When the last entry was decided, in microseconds.
    decided_us: AtomicU64,
    /// An operator said that the clock of this node is right, whatever the entries up to this place say.
    distrusted: AtomicU64,
}

impl Position {
    pub(super) fn new() -> Self {
        let told = watch::Sender::new(LogPosition { applied: Head::EMPTY, stopped: None });
        let [nudged, lost_races, decided_us, distrusted]: [AtomicU64; 4] = Default::default();
        Self { told, nudged, lost_races, decided_us, distrusted }
    }

    pub(super) fn get(&self) -> LogPosition {
        *self.told.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<LogPosition> {
        self.told.subscribe()
    }

    /// The changes of the entries up to `applied` are visible now.
    pub(super) fn show(&self, applied: Applied) {
        self.decided_us.store(applied.decided_at.as_micros(), Ordering::Relaxed);
        self.told.send_modify(|position| position.applied = applied.head);
    }

    /// Whether the last entry that is visible was decided so much later than `now` that nothing may be decided behind it.
    pub(super) fn is_ahead(&self, now: Timestamp) -> bool {
        let decided_at = Timestamp::from_micros(self.decided_us.load(Ordering::Relaxed));
        // The common case takes no lock.
        is_ahead(decided_at, now) && !self.is_distrusted(self.get().applied.place)
    }

    /// An operator says that the clock of this node is right: the times of the entries so far bind it no more.
    pub(super) fn distrust(&self) {
        self.distrusted.fetch_max(self.get().applied.place, Ordering::Relaxed);
    }

    /// Whether an operator said so of the entry at `place`.
    pub(super) fn is_distrusted(&self, place: u64) -> bool {
        place <= self.distrusted.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self, why: LogStop) {
        self.told.send_modify(|position| position.stopped = Some(why));
    }

    /// Notes that the log has an entry at `place`. False if that was known.
    pub(super) fn nudge(&self, place: u64) -> bool {
        self.nudged.fetch_max(place, Ordering::AcqRel) < place
    }

    pub(super) fn is_nudged_beyond(&self, place: u64) -> bool {
        place < self.nudged.load(Ordering::Acquire)
    }

    pub(super) fn count_lost_race(&self) {
        self.lost_races.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lost_races(&self) -> u64 {
        self.lost_races.load(Ordering::Relaxed)
    }
}

/// Whether an entry was decided later than nodes whose clocks agree can decide at `now`.
pub(super) fn is_ahead(decided_at: Timestamp, now: Timestamp) -> bool {
    now.plus(limits::CLUSTER_ENTRY_AHEAD_MAX) < decided_at
}
