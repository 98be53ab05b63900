//! The keys of the hours that are alive, and the change of the root key that makes forgetting final.
//!
//! Pruning changes two files as one:
//!
//! ```text
//! 1  root.key := [old, new]     crash after: the keyring still opens with `old`; the start goes back to [old]
//! 2  keyring  := under `new`    crash after: it opens with `new`; the start goes on to [new]
//! 3  root.key := [new]          done; the replaced file's bytes are overwritten
//! ```
//!
//! So at every moment exactly one key in root.key opens the keyring, and the start keeps that one alone. Each `:=` is a
//! new file, synced, renamed into place, its directory synced ([`super::disk::replace`]).
//!
//! After an error in the middle nothing is assumed: the next change reads both files again, as a start would.

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

use super::{
    disk::{self, SharedDisk},
    keyring_error::KeyringError,
    keyring_format::{self, Entries, HourKey, KeyEntry, OpenError},
    root_key::{self, RootKey},
};
use crate::{
    clock::{Hour, Timestamp},
    limits,
};

/// How often a reader beside a running server looks again when it met the two files in mid-change.
const READ_ATTEMPTS_MAX: u32 = 5;

/// Where the keys lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// The keyring.
    pub keyring: PathBuf,
    /// The root key.
    pub root_key: PathBuf,
}

impl KeyFiles {
    /// `keyring` in `keys_dir`, and `root.key` beside it unless it lies elsewhere (outside the backups, say).
    #[must_use]
    pub fn new(keys_dir: &Path, root_key_file: Option<&Path>) -> Self {
        let root_key = root_key_file.map_or_else(|| keys_dir.join("root.key"), Path::to_owned);
        Self { keyring: keys_dir.join("keyring"), root_key }
    }
}

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
    root: RootKey,
    entries: Entries,
    /// A change failed half-way: what is on disk must be read again before the next.
    uncertain: bool,
}

impl Keyring {
    /// Opens the keyring, or makes it when there is neither key nor data. Finishes or undoes a change that a crash
    /// interrupted.
    ///
    /// # Errors
    /// See [`KeyringError`]. Nothing is made anew where `has_data` says that encrypted files exist.
    pub fn open(disk: SharedDisk, files: KeyFiles, has_data: bool) -> Result<Self, KeyringError> {
        if let Some(dir) = files.keyring.parent() {
            disk.create_dir(dir).map_err(io_at(dir))?;
            refuse_open_mode(dir, 0o700)?;
        }
        for path in [&files.root_key, &files.keyring] {
            disk::discard(&*disk, &disk::fresh_name(path)).map_err(io_at(path))?;
        }
        create_missing(&disk, &files, has_data)?;
        let state = settle(&disk, &files)?;
        Ok(Self { files, disk: Some(disk), state: Mutex::new(state) })
    }

