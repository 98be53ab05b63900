//! Changes arbitrary bytes of the log's files. A reader must return only rows that were written, report its losses,
//! and change no file.
//!
//! The input is a list of edits of seven bytes each:
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 1 | which file |
//! | 4 | position, modulo the file's length |
//! | 2 | the edit: truncate the file there, or flip bits |
//!
//! The files are an active segment, a sealed segment, and the two key files.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use dispatchd::{
    clock::{Clock as _, Era, ManualClock, Timestamp},
    envelope::KeyFiles,
    handle::Handle,
    ids::{AccountId, DeviceId, RequestId},
    query_log::{
        Config, Durability, Filter, LogOptions, LogReader, LookupRecord, Order, QueryLog, Record,
    },
    shutdown::Shutdown,
    vocabulary::{Reason, Route},
};

use super::folder;

/// 2026-11-23T08:00:00Z.
const BEGIN: Timestamp = Timestamp::from_secs(1_795_420_800);
const EDIT_BYTES: usize = 7;
/// Records in each of two hours. The target seals the first hour. With more, most time would go into rows that no edit reaches.
const RECORDS: u64 = 20;

/// A written log, and the directory in which each run damages a copy.
struct World {
    data: PathBuf,
    clock: Arc<ManualClock>,
    /// Paths with their original content.
    files: Vec<(PathBuf, Vec<u8>)>,
    rows: HashSet<String>,
}

pub(super) fn record(n: u64) -> Record {
    let handle = match n % 3 {
        0 => format!("someone{n}@example.com"),
        _ => format!("+1415555{n:04}"),
    };
    Record::Lookup(LookupRecord {
        request: RequestId::from_count(n),
        account: Some(AccountId::from_bits(n % 7)),
        device: Some(DeviceId::from_bits(n % 11)),
        ip: Some([192, 0, 2, 1].into()),
        handle: Handle::from_canonical(&handle),
        route: Some(Route::Sms),
        reason: Reason::NeverRegistered,
        status: 200,
        took_us: 9,
    })
}

fn reader(world: &World) -> Option<LogReader> {
    let keys = KeyFiles::new(&world.data.join("keys"), None);
    let retention = Config::default().retention;
    LogReader::open_read_only(&world.data.join("log"), keys, world.clock.clone(), retention).ok()
}

fn rows(reader: &LogReader) -> Vec<String> {
    let search = reader.search(&Filter::default(), Order::Asc, None);
    search.filter_map(Result::ok).map(|(_, row)| row.to_json()).collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    paths.filter(|path| !path.ends_with("lock")).collect()
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let data = folder().join("log-files");
    let _ = fs::remove_dir_all(&data);
    let clock = ManualClock::at(BEGIN);
    let keys = KeyFiles::new(&data.join("keys"), None);
    let config = Config { durability: Durability::Os, ..Config::default() };
    let options = LogOptions::new(data.join("log"), keys, config, clock.clone());
    let (log, _) = QueryLog::open(options, &Shutdown::new()).expect("a new log opens");
    for n in 0..2 * RECORDS {
        if n == RECORDS {
            clock.advance(
                clock.now().hour(Era::default()).end().since(clock.now())
                    + Duration::from_secs(120),
            );
        }
        let ticket = log.append_all(&[record(n)]).expect("it is taken");
        ticket.wait_blocking().expect("it is committed");
        clock.advance(Duration::from_millis(3));
    }
    log.tick();
    assert_eq!(log.seal(&|| false).segments, 1);
    log.close();
    drop(log);
    let paths = files_in(&data.join("log")).into_iter().chain(files_in(&data.join("keys")));
    let mut files: Vec<_> =
        paths.map(|path| (path.clone(), fs::read(path).expect("it can be read"))).collect();
    files.sort();
    let mut world = World { data, clock, files, rows: HashSet::new() };
    world.rows = rows(&reader(&world).expect("it opens")).into_iter().collect();
    assert_eq!(world.rows.len() as u64, 2 * RECORDS);
    world
});

pub(super) fn run(bytes: &[u8]) {
    let world = &*WORLD;
    let mut files = world.files.clone();
    for edit in bytes.chunks_exact(EDIT_BYTES) {
        let file = usize::from(edit[0]) % files.len();
        let content = &mut files[file].1;
        let place = u32::from_le_bytes([edit[1], edit[2], edit[3], edit[4]]) as usize;
        if content.is_empty() {
            continue;
        }
        let place = place % content.len();
        match edit[5] {
            0 => content.truncate(place),
            _ => content[place] ^= edit[6],
        }
    }
    let edited = || files.iter().zip(&world.files).filter(|(now, then)| now.1 != then.1);
    for ((path, content), _) in edited() {
        fs::write(path, content).expect("it can be written");
    }
    if let Some(reader) = reader(world) {
        for row in rows(&reader) {
            assert!(world.rows.contains(&row), "a row that was never written");
        }
        let report = reader.verify();
        assert!(edited().next().is_some() || report.sound, "damage where there is none");
    }
    for (path, content) in &files {
        assert!(fs::read(path).ok().as_ref() == Some(content), "a reader changed a file");
    }
    for (_, (path, content)) in edited() {
        fs::write(path, content).expect("it can be written");
    }
}

/// A flipped bit in each file, and a cut one.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (0..4).map(|file| vec![file, 200, 1, 0, 0, 1, 8]).collect();
    seeds.push(vec![0, 0, 9, 0, 0, 0, 0]);
    seeds.push(Vec::new());
    seeds
}
