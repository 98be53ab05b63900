//! The keys of the hours that are alive, and the change of the root key that makes forgetting final.
//!
//! Pruning changes two files as one:
//!
//! ```text
//! 1  root.key := [old, new]     crash after: the keyring still opens with `old`; the next start writes [old]
//! 2  keyring  := under `new`    crash after: it opens with `new`; the next start writes [new]
//! 3  root.key := [new]          done; the replaced file's bytes are overwritten
//! ```
//!
//! At every moment exactly one key in root.key opens the keyring, and the next start keeps that key alone. Each `:=` is an
//! atomic replacement ([`crate::files::replace`], for root.key [`crate::files::replace_secret`]).
//!
//! After an error in the middle the next change reads both files again, as a start does, and writes them again: what was read
//! may not be durable.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use super::{
    key_files::{KeyFiles, KeyringError, Keys},
    keyring_format::{DatedKey, Entries, HourKey},
    root_key::RootKey,
};
use crate::{
    clock::{Clock, Hour},
    files::{self, SharedDisk},
    lock::lock,
};

/// The keys of the hours that are alive.
#[derive(Debug)]
pub struct Keyring {
    files: KeyFiles,
    /// None when opened for reading only.
    disk: Option<SharedDisk>,
    /// Locked for a whole change of the files.
    state: Mutex<State>,
    /// As of the last finished change. Locked for a moment only: who needs a key must not wait for a disk that hangs.
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct State {
    root: RootKey,
    /// A change failed half-way: the files must be read again before the next change.
    is_uncertain: bool,
}

impl Keyring {
    /// Opens the keyring, or creates it when there is neither key nor data. Finishes or undoes a change that a crash
    /// interrupted.
    ///
    /// # Errors
    /// See [`KeyringError`]. Nothing is created where `has_data` says that encrypted files exist.
    pub fn open(disk: SharedDisk, files: KeyFiles, has_data: bool) -> Result<Self, KeyringError> {
        let keys = files.open(&disk, has_data)?;
        Ok(Self::new(files, Some(disk), keys))
    }

    /// Opens the keyring without changing anything, for a reader beside a running or a stopped server.
    pub fn open_read_only(files: KeyFiles) -> Result<Self, KeyringError> {
        let keys = files.read()?;
        Ok(Self::new(files, None, keys))
    }

    /// A keyring without any key, that reads and writes no file.
    pub fn without_keys(files: KeyFiles) -> Self {
        Self::new(files, None, Keys { root: RootKey::random(), entries: Entries::default() })
    }

    fn new(files: KeyFiles, disk: Option<SharedDisk>, keys: Keys) -> Self {
        let Keys { root, entries } = keys;
        let state = Mutex::new(State { root, is_uncertain: false });
        Self { files, disk, state, entries: Mutex::new(entries) }
    }

    /// The key of an hour, if it is alive.
    pub fn get(&self, hour: Hour) -> Option<HourKey> {
        lock(&self.entries).get(&hour).map(|it| it.key.clone())
    }

    /// The hour that dates the key of an hour, see [`Self::dates`]. None if the hour has no key.
    pub fn date_of(&self, hour: Hour) -> Option<Hour> {
        lock(&self.entries).get(&hour).map(|it| it.dated)
    }

    /// The hours that are alive.
    pub fn hours(&self) -> BTreeSet<Hour> {
        lock(&self.entries).keys().copied().collect()
    }

    /// The same hours, each with the hour that dates its key: the key is destroyed when that one expires. An hour of this machine dates
    /// its own key. That of another machine is dated by what this machine's clock showed.
    pub fn dates(&self) -> BTreeMap<Hour, Hour> {
        dates(&lock(&self.entries))
    }

    /// The hours whose keys have expired by trusted time, which must be destroyed. None if trusted time jumped meanwhile: destruction is
    /// final, so the next call decides.
    pub fn expired(&self, clock: &dyn Clock, retention: Duration) -> Option<Vec<Hour>> {
        let (now, era) = clock.stamp();
        let dates = self.dates().into_iter();
        let due = dates.filter(|(_, dated)| clock.expiry(*dated, retention) <= now);
        let due = due.map(|(hour, _)| hour).collect();
        (clock.stamp().1 == era).then_some(due)
    }

    /// What [`Self::dates`] would give of the keyring as it lies on disk at this moment, whatever this process knows.
    pub fn reread(&self) -> Result<BTreeMap<Hour, Hour>, KeyringError> {
        // Under the lock, so that this process is not in mid-change.
        let _state = lock(&self.state);
        Ok(dates(&self.files.read()?.entries))
    }

