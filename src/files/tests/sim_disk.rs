//! A disk for tests: writes through to a real directory, remembers every change, and can rebuild the directory as a crash
//! at any point would have left it. It can also fail on command.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use super::faults::{DiskCall, Failure, Faults};
use crate::files::{Disk, DiskFile, OsDisk};

/// One change, with paths relative to the root.
#[derive(Clone, Debug)]
enum Op {
    CreateDir(PathBuf),
    Create(usize, PathBuf),
    Append(usize, Vec<u8>),
    Sync(usize),
    /// What was not durable before never becomes durable, even if a later sync reports success.
    SyncFailed(usize),
    Truncate(usize, usize),
    Wipe(usize),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    SyncDir(PathBuf),
}

/// What of the unsynced survives the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survives {
    Everything,
    Nothing,
    Names,
    Data,
}

impl Survives {
    pub(crate) const ALL: [Self; 4] = [Self::Everything, Self::Nothing, Self::Names, Self::Data];
}

#[derive(Clone, Debug, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Bytes that a failed sync has lost: the kernel has them in memory only, and takes them for written.
    lost: Range<usize>,
}

/// The directory as the operations make it.
#[derive(Clone, Debug, Default)]
struct Image {
    dirs: Vec<PathBuf>,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    names_synced: BTreeMap<PathBuf, usize>,
}

impl Image {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::CreateDir(path) => self.dirs.push(path.clone()),
            Op::Create(inode, path) => {
                assert_eq!(*inode, self.inodes.len());
                self.inodes.push(Inode::default());
                self.names.insert(path.clone(), *inode);
            }
            Op::Append(inode, bytes) => self.inodes[*inode].now.extend_from_slice(bytes),
            Op::Sync(inode) => {
                let inode = &mut self.inodes[*inode];
                inode.synced.clone_from(&inode.now);
                inode.synced[inode.lost.clone()].fill(0);
            }
            Op::SyncFailed(inode) => {
                let inode = &mut self.inodes[*inode];
                inode.lost = inode.synced.len().min(inode.now.len())..inode.now.len();
            }
            Op::Truncate(inode, len) => {
                let inode = &mut self.inodes[*inode];
                inode.now.truncate(*len);
                inode.lost = inode.lost.start.min(*len)..inode.lost.end.min(*len);
            }
            Op::Wipe(inode) => self.inodes[*inode].now.fill(0),
            Op::Rename(from, to) => {
                let inode = self.names.remove(from).unwrap();
                self.names.insert(to.clone(), inode);
            }
            Op::Unlink(path) => {
                self.names.remove(path);
            }
            Op::SyncDir(dir) => {
                let inside = |path: &PathBuf| path.parent() == Some(dir);
                self.names_synced.retain(|path, _| !inside(path));
                let synced = self.names.iter().filter(|(path, _)| inside(path));
                self.names_synced.extend(synced.map(|(path, inode)| (path.clone(), *inode)));
            }
        }
    }
}

#[derive(Debug)]
struct State {
    root: PathBuf,
    ops: Vec<Op>,
    image: Image,
    writes_after_failed_sync: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
    pub(crate) fail_appends: Arc<AtomicBool>,
    pub(crate) fail_syncs: Arc<AtomicBool>,
    pub(crate) fail_unlinks: Arc<AtomicBool>,
    pub(crate) faults: Arc<Faults>,
}

impl SimDisk {
    /// A disk under `root`, which must be empty.
    pub(crate) fn new(root: &Path) -> Self {
        let state = State {
            root: root.into(),
            ops: Vec::new(),
            image: Image::default(),
            writes_after_failed_sync: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            fail_appends: Arc::default(),
            fail_syncs: Arc::default(),
            fail_unlinks: Arc::default(),
            faults: Arc::default(),
        }
    }

    /// How often a file was written or synced although bytes in it were lost by a failed sync.
    pub(crate) fn writes_after_failed_sync(&self) -> usize {
        self.state.lock().unwrap().writes_after_failed_sync
    }

    /// Changes so far.
    pub(crate) fn ops(&self) -> usize {
        self.state.lock().unwrap().ops.len()
    }

    /// Bytes that the operation at `index` appends; 0 if it does something else.
    pub(crate) fn appended(&self, index: usize) -> usize {
        match self.state.lock().unwrap().ops.get(index) {
            Some(Op::Append(_, bytes)) => bytes.len(),
            _ => 0,
        }
    }

