//! What readers and the writer share.

use std::sync::{
    RwLock,
    atomic::{AtomicBool, Ordering},
};

use crate::clock::SharedClock;

use super::{config::Config, error::Loading, index::Index, subject::SubjectKey};

pub(super) struct Shared {
    pub(super) index: Index,
    /// The one order: a lookup holds it for reading while it decides and hands over its record, the writer for writing
    /// while it does the same with changes. Never held during I/O or across an await.
    pub(super) gate: RwLock<()>,
    pub(super) config: Config,
    pub(super) clock: SharedClock,
    pub(super) subject_key: SubjectKey,
    pub(super) is_loaded: AtomicBool,
}

impl Shared {
    pub(super) fn loaded(&self) -> Result<&Index, Loading> {
        if self.is_loaded.load(Ordering::Acquire) { Ok(&self.index) } else { Err(Loading) }
    }
}
