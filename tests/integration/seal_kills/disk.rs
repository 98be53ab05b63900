//! A disk that kills its own process with SIGKILL at a chosen change.
//!
//! It writes every change to the journal before it makes the change. The parent thus learns which steps exist and at
//! which one the process died.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use dispatchd::files::{Disk, DiskFile, OsDisk};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

/// When the kill comes, relative to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Moment {
    Before,
    /// After half of an append or a wipe. For any other change this equals `Before`.
    Middle,
    After,
}

impl Moment {
    pub(super) const ALL: [Self; 3] = [Self::Before, Self::Middle, Self::After];
}

/// The change at which the process dies: the `occurrence`th change with this name, counted from 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Target {
    /// The name of a change, or [`START`].
    pub(super) name: String,
    pub(super) occurrence: u64,
    pub(super) moment: Moment,
}

/// Matches every change of a start.
pub(super) const START: &str = "start";

impl Target {
    fn means(&self, name: &str) -> bool {
        let is_start = || name.split_once(": ").is_some_and(|(phase, _)| phase == START);
        name == self.name || self.name == START && is_start()
    }
}

/// The child's report to its parent: lines in a file. The kernel has each line before the child goes on.
#[derive(Debug)]
pub(super) struct Journal {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    phase: &'static str,
    last: String,
    /// Each target with the number of its matches so far.
    targets: Vec<(Target, u64)>,
}

impl Journal {
    pub(super) fn new(path: &Path, targets: Vec<Target>) -> Arc<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        let targets = targets.into_iter().map(|target| (target, 0)).collect();
        let state = State { file, phase: START, last: String::new(), targets };
        Arc::new(Self { state: Mutex::new(state) })
    }

    pub(super) fn say(&self, line: &str) {
        self.state().say(line);
    }

    /// Sets the phase. The names of changes begin with it.
    pub(super) fn enter(&self, phase: &'static str) {
        self.state().phase = phase;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Notes a change before it is made. Returns a moment if the process must die at this change.
    fn note(&self, what: &str) -> Option<Moment> {
        let mut state = self.state();
        let what = match what {
            "sync-dir" => format!("sync-dir after {}", state.last),
            _ => what.to_owned(),
        };
        let name = format!("{}: {what}", state.phase);
        if !what.starts_with("sync") {
            state.last = what;
        }
        state.say(&format!("change {name}"));
        let mut moment = None;
        for (target, met) in &mut state.targets {
            if target.means(&name) {
                *met += 1;
                moment = moment.or((*met == target.occurrence).then_some(target.moment));
            }
        }
        if let Some(moment) = moment {
            state.say(&format!("kill {moment:?} {name}"));
        }
        moment
    }

    fn change<T>(
        &self,
        what: &str,
        half: impl FnOnce() -> io::Result<()>,
        whole: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(moment) = self.note(what) else {
            return whole();
        };
        match moment {
            Moment::Before => {}
            Moment::Middle => half()?,
            Moment::After => drop(whole()?),
        }
        end()
    }
}

impl State {
    fn say(&mut self, line: &str) {
        self.file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Kills this process with SIGKILL.
fn end() -> ! {
    kill_process(getpid(), Signal::KILL).unwrap();
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

/// The real file system, until the kill.
///
/// A sync is a step, but does nothing: a kill keeps everything that the kernel has. Other tests simulate a power cut
/// on a simulated disk.
#[derive(Debug)]
pub(super) struct FatalDisk(pub(super) Arc<Journal>);

impl FatalDisk {
    fn file(&self, path: &Path, inner: Box<dyn DiskFile>, fresh: bool) -> Box<dyn DiskFile> {
        let again = OpenOptions::new().write(true).open(path).unwrap();
        let (what, appends) = (kind_of(path), u32::from(!fresh));
        Box::new(FatalFile { inner, again, what, appends, journal: Arc::clone(&self.0) })
    }
}

/// The kind of a file: `frames`, `sealing`, `root.key`, and so on.
fn kind_of(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    match name.rsplit_once('.') {
        Some((stem, kind)) if stem.starts_with(|first: char| first.is_ascii_digit()) => kind.into(),
        _ => name.into(),
    }
}

fn nothing() -> io::Result<()> {
    Ok(())
}

impl Disk for FatalDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let what = format!("create {}", kind_of(path));
        let inner = self.0.change(&what, nothing, || OsDisk.create(path))?;
        Ok(self.file(path, inner, true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, OsDisk.open(path)?, false))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let what = format!("rename {} to {}", kind_of(from), kind_of(to));
        self.0.change(&what, nothing, || OsDisk.rename(from, to))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            return OsDisk.unlink(path);
        }
        self.0.change(&format!("unlink {}", kind_of(path)), nothing, || OsDisk.unlink(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.change("sync-dir", nothing, || path.read_dir().map(drop))
    }
}

#[derive(Debug)]
struct FatalFile {
    inner: Box<dyn DiskFile>,
    /// A second handle on the file, for half a wipe.
    again: File,
    what: String,
    /// Appends since the file was created.
    appends: u32,
    journal: Arc<Journal>,
}

impl DiskFile for FatalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let piece = match (&*self.what, self.appends, bytes.len()) {
            ("root.key.new", _, ..=52) => " with one key",
            ("root.key.new", ..) => " with two keys",
            ("keyring.new", ..) => "",
            (_, 0, _) => " head",
            ("sealing", 2.., _) => " second or later piece",
            _ => "",
        };
        self.appends += 1;
        let what = format!("append {}{piece}", self.what);
        let inner = std::cell::RefCell::new(&mut self.inner);
        let half = || inner.borrow_mut().append(&bytes[..bytes.len() / 2]);
        self.journal.change(&what, half, || inner.borrow_mut().append(bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.journal.change(&format!("sync {}", self.what), nothing, nothing)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let what = format!("truncate {}", self.what);
        self.journal.change(&what, nothing, || self.inner.truncate(len))
    }

    fn wipe(&mut self) -> io::Result<()> {
        let half = || {
            let bytes = self.again.metadata()?.len() / 2;
            self.again.write_all_at(&vec![0; usize::try_from(bytes).unwrap()], 0)
        };
        self.journal.change(&format!("wipe {}", self.what), half, || self.inner.wipe())
    }
}
