//! [`LostLogs`]: the logs of all lost nodes.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use super::{log::LostLog, shared::Shared};
use crate::{
    clock::SharedClock,
    envelope::Keyring,
    files, limits,
    lock::lock,
    object_storage::{Stop, StoreError},
    query_log::copies::CopyOptions,
};

/// The logs of lost nodes, read from their copies. Clones share it. Its calls wait for the object store, so make them on a thread that may
/// block and belongs to no runtime.
#[derive(Clone)]
pub struct LostLogs {
    shared: Arc<Shared>,
}

impl LostLogs {
    /// Reads from the store that `copies` go to, by way of the directory `dir`. Removes what a former process left there.
    ///
    /// # Errors
    /// If the directory cannot be removed.
    pub fn open(
        copies: &CopyOptions,
        dir: PathBuf,
        disk_reserve: u64,
        clock: SharedClock,
        retention: Duration,
    ) -> io::Result<Self> {
        files::remove_tree(&dir)?;
        let (open, objects) = (Arc::clone(&copies.open), Mutex::default());
        let (listed, kept, next) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        let shared =
            Shared { open, dir, disk_reserve, clock, retention, objects, listed, kept, next };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What the names of objects begin with, one for each node that has copied something. It ends soon after `stop` returns true.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub fn nodes(&self, stop: Stop<'_>) -> Result<Vec<String>, StoreError> {
        let (shared, now) = (&*self.shared, self.shared.clock.boot());
        let mut listed = lock(&shared.listed);
        if let Some((at, nodes)) = &listed.nodes
            && now < *at + limits::LOST_LOG_LIST_EVERY
        {
            return Ok(nodes.clone());
        }
        let nodes = shared.list(&mut listed, "", |objects| objects.folders(stop))?;
        listed.nodes = Some((now, nodes.clone()));
        Ok(nodes)
    }

    /// The log of the node whose objects' names begin with `node`, as far as `keyring` opens it. None if nothing of it was copied. It
    /// ends soon after `stop` returns true.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub fn of(
        &self,
        node: &str,
        keyring: Arc<Keyring>,
        stop: Stop<'_>,
    ) -> Result<Option<LostLog>, StoreError> {
        let shared = &self.shared;
        let hours = shared.hours_of(node, None, stop)?;
        if hours.is_empty() {
            return Ok(None);
        }
        Ok(Some(LostLog { shared: Arc::clone(shared), node: node.to_owned(), keyring, hours }))
    }

    /// Removes fetched hours that nobody has used for [`limits::LOST_LOG_KEPT_FOR`], or whose key is destroyed. Call it about every minute.
    pub fn tick(&self) {
        let now = self.shared.clock.boot();
        self.shared.retain(|kept| now < kept.used + limits::LOST_LOG_KEPT_FOR && kept.has_key());
    }

    /// Removes all fetched hours but those that are being read.
    pub fn clear(&self) {
        self.shared.retain(|_| false);
    }
}

impl fmt::Debug for LostLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LostLogs").finish_non_exhaustive()
    }
}
