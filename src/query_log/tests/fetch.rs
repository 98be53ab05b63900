//! Copies come back: what is missing or damaged, never in the place of what is whole; a crash at each change of the disk.

use std::{fs, path::PathBuf, sync::Arc};

use tempfile::TempDir;

use super::{
    copied::{Copied, NODE, copy},
    support::*,
};
use crate::{
    clock::SharedClock,
    envelope::Keyring,
    files::{
        OsDisk, SharedDisk,
        tests::sim_disk::{SimDisk, Survives},
    },
    query_log::{FetchReport, LogReader, QueryLog},
};

/// Two hours of 100 records each: the first sealed, the second being written, and all of it copied.
fn filled() -> (Copied, QueryLog) {
    let copied = Copied::new();
    let log = copied.open();
    for n in 0..200 {
        put(&log, &lookup(n));
        if n == 99 {
            copied.bench.clock.advance(HOUR + HOUR / 30);
            log.tick();
            assert_eq!(log.seal(&|| false).segments, 1);
        }
        if n % 10 == 9 {
            assert!(copy(&log).lag.is_zero());
        }
    }
    (copied, log)
}

fn reader(copied: &Copied, keyring: &Arc<Keyring>, dir: &std::path::Path) -> LogReader {
    let clock: SharedClock = Arc::clone(&copied.bench.clock) as _;
    LogReader::open_with(dir, Arc::clone(keyring), clock, copied.bench.config.retention).unwrap()
}

/// Fetches into the log's own directory.
fn fetch(copied: &Copied, keyring: &Arc<Keyring>) -> (FetchReport, Vec<u64>) {
    let dir = copied.bench.log_dir();
    let fetched = reader(copied, keyring, &dir).fetch_copies(
        &copied.store.objects(),
        NODE,
        &OsDisk::shared(),
    );
    (fetched.unwrap(), numbers(&reader(copied, keyring, &dir)))
}

fn only(copied: &Copied, extension: &str) -> PathBuf {
    let dir = copied.bench.log_dir();
    let mut paths = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
    paths.find(|path| path.extension().is_some_and(|it| it == extension)).unwrap()
}

fn all() -> Vec<u64> {
    (0..200).collect()
}

#[test]
fn what_is_whole_stays_and_what_is_missing_comes_back() {
    let (copied, log) = filled();
    let keyring = log.keyring();
    log.abandon();
    let before = fs::read(only(&copied, "sealed")).unwrap();
    let (report, found) = fetch(&copied, &keyring);
    assert_eq!((report.kept, report.fetched.len(), found), (2, 0, all()));
    fs::remove_dir_all(copied.bench.log_dir()).unwrap();
    fs::create_dir(copied.bench.log_dir()).unwrap();
    let (report, found) = fetch(&copied, &keyring);
    assert_eq!((report.fetched.len(), report.records, found), (2, 200, all()));
    assert_eq!(report.lost, [] as [String; 0]);
    assert_eq!(fs::read(only(&copied, "sealed")).unwrap(), before);
    // A server goes on with what was fetched.
    let log = copied.open();
    put(&log, &lookup(200));
    assert_eq!(numbers(&log.reader()), (0..201).collect::<Vec<_>>());
    assert!(log.reader().verify().sound);
}

#[test]
fn damaged_and_short_files_are_replaced_and_kept_aside() {
    let (copied, log) = filled();
    let keyring = log.keyring();
    log.abandon();
    let (sealed, frames) = (only(&copied, "sealed"), only(&copied, "frames"));
    let damaged = vec![0; fs::metadata(&sealed).unwrap().len() as usize];
    fs::write(&sealed, &damaged).unwrap();
    let bytes = fs::read(&frames).unwrap();
    fs::write(&frames, &bytes[..bytes.len() / 2]).unwrap();
    let (report, found) = fetch(&copied, &keyring);
    assert_eq!((report.fetched.len(), found), (2, all()), "{report:?}");
    let cut = fs::read_dir(copied.bench.log_dir()).unwrap();
    let is_cut = |path: PathBuf| path.extension().is_some_and(|it| it == "cut");
    let cut = cut.filter(|it| is_cut(it.as_ref().unwrap().path())).count();
    assert_eq!(cut, 2);
    assert_eq!(fetch(&copied, &keyring).0.kept, 2, "nothing is left to do");
}