    /// Opens the keyring without changing anything, for a reader beside a running or a stopped server.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub fn open_read_only(files: KeyFiles) -> Result<Self, KeyringError> {
        let state = read_beside_a_writer(&files)?;
        Ok(Self { files, disk: None, state: Mutex::new(state) })
    }

    /// The key of an hour, if it is alive.
    #[must_use]
    pub fn get(&self, hour: Hour) -> Option<HourKey> {
        self.lock().entries.get(&hour).map(|entry| entry.key.clone())
    }

    /// The hours that are alive, each with the earliest wall time at which it was seen.
    #[must_use]
    pub fn hours(&self) -> BTreeMap<Hour, Timestamp> {
        self.lock().entries.iter().map(|(hour, entry)| (*hour, entry.born)).collect()
    }

    /// The hours of the keyring as it lies on disk at this moment, whatever this process knows.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub fn reread(&self) -> Result<BTreeMap<Hour, Timestamp>, KeyringError> {
        // Under the lock, so that a change of this process is not met half-way.
        let _state = self.lock();
        let state = read_beside_a_writer(&self.files)?;
        Ok(state.entries.iter().map(|(hour, entry)| (*hour, entry.born)).collect())
    }

    /// What a finished change of the keys does not leave: a second root key, files in the making.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub fn loose_ends(&self) -> Result<Vec<String>, KeyringError> {
        let _state = self.lock();
        let mut found = Vec::new();
        let roots = read_roots(&self.files.root_key)?.len();
        if roots > 1 {
            found.push(format!("the root key's file holds {roots} keys: a change was interrupted"));
        }
        for path in [&self.files.root_key, &self.files.keyring] {
            if exists(&disk::fresh_name(path))? {
                found
                    .push("a file of keys in the making was left: a change was interrupted".into());
            }
        }
        Ok(found)
    }

    /// The key of an hour; made, and durable before this returns, if there is none.
    ///
    /// # Errors
    /// If the keyring cannot be written; then there is no new key.
    pub fn ensure(&self, hour: Hour, now: Timestamp) -> Result<HourKey, KeyringError> {
        self.change(|entries| {
            let fresh = !entries.contains_key(&hour);
            let born = || KeyEntry { born: now, key: HourKey::random() };
            let key = entries.entry(hour).or_insert_with(born).key.clone();
            (fresh, key)
        })
    }

    /// Notes that hours far ahead of `now` have been seen by now: a clock that was wrong when they were written must
    /// not keep them for ever.
    ///
    /// # Errors
    /// If the keyring cannot be written.
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
        let mut left = state.entries.clone();
        left.retain(|hour, _| !hours.contains(hour));
        if left.len() == state.entries.len() {
            return Ok(());
        }
        let fresh = RootKey::random();
        state.uncertain = true;
        write_roots(disk, &self.files, &[&state.root, &fresh])?;
        write_keyring(disk, &self.files, &left, &fresh)?;
        write_roots(disk, &self.files, &[&fresh])?;
        *state = State { root: fresh, entries: left, uncertain: false };
        Ok(())
    }

    /// Changes the entries under the same root key; written only if `edit` says so, kept only if written.
    fn change<T>(&self, edit: impl FnOnce(&mut Entries) -> (bool, T)) -> Result<T, KeyringError> {
        let mut state = self.lock();
        if let Some(disk) = &self.disk {
            self.certain(disk, &mut state)?;
        }
        let mut entries = state.entries.clone();
        let (changed, value) = edit(&mut entries);
        if changed {
            let disk = self.disk()?;
            state.uncertain = true;
            write_keyring(disk, &self.files, &entries, &state.root)?;
            state.entries = entries;
            state.uncertain = false;
        }
        Ok(value)
    }

    fn certain(&self, disk: &SharedDisk, state: &mut State) -> Result<(), KeyringError> {
        if state.uncertain {
            *state = settle(disk, &self.files)?;
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

/// Reads both files though a server may be changing them.
fn read_beside_a_writer(files: &KeyFiles) -> Result<State, KeyringError> {
    let mut attempt = 1;
    loop {
        match load(files) {
            // Between reading the one and the other file the server may have changed both.
            Err(KeyringError::WrongRootKey { .. } | KeyringError::Damaged(_))
                if attempt < READ_ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            known => return known.map(|(state, _)| state),
        }
    }
}

/// Makes what is missing on a first start. A crash between the two leaves a root key alone, which the next start keeps.
fn create_missing(disk: &SharedDisk, files: &KeyFiles, has_data: bool) -> Result<(), KeyringError> {
    let (has_root, has_keyring) = (exists(&files.root_key)?, exists(&files.keyring)?);
    if !has_root && (has_keyring || has_data) {
        return Err(KeyringError::RootKeyMissing(files.root_key.clone()));
    }
    if !has_keyring && has_data {
        return Err(KeyringError::KeyringMissing(files.keyring.clone()));
    }
    if !has_root {
        write_roots(disk, files, &[&RootKey::random()])?;
    }
    if !has_keyring {
        let roots = read_roots(&files.root_key)?;
        let root = roots.last().ok_or_else(|| KeyringError::Damaged(files.root_key.clone()))?;
        write_keyring(disk, files, &Entries::new(), root)?;
    }
    Ok(())
}

/// Reads both files, and leaves the one root key that opens the keyring.
fn settle(disk: &SharedDisk, files: &KeyFiles) -> Result<State, KeyringError> {
    let (state, roots) = load(files)?;
    if roots > 1 {
        write_roots(disk, files, &[&state.root])?;
    }
    Ok(state)
}

fn load(files: &KeyFiles) -> Result<(State, usize), KeyringError> {
    // The keyring first: if the root key changes in between, its file for a while holds both.
    let keyring = read_secret(&files.keyring, KeyringError::KeyringMissing)?;
    let roots = read_roots(&files.root_key)?;
    match keyring_format::open(&keyring, &roots) {
        Ok((entries, root)) => {
            let root = root.clone();
            Ok((State { root, entries, uncertain: false }, roots.len()))
        }
        Err(OpenError::Damaged) => Err(KeyringError::Damaged(files.keyring.clone())),
        Err(OpenError::WrongRootKey) => Err(KeyringError::WrongRootKey {
            root_key: files.root_key.clone(),
            keyring: files.keyring.clone(),
        }),
    }
}

fn read_roots(path: &Path) -> Result<Vec<RootKey>, KeyringError> {
    let bytes = read_secret(path, KeyringError::RootKeyMissing)?;
    root_key::decode(&bytes).ok_or_else(|| KeyringError::Damaged(path.to_owned()))
}

fn read_secret(
    path: &Path,
    missing: fn(PathBuf) -> KeyringError,
) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    if !exists(path)? {
        return Err(missing(path.to_owned()));
    }
    refuse_open_mode(path, 0o600)?;
    std::fs::read(path).map(Zeroizing::new).map_err(io_at(path))
}

fn write_roots(
    disk: &SharedDisk,
    files: &KeyFiles,
    roots: &[&RootKey],
) -> Result<(), KeyringError> {
    let bytes = root_key::encode(roots);
    disk::replace(&**disk, &files.root_key, &bytes, true).map_err(io_at(&files.root_key))
}

fn write_keyring(
    disk: &SharedDisk,
    files: &KeyFiles,
    entries: &Entries,
    root: &RootKey,
) -> Result<(), KeyringError> {
    // Not wiped: it is ciphertext, and dies with the root key.
    let bytes = keyring_format::seal(entries, root);
    disk::replace(&**disk, &files.keyring, &bytes, false).map_err(io_at(&files.keyring))
}

fn refuse_open_mode(path: &Path, wanted: u32) -> Result<(), KeyringError> {
    let mode = std::fs::metadata(path).map_err(io_at(path))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(KeyringError::TooOpen { path: path.to_owned(), mode, wanted })
}

fn exists(path: &Path) -> Result<bool, KeyringError> {
    path.try_exists().map_err(io_at(path))
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> KeyringError + '_ {
    move |source| KeyringError::Io { path: path.to_owned(), source }
}