    /// Builds in `target` what a crash leaves after `count` operations and `torn` bytes of the next.
    pub(crate) fn crash_at(&self, count: usize, torn: usize, survives: Survives, target: &Path) {
        let state = self.state.lock().unwrap();
        let mut image = Image::default();
        state.ops[..count].iter().for_each(|op| image.apply(op));
        if torn > 0
            && let Some(Op::Append(inode, bytes)) = state.ops.get(count)
        {
            image.inodes[*inode].now.extend_from_slice(&bytes[..torn]);
        }
        for dir in &image.dirs {
            let path = target.join(dir);
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
        }
        let names = match survives {
            Survives::Everything | Survives::Names => &image.names,
            Survives::Nothing | Survives::Data => &image.names_synced,
        };
        for (path, inode) in names {
            let inode = &image.inodes[*inode];
            let bytes = match survives {
                Survives::Everything | Survives::Data => &inode.now,
                Survives::Nothing | Survives::Names => &inode.synced,
            };
            let mut options = std::fs::OpenOptions::new();
            let mut file =
                options.write(true).create_new(true).mode(0o600).open(target.join(path)).unwrap();
            io::Write::write_all(&mut file, bytes).unwrap();
        }
    }

    fn note(&self, make: impl FnOnce(&mut State) -> Op) {
        let mut state = self.state.lock().unwrap();
        let op = make(&mut state);
        if let Op::Append(inode, _) | Op::Sync(inode) = op
            && !state.image.inodes[inode].lost.is_empty()
        {
            state.writes_after_failed_sync += 1;
        }
        state.image.apply(&op);
        state.ops.push(op);
    }

    fn relative(state: &State, path: &Path) -> PathBuf {
        path.strip_prefix(&state.root).unwrap().to_owned()
    }

    fn meet(&self, call: DiskCall, path: &Path) -> io::Result<()> {
        self.faults.meet(call, path).map_err(Failure::error)
    }

    fn refuse(&self, flag: &AtomicBool) -> io::Result<()> {
        if flag.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(28)) } else { Ok(()) }
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.meet(DiskCall::CreateDir, path)?;
        OsDisk.create_dir(path)?;
        self.note(|state| Op::CreateDir(Self::relative(state, path)));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.meet(DiskCall::Create, path)?;
        let file = OsDisk.create(path)?;
        let mut inode = 0;
        self.note(|state| {
            inode = state.image.inodes.len();
            Op::Create(inode, Self::relative(state, path))
        });
        Ok(Box::new(SimFile { disk: self.clone(), inode, path: path.into(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.meet(DiskCall::Open, path)?;
        let file = OsDisk.open(path)?;
        let state = self.state.lock().unwrap();
        let inode = state.image.names[&Self::relative(&state, path)];
        Ok(Box::new(SimFile { disk: self.clone(), inode, path: path.into(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.meet(DiskCall::Rename, to)?;
        OsDisk.rename(from, to)?;
        self.note(|state| Op::Rename(Self::relative(state, from), Self::relative(state, to)));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.meet(DiskCall::Unlink, path)?;
        self.refuse(&self.fail_unlinks)?;
        OsDisk.unlink(path)?;
        self.note(|state| Op::Unlink(Self::relative(state, path)));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.meet(DiskCall::SyncDir, path)?;
        self.refuse(&self.fail_syncs)?;
        self.note(|state| Op::SyncDir(Self::relative(state, path)));
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let met = self.disk.faults.meet(DiskCall::Append, &self.path);
        let is_full = self.disk.fail_appends.load(Ordering::SeqCst);
        if is_full || met == Err(Failure::Full) {
            // A full disk takes what still fits.
            let fits = &bytes[..bytes.len() / 2];
            self.file.append(fits)?;
            self.disk.note(|_| Op::Append(self.inode, fits.to_vec()));
        }
        self.disk.refuse(&self.disk.fail_appends)?;
        met.map_err(Failure::error)?;
        self.file.append(bytes)?;
        self.disk.note(|_| Op::Append(self.inode, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let refused = self.disk.refuse(&self.disk.fail_syncs);
        let synced = refused.and_then(|()| self.disk.meet(DiskCall::Sync, &self.path));
        self.disk.note(|_| match synced {
            Ok(()) => Op::Sync(self.inode),
            Err(_) => Op::SyncFailed(self.inode),
        });
        synced
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.disk.meet(DiskCall::Truncate, &self.path)?;
        self.file.truncate(len)?;
        self.disk.note(|_| Op::Truncate(self.inode, usize::try_from(len).unwrap()));
        Ok(())
    }

    fn wipe(&mut self) -> io::Result<()> {
        self.disk.meet(DiskCall::Wipe, &self.path)?;
        self.file.wipe()?;
        self.disk.note(|_| Op::Wipe(self.inode));
        Ok(())
    }
}

/// The real file system without waiting for it: for tests in which no power is cut.
#[derive(Debug)]
pub(crate) struct UnsyncedDisk;

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

impl Disk for UnsyncedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(OsDisk.create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(OsDisk.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        OsDisk.unlink(path)
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for UnsyncedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }

    fn wipe(&mut self) -> io::Result<()> {
        self.0.wipe()
    }
}
