//! A log that is copied to a store in memory, and what may become of both.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::support::*;
use crate::{
    clock::Hour,
    envelope::Keyring,
    limits,
    object_storage::faulty::{Fault, FaultyStore},
    query_log::{
        Config, CopyFigures, CopyOptions, Filter, FromCopies as _, LogOptions, LostLog, LostLogs,
        MayCopy, Order, QueryLog,
    },
    shutdown::Shutdown,
};

/// What the names of the node's objects begin with.
pub(super) const NODE: &str = "n";
/// The object by which the store is checked. It stays.
pub(super) const CHECK: &str = "n/refuses-overwriting";
const RETENTION: Duration = Duration::from_secs(2 * 3600);

/// Copies to `store`.
pub(crate) fn copy_options(store: &FaultyStore, may_copy: MayCopy) -> CopyOptions {
    let store = store.clone();
    CopyOptions {
        open: Arc::new(move || Ok(store.objects())),
        node: NODE.to_owned(),
        former: Vec::new(),
        interval: limits::LOG_COPY_INTERVAL,
        may_copy,
    }
}

/// A log that is copied to a store.
pub(super) struct Copied {
    pub(super) bench: Bench,
    pub(super) store: FaultyStore,
    pub(super) may_copy: Arc<AtomicBool>,
}

impl Copied {
    pub(super) fn new() -> Self {
        let mut bench = Bench::new();
        bench.config = Config { retention: RETENTION, ..bench.config };
        Self { bench, store: FaultyStore::default(), may_copy: Arc::new(AtomicBool::new(true)) }
    }

    pub(super) fn open(&self) -> QueryLog {
        let may_copy = Arc::clone(&self.may_copy);
        let may_copy: MayCopy = Arc::new(move |_: Hour| may_copy.load(Ordering::SeqCst));
        let copies = Some(copy_options(&self.store, may_copy));
        let options = LogOptions { copies, ..self.bench.options() };
        QueryLog::open(options, &Shutdown::new()).unwrap().0
    }

    /// The log after a stop and a start.
    pub(super) fn restarted(&self, log: QueryLog) -> QueryLog {
        log.close();
        drop(log);
        self.open()
    }

    /// The log after a crash and a start.
    pub(super) fn crashed(&self, log: QueryLog) -> QueryLog {
        log.abandon();
        self.open()
    }

    pub(super) fn advance(&self, secs: u64) {
        self.bench.clock.advance(Duration::from_secs(secs));
    }

    /// The names of all objects.
    pub(super) fn names(&self) -> Vec<String> {
        self.store.contents().into_keys().collect()
    }

    /// Plants an object with other bytes where the next bytes of the first file go. Gives its name.
    pub(super) fn plant_conflict(&self) -> String {
        let mut objects = self.store.contents().into_iter();
        let (first, content) = objects.find(|(name, _)| name.contains(".frames/")).unwrap();
        let next = first.replace("/000000000000", &format!("/{:012}", content.len()));
        self.store.plant(&next, b"other");
        next
    }

    /// The log as that of a lost node: what its copies hold.
    pub(super) fn lost(&self, keyring: &Arc<Keyring>) -> (TempDir, Option<LostLog>) {
        let folder = TempDir::new().unwrap();
        let (clock, options) =
            (Arc::clone(&self.bench.clock) as _, copy_options(&self.store, Arc::new(|_| true)));
        let logs = LostLogs::open(&options, folder.path().join("lost"), 0, clock, RETENTION);
        let lost = logs.unwrap().of(NODE, Arc::clone(keyring), &|| false).unwrap();
        (folder, lost)
    }

    /// The records that can be read from the copies.
    pub(super) fn mirrored(&self, log: &QueryLog) -> Vec<u64> {
        let (_folder, lost) = self.lost(&log.keyring());
        let Some(lost) = lost else { return Vec::new() };
        let mut rows = lost.search(&Filter::default(), Order::Asc, None, Arc::new(|| false));
        let found = rows.by_ref().map(|row| number(&row.unwrap().1)).collect();
        assert_eq!((rows.outcome(), rows.gaps()), Default::default());
        found
    }
}

/// One round.
pub(super) fn copy(log: &QueryLog) -> CopyFigures {
    log.copy(&|| false);
    log.copy_figures().unwrap()
}

/// What may become of a log and its store.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Append(u8),
    /// Minutes.
    Advance(u8),
    Tick,
    Seal,
    Copy,
    Faults(Vec<Fault>),
    Crash,
    Restart,
}

/// Short histories.
pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let fault = prop_oneof![
        Just(Fault::None),
        Just(Fault::LosesRequest),
        Just(Fault::LosesAnswer),
        Just(Fault::Denies),
        Just(Fault::ListsLate),
    ];
    let op = prop_oneof![
        6 => (1..40u8).prop_map(Op::Append),
        4 => (1..50u8).prop_map(Op::Advance),
        2 => Just(Op::Tick),
        2 => Just(Op::Seal),
        6 => Just(Op::Copy),
        4 => prop::collection::vec(fault, 1..6).prop_map(Op::Faults),
        2 => Just(Op::Crash),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..30)
}

impl Op {
    /// Does it. `next` is the number of the next record.
    pub(super) fn apply(&self, copied: &Copied, log: QueryLog, next: &mut u64) -> QueryLog {
        match self {
            Self::Append(count) => {
                let end = *next + u64::from(*count);
                let records: Vec<_> = (*next..end).map(lookup).collect();
                log.append_all(&records).unwrap().wait_blocking().unwrap();
                *next = end;
            }
            Self::Advance(minutes) => copied.advance(60 * u64::from(*minutes)),
            Self::Tick => assert!(log.tick().error.is_none()),
            Self::Seal => assert!(log.seal(&|| false).failed.is_empty()),
            Self::Copy => {
                assert!(log.tick().error.is_none());
                copy(&log);
            }
            Self::Faults(faults) => copied.store.plan(faults.iter().copied()),
            Self::Crash => return copied.crashed(log),
            Self::Restart => return copied.restarted(log),
        }
        log
    }
}
