//! A log in a temporary directory, with a clock that tests move.

use std::{path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;

use crate::{
    clock::{ManualClock, Timestamp},
    envelope::{ChunkFile, FILE_HEADER_BYTES, KeyFiles},
    files::{SharedDisk, tests::sim_disk::UnsyncedDisk},
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    lock::lock,
    query_log::{
        Config, Durability, Filter, LogOptions, LogReader, LogRow, LookupRecord, OpenError, Order,
        QueryLog, Record, RecoveryReport,
    },
    shutdown::Shutdown,
    vocabulary::{Cause, Change, ChangeKind, Reason, Route},
};

/// 2026-11-23T08:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_795_420_800);

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
    pub(crate) disk: SharedDisk,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_disk(Arc::new(UnsyncedDisk))
    }

    pub(crate) fn with_disk(disk: SharedDisk) -> Self {
        let config = Config { durability: Durability::Os, ..Config::default() };
        Self { dir: TempDir::new().unwrap(), clock: ManualClock::at(START), config, disk }
    }

    pub(crate) fn options(&self) -> LogOptions {
        options(self.dir.path(), &self.clock, &self.config, &self.disk)
    }

    pub(crate) fn try_open(&self) -> Result<(QueryLog, RecoveryReport), OpenError> {
        QueryLog::open(self.options(), &Shutdown::new())
    }

    pub(crate) fn open(&self) -> QueryLog {
        self.try_open().unwrap().0
    }

    pub(crate) fn log_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn read_only(&self) -> Result<LogReader, OpenError> {
        read_only(self.dir.path(), &self.clock)
    }

    /// The only file of frames.
    pub(crate) fn only_segment(&self) -> std::path::PathBuf {
        let mut found = frames_in(&self.log_dir());
        assert_eq!(found.len(), 1);
        found.remove(0)
    }
}

pub(crate) fn options(
    data: &Path,
    clock: &Arc<ManualClock>,
    config: &Config,
    disk: &SharedDisk,
) -> LogOptions {
    let keys = KeyFiles::new(&data.join("keys"), None);
    LogOptions {
        dir: data.join("log"),
        keys,
        config: config.clone(),
        clock: Arc::clone(clock) as _,
        disk: Arc::clone(disk),
        keys_disk: Arc::clone(disk),
        disk_reserve: 0,
        copies: None,
    }
}

pub(crate) fn read_only(data: &Path, clock: &Arc<ManualClock>) -> Result<LogReader, OpenError> {
    let keys = KeyFiles::new(&data.join("keys"), None);
    let retention = Config::default().retention;
    LogReader::open_read_only(&data.join("log"), keys, Arc::clone(clock) as _, retention)
}

pub(crate) fn frames_in(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "frames")).collect();
    found.sort();
    found
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
}

pub(crate) fn phone(number: u64) -> Handle {
    Handle::from_canonical(&format!("+1415555{number:04}")).unwrap()
}

/// The range of the parity in a sealed file.
pub(crate) fn parity_of(path: &Path) -> std::ops::Range<usize> {
    let file = ChunkFile::open(path).unwrap();
    let chunks = file.parts().iter().sum::<u64>() + 16 * file.chunks();
    let start = usize::try_from(FILE_HEADER_BYTES + chunks).unwrap();
    start..usize::try_from(file.bytes()).unwrap() - 1_024
}

/// A lookup that `n` distinguishes from every other.
pub(crate) fn lookup(n: u64) -> Record {
    Record::Lookup(LookupRecord {
        request: RequestId::from_bits(n),
        account: Some(AccountId::from_bits(n % 7)),
        device: Some(DeviceId::from_bits(n % 11)),
        ip: Some([192, 0, 2, u8::try_from(n % 250).unwrap()].into()),
        handle: Some(phone(n % 10_000)),
        route: Some(if n.is_multiple_of(3) { Route::Sms } else { Route::Imessage }),
        reason: if n.is_multiple_of(3) { Reason::NeverRegistered } else { Reason::LiveDevice },
        status: 200,
        took_us: 42,
    })
}

pub(crate) fn change(n: u64) -> Record {
    Record::Change(Change {
        id: ChangeId::from_bits(n),
        kind: ChangeKind::HandleBound,
        handle: Some(phone(n % 10_000)),
        device: Some(DeviceId::from_bits(n % 11)),
        account: None,
        cause: Cause::Proof,
    })
}

pub(crate) fn number(row: &LogRow) -> u64 {
    match &row.record {
        Record::Lookup(lookup) => lookup.request.bits(),
        Record::Change(change) => change.id.bits(),
        Record::Refusals(refusals) => refusals.count,
    }
}

/// Appends a record and waits for the commit.
pub(crate) fn put(log: &QueryLog, record: &Record) {
    log.append(record).unwrap().wait_blocking().unwrap();
}

pub(crate) fn rows(reader: &LogReader, filter: &Filter, order: Order) -> Vec<LogRow> {
    reader.search(filter, order, None).map(|row| row.unwrap().1).collect()
}

pub(crate) fn numbers(reader: &LogReader) -> Vec<u64> {
    rows(reader, &Filter::default(), Order::Asc).iter().map(number).collect()
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

impl QueryLog {
    /// Stops as a crash would, without committing or finishing anything. Dropping the last clone releases the directory.
    pub(in crate::query_log) fn abandon(self) {
        lock(&self.shared.pending).close();
        lock(&self.shared.pending).refuse().resolve(false);
        self.threads.stop();
        lock(&self.shared.committer).active = None;
    }
}
