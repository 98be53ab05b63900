//! What all lost logs share: the store, its listings, and the hours that were fetched.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::fetched::{Copies, FetchedHour, Hours, by_hour};
use crate::{
    clock::{Hour, SharedClock},
    files, limits,
    lock::lock,
    object_storage::{Objects, Stop, StoreError},
    query_log::copies::{OpenStore, stored},
};

pub(super) struct Shared {
    pub(super) open: OpenStore,
    pub(super) dir: PathBuf,
    pub(super) disk_reserve: u64,
    pub(super) clock: SharedClock,
    pub(super) retention: Duration,
    pub(super) objects: Mutex<Option<Objects>>,
    /// Locked for a whole listing: questions that come at once list once.
    pub(super) listed: Mutex<Listed>,
    /// Locked for moments.
    pub(super) kept: Mutex<Vec<Kept>>,
    pub(super) next: AtomicU64,
}

#[derive(Default)]
pub(super) struct Listed {
    pub(super) nodes: Option<(Duration, Vec<String>)>,
    pub(super) logs: BTreeMap<String, (Duration, Arc<Hours>)>,
    /// Why the last listing of a folder failed, and when that was. The empty name stands for the list of all folders.
    failed: BTreeMap<String, (Duration, StoreError)>,
}

/// A fetched hour for the next question. The one used last stands last.
pub(super) struct Kept {
    of: (String, Hour),
    copies: Copies,
    bytes: u64,
    hour: Arc<FetchedHour>,
    pub(super) used: Duration,
}

impl Kept {
    /// Whether the hour's key is not destroyed yet.
    pub(super) fn has_key(&self) -> bool {
        self.hour.reader.keyring().get(self.of.1).is_some()
    }
}

impl Shared {
    /// The store. It is opened anew after a failure: its credentials may have been replaced.
    pub(super) fn objects(&self) -> Result<Objects, StoreError> {
        let mut objects = lock(&self.objects);
        match &*objects {
            Some(objects) => Ok(objects.clone()),
            None => Ok(objects.insert((self.open)()?).clone()),
        }
    }

    pub(super) fn forget_store(&self) {
        lock(&self.objects).take();
    }

    /// The copies of the node whose objects' names begin with `node`: as of a listing that is at most a minute old, and is not `not`.
    pub(super) fn hours_of(
        &self,
        node: &str,
        not: Option<&Arc<Hours>>,
        stop: Stop<'_>,
    ) -> Result<Arc<Hours>, StoreError> {
        let mut listed = lock(&self.listed);
        let now = self.clock.boot();
        listed.logs.retain(|_, (at, _)| now < *at + limits::LOST_LOG_LIST_EVERY);
        let known = listed.logs.get(node).map(|(_, hours)| Arc::clone(hours));
        if let Some(known) = known.filter(|known| !not.is_some_and(|not| Arc::ptr_eq(not, known))) {
            return Ok(known);
        }
        let of_node = |objects: &Objects| stored::list_of(objects, node, stop);
        let hours = Arc::new(by_hour(self.list(&mut listed, node, of_node)?));
        listed.logs.insert(node.to_owned(), (now, Arc::clone(&hours)));
        Ok(hours)
    }

    /// Lists a folder of the store, unless it failed a moment ago: each question of a store that hangs would wait as long.
    pub(super) fn list<T>(
        &self,
        listed: &mut Listed,
        folder: &str,
        list: impl FnOnce(&Objects) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let now = self.clock.boot();
        listed.failed.retain(|_, (at, _)| now < *at + limits::LOST_LOG_RETRY_PAUSE);
        if let Some((_, error)) = listed.failed.get(folder) {
            return Err(error.clone());
        }
        let outcome = self.objects().and_then(|objects| list(&objects));
        outcome.inspect_err(|error| {
            // Somebody else may wait longer.
            if *error == StoreError::Stopped {
                return;
            }
            listed.failed.insert(folder.to_owned(), (self.clock.boot(), error.clone()));
            self.forget_store();
        })
    }

    /// A directory for one hour that nothing else has.
    pub(super) fn new_directory(&self) -> PathBuf {
        // Without it the free space of its disk is not known. If it fails, creating the hour's directory says why.
        let _ = files::create_dir(&self.dir);
        self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// An hour that was fetched of these copies.
    pub(super) fn kept(&self, node: &str, hour: Hour, copies: &Copies) -> Option<Arc<FetchedHour>> {
        let mut kept = lock(&self.kept);
        let is_it = |it: &Kept| it.of.0 == node && it.of.1 == hour && it.copies == *copies;
        let place = kept.iter().position(is_it)?;
        let used = Kept { used: self.clock.boot(), ..kept.remove(place) };
        let hour = Arc::clone(&used.hour);
        kept.push(used);
        Some(hour)
    }

    /// Keeps an hour for the next question, instead of those that were not used for longest.
    pub(super) fn keep(
        &self,
        of: (String, Hour),
        copies: Copies,
        bytes: u64,
        hour: &Arc<FetchedHour>,
    ) {
        let new = Kept { of, copies, bytes, hour: Arc::clone(hour), used: self.clock.boot() };
        let mut go = Vec::new();
        {
            let mut kept = lock(&self.kept);
            go.extend(kept.extract_if(.., |it| it.of == new.of));
            kept.push(new);
            let sum = |kept: &[Kept]| kept.iter().map(|it| it.bytes).fold(0, u64::saturating_add);
            while limits::LOST_LOG_KEPT_BYTES < sum(&kept) {
                go.push(kept.remove(0));
            }
        }
        // Files are removed without the lock.
        drop(go);
    }

    /// Removes the fetched hours that do not stay. One that is being read goes once it was read.
    pub(super) fn retain(&self, stays: impl Fn(&Kept) -> bool) {
        let (stay, go) = std::mem::take(&mut *lock(&self.kept)).into_iter().partition(stays);
        let mut kept = lock(&self.kept);
        let new = std::mem::replace(&mut *kept, stay);
        kept.extend(new);
        drop(kept);
        // Files are removed without the lock.
        drop::<Vec<Kept>>(go);
    }
}
