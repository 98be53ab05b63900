//! The state that readers and the writer share.

use std::{
    num::NonZero,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    clock::{SharedClock, Timestamp},
    ids::{ChangeId, ChangeIds},
    metrics::Histogram,
    shared_log::Head,
};

use super::{
    arena::Arena,
    config::Config,
    error::Loading,
    expiring::{ExpiringRows, RowKey, RowKind},
    flag_counts::FlagCounts,
    hold::HoldState,
    index::Index,
    member::Position,
    store::{Mutation, Row, Store, StoreError, Unrecorded},
};

pub(super) struct RegistryState {
    /// The index behind the gate, which is the one order: a lookup holds it for reading while it decides and hands over
    /// its record, the writer for writing while it does the same with changes. Never held during I/O or across an await.
    gate: RwLock<Index>,
    pub(super) config: Config,
    pub(super) clock: SharedClock,
    /// When the store was made: it knows all that ended since.
    pub(super) founded_at: Timestamp,
    /// The expiring rows. Who holds this lock takes no gate. Changed only by the writer.
    rows: RwLock<ExpiringRows>,
    /// How many accounts are flagged.
    flags: AtomicUsize,
    /// How many were flagged and cleared since the start.
    pub(super) flag_counts: FlagCounts,
    is_loaded: AtomicBool,
    /// Whether the writer is to end.
    is_closing: AtomicBool,
    /// Whether changes that make the store grow are refused: its disk has too little space.
    pub(super) is_low_on_space: AtomicBool,
    pub(super) hold: HoldState,
    /// Whether the store took the last batch, perhaps as its reopening showed.
    is_store_writable: AtomicBool,
    /// How long a commit of the store takes.
    pub(super) commits: Histogram,
    /// How far the registry has come in its shared log, if it follows one.
    pub(super) position: Position,
    change_ids: ChangeIds,
}

impl RegistryState {
    pub(super) fn new(config: Config, clock: SharedClock, founded_at: Timestamp) -> Self {
        let gate = RwLock::new(Index::new());
        let (is_loaded, is_low_on_space) = (AtomicBool::new(false), AtomicBool::new(false));
        let (is_store_writable, commits) = (AtomicBool::new(true), Histogram::default());
        Self {
            gate,
            rows: RwLock::default(),
            flags: AtomicUsize::new(0),
            flag_counts: FlagCounts::default(),
            config,
            clock,
            founded_at,
            is_loaded,
            is_closing: AtomicBool::new(false),
            is_low_on_space,
            hold: HoldState::default(),
            is_store_writable,
            commits,
            position: Position::new(),
            change_ids: ChangeIds::default(),
        }
    }

    /// The id of a change that is decided at `at`.
    pub(super) fn next_change_id(&self, at: Timestamp) -> ChangeId {
        if self.position.get().applied == Head::EMPTY {
            return ChangeId::without_order();
        }
        self.change_ids.next(at.as_micros())
    }

    /// Since when a device is silent that checked in last at `last`: time that the clock jumped over does not count.
    pub(super) fn silent_since(&self, last: Timestamp, now: Timestamp) -> Timestamp {
        self.clock.rebase(last, now)
    }

    /// The device counts as live until just before this instant.
    pub(super) fn live_until(&self, last: Timestamp, now: Timestamp) -> Timestamp {
        self.silent_since(last, now).plus(self.config.lease)
    }

    /// The index, whether or not lookups are answered yet.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index for a change. No lookup decides meanwhile.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The expiring rows, for reading.
    pub(super) fn rows(&self) -> RwLockReadGuard<'_, ExpiringRows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first rows that have ended, at most `max`.
    pub(super) fn ended_rows(&self, now: Timestamp, max: usize) -> Vec<RowKey> {
        self.rows().ended(now).take(max).cloned().collect()
    }

    /// Takes the changes of rows out of `steps`, of those kinds that `shows` names, and makes them visible.
    pub(super) fn show_rows(&self, steps: &mut Vec<Mutation>, shows: impl Fn(RowKind) -> bool) {
        let mut steps = steps.extract_if(.., |step| match step {
            Mutation::PutRow(key, _) | Mutation::RemoveRow(key) => shows(key.kind),
            _ => false,
        });
        let Some(first) = steps.next() else { return };
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for step in std::iter::once(first).chain(steps) {
            match step {
                Mutation::PutRow(key, row) => rows.put(key, row),
                Mutation::RemoveRow(key) => rows.remove(key),
                _ => {}
            }
        }
        self.flags.store(rows.count(RowKind::Flag), Ordering::Release);
    }

    /// How many accounts are flagged.
    pub(super) fn flag_count(&self) -> usize {
        self.flags.load(Ordering::Acquire)
    }

    /// Whether the store took the last batch.
    pub(super) fn is_store_writable(&self) -> bool {
        self.is_store_writable.load(Ordering::Relaxed)
    }

    pub(super) fn set_store_writable(&self, is_writable: bool) {
        self.is_store_writable.store(is_writable, Ordering::Relaxed);
    }

    /// From here on lookups are answered.
    pub(super) fn show(&self) {
        self.is_loaded.store(true, Ordering::Release);
    }

    /// Has the writer end what could go on for long.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// The index, once lookups are answered.
    pub(super) fn loaded(&self) -> Result<RwLockReadGuard<'_, Index>, Loading> {
        if self.is_loaded.load(Ordering::Acquire) { Ok(self.read()) } else { Err(Loading) }
    }

    /// Builds the index from the store, by as many threads as there are processors. Returns the changes that the log
    /// is not known to hold.
    pub(super) fn load(&self, store: &mut dyn Store) -> Result<Vec<Unrecorded>, StoreError> {
        self.load_by(thread::available_parallelism().map_or(1, NonZero::get), store)
    }

    /// The same by so many threads. Each reads a part of the accounts into an arena of its own, so that they share
    /// nothing. Then each fills shards of the tables of its own.
    pub(super) fn load_by(
        &self,
        threads: usize,
        store: &mut dyn Store,
    ) -> Result<Vec<Unrecorded>, StoreError> {
        let reader = store.reader();
        let read = |part| {
            let mut arena = Arena::default();
            reader.packed(part, threads, &mut |packed| {
                arena.insert(packed);
            })?;
            Ok::<_, StoreError>(arena)
        };
        let arenas: Vec<_> = thread::scope(|scope| {
            let readers: Vec<_> =
                (0..threads).map(|part| scope.spawn(move || read(part))).collect();
            let join = |reader: thread::ScopedJoinHandle<'_, _>| {
                reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            readers.into_iter().map(join).collect::<Result<_, StoreError>>()
        })?;
        let mut arena = Arena::default();
        arenas.into_iter().for_each(|part| arena.append(part));
        let mut index = Index::of(arena, threads)?;
        let (mut unrecorded, mut rows) = (Vec::new(), Vec::new());
        store.load(&mut |row| match row {
            Row::Tombstone(handle, ended) => index.apply(Mutation::PutTombstone(handle, ended)),
            Row::Unrecorded(row) => unrecorded.push(row),
            Row::Expiring(key, row) => rows.push(Mutation::PutRow(key, row)),
        })?;
        self.show_rows(&mut rows, |_| true);
        *self.write() = index;
        Ok(unrecorded)
    }
}
