//! Appending: lock, find the end of the chain, write one line, make it durable.
//!
//! Several processes append, so each append lists the directory again. This process remembers what it has written: while
//! the newest file has the length that it left, it reads nothing. If the file is *shorter* or missing, somebody cut the log
//! while it was in use. The chain then continues from what was written, not from what is left, so that a verification finds
//! the place.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use super::{
    entry::{Entry, LineHash, Torn, What},
    files::{Day, FileName, lines, list},
};
use crate::{
    clock::SharedClock,
    envelope::KeyringError,
    files::{self, FileLock, LOCK_FILE_NAME, LockError, SharedDisk},
    limits,
    lock::lock,
};

/// Why the audit log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Another process has held the lock for too long, or it cannot be taken.
    #[error("the audit log cannot be written or read: {0}")]
    Lock(#[from] LockError),
    /// There is no key to take fingerprints with.
    #[error("the audit log cannot be written: {0}")]
    Keyring(#[from] KeyringError),
    /// The disk takes too long. The entry may be written later.
    #[error("the audit log cannot be written: its disk hangs")]
    Hangs,
    /// There is no thread to write an entry.
    #[error("the audit log cannot be written: no thread can be started: {0}")]
    Thread(#[source] io::Error),
    /// A file or the directory cannot be read or written.
    #[error("the audit log cannot be written or read: {}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

pub(super) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> AuditError + '_ {
    move |source| AuditError::Io { path: path.to_owned(), source }
}

/// The chain of entries in one directory.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) dir: PathBuf,
    disk: SharedDisk,
    pub(super) clock: SharedClock,
    known: Mutex<Option<Known>>,
}

/// Where this process's last append left the chain.
#[derive(Clone, Copy, Debug)]
struct Known {
    file: FileName,
    len: u64,
    n: u64,
    hash: LineHash,
}

/// Where the chain ends.
struct Tail {
    n: u64,
    hash: LineHash,
    torn: Option<Torn>,
    newest: Option<Newest>,
    /// This process has made the file's name and everything in it durable.
    is_durable_so_far: bool,
}

#[derive(Clone, Copy)]
struct Newest {
    file: FileName,
    len: u64,
    /// It does not end with a line's end.
    is_open: bool,
}

impl Chain {
    pub(super) fn new(dir: PathBuf, disk: SharedDisk, clock: SharedClock) -> Self {
        Self { dir, disk, clock, known: Mutex::new(None) }
    }

    /// Appends an entry, and returns its number once it is durable. After an error there is no entry, unless its bytes
    /// reached the disk although the system reported an error; its call was given no records.
    pub(super) fn append(&self, what: What) -> Result<u64, AuditError> {
        let mut known = self.known();
        self.disk.create_dir(&self.dir).map_err(io_at(&self.dir))?;
        let _lock = self.lock()?;
        // Unknown until this append has succeeded.
        let tail = self.tail(known.take())?;
        let at = self.clock.now();
        let n = tail.n + 1;
        let line = Entry { n, at, what, torn: tail.torn, prev: tail.hash }.to_line();
        let day = Day::of(at);
        let (file, len) = match tail.newest {
            Some(newest) if newest.file.takes(day) => {
                let len = self.extend(newest, &line).map_err(io_at(&self.path(newest.file)))?;
                (newest.file, len)
            }
            newest => {
                let file = FileName::next(newest.map(|newest| newest.file), day);
                (file, self.begin(file, &line).map_err(io_at(&self.path(file)))?)
            }
        };
        let is_durable =
            tail.is_durable_so_far && tail.newest.is_some_and(|newest| newest.file == file);
        if !is_durable {
            self.disk.sync_dir(&self.dir).map_err(io_at(&self.dir))?;
        }
        *known = Some(Known { file, len, n, hash: LineHash::of(&line) });
        Ok(n)
    }

    /// Locks the directory, to change it or to read it at rest. Waits.
    pub(super) fn lock(&self) -> Result<FileLock, AuditError> {
        Ok(FileLock::acquire_within(&self.dir.join(LOCK_FILE_NAME), limits::AUDIT_LOCK_PATIENCE)?)
    }

    /// Every file with its length, oldest first, while nobody writes: what is read up to there are whole entries, and
    /// what a crash left.
    pub(super) fn snapshot(&self) -> Result<Vec<(FileName, u64)>, AuditError> {
        if !self.dir.is_dir() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        let listed = list(&self.dir).map_err(io_at(&self.dir))?;
        let measure = |file: FileName| {
            let path = self.path(file);
            Ok((file, path.metadata().map_err(io_at(&path))?.len()))
        };
        listed.into_iter().map(measure).collect()
    }

    /// The lines of a file up to `len` bytes. None if the file has expired meanwhile.
    pub(super) fn lines(
        &self,
        (file, len): (FileName, u64),
    ) -> Result<Option<impl Iterator<Item = Result<Vec<u8>, AuditError>>>, AuditError> {
        let path = self.path(file);
        let lines = files::if_exists(lines(&path, len)).map_err(io_at(&path))?;
        Ok(lines.map(|lines| lines.map(move |line| line.map_err(io_at(&path)))))
    }

    /// Removes the oldest file, durably: a crash must not leave a hole where a later one is removed. To be called with
    /// the lock held.
    pub(super) fn remove(&self, file: FileName) -> Result<(), AuditError> {
        let mut known = self.known();
        if known.is_some_and(|known| known.file == file) {
            *known = None;
        }
        let path = self.path(file);
        self.disk.unlink(&path).map_err(io_at(&path))?;
        self.disk.sync_dir(&self.dir).map_err(io_at(&self.dir))
    }

    pub(super) fn path(&self, file: FileName) -> PathBuf {
        self.dir.join(file.to_string())
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        lock(&self.known)
    }

    fn tail(&self, known: Option<Known>) -> Result<Tail, AuditError> {
        let listed = list(&self.dir).map_err(io_at(&self.dir))?;
        if let Some(known) = known {
            let len = self.path(known.file).metadata().map_or(0, |meta| meta.len());
            let is_newest = listed.last() == Some(&known.file);
            if len < known.len {
                tracing::error!(
                    "the audit log was cut while this server was using it: see `dispatchd audit verify`"
                );
            }
            if len < known.len || (is_newest && len == known.len) {
                let newest = listed.last().map(|file| self.measure(*file)).transpose()?;
                let Known { n, hash, .. } = known;
                let is_durable_so_far = is_newest && len == known.len;
                return Ok(Tail { n, hash, torn: None, newest, is_durable_so_far });
            }
        } else {
            self.make_durable(listed.last())?;
        }
        self.read_tail(&listed)
    }

    /// Before the first append of this process: makes names and lines durable that a killed process may have left in the
    /// page cache, because the chain continues after them.
    fn make_durable(&self, newest: Option<&FileName>) -> Result<(), AuditError> {
        let data = files::parent(&self.dir);
        self.disk.sync_dir(data).map_err(io_at(data))?;
        match newest.map(|newest| self.path(*newest)) {
            Some(path) => {
                let sync = self.disk.open(&path).and_then(|mut file| file.sync());
                sync.map_err(io_at(&path))
            }
            None => Ok(()),
        }
    }

    /// Looks for the last whole entry, from the newest file back: a crash may have left a file without one.
    fn read_tail(&self, listed: &[FileName]) -> Result<Tail, AuditError> {
        let newest = listed.last().map(|file| self.measure(*file)).transpose()?;
        let (mut n, mut hash, mut junk) = (0, LineHash::default(), Vec::new());
        'files: for file in listed.iter().rev() {
            let path = self.path(*file);
            let bytes = files::read(&path).map_err(io_at(&path))?;
            for line in bytes.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()) {
                if let Some(entry) = Entry::read(line) {
                    (n, hash) = (entry.n, LineHash::of(line));
                    break 'files;
                }
                junk.push(line.to_vec());
            }
        }
        junk.reverse();
        Ok(Tail { n, hash, torn: Torn::of(&junk), newest, is_durable_so_far: false })
    }

    fn measure(&self, file: FileName) -> Result<Newest, AuditError> {
        let path = self.path(file);
        let len = path.metadata().map_err(io_at(&path))?.len();
        let last = last_byte(&path, len).map_err(io_at(&path))?;
        Ok(Newest { file, len, is_open: last.is_some_and(|last| last != b'\n') })
    }

    fn extend(&self, newest: Newest, line: &[u8]) -> io::Result<u64> {
        let mut bytes = Vec::with_capacity(line.len() + 2);
        if newest.is_open {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        let mut file = self.disk.open(&self.path(newest.file))?;
        if let Err(error) = file.append(&bytes).and_then(|()| file.sync()) {
            // No caller relies on these bytes, and after a failed sync their state is unknown. If the truncation fails too,
            // the next append finds a torn line or an entry without an end.
            let _ = file.truncate(newest.len);
            return Err(error);
        }
        Ok(newest.len + bytes.len() as u64)
    }

    fn begin(&self, name: FileName, line: &[u8]) -> io::Result<u64> {
        self.disk.create(&self.path(name))?;
        self.extend(Newest { file: name, len: 0, is_open: false }, line)
    }
}

fn last_byte(path: &Path, len: u64) -> io::Result<Option<u8>> {
    let Some(last) = len.checked_sub(1) else {
        return Ok(None);
    };
    let mut byte = [0];
    files::read_exact_at(&files::open(path)?, &mut byte, last)?;
    Ok(Some(byte[0]))
}
