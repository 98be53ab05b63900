//! A disk that is full except for what the reserve gives up.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::files::{Disk, DiskFile, OsDisk, Reserve, ReservedDisk, SharedDisk};

const BYTES: u64 = 256 * 1024;

/// Refuses to write while the file of the reserve holds all of its space. A refused append has written a part of its bytes.
#[derive(Debug)]
struct FullDisk {
    reserve: PathBuf,
}

impl FullDisk {
    fn check(&self) -> io::Result<()> {
        match self.reserve.metadata()?.len() {
            ..BYTES => Ok(()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

impl Disk for FullDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.check().and_then(|()| OsDisk.create_dir(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.check()?;
        let file = OsDisk.create(path)?;
        Ok(Box::new(FullFile { file, disk: Self { reserve: self.reserve.clone() } }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OsDisk.open(path)?;
        Ok(Box::new(FullFile { file, disk: Self { reserve: self.reserve.clone() } }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check().and_then(|()| OsDisk.rename(from, to))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.check().and_then(|()| OsDisk.unlink(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_dir(path)
    }
}

#[derive(Debug)]
struct FullFile {
    file: Box<dyn DiskFile>,
    disk: FullDisk,
}

impl DiskFile for FullFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.disk.check() {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn wipe(&mut self) -> io::Result<()> {
        self.disk.check().and_then(|()| self.file.wipe())
    }
}

#[test]
fn every_change_succeeds_on_a_full_disk_and_the_space_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let reserve = Reserve::open([path("reserve"), path("other")], BYTES).unwrap();
    let len = || path("reserve").metadata().unwrap().len();
    assert_eq!(len(), BYTES, "nothing is set aside, or twice");
    let full: SharedDisk = Arc::new(FullDisk { reserve: path("reserve") });
    let disk = ReservedDisk::shared(Arc::clone(&full), &reserve);
    let is_full = |error: io::Error| error.kind() == io::ErrorKind::StorageFull;
    assert!(full.create(&path("a")).is_err_and(is_full));

    disk.create_dir(&path("folder")).unwrap();
    let mut file = disk.create(&path("a")).unwrap();
    file.append(b"first").unwrap();
    file.append(b" second").unwrap();
    assert_eq!(fs::read(path("a")).unwrap(), b"first second", "a part of an attempt stayed");
    file.truncate(5).unwrap();
    file.append(b"!").unwrap();
    disk.open(&path("a")).unwrap().append(b"?").unwrap();
    assert_eq!(fs::read(path("a")).unwrap(), b"first!?");
    file.wipe().unwrap();
    disk.rename(&path("a"), &path("b")).unwrap();
    disk.unlink(&path("b")).unwrap();
    assert_eq!(len(), BYTES, "the space was not taken back");
}

#[test]
fn other_errors_do_not_touch_the_reserve_and_a_second_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let reserve = Reserve::open([folder.path().join("reserve")], BYTES).unwrap();
    let disk = ReservedDisk::shared(OsDisk::shared(), &reserve);
    fs::write(folder.path().join("taken"), "").unwrap();
    let error = disk.create(&folder.path().join("taken")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(disk.open(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    let full = FullDisk { reserve: folder.path().join("never-emptied") };
    fs::write(&full.reserve, vec![0; BYTES as usize]).unwrap();
    let disk = ReservedDisk::shared(Arc::new(full), &reserve);
    let error = disk.open(&folder.path().join("taken")).unwrap().append(b"xy").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(folder.path().join("reserve").metadata().unwrap().len(), BYTES);
}

#[test]
fn a_lowered_setting_gives_space_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reserve");
    Reserve::open([file.clone()], 2 * BYTES).unwrap();
    let reserve = Reserve::open([file.clone()], BYTES).unwrap();
    assert_eq!((file.metadata().unwrap().len(), reserve.refill().unwrap()), (BYTES, 0));
}

#[test]
fn what_a_crash_emptied_is_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reserve");
    fs::write(&file, "").unwrap();
    let reserve = Reserve::open([folder.path().join("reserve")], BYTES).unwrap();
    assert_eq!(file.metadata().unwrap().len(), BYTES);
    fs::File::options().write(true).open(&file).unwrap().set_len(0).unwrap();
    assert_eq!(reserve.refill().unwrap(), 0);
    assert_eq!(file.metadata().unwrap().len(), BYTES);
}