    /// What a finished change of the keys does not leave, as sentences: a second root key, unfinished files.
    pub fn loose_ends(&self) -> Result<Vec<String>, KeyringError> {
        let _state = lock(&self.state);
        self.files.loose_ends()
    }

    /// The key of an hour; made, and durable before this returns, if there is none.
    pub fn ensure(&self, hour: Hour) -> Result<HourKey, KeyringError> {
        if let Some(key) = self.get(hour) {
            return Ok(key);
        }
        // Another thread may have made it since.
        let new = || DatedKey { key: HourKey::random(), dated: hour };
        self.add(|entries| entries.entry(hour).or_insert_with(new).key.clone())
    }

    /// Takes keys over that were made elsewhere, durable before this returns. An hour that has a key keeps it.
    pub fn put(&self, keys: impl IntoIterator<Item = (Hour, HourKey)>) -> Result<(), KeyringError> {
        self.add(|entries| {
            for (hour, key) in keys {
                entries.entry(hour).or_insert(DatedKey { key, dated: hour });
            }
        })
    }

    /// The same for keys that another hour dates, the second one of each: see [`Self::dates`]. They replace those that are there.
    pub fn replace_dated(
        &self,
        keys: impl IntoIterator<Item = (Hour, Hour, HourKey)>,
    ) -> Result<(), KeyringError> {
        self.add(|entries| {
            for (hour, dated, key) in keys {
                entries.insert(hour, DatedKey { key, dated });
            }
        })
    }

    fn add<T>(&self, change: impl FnOnce(&mut Entries) -> T) -> Result<T, KeyringError> {
        let mut state = lock(&self.state);
        let disk = self.disk()?;
        self.certain(disk, &mut state)?;
        let mut entries = lock(&self.entries).clone();
        let done = change(&mut entries);
        state.is_uncertain = true;
        self.files.write_keyring(disk, &entries, &state.root)?;
        *lock(&self.entries) = entries;
        state.is_uncertain = false;
        Ok(done)
    }

    /// Destroys the keys of `hours`: a new keyring under a new root key, and the old root key gone.
    ///
    /// # Errors
    /// If a file cannot be written; the keys may then be destroyed or not, and pruning again finishes it.
    pub fn prune(&self, hours: &[Hour]) -> Result<(), KeyringError> {
        let disk = self.disk()?;
        let mut state = lock(&self.state);
        self.certain(disk, &mut state)?;
        let entries = lock(&self.entries).clone();
        let mut left = entries.clone();
        left.retain(|hour, _| !hours.contains(hour));
        if left.len() == entries.len() {
            return Ok(());
        }
        let fresh = RootKey::random();
        state.is_uncertain = true;
        self.files.write_roots(disk, &[&state.root, &fresh])?;
        self.files.write_keyring(disk, &left, &fresh)?;
        self.files.write_roots(disk, &[&fresh])?;
        *state = State { root: fresh, is_uncertain: false };
        *lock(&self.entries) = left;
        Ok(())
    }

    /// Destroys all keys in `files`, and removes the files.
    ///
    /// # Errors
    /// If a file cannot be written or removed. The same call finishes it.
    pub fn remove(disk: &SharedDisk, files: KeyFiles) -> Result<(), KeyringError> {
        // One file without the other opens nothing.
        if files.keyring.exists() && files.root_key.exists() {
            let keyring = Self::open(SharedDisk::clone(disk), files.clone(), true)?;
            let all: Vec<_> = keyring.hours().into_iter().collect();
            keyring.prune(&all)?;
        }
        for path in [files.keyring, files.root_key] {
            let removed = files::if_exists(disk.unlink(&path))
                .and_then(|_| files::if_exists(disk.sync_dir(files::parent(&path))));
            removed.map_err(|source| KeyringError::Io { path, source })?;
        }
        Ok(())
    }

    fn certain(&self, disk: &SharedDisk, state: &mut State) -> Result<(), KeyringError> {
        if state.is_uncertain {
            let Keys { root, entries } = self.files.finish_change(disk)?;
            *state = State { root, is_uncertain: false };
            *lock(&self.entries) = entries;
        }
        Ok(())
    }

    fn disk(&self) -> Result<&SharedDisk, KeyringError> {
        self.disk.as_ref().ok_or_else(|| KeyringError::ReadOnly(self.files.keyring.clone()))
    }
}

fn dates(entries: &Entries) -> BTreeMap<Hour, Hour> {
    entries.iter().map(|(hour, it)| (*hour, it.dated)).collect()
}
