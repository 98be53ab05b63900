//! Space that is set aside for what must be written even when the disk is full: new keys, so that old ones can be
//! destroyed, and entries of the audit log, so that operators can read.
//!
//! A file of the reserved size lies in the data directory. If a change fails for lack of space, [`ReservedDisk`] empties that file,
//! makes the change again, and takes what is left of the space back. A crash in between leaves an empty file, which
//! [`Reserve::refill`] fills.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::fs::{FallocateFlags, fallocate};

use super::{
    directory,
    disk::{Disk, DiskFile, SharedDisk},
    open,
};

const FILE_NAME: &str = "reserve";
/// A remainder below this is not worth another attempt.
const BYTES_MIN: u64 = 64 * 1024;

/// Files that hold space: one in each directory that lies on a disk of its own.
#[derive(Debug)]
pub struct Reserve {
    files: Vec<PathBuf>,
    bytes: u64,
    /// Held while the space is given up and used: two changes must not share it.
    using: Mutex<()>,
}

impl Reserve {
    /// Sets `bytes` aside on each disk that one of `directories` lies on, as far as there is space.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn open<'a>(
        directories: impl IntoIterator<Item = &'a Path>,
        bytes: u64,
    ) -> io::Result<Arc<Self>> {
        let mut disks = Vec::new();
        let mut files = Vec::new();
        for path in directories {
            let disk = directory::disk_of(path)?;
            if !disks.contains(&disk) {
                disks.push(disk);
                files.push(path.join(FILE_NAME));
            }
        }
        let reserve = Self { files, bytes, using: Mutex::new(()) };
        reserve.refill();
        Ok(Arc::new(reserve))
    }

    /// Takes space that was given up back, as far as there is any, and returns how many bytes are missing now. To be called each
    /// minute.
    pub fn refill(&self) -> u64 {
        let _using = self.lock();
        self.files.iter().map(|file| self.bytes - self.refill_file(file)).sum()
    }

    fn refill_file(&self, file: &Path) -> u64 {
        let Ok(file) = open::open_or_create(file) else { return 0 };
        let mut wanted = self.bytes;
        while wanted >= BYTES_MIN {
            if fallocate(&file, FallocateFlags::empty(), 0, wanted).is_ok() {
                return wanted;
            }
            // What a failed call had allocated beyond the old length.
            let held = file.metadata().map_or(0, |meta| meta.len());
            if held >= wanted / 2 {
                return held;
            }
            wanted /= 2;
        }
        0
    }

    /// Runs `change`; if it fails for lack of space, once more with the reserve.
    fn spend<T>(&self, mut change: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        match change() {
            Err(error) if is_full(&error) => {}
            outcome => return outcome,
        }
        let using = self.lock();
        for file in &self.files {
            open::open_or_create(file)?.set_len(0)?;
        }
        tracing::warn!("the disk is full: the reserve for keys and audit entries is in use");
        let outcome = change();
        drop(using);
        self.refill();
        outcome
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