#[test]
fn behind_a_hole_nothing_is_used_and_it_is_named() {
    let (copied, log) = filled();
    let keyring = log.keyring();
    log.abandon();
    let names = copied.store.contents().into_keys();
    let frames: Vec<_> = names.filter(|name| name.contains(".frames/")).collect();
    copied.store.objects().delete(&frames[3..4], &|| false).unwrap();
    fs::remove_file(only(&copied, "frames")).unwrap();
    let (report, found) = fetch(&copied, &keyring);
    assert!(
        report.lost.len() == 1 && report.lost[0].contains("lacks the object at byte"),
        "{report:?}"
    );
    assert!(found.len() > 100 && found.len() < 200 && all().starts_with(&found), "{found:?}");
}

#[test]
fn a_copy_that_was_changed_is_not_used() {
    let (copied, log) = filled();
    let keyring = log.keyring();
    log.abandon();
    let name = copied.store.contents().into_keys().find(|name| name.contains(".sealed/")).unwrap();
    copied.store.plant(&name, b"DDCHUNKS of somebody else");
    fs::remove_file(only(&copied, "sealed")).unwrap();
    let (report, found) = fetch(&copied, &keyring);
    assert_eq!(report.lost.len(), 1, "{report:?}");
    assert!(report.lost[0].contains("no copy of it is complete"), "{report:?}");
    assert_eq!(found, (100..200).collect::<Vec<_>>());
}

#[test]
fn a_copy_of_which_a_frame_is_damaged_is_not_used() {
    let (copied, log) = filled();
    let keyring = log.keyring();
    log.abandon();
    let contents = copied.store.contents();
    let (name, content) = contents.iter().filter(|it| it.0.contains(".frames/")).nth(3).unwrap();
    let mut changed = content.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    copied.store.replace(name, changed.into());
    fs::remove_file(only(&copied, "frames")).unwrap();
    let (report, found) = fetch(&copied, &keyring);
    assert!(report.lost.len() == 1 && report.fetched.is_empty(), "{report:?}");
    assert_eq!(found, (0..100).collect::<Vec<_>>());
}

#[test]
fn without_its_key_a_copy_is_left_alone() {
    let (copied, log) = filled();
    let hour = *log.keyring().hours().first().unwrap();
    let keyring = log.keyring();
    keyring.prune(&[hour]).unwrap();
    log.abandon();
    fs::remove_dir_all(copied.bench.log_dir()).unwrap();
    fs::create_dir(copied.bench.log_dir()).unwrap();
    let (report, found) = fetch(&copied, &keyring);
    assert_eq!((report.without_key, report.fetched.len()), (1, 1));
    assert_eq!(found, (100..200).collect::<Vec<_>>());
}

#[test]
fn a_crash_at_any_change_leaves_what_the_next_fetch_completes() {
    let (copied, log) = filled();
    let keyring = log.keyring();
    log.abandon();
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let disk: SharedDisk = Arc::new(sim.clone());
    let dir = |root: &std::path::Path| root.join("log");
    disk.create_dir(&dir(live.path())).unwrap();
    let objects = copied.store.objects();
    let report = reader(&copied, &keyring, &dir(live.path())).fetch_copies(&objects, NODE, &disk);
    assert_eq!(report.unwrap().fetched.len(), 2);
    for count in 1..=sim.ops() {
        for survives in Survives::ALL {
            let crashed = TempDir::new().unwrap();
            sim.crash_at(count, 0, survives, crashed.path());
            let dir = dir(crashed.path());
            fs::create_dir_all(&dir).unwrap();
            let found = numbers(&reader(&copied, &keyring, &dir));
            assert!(all().ends_with(&found) || all().starts_with(&found), "{count} {survives:?}");
            let again = reader(&copied, &keyring, &dir);
            let report = again.fetch_copies(&objects, NODE, &OsDisk::shared()).unwrap();
            assert_eq!(report.lost, [] as [String; 0], "{count} {survives:?}");
            assert_eq!(numbers(&reader(&copied, &keyring, &dir)), all(), "{count} {survives:?}");
            assert!(!dir.join("fetching").exists());
        }
    }
}
