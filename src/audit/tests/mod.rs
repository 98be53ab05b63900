//! The audit log in a temporary directory, with a clock that tests move.

mod chain;
mod crash;
mod fingerprints;
mod hangs;

use std::{fs, path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;

use super::{Audit, Call, Filters, Listed, Wanted};
use crate::{
    clock::{Clock as _, ManualClock, Timestamp},
    envelope::{KeyFiles, Keyring},
    files::{SharedDisk, tests::sim_disk::UnsyncedDisk},
    handle::Handle,
};

/// 2026-11-23T08:00:00Z.
const START: Timestamp = Timestamp::from_secs(1_795_420_800);
const DAY: Duration = Duration::from_secs(24 * 3600);
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

struct Bench {
    dir: TempDir,
    clock: Arc<ManualClock>,
    keyring: Arc<Keyring>,
    disk: SharedDisk,
    _keys: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with_disk(TempDir::new().unwrap(), Arc::new(UnsyncedDisk))
    }

    fn with_disk(dir: TempDir, disk: SharedDisk) -> Self {
        let (clock, keys) = (ManualClock::at(START), TempDir::new().unwrap());
        let files = KeyFiles::new(&keys.path().join("keys"), None);
        let keyring = Arc::new(Keyring::open(Arc::new(UnsyncedDisk), files, false).unwrap());
        Self { dir, clock, keyring, disk, _keys: keys }
    }

    /// As another process would open it.
    fn open(&self) -> Audit {
        self.open_in(self.dir.path(), &self.disk)
    }

    fn open_in(&self, data: &Path, disk: &SharedDisk) -> Audit {
        let (keyring, clock) = (Arc::clone(&self.keyring), Arc::clone(&self.clock) as _);
        Audit::on_disk(Arc::clone(disk), data.join("audit"), keyring, clock, RETENTION)
    }

    /// The names of the files, oldest first.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("audit")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.ends_with(".ndjson")).collect();
        names.sort();
        names
    }

    fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.dir.path().join("audit").join(file)).unwrap()
    }

    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join("audit").join(file), bytes).unwrap();
    }
}

fn handle(text: &str) -> Handle {
    Handle::parse(text, None).unwrap()
}

/// A call that gives `records`.
fn call(audit: &Audit, operator: &str, records: u64) {
    let mut audited = audit.begin(operator, Call::Search, &Filters::none()).unwrap();
    audited.add(records);
    audited.finish();
}

fn listed(audit: &Audit, wanted: Wanted) -> Vec<Listed> {
    audit.list(wanted).unwrap().map(Result::unwrap).collect()
}
