//! The state that readers and the writer share.

use std::sync::{
    PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, Ordering},
};

use crate::clock::SharedClock;

use super::{config::Config, error::Loading, index::Index, subject::SubjectKey};

pub(super) struct RegistryState {
    /// The index behind the gate, which is the one order: a lookup holds it for reading while it decides and hands over
    /// its record, the writer for writing while it does the same with changes. Never held during I/O or across an await.
    gate: RwLock<Index>,
    pub(super) config: Config,
    pub(super) clock: SharedClock,
    pub(super) subject_key: SubjectKey,
    is_loaded: AtomicBool,
}

impl RegistryState {
    pub(super) fn new(config: Config, clock: SharedClock, subject_key: SubjectKey) -> Self {
        let gate = RwLock::new(Index::new(config.lease));
        Self { gate, config, clock, subject_key, is_loaded: AtomicBool::new(false) }
    }

    /// The index, whether or not lookups are answered yet.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index for a change. No lookup decides meanwhile.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on lookups are answered.
    pub(super) fn show(&self) {
        self.is_loaded.store(true, Ordering::Release);
    }

    /// The index, once lookups are answered.
    pub(super) fn loaded(&self) -> Result<RwLockReadGuard<'_, Index>, Loading> {
        if self.is_loaded.load(Ordering::Acquire) { Ok(self.read()) } else { Err(Loading) }
    }
}
