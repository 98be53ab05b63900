//! [`WrittenFile`]: a file of the quota that this process writes.

use std::{io, path::PathBuf};

use super::{name::FileName, rows};
use crate::{
    clock::Timestamp,
    envelope::{FileHeader, FrameSealer, Keyring, KeyringError},
    files::{self, DiskFile, SharedDisk},
    limits,
    quota::fingerprint::FingerprintKey,
};

/// Why a file of the quota cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// After a failed write it must not be used again: what of it is on the disk is not known.
pub(super) struct WrittenFile {
    pub(super) name: FileName,
    pub(super) path: PathBuf,
    file: Box<dyn DiskFile>,
    sealer: FrameSealer,
    /// Encrypted frames that are not written yet.
    unwritten: Vec<u8>,
    content: Vec<u8>,
    bytes: u64,
    is_committed: bool,
}

impl WrittenFile {
    /// Creates the file of this name, with the key of its fingerprints. The key of its hour is durable before that.
    pub(super) fn create(
        disk: &SharedDisk,
        path: PathBuf,
        name: FileName,
        keyring: &Keyring,
        key: &FingerprintKey,
    ) -> Result<Self, WriteError> {
        let hour_key = keyring.ensure(name.hour)?;
        let header = FileHeader::new(name.kind.purpose(), name.hour, name.number);
        let mut file = disk.create(&path)?;
        file.append(&header.encode())?;
        disk.sync_dir(files::parent(&path))?;
        let (sealer, unwritten, content) = (FrameSealer::new(&hour_key, &header), vec![], vec![]);
        let mut created =
            Self { name, path, file, sealer, unwritten, content, bytes: 0, is_committed: false };
        created.add(rows::KEY, name.hour.start(), [*key.bytes()])?;
        Ok(created)
    }

    /// Encrypts rows of one kind, and writes each frame that is full. [`Self::commit`] writes the others.
    pub(super) fn add<const N: usize>(
        &mut self,
        kind: u8,
        at: Timestamp,
        rows: impl IntoIterator<Item = [u8; N]>,
    ) -> Result<(), WriteError> {
        let head = rows::head(kind, at);
        for row in rows {
            if self.content.is_empty() {
                self.content.extend_from_slice(&head);
            }
            self.content.extend_from_slice(&row);
            if self.content.len() + N > limits::LOG_FRAME_BYTES_MAX {
                self.seal()?;
            }
        }
        self.seal()
    }

    /// Encrypts the only row of a kind, which fits into a frame.
    pub(super) fn add_bytes(
        &mut self,
        kind: u8,
        at: Timestamp,
        bytes: &[u8],
    ) -> Result<(), WriteError> {
        self.content.extend_from_slice(&rows::head(kind, at));
        self.content.extend_from_slice(bytes);
        self.seal()
    }

    fn seal(&mut self) -> Result<(), WriteError> {
        if !self.content.is_empty() {
            // Nobody counts the items of these files.
            self.sealer.seal(&mut self.unwritten, 0, &self.content);
            self.content.clear();
        }
        // So that a file of all states takes no more memory than some frames.
        if self.unwritten.len() >= limits::LOG_FRAME_BYTES_MAX { self.append() } else { Ok(()) }
    }

    fn append(&mut self) -> Result<(), WriteError> {
        self.file.append(&self.unwritten)?;
        self.bytes += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }

    /// Writes what was added, and makes it durable.
    pub(super) fn commit(&mut self) -> Result<(), WriteError> {
        self.append()?;
        self.file.sync()?;
        if self.file.is_removed()? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed").into());
        }
        self.is_committed = true;
        Ok(())
    }

    /// Bytes of the frames that were added.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes + self.unwritten.len() as u64
    }

    /// Whether nothing of it was committed.
    pub(super) const fn is_empty(&self) -> bool {
        !self.is_committed
    }
}
