//! The keys of the hours that are alive, and the change of the root key that makes forgetting final.
//!
//! Pruning changes two files as one:
//!
//! ```text
//! 1  root.key := [old, new]     crash after: the keyring still opens with `old`; the next start restores [old]
//! 2  keyring  := under `new`    crash after: it opens with `new`; the next start completes [new]
//! 3  root.key := [new]          done; the replaced file's bytes are overwritten
//! ```
//!
//! At every moment exactly one key in root.key opens the keyring, and the next start keeps that key alone. Each `:=` is an
//! atomic replacement ([`crate::files::replace`], for root.key [`crate::files::replace_secret`]).
//!
//! After an error in the middle the next change reads both files again, as a start does.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    key_files::{KeyFiles, KeyringError, Keys},
    keyring_format::{Entries, HourKey, KeyEntry},
    root_key::RootKey,
};
use crate::{
    clock::{Hour, Timestamp},
    files::SharedDisk,
    limits,
};

/// The keys of the hours that are alive.
#[derive(Debug)]
pub struct Keyring {
    files: KeyFiles,
    /// None when opened for reading only.
    disk: Option<SharedDisk>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Keys,
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

    fn new(files: KeyFiles, disk: Option<SharedDisk>, keys: Keys) -> Self {
        Self { files, disk, state: Mutex::new(State { keys, is_uncertain: false }) }
    }

    /// The key of an hour, if it is alive.
    pub fn get(&self, hour: Hour) -> Option<HourKey> {
        self.lock().keys.entries.get(&hour).map(|entry| entry.key.clone())
    }

    /// The hours that are alive, each with the earliest time at which it was seen.
    pub fn hours(&self) -> BTreeMap<Hour, Timestamp> {
        self.lock().keys.entries.iter().map(|(hour, entry)| (*hour, entry.born)).collect()
    }

    /// The hours of the keyring as it lies on disk at this moment, whatever this process knows.
    pub fn reread(&self) -> Result<BTreeMap<Hour, Timestamp>, KeyringError> {
        // Under the lock, so that this process is not in mid-change.
        let _state = self.lock();
        let keys = self.files.read()?;
        Ok(keys.entries.iter().map(|(hour, entry)| (*hour, entry.born)).collect())
    }

    /// What a finished change of the keys does not leave, as sentences: a second root key, unfinished files.
    pub fn loose_ends(&self) -> Result<Vec<String>, KeyringError> {
        let _state = self.lock();
        self.files.loose_ends()
    }

    /// The key of an hour; made, and durable before this returns, if there is none.
    pub fn ensure(&self, hour: Hour, now: Timestamp) -> Result<HourKey, KeyringError> {
        self.change(|entries| {
            let is_new = !entries.contains_key(&hour);
            let create = || KeyEntry { born: now, key: HourKey::random() };
            let key = entries.entry(hour).or_insert_with(create).key.clone();
            (is_new, key)
        })
    }

    /// Notes that hours far ahead of `now` have been seen by now: a clock that was wrong when they were written must
    /// not keep them for ever.
    pub fn witness(&self, now: Timestamp) -> Result<(), KeyringError> {
        self.change(|entries| {
            let horizon = now.plus(limits::CLOCK_STEP_BACK_MAX);
            let mut changed = false;
            for (hour, entry) in entries {
                if hour.start() > horizon && entry.born > now {
                    entry.born = now;
                    changed = true;
                }
            }
            (changed, ())
        })
    }

    /// Destroys the keys of `hours`: a new keyring under a new root key, and the old root key gone.
    ///
    /// # Errors
    /// If a file cannot be written; the keys may then be destroyed or not, and pruning again finishes it.
    pub fn prune(&self, hours: &[Hour]) -> Result<(), KeyringError> {
        let disk = self.disk()?;
        let mut state = self.lock();
        self.certain(disk, &mut state)?;
        let mut left = state.keys.entries.clone();
        left.retain(|hour, _| !hours.contains(hour));
        if left.len() == state.keys.entries.len() {
            return Ok(());
        }
        let fresh = RootKey::random();
        state.is_uncertain = true;
        self.files.write_roots(disk, &[&state.keys.root, &fresh])?;
        self.files.write_keyring(disk, &left, &fresh)?;
        self.files.write_roots(disk, &[&fresh])?;
        *state = State { keys: Keys { root: fresh, entries: left }, is_uncertain: false };
        Ok(())
    }

    /// Changes the entries under the same root key; written only if `edit` says so, kept only if written.
    fn change<T>(&self, edit: impl FnOnce(&mut Entries) -> (bool, T)) -> Result<T, KeyringError> {
        let mut state = self.lock();
        if let Some(disk) = &self.disk {
            self.certain(disk, &mut state)?;
        }
        let mut entries = state.keys.entries.clone();
        let (changed, value) = edit(&mut entries);
        if changed {
            let disk = self.disk()?;
            state.is_uncertain = true;
            self.files.write_keyring(disk, &entries, &state.keys.root)?;
            state.keys.entries = entries;
            state.is_uncertain = false;
        }
        Ok(value)
    }

    fn certain(&self, disk: &SharedDisk, state: &mut State) -> Result<(), KeyringError> {
        if state.is_uncertain {
            *state = State { keys: self.files.finish_change(disk)?, is_uncertain: false };
        }
        Ok(())
    }

    fn disk(&self) -> Result<&SharedDisk, KeyringError> {
        self.disk.as_ref().ok_or_else(|| KeyringError::ReadOnly(self.files.keyring.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
