//! A disk that writes other bytes than it was given.

use std::{io, path::Path, sync::Arc};

use super::{
    sealer::{files, filled},
    support::*,
};
use crate::files::{Disk, DiskFile, tests::sim_disk::UnsyncedDisk};

/// A disk that flips one bit of one write to an incomplete sealed file.
#[derive(Debug)]
struct LyingDisk {
    /// The index of the write.
    at: usize,
}

#[derive(Debug)]
struct LyingFile {
    file: Box<dyn DiskFile>,
    appends_left: usize,
}

impl DiskFile for LyingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut bytes = bytes.to_vec();
        if self.appends_left == 0 {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        self.appends_left = self.appends_left.wrapping_sub(1);
        self.file.append(&bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn wipe(&mut self) -> io::Result<()> {
        self.file.wipe()
    }
}

impl Disk for LyingDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        UnsyncedDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = UnsyncedDisk.create(path)?;
        if path.extension().is_some_and(|extension| extension == "sealing") {
            return Ok(Box::new(LyingFile { file, appends_left: self.at }));
        }
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        UnsyncedDisk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        UnsyncedDisk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        UnsyncedDisk.unlink(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        UnsyncedDisk.sync_dir(path)
    }
}

#[test]
fn a_file_that_differs_from_the_frames_never_replaces_them() {
    for at in 1..3 {
        let bench = Bench::with_disk(Arc::new(LyingDisk { at }));
        let log = filled(&bench, 1, 300);
        let all = numbers(&log.reader());
        let outcome = log.seal(&|| false);
        assert_eq!((outcome.segments, outcome.failed.len()), (0, 1), "append {at}");
        assert_eq!(files(&bench.log_dir(), "frames").len(), 2, "append {at}");
        assert!(files(&bench.log_dir(), "sealing").is_empty(), "append {at}");
        assert!(files(&bench.log_dir(), "sealed").is_empty(), "append {at}");
        assert_eq!(numbers(&log.reader()), all, "append {at}");
    }
}
