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
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    key_files::{KeyFiles, KeyringError, Keys},
    keyring_format::HourKey,
    root_key::RootKey,
};
use crate::{clock::Hour, files::SharedDisk};

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
        self.lock().keys.entries.get(&hour).cloned()
    }

    /// The hours that are alive.
    pub fn hours(&self) -> BTreeSet<Hour> {
        self.lock().keys.entries.keys().copied().collect()
    }

    /// The hours of the keyring as it lies on disk at this moment, whatever this process knows.
    pub fn reread(&self) -> Result<BTreeSet<Hour>, KeyringError> {
        // Under the lock, so that this process is not in mid-change.
        let _state = self.lock();
        let keys = self.files.read()?;
        Ok(keys.entries.into_keys().collect())
    }

    /// What a finished change of the keys does not leave, as sentences: a second root key, unfinished files.
    pub fn loose_ends(&self) -> Result<Vec<String>, KeyringError> {
        let _state = self.lock();
        self.files.loose_ends()
    }

    /// The key of an hour; made, and durable before this returns, if there is none.
    pub fn ensure(&self, hour: Hour) -> Result<HourKey, KeyringError> {
        let mut state = self.lock();
        if let Some(disk) = &self.disk {
            self.certain(disk, &mut state)?;
        }
        if let Some(key) = state.keys.entries.get(&hour) {
            return Ok(key.clone());
        }
        let disk = self.disk()?;
        let (mut entries, key) = (state.keys.entries.clone(), HourKey::random());
        entries.insert(hour, key.clone());
        state.is_uncertain = true;
        self.files.write_keyring(disk, &entries, &state.keys.root)?;
        state.keys.entries = entries;
        state.is_uncertain = false;
        Ok(key)
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
