//! Space that is set aside for what must be written even when the disk is full: new keys, so that old ones can be
//! destroyed, and entries of the audit log, so that operators can read.
//!
//! A file holds the space. If a change fails for lack of space, [`ReservedDisk`] shortens that file step by step, makes the
//! change again after each, and takes what is left back. A crash in between leaves a shorter file, which
//! [`Reserve::refill`] fills.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::fs::{FallocateFlags, fallocate};

use super::{
    directory,
    disk::{Disk, DiskFile, SharedDisk},
    open,
};

/// The file is shortened and lengthened by this much. It is more than one change needs. It is little enough that other
/// programs, which wait for space, do not get all of it at once.
const STEP_BYTES: u64 = 64 * 1024;

/// Files that hold space.
#[derive(Debug)]
pub struct Reserve {
    files: Vec<PathBuf>,
    bytes: u64,
    /// Held while space is given up and used: two changes must not share it.
    using: Mutex<()>,
}

impl Reserve {
    /// Sets `bytes` aside in each of `files`, as far as there is space. Of files on the same disk only the first is used.
    ///
    /// # Errors
    /// If the directory of a file cannot be read.
    pub fn open(files: impl IntoIterator<Item = PathBuf>, bytes: u64) -> io::Result<Arc<Self>> {
        let (mut disks, mut used) = (Vec::new(), Vec::new());
        for file in files {
            let disk = directory::disk_of(directory::parent(&file))?;
            if !disks.contains(&disk) {
                disks.push(disk);
                used.push(file);
            }
        }
        let reserve = Self { files: used, bytes, using: Mutex::new(()) };
        if let Err(error) = reserve.refill() {
            tracing::warn!(%error, "no space can be set aside for keys and audit entries");
        }
        Ok(Arc::new(reserve))
    }

    /// Takes space that was given up back, as far as there is any. Returns how many bytes are missing now. To be called each
    /// minute.
    ///
    /// # Errors
    /// If a file cannot be used, or its file system cannot set space aside.
    pub fn refill(&self) -> io::Result<u64> {
        let _using = self.lock();
        self.refill_locked()
    }

    fn refill_locked(&self) -> io::Result<u64> {
        let mut missing = 0;
        for path in &self.files {
            let file = open::open_or_create(path)?;
            let found = file.metadata()?;
            if found.len() > self.bytes {
                file.set_len(self.bytes)?;
            }
            // A copy of the file may have its length and hold nothing.
            let mut held = if found.blocks() * 512 < found.len() { 0 } else { found.len() };
            while held < self.bytes {
                let step = STEP_BYTES.min(self.bytes - held);
                match fallocate(&file, FallocateFlags::empty(), held, step).map_err(io::Error::from)
                {
                    Ok(()) => held += step,
                    Err(error) if is_full(&error) => break,
                    Err(error) => return Err(error),
                }
            }
            missing += self.bytes.saturating_sub(held);
        }
        Ok(missing)
    }

    /// Runs `change`. If it fails for lack of space, it runs again each time that some of the reserve was given up.
    fn spend<T>(&self, mut change: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut outcome = change();
        if !outcome.as_ref().is_err_and(is_full) {
            return outcome;
        }
        let _using = self.lock();
        let mut step = STEP_BYTES;
        while outcome.as_ref().is_err_and(is_full) && self.shorten(step).unwrap_or(false) {
            outcome = change();
            step *= 2;
        }
        // Whatever became of the change: what is not taken back now is taken back later.
        let _ = self.refill_locked();
        outcome
    }

    /// Gives up `bytes` of each file. False if there was nothing left.
    fn shorten(&self, bytes: u64) -> io::Result<bool> {
        let mut is_shorter = false;
        for path in &self.files {
            let file = open::open_or_create(path)?;
            let held = file.metadata()?.len();
            file.set_len(held.saturating_sub(bytes))?;
            is_shorter |= held > 0;
        }
        Ok(is_shorter)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.using.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a change failed because the disk or the owner's quota has no space left.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A disk whose changes may use the reserve.
#[derive(Debug)]
pub struct ReservedDisk {
    disk: SharedDisk,
    reserve: Arc<Reserve>,
}

impl ReservedDisk {
    /// `disk`, with `reserve` for when it is full.
    pub fn shared(disk: SharedDisk, reserve: &Arc<Reserve>) -> SharedDisk {
        Arc::new(Self { disk, reserve: Arc::clone(reserve) })
    }

    fn file(&self, file: Box<dyn DiskFile>, len: u64) -> Box<dyn DiskFile> {
        Box::new(ReservedFile { file, len, reserve: Arc::clone(&self.reserve) })
    }
}

impl Disk for ReservedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.reserve.spend(|| self.disk.create_dir(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.reserve.spend(|| self.disk.create(path))?, 0))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let len = path.metadata()?.len();
        Ok(self.file(self.disk.open(path)?, len))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.reserve.spend(|| self.disk.rename(from, to))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        // Some file systems need space even to remove a name.
        self.reserve.spend(|| self.disk.unlink(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }
}

#[derive(Debug)]
struct ReservedFile {
    file: Box<dyn DiskFile>,
    len: u64,
    reserve: Arc<Reserve>,
}

impl DiskFile for ReservedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (file, len) = (&mut self.file, self.len);
        let mut is_again = false;
        self.reserve.spend(|| {
            if is_again {
                // The failed attempt may have written a part.
                file.truncate(len)?;
            }
            is_again = true;
            file.append(bytes)
        })?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)?;
        self.len = len;
        Ok(())
    }

    fn wipe(&mut self) -> io::Result<()> {
        self.reserve.spend(|| self.file.wipe())
    }
}
