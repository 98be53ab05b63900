//! The two files of keys on disk: the keyring's and the root key's.

use std::{
    io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    keyring_format::{self, Entries, OpenError},
    root_key::{self, RootKey},
};
use crate::files::{self, SharedDisk};

/// How often a reader beside a running server reads again when it met the two files in mid-change.
const READ_ATTEMPTS_MAX: u32 = 5;
const ROOT_KEY: &str = "root key";
const KEYRING: &str = "keyring";

/// Why the keyring cannot be opened or changed. Each fault needs another action of the operator.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Encrypted files or the other of the two files are there, but not this one: the root key or the keyring.
    #[error(
        "{}: the {} is missing, but encrypted data exists; put the file back, or use a new data directory",
        .path.display(), .what
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: &'static str,
    },
    /// `keys.root_key` lies in a directory that does not exist.
    #[error(
        "{}: the directory of the root key does not exist; run: install -d -m 700 {}",
        .0.display(), .0.display()
    )]
    NoDirectory(PathBuf),
    /// `keys.root_key` names a directory.
    #[error("{}: is a directory; name the file in it, such as {}", .0.display(), .0.join("root.key").display())]
    IsDirectory(PathBuf),
    /// The root key is another one than the keyring was written under: one of the two comes from a backup.
    #[error("{}: this root key does not open the keyring {}", .root_key.display(), .keyring.display())]
    WrongRootKey {
        /// The root key's file.
        root_key: PathBuf,
        /// The keyring's file.
        keyring: PathBuf,
    },
    /// The file's content is not what was written.
    #[error("{}: damaged", .0.display())]
    Damaged(PathBuf),
    /// Others than the owner may read a secret.
    #[error(
        "{}: mode {mode:03o} lets others read it; run: chmod {wanted:03o} {}",
        .path.display(), .path.display()
    )]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// Opened for reading only.
    #[error("{}: opened for reading only", .0.display())]
    ReadOnly(PathBuf),
    /// The operating system refuses.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where the keys lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// The keyring.
    pub keyring: PathBuf,
    /// The root key.
    pub root_key: PathBuf,
}

#[derive(Debug)]
pub(super) struct Keys {
    pub(super) root: RootKey,
    pub(super) entries: Entries,
}

impl KeyFiles {
    /// `keyring` in `keys_dir`, and `root.key` beside it unless it lies elsewhere (outside the backups, say).
    pub fn new(keys_dir: &Path, root_key_file: Option<&Path>) -> Self {
        let root_key = root_key_file.map_or_else(|| keys_dir.join("root.key"), Path::to_owned);
        Self { keyring: keys_dir.join("keyring"), root_key }
    }

    /// Checks that the root key can be a file where it is said to be: its directory exists, unless it is the keyring's own, which is
    /// created.
    pub fn check_path(&self) -> Result<(), KeyringError> {
        if self.root_key.is_dir() {
            return Err(KeyringError::IsDirectory(self.root_key.clone()));
        }
        let dir = files::parent(&self.root_key);
        let is_there = dir == files::parent(&self.keyring) || dir.is_dir();
        if is_there { Ok(()) } else { Err(KeyringError::NoDirectory(dir.to_owned())) }
    }

    /// Opens both files to change them. Finishes or undoes a change that a crash interrupted.
    pub(super) fn open(&self, disk: &SharedDisk, has_data: bool) -> Result<Keys, KeyringError> {
        self.check_path()?;
        let dir = files::parent(&self.keyring);
        disk.create_dir(dir).map_err(io_at(dir))?;
        refuse_open_mode(dir, 0o700)?;
        for path in [&self.root_key, &self.keyring] {
            files::discard_secret(&**disk, path).map_err(io_at(path))?;
        }
        self.create_missing(disk, has_data)?;
        self.finish_change(disk)
    }

    /// Creates what is missing on a first start. A crash between the two leaves a root key alone, which the next start
    /// keeps.
    fn create_missing(&self, disk: &SharedDisk, has_data: bool) -> Result<(), KeyringError> {
        let (has_root, has_keyring) = (exists(&self.root_key)?, exists(&self.keyring)?);
        if !has_root && (has_keyring || has_data) {
            return Err(missing(&self.root_key, ROOT_KEY));
        }
        if !has_keyring && has_data {
            return Err(missing(&self.keyring, KEYRING));
        }
        if !has_root {
            self.write_roots(disk, &[&RootKey::random()])?;
        }
        if !has_keyring {
            let roots = self.read_roots()?;
            let root = roots.last().ok_or_else(|| KeyringError::Damaged(self.root_key.clone()))?;
            self.write_keyring(disk, &Entries::new(), root)?;
        }
        Ok(())
    }

