//! [`HashKey`]: the key that hashes codes, link codes and whatever counters count by.
//!
//! The registry's rows hold only these hashes. The key lies in a file of its own, so a copy of the registry alone reveals no
//! code and no address of a requester.

use std::{
    io,
    path::{Path, PathBuf},
};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{
    files::{self, SharedDisk},
    ids::fill_random,
    redacted::redacted_debug,
};

const KEY_BYTES: usize = 32;

/// The key cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum HashKeyError {
    /// The file has another length than a key.
    #[error(
        "{}: damaged; remove it: a start makes another key, and open codes become void",
        .0.display()
    )]
    Damaged(PathBuf),
    /// Others than the owner may read the key.
    #[error("{}: mode {mode:03o} lets others read it; run: chmod 600 {}", .path.display(), .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The operating system refuses.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// The key of `<data>/keys/verification.key`.
pub struct HashKey {
    key: hmac::Key,
    /// Whether this start made it.
    pub(super) is_new: bool,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

redacted_debug!(HashKey);

/// What a hash is about, so that equal texts of different kinds have different hashes.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Hashed {
    Code = 1,
    LinkCode = 2,
    Requester = 3,
    Person = 4,
    Account = 5,
    Network = 6,
    /// The key of the fingerprints of asked handles.
    AskedHandles = 7,
}

/// The first half of an HMAC-SHA-256.
pub(super) type Hash = [u8; 16];

impl HashKey {
    /// Reads the key in the directory `keys`, or makes one that only the owner can read.
    ///
    /// # Errors
    /// The file is damaged, others may read it, or the operating system refuses.
    pub fn open(disk: &SharedDisk, keys: &Path) -> Result<Self, HashKeyError> {
        let path = keys.join("verification.key");
        let io_error = |source| HashKeyError::Io { path: path.clone(), source };
        files::discard_secret(&**disk, &path).map_err(io_error)?;
        let Some(bytes) = files::if_exists(files::read_small(&path)).map_err(io_error)? else {
            return Self::make(disk, keys, &path).map_err(io_error);
        };
        let bytes = Zeroizing::new(bytes);
        if let Some(mode) = files::mode_if_open_to_others(&path).map_err(io_error)? {
            return Err(HashKeyError::TooOpen { path, mode });
        }
        match bytes.as_slice().try_into() {
            Ok(key) => Ok(Self::of(key, false)),
            Err(_) => Err(HashKeyError::Damaged(path)),
        }
    }

    fn make(disk: &SharedDisk, keys: &Path, path: &Path) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        fill_random(key.as_mut());
        disk.create_dir(keys)?;
        files::replace_secret(disk, path, key.as_ref())?;
        Ok(Self::of(&key, true))
    }

    fn of(key: &[u8; KEY_BYTES], is_new: bool) -> Self {
        let bytes = Zeroizing::new(*key);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), is_new, bytes }
    }

    /// Its bytes, for another node of the cluster: a code that one node sent is answered at any.
    pub fn reveal(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// The key under which the nodes of a cluster remember who asked for whom. It opens nothing by itself: the fingerprints lie in files
    /// under the keys of the query log's hours.
    pub fn of_asked_handles(&self) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(self.hash(Hashed::AskedHandles, &[]))
    }

    /// Makes `key` that of the directory `keys`, durably.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(disk: &SharedDisk, keys: &Path, key: &[u8; KEY_BYTES]) -> Result<(), HashKeyError> {
        let path = keys.join("verification.key");
        let put = disk.create_dir(keys).and_then(|()| files::replace_secret(disk, &path, key));
        put.map_err(|source| HashKeyError::Io { path, source })
    }

    /// The hash of `parts`, one after the other. All but the last must have a fixed length.
    pub(super) fn hash(&self, what: Hashed, parts: &[&[u8]]) -> Hash {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[what as u8]);
        for part in parts {
            context.update(part);
        }
        let mut hash = Hash::default();
        hash.copy_from_slice(&context.sign().as_ref()[..size_of::<Hash>()]);
        hash
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::files::OsDisk;

    impl HashKey {
        pub(in crate::verification) fn of_tests() -> Self {
            Self::of(&[7; KEY_BYTES], false)
        }
    }

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = dir.path().join("keys");
        let hash = |key: &HashKey| key.hash(Hashed::Code, &[b"1"]);
        let made = HashKey::open(&OsDisk::shared(), &keys).expect("it is made");
        let read = HashKey::open(&OsDisk::shared(), &keys).expect("it is there");
        assert_eq!((made.is_new, read.is_new), (true, false));
        assert_eq!(hash(&made), hash(&read));
        let path = keys.join("verification.key");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_file(&path).expect("it is there");
        let other = HashKey::open(&OsDisk::shared(), &keys).expect("another is made");
        assert!(other.is_new && hash(&other) != hash(&made));
        assert_eq!(format!("{made:?}"), "HashKey(…)");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_damaged_is_refused_with_path_and_remedy() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("verification.key");
        let refused = || {
            let error = HashKey::open(&OsDisk::shared(), dir.path()).expect_err("it is refused");
            error.to_string()
        };
        HashKey::open(&OsDisk::shared(), dir.path()).expect("it is made");
        let set_mode = |mode| {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
        };
        set_mode(0o644);
        let remedy = format!("mode 644 lets others read it; run: chmod 600 {}", path.display());
        assert_eq!(refused(), format!("{}: {remedy}", path.display()));
        set_mode(0o600);
        std::fs::write(&path, "short").expect("it is written");
        assert!(refused().starts_with(&format!("{}: damaged; remove it", path.display())));
    }

    #[test]
    fn equal_texts_of_different_kinds_have_different_hashes() {
        let key = HashKey::of_tests();
        assert_ne!(key.hash(Hashed::Code, &[b"1"]), key.hash(Hashed::LinkCode, &[b"1"]));
        assert_ne!(key.hash(Hashed::Code, &[b"1"]), key.hash(Hashed::Code, &[b"2"]));
    }
}
