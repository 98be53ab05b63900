//! Retention is exactly 30 days: 45 days of simulated hours in a real server, and what a backup reveals afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dispatchd::{
    clock::{Clock as _, ManualClock, SystemClock, Timestamp},
    envelope::KeyFiles,
    operators::Role,
    query_log::{Config, Filter, LogOptions, LogReader, Order, QueryLog},
    server::Server,
    shutdown::Shutdown,
};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    enumeration::{Search, Secret, StubbornDisk, everything},
    harness::{add_operator, bytes_below, client, dispatchd, run},
    seal_kills::record,
    wire::in_process,
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3_600);
const ASKED: [&str; 2] = ["+442079460958", "vutsr.asked@corgemail.example"];

/// Handles in a batch.
const BATCH: usize = ASKED.len() + 1;

/// A handle that clients look up on one day only. No file name contains its last digits.
fn of_day(day: usize) -> String {
    format!("+1415555{:04}", 3_000 + day)
}

/// A service on a manual clock.
struct Simulated {
    clock: Arc<ManualClock>,
    server: Server,
    data: PathBuf,
    client: Client,
    device: String,
    operator: String,
    /// When each lookup was answered.
    asked_at: Vec<Timestamp>,
    _folder: TempDir,
}

impl Simulated {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let clock = ManualClock::at(SystemClock.now());
        let (server, _) = in_process(&data, &clock).await;
        let client = client().build().unwrap();
        let sign_up = client.post(format!("http://{}/v1/devices", server.addresses().phones));
        let device = sign_up.json(&json!({"platform": "ios"})).send().await.unwrap();
        let device: Value = device.json().await.unwrap();
        let operator = add_operator(&data, "reader", Role::Reader);
        Self {
            device: device["token"].as_str().unwrap().to_owned(),
            operator,
            asked_at: Vec::new(),
            clock,
            server,
            data,
            client,
            _folder: folder,
        }
    }

    /// Half an hour, a batch, half an hour, retention, and the sealing of the previous hour.
    async fn one_hour(&mut self) {
        self.clock.advance(HOUR / 2);
        let url = format!("http://{}/v1/lookup", self.server.addresses().phones);
        let request = self.client.post(url).bearer_auth(&self.device);
        let today = of_day(self.asked_at.len() / 24);
        let handles = [ASKED[0], ASKED[1], &today];
        let answer = request.json(&json!({"handles": handles})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        self.asked_at.push(self.clock.now());
        self.clock.advance(HOUR / 2);
        self.server.tick_retention();
        self.server.tick_sealing();
    }

    /// The instants of all lookups that an operator can read, oldest first.
    async fn readable(&self, limit: usize) -> Vec<Timestamp> {
        let url = format!(
            "http://{}/v1/log?kind=lookup&order=asc&limit={limit}",
            self.server.addresses().operators
        );
        let request = self.client.get(url).bearer_auth(&self.operator);
        let request = request.header("accept", "application/x-ndjson");
        let text = request.send().await.unwrap().text().await.unwrap();
        let at = |line: &str| -> Timestamp {
            let record: Value = serde_json::from_str(line).unwrap();
            record["at"].as_str().unwrap().parse().unwrap()
        };
        text.lines().map(at).collect()
    }

    /// No record older than 30 days is readable, and every record younger by an hour is.
    async fn check(&self, whole: bool) {
        let now = self.clock.now();
        let kept = self.readable(if whole { usize::MAX } else { 1 }).await;
        assert!(now.since(kept[0]) <= RETENTION, "a record is {:?} old", now.since(kept[0]));
        let young = now.minus(RETENTION - HOUR);
        let oldest_due = self.asked_at.iter().find(|at| **at > young).unwrap();
        assert!(kept[0] <= oldest_due.plus(Duration::from_millis(1)), "a record expired too early");
        if whole {
            let due = self.asked_at.iter().filter(|at| **at > young).count();
            assert!(kept.len() >= due * BATCH);
        }
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Counts the records of a data directory that a reader can decrypt at `now`, without a retention limit.
pub(crate) fn opens(data: &Path, now: Timestamp) -> usize {
    let keys = KeyFiles::new(&data.join("keys"), None);
    let clock = ManualClock::at(now);
    let lenient = Duration::from_secs(100 * 365 * 24 * 3_600);
    match LogReader::open_read_only(&data.join("log"), keys, clock, lenient) {
        Ok(reader) => {
            let rows = reader.search(&Filter::default(), Order::Asc, None);
            rows.filter(Result::is_ok).count()
        }
        Err(_) => 0,
    }
}

/// Counts the rows that the command line prints from a data directory.
fn prints(data: &Path) -> usize {
    let mut command = dispatchd();
    command.args(["log", "search", "--json", "--data"]).arg(data);
    String::from_utf8(run(&mut command).stdout).unwrap().lines().count()
}

#[tokio::test]
async fn records_live_thirty_days_and_a_backup_outlives_them_by_nothing() {
    let mut service = Simulated::start().await;
    let began = service.clock.now();
    for _ in 0..24 {
        service.one_hour().await;
    }
    let backup = service.data.with_file_name("backup");
    copy(&service.data, &backup);
    assert!(files(&backup, "sealed") >= 22, "the backup has too few sealed hours");
    assert!(
        opens(&backup, service.clock.now()) >= 24 * BATCH,
        "the backup cannot be read with its own keys"
    );
    assert!(prints(&backup) >= 24 * BATCH, "the command line cannot read the backup");

    for hour in 24..45 * 24 {
        service.one_hour().await;
        service.check(hour % 24 == 0).await;
        if hour == 31 * 24 + 2 {
            try_backup(&service, &backup, began);
        }
    }
    assert!(began.plus(45 * DAY) <= service.clock.now());
    let segments = fs::read_dir(service.data.join("log")).unwrap().count();
    assert!((719..=725).contains(&segments), "{segments} files");
    let sealed = files(&service.data, "sealed");
    assert!(sealed + 4 >= segments && files(&service.data, "sealing") == 0, "{sealed} sealed");
    no_day_is_recognised(&service, &backup).await;
    for (path, bytes) in bytes_below(&service.data).into_iter().chain(bytes_below(&backup)) {
        for handle in ASKED {
            let found = bytes.windows(handle.len()).any(|window| window == handle.as_bytes());
            assert!(!found, "{} holds {handle}", path.display());
        }
    }
    assert!(service.server.stop().await);
}

fn files(data: &Path, kind: &str) -> usize {
    let entries = fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == kind)).count()
}

