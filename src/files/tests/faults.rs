//! Which calls of a simulated disk fail, and how.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// A call that changes the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DiskCall {
    CreateDir,
    Create,
    Open,
    Append,
    Sync,
    Truncate,
    Wipe,
    Rename,
    Unlink,
    SyncDir,
}

/// What a faulty call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// EIO, and nothing is done.
    Io,
    /// ENOSPC. An append has written half of its bytes.
    Full,
    /// EACCES, and nothing is done.
    Denied,
    /// It does nothing until the disk is mended, then what was asked.
    Hang,
}

impl Failure {
    pub(crate) fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Self::Io | Self::Hang => 5,
            Self::Denied => 13,
            Self::Full => 28,
        })
    }
}

/// Calls that fail: `times` of them, from the one with the index `first` among those of one kind of file.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: String,
    pub(crate) call: DiskCall,
    pub(crate) first: usize,
    pub(crate) times: usize,
    pub(crate) failure: Failure,
}

/// The faults of one disk, and how often each call was made.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    state: Mutex<State>,
    mended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    calls: BTreeMap<(String, DiskCall), usize>,
    failed: usize,
}

impl Faults {
    pub(crate) fn plan(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// No call fails any more.
    pub(crate) fn mend(&self) {
        self.lock().fault = None;
        self.mended.notify_all();
    }

    /// How many calls have failed or hung.
    pub(crate) fn failed(&self) -> usize {
        self.lock().failed
    }

    /// How often each call was made, by kind of file.
    pub(crate) fn calls(&self) -> BTreeMap<(String, DiskCall), usize> {
        self.lock().calls.clone()
    }

    /// Counts a call, and waits while it hangs.
    pub(super) fn meet(&self, call: DiskCall, path: &Path) -> Result<(), Failure> {
        let kind = kind_of(path);
        let mut state = self.lock();
        let calls = state.calls.entry((kind.clone(), call)).or_default();
        let index = *calls;
        *calls += 1;
        let is_met = |fault: &&Fault| {
            (&fault.kind, fault.call) == (&kind, call)
                && index.checked_sub(fault.first).is_some_and(|place| place < fault.times)
        };
        let Some(failure) = state.fault.as_ref().filter(is_met).map(|fault| fault.failure) else {
            return Ok(());
        };
        state.failed += 1;
        if failure != Failure::Hang {
            return Err(failure);
        }
        let mended = self.mended.wait_while(state, |state| state.fault.is_some());
        drop(mended.unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kind of a file: the extension of a numbered one, else its name. An unfinished file is of the kind that it becomes, and
/// the temporary directory of a test is the data directory.
fn kind_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with(".tmp") {
        return "data".to_owned();
    }
    let name = name.strip_suffix(".new").unwrap_or(&name);
    let numbered = name.starts_with(|first: char| first.is_ascii_digit());
    let extension = name.rsplit_once('.').filter(|_| numbered);
    extension.map_or(name, |(_, extension)| extension).to_owned()
}