    /// Reads both files, and writes them again with the one root key that opens the keyring.
    ///
    /// What a process reads after a failed sync, or after another was killed, may be in memory only: a power cut would bring the
    /// former files back. The keyring is durable first. Until then the root key's file opens the former keyring, too.
    pub(super) fn finish_change(&self, disk: &SharedDisk) -> Result<Keys, KeyringError> {
        let keys = self.read_once()?;
        self.write_keyring(disk, &keys.entries, &keys.root)?;
        self.write_roots(disk, &[&keys.root])?;
        Ok(keys)
    }

    /// Reads both files though a server may be changing them.
    pub(super) fn read(&self) -> Result<Keys, KeyringError> {
        let mut attempt = 1;
        loop {
            match self.read_once() {
                // Between reading the one and the other file the server may have changed both.
                Err(KeyringError::WrongRootKey { .. } | KeyringError::Damaged(_))
                    if attempt < READ_ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                known => return known,
            }
        }
    }

    fn read_once(&self) -> Result<Keys, KeyringError> {
        // The keyring first: if the root key changes in between, its file for a while holds both.
        let keyring = read_secret(&self.keyring, KEYRING)?;
        let roots = self.read_roots()?;
        match keyring_format::open(&keyring, &roots) {
            Ok((entries, root)) => {
                let root = root.clone();
                Ok(Keys { root, entries })
            }
            Err(OpenError::Damaged) => Err(KeyringError::Damaged(self.keyring.clone())),
            Err(OpenError::WrongRootKey) => Err(KeyringError::WrongRootKey {
                root_key: self.root_key.clone(),
                keyring: self.keyring.clone(),
            }),
        }
    }

    /// What a finished change does not leave, as sentences.
    pub(super) fn loose_ends(&self) -> Result<Vec<String>, KeyringError> {
        let mut found = Vec::new();
        let roots = self.read_roots()?.len();
        if roots > 1 {
            found.push(format!("the root key's file holds {roots} keys: a change was interrupted"));
        }
        for path in [&self.root_key, &self.keyring] {
            if exists(&files::unfinished_name(path))? {
                found.push("an unfinished file of keys is left: a change was interrupted".into());
            }
        }
        Ok(found)
    }

    fn read_roots(&self) -> Result<Vec<RootKey>, KeyringError> {
        let bytes = read_secret(&self.root_key, ROOT_KEY)?;
        root_key::decode(&bytes).ok_or_else(|| KeyringError::Damaged(self.root_key.clone()))
    }

    pub(super) fn write_roots(
        &self,
        disk: &SharedDisk,
        roots: &[&RootKey],
    ) -> Result<(), KeyringError> {
        let bytes = root_key::encode(roots);
        files::replace_secret(disk, &self.root_key, &bytes).map_err(io_at(&self.root_key))
    }

    pub(super) fn write_keyring(
        &self,
        disk: &SharedDisk,
        entries: &Entries,
        root: &RootKey,
    ) -> Result<(), KeyringError> {
        // The old one is not wiped: it is ciphertext, and dies with the root key.
        let bytes = keyring_format::seal(entries, root);
        files::replace(disk, &self.keyring, &bytes).map_err(io_at(&self.keyring))
    }
}

fn read_secret(path: &Path, what: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    if !exists(path)? {
        return Err(missing(path, what));
    }
    refuse_open_mode(path, 0o600)?;
    files::read_small(path).map(Zeroizing::new).map_err(io_at(path))
}

fn missing(path: &Path, what: &'static str) -> KeyringError {
    KeyringError::Missing { path: path.to_owned(), what }
}

fn refuse_open_mode(path: &Path, wanted: u32) -> Result<(), KeyringError> {
    match files::mode_if_open_to_others(path).map_err(io_at(path))? {
        None => Ok(()),
        Some(mode) => Err(KeyringError::TooOpen { path: path.to_owned(), mode, wanted }),
    }
}

fn exists(path: &Path) -> Result<bool, KeyringError> {
    path.try_exists().map_err(io_at(path))
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> KeyringError + '_ {
    move |source| KeyringError::Io { path: path.to_owned(), source }
}