/// The files without a key reveal no handle of any day. An operator can read 30 days of them.
async fn no_day_is_recognised(service: &Simulated, backup: &Path) {
    let days: Vec<Secret> = (0..45).map(|day| Secret::handle(&of_day(day))).collect();
    let search = Search::new(&days);
    for data in [&service.data, backup] {
        let files = everything(data);
        let found = search.recognised(files.iter().map(|(_, bytes)| &bytes[..]));
        assert!(found.is_empty(), "{found:?} in {}", data.display());
    }
    for (day, alive) in [(0, false), (1, false), (14, false), (16, true), (44, true)] {
        let url = format!("http://{}/v1/log", service.server.addresses().operators);
        let request = service.client.get(url).query(&[("handle", of_day(day))]);
        let request =
            request.bearer_auth(&service.operator).header("accept", "application/x-ndjson");
        let text = request.send().await.unwrap().text().await.unwrap();
        assert_eq!(text.lines().count() > 0, alive, "day {day}: {text}");
    }
}

/// The backup of day 1 with the keys of day 32: no record decrypts, at any time.
fn try_backup(service: &Simulated, backup: &Path, began: Timestamp) {
    let with_root = backup.with_file_name("with-root");
    copy(backup, &with_root);
    fs::copy(service.data.join("keys/root.key"), with_root.join("keys/root.key")).unwrap();
    let with_keys = backup.with_file_name("with-keys");
    copy(backup, &with_keys);
    fs::remove_dir_all(with_keys.join("keys")).unwrap();
    copy(&service.data.join("keys"), &with_keys.join("keys"));
    assert!(
        opens(&service.data, service.clock.now()) >= 700 * BATCH,
        "today's keys open today's log"
    );
    for attempt in [&with_root, &with_keys] {
        for now in [Timestamp::EPOCH, began, began.plus(DAY), service.clock.now(), Timestamp::MAX] {
            let count = opens(attempt, now);
            assert_eq!(count, 0, "{} at {now}", attempt.display());
        }
        assert_eq!(prints(attempt), 0, "{}", attempt.display());
    }
    fs::remove_dir_all(with_root).unwrap();
    fs::remove_dir_all(with_keys).unwrap();
}

/// Only the hour's key decrypts the file that `kill -9` leaves during sealing, and the file expires with its hour.
///
/// If its frames remain, the next start removes it. Without frames it stays until the hour expires, for inspection.
#[test]
fn a_file_that_was_being_sealed_dies_with_its_hour() {
    for is_alone in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (data, clock) = (folder.path().join("data"), ManualClock::at(SystemClock.now()));
        let disk = Arc::new(StubbornDisk::default());
        let keys = KeyFiles::new(&data.join("keys"), None);
        let mut options =
            LogOptions::new(data.join("log"), keys, Config::default(), Arc::clone(&clock) as _);
        options.disk = Arc::clone(&disk) as _;
        let open = || QueryLog::open(options.clone(), &Shutdown::new()).unwrap().0;
        let log = open();
        let records: Vec<_> = (0..2_000).map(record).collect();
        log.append_all(&records).unwrap().wait_blocking().unwrap();
        clock.advance(2 * HOUR);
        log.tick();
        disk.is_stubborn.store(true, Ordering::SeqCst);
        assert_eq!(log.seal(&|| false).failed.len(), 1);
        log.close();
        drop(log);
        assert_eq!((files(&data, "sealing"), files(&data, "frames")), (1, 1));
        if is_alone {
            let frames = fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
            let is_frames = |path: &PathBuf| path.extension().is_some_and(|it| it == "frames");
            fs::remove_file(frames.filter(is_frames).last().unwrap()).unwrap();
        }
        disk.is_stubborn.store(false, Ordering::SeqCst);
        let log = open();
        assert_eq!(files(&data, "sealing"), usize::from(is_alone));
        let backup = data.with_file_name("backup");
        copy(&data, &backup);
        let stays = RETENTION - 4 * HOUR;
        clock.advance(stays);
        log.tick();
        assert_eq!(files(&data, "sealing"), usize::from(is_alone), "the file expired too early");
        clock.advance(5 * HOUR);
        assert_eq!(log.tick().files_left, 0);
        assert_eq!((files(&data, "sealing"), files(&data, "frames")), (0, 0));
        assert!(log.reader().prove_forgotten().unwrap().proved);
        // With its final name it is a complete sealed file. Without the hour's key it cannot be decrypted.
        fs::remove_dir_all(backup.join("keys")).unwrap();
        copy(&data.join("keys"), &backup.join("keys"));
        for entry in fs::read_dir(backup.join("log")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sealing") {
                fs::rename(&path, path.with_extension("sealed")).unwrap();
            }
        }
        assert_eq!(opens(&backup, clock.now()), 0);
    }
}
