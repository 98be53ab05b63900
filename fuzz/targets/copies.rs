//! Changes arbitrary objects of a log's copies, as a damaged store or a stranger might. Whoever reads the lost node's log must return only
//! rows that were written, and name what is missing.
//!
//! The input is read as the name of an object, and as a list of edits of seven bytes each:
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 1 | which object |
//! | 4 | position, modulo the object's length |
//! | 2 | the edit: remove the object, truncate it there, or flip bits |

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use dispatchd::{
    clock::{Clock as _, Era, ManualClock, Timestamp},
    envelope::{KeyFiles, Keyring},
    object_storage,
    query_log::{
        Config, CopyOptions, Durability, Filter, FromCopies as _, LogOptions, LostLogs, Order,
        QueryLog, fuzz,
    },
    shutdown::Shutdown,
};

use super::{folder, log_files::record};

/// 2026-11-23T08:00:00Z.
const BEGIN: Timestamp = Timestamp::from_secs(1_795_420_800);
const EDIT_BYTES: usize = 7;
/// Records in each of two hours. The target seals the first hour.
const RECORDS: u64 = 20;
const NODE: &str = "lost-1";

/// The copies of a log, whose machine is lost.
struct World {
    copies: CopyOptions,
    dir: PathBuf,
    clock: Arc<ManualClock>,
    config: Config,
    keyring: Arc<Keyring>,
    /// Paths with their original content.
    objects: Vec<(PathBuf, Vec<u8>)>,
    rows: HashSet<String>,
}

impl World {
    /// The rows that can be read, and whether something is missing.
    fn read(&self) -> (Vec<String>, bool) {
        let (clock, retention) = (self.clock.clone(), self.config.retention);
        let logs = LostLogs::open(&self.copies, self.dir.clone(), 0, clock, retention);
        let log = logs.expect("it opens").of(NODE, Arc::clone(&self.keyring), &|| false);
        let Some(log) = log.expect("a directory is listed") else { return (Vec::new(), true) };
        let mut rows = log.search(&Filter::default(), Order::Asc, None, Arc::new(|| false));
        let found = rows.by_ref().map(|row| row.expect("it can be read").1.to_json()).collect();
        let outcome = rows.outcome();
        let lacks = outcome.damaged + outcome.unreadable_segments > 0 || !rows.gaps().is_empty();
        (found, lacks)
    }
}

fn objects_in(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        match path.is_dir() {
            true => objects_in(&path, found),
            false => found.push(path),
        }
    }
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let data = folder().join("copies");
    let _ = fs::remove_dir_all(&data);
    let store = data.join("store");
    fs::create_dir_all(&store).expect("a folder can be made");
    let clock = ManualClock::at(BEGIN);
    let url = format!("file://{}", store.display());
    let config = Config {
        durability: Durability::Os,
        store: object_storage::Config { url, ..object_storage::Config::default() },
        ..Config::default()
    };
    let names = (NODE.to_owned(), Vec::new());
    let copies = CopyOptions::of(&config, names, Arc::new(|_| true)).expect("there is a store");
    let keys = KeyFiles::new(&data.join("keys"), None);
    let options = LogOptions {
        copies: Some(copies.clone()),
        ..LogOptions::new(data.join("log"), keys, config.clone(), clock.clone())
    };
    let (log, _) = QueryLog::open(options, &Shutdown::new()).expect("a new log opens");
    for n in 0..2 * RECORDS {
        if n == RECORDS {
            let next = clock.now().hour(Era::default()).end().since(clock.now());
            clock.advance(next + Duration::from_secs(120));
            log.tick();
            assert_eq!(log.seal(&|| false).segments, 1);
        }
        let ticket = log.append_all(&[record(n)]).expect("it is taken");
        ticket.wait_blocking().expect("it is committed");
        clock.advance(Duration::from_millis(3));
        if n % 5 == 4 {
            log.copy(&|| false);
        }
    }
    let keyring = log.keyring();
    drop(log);
    let mut paths = Vec::new();
    objects_in(&store.join(NODE), &mut paths);
    let mut objects: Vec<_> = paths
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).expect("it is there")))
        .collect();
    objects.sort();
    let (dir, rows) = (data.join("lost"), HashSet::new());
    let mut world = World { copies, dir, clock, config, keyring, objects, rows };
    let (rows, lacks) = world.read();
    world.rows = rows.into_iter().collect();
    assert!(world.rows.len() as u64 == 2 * RECORDS && !lacks);
    world
});

pub(super) fn run(bytes: &[u8]) {
    fuzz::object_name(bytes);
    let world = &*WORLD;
    let mut objects: Vec<_> =
        world.objects.iter().map(|(path, content)| (path, Some(content.clone()))).collect();
    for edit in bytes.chunks_exact(EDIT_BYTES) {
        let object = usize::from(edit[0]) % objects.len();
        let (_, object) = &mut objects[object];
        let Some(content) = object.as_mut().filter(|content| !content.is_empty()) else { continue };
        let place = u32::from_le_bytes([edit[1], edit[2], edit[3], edit[4]]) as usize;
        let place = place % content.len();
        match edit[5] {
            0 => *object = None,
            1 => content.truncate(place),
            _ => content[place] ^= edit[6],
        }
    }
    let edited: Vec<_> = objects
        .iter()
        .zip(&world.objects)
        .filter(|((_, now), (_, then))| now.as_ref() != Some(then))
        .collect();
    for ((path, content), _) in &edited {
        match content {
            Some(content) => fs::write(path, content).expect("it can be written"),
            None => fs::remove_file(path).expect("it is there"),
        }
    }
    let (rows, lacks) = world.read();
    assert!(rows.iter().all(|row| world.rows.contains(row)), "a row that was never written");
    assert!(!edited.is_empty() || (!lacks && rows.len() == world.rows.len()), "all is there");
    for (_, (path, content)) in &edited {
        fs::write(path, content).expect("it can be written");
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let name = b"lost-1/0000498728/000001-5f0c1d7be2a9446c.frames/000000000000".to_vec();
    let edits = [
        [0, 0, 0, 0, 0, 0, 0],
        [3, 0, 0, 0, 0, 0, 0],
        [1, 200, 0, 0, 0, 2, 1],
        [4, 90, 0, 0, 0, 1, 0],
        [5, 10, 0, 0, 0, 2, 128],
    ];
    edits.into_iter().map(|edit| edit.to_vec()).chain([name, edits.concat()]).collect()
}
