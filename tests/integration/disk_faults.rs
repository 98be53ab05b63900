//! The real binary on a disk that fails: errors, short writes and stalls come from a preloaded library
//! (`tests/tools/disk_faults.c`), while phones ask and sign up. No answer may leave without its record, and none after a failed sync.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    connection::{Reply, Wire},
    harness::{Server, dispatchd, run, say, shared_library, wait_until},
    wrong_clocks::library,
};

const PHONES: usize = 4;
const HOUR: i64 = 3600;
const EIO: &str = "errno 5";
const ENOSPC: &str = "errno 28";
const EACCES: &str = "errno 13";
const SHORT: &str = "short 0";

/// The library, compiled once.
pub(crate) fn faults() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| shared_library("disk_faults"))
}

/// What the phones were told.
#[derive(Default)]
struct Told {
    /// Requests that were answered, so that they must have a record.
    answered: Mutex<BTreeSet<String>>,
    /// Devices that were signed up, with their tokens.
    devices: Mutex<BTreeMap<String, String>>,
    refused: Mutex<BTreeMap<String, usize>>,
    slowest: Mutex<Duration>,
}

/// A server on a disk that the test breaks, with a wall clock that it sets.
struct World {
    server: Server,
    reader: String,
    token: String,
    told: Told,
    hours: i64,
    folder: TempDir,
}

impl World {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (offset, control) = (folder.path().join("offset"), folder.path().join("control"));
        fs::write(&offset, "0").unwrap();
        fs::write(&control, "").unwrap();
        let mut env = vec![("CLOCK__TRUST", "always"), ("KEYS__RESERVE", "1MiB")];
        env.extend(settings);
        let mut server = Server::stopped(&folder.path().join("data"), &env);
        let preloaded = format!("{}:{}", library().display(), faults().display());
        server.set_process_env(&[
            ("LD_PRELOAD", &preloaded),
            ("WALL_CLOCK_OFFSET", offset.to_str().unwrap()),
            ("DISK_FAULTS", control.to_str().unwrap()),
        ]);
        server.spawn().await;
        let reader = server.operator_token("reader", "reader");
        let token = server.sign_up().await.token;
        Self { server, reader, token, told: Told::default(), hours: 0, folder }
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::write(path.with_extension("next"), text).unwrap();
        fs::rename(path.with_extension("next"), path).unwrap();
    }

    /// How many calls have failed since [`Self::plan`].
    fn met(&self) -> u64 {
        self.folder.path().join("control.met").metadata().map_or(0, |file| file.len())
    }

    /// Has `times` calls fail after the first `skip` ones.
    fn plan(&self, call: &str, path: &str, skip: u64, times: u64, failure: &str) {
        let _ = fs::remove_file(self.folder.path().join("control.met"));
        self.put("control", &format!("{call} {path} {skip} {times} {failure}\n"));
    }

    fn mend(&self) {
        self.put("control", "");
    }

    /// The hour changes.
    fn next_hour(&mut self) {
        self.hours += 1;
        self.put("offset", &(self.hours * HOUR).to_string());
    }

    /// One phone: asks, and signs up now and then.
    fn phone(&self, stop: &AtomicBool) {
        let mut wire = Wire::connect(&self.server.phones).expect("it accepts");
        for turn in 0_u32.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let (started, is_sign_up) = (Instant::now(), turn.is_multiple_of(8));
            let reply = if is_sign_up { sign_up(&mut wire) } else { ask(&mut wire, &self.token) };
            let mut slowest = self.told.slowest.lock().unwrap();
            *slowest = (*slowest).max(started.elapsed());
            drop(slowest);
            self.note(&reply, is_sign_up);
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn note(&self, reply: &Reply, is_sign_up: bool) {
        match reply.status {
            200 => {
                let request = reply.header("x-request-id").expect("every answer has an id");
                self.told.answered.lock().unwrap().insert(request.to_owned());
            }
            201 => {
                let (device, token) = (reply.text("device"), reply.text("token"));
                self.told.devices.lock().unwrap().insert(device, token);
            }
            503 => {
                let code = reply.text("code");
                let takes = ["log-unwritable", "registry-unwritable", "overloaded"];
                assert!(takes.contains(&code.as_str()), "{reply:?}");
                assert!(is_sign_up || code != "registry-unwritable", "a lookup needs no store");
                *self.told.refused.lock().unwrap().entry(code).or_default() += 1;
            }
            _ => panic!("{reply:?}"),
        }
    }

    /// Reads the log as an operator. Returns the status.
    fn read(&self) -> u16 {
        let mut wire = Wire::connect(&self.server.operators).expect("it accepts");
        let path = "/v1/log?limit=1&handle=%2B14155550123";
        let reply = wire.ask("GET", path, &self.reader, &Value::Null).expect("it answers");
        let is_told = reply.status == 200 || reply.body["code"] == "audit-unwritable";
        assert!(is_told, "{reply:?}");
        reply.status
    }

    /// Waits until everything works again.
    fn wait_until_mended(&self) {
        self.mend();
        let mut wire = Wire::connect(&self.server.phones).expect("it accepts");
        wait_until("lookups are answered", || {
            let reply = ask(&mut wire, &self.token);
            self.note(&reply, false);
            reply.status == 200
        });
        wait_until("sign-ups are taken", || {
            let reply = sign_up(&mut wire);
            self.note(&reply, true);
            reply.status == 201
        });
        wait_until("the log can be read", || self.read() == 200);
    }

    /// Compares what the phones were told with the log, before and after a restart.
    async fn check(mut self, what: &str) {
        for is_restarted in [false, true] {
            if is_restarted {
                self.server.restart().await;
            }
            let (mut found, mut signed_up) = (HashMap::new(), HashMap::new());
            for row in self.server.records(&self.reader, "order=asc").await {
                if let Some(request) = row["request"].as_str() {
                    *found.entry(request.to_owned()).or_insert(0) += 1;
                } else if row["change"] == "device-registered" {
                    *signed_up.entry(row["device"].as_str().unwrap().to_owned()).or_insert(0) += 1;
                }
            }
            let answered = self.told.answered.lock().unwrap().clone();
            let lost = answered.iter().filter(|request| !found.contains_key(*request)).count();
            let twice = found.values().filter(|times| **times > 1).count();
            let devices = self.told.devices.lock().unwrap().clone();
            let wrong = devices.keys().filter(|id| signed_up.get(*id) != Some(&1)).count();
            let refused = self.told.refused.lock().unwrap().clone();
            say(&format!(
                "{what}, restarted: {is_restarted}: answered {}, without a record {lost}, recorded twice {twice}; signed up \
                 {}, not recorded once {wrong}; refused {refused:?}",
                answered.len(),
                devices.len(),
            ));
            assert_eq!((lost, twice, wrong), (0, 0, 0), "{what}");
            let mut wire = Wire::connect(&self.server.phones).expect("it accepts");
            for (device, token) in &devices {
                let me = wire.ask("GET", "/v1/devices/me", token, &Value::Null).unwrap();
                assert_eq!(me.status, 200, "{what}: {device} is lost: {me:?}");
            }
        }
        assert!(self.server.stop().await.success());
        for arguments in [&["log", "verify"][..], &["audit", "verify"]] {
            let mut verify = dispatchd();
            verify.args(arguments).arg("--data").arg(&self.server.data);
            let output = run(&mut verify);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

fn ask(wire: &mut Wire, token: &str) -> Reply {
    wire.ask("GET", "/v1/lookup/%2B14155550199", token, &Value::Null).expect("it answers")
}

fn sign_up(wire: &mut Wire) -> Reply {
    wire.ask("POST", "/v1/devices", "", &json!({"platform": "ios"})).expect("it answers")
}

/// Runs `meanwhile` while phones ask.
fn under_load(world: &mut World, meanwhile: impl FnOnce(&mut World)) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let stop = AtomicBool::new(false);
    // The phones need the addresses and the ledger only, which do not change meanwhile.
    let phones = World {
        server: Server::stopped(&world.server.data, &[]),
        reader: world.reader.clone(),
        token: world.token.clone(),
        told: std::mem::take(&mut world.told),
        hours: 0,
        folder: tempfile::tempdir().unwrap(),
    };
    let phones = World { server: phones.server.at(&world.server), ..phones };
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..PHONES {
            scope.spawn(|| phones.phone(&stop));
        }
        meanwhile(world);
    });
    world.told = phones.told;
}

/// Kinds of files that are changed while phones ask and the hour changes, and the calls that fail.
const CASES: &[(&str, &str, &[&str])] = &[
    ("write", ".frames", &[EIO, ENOSPC, SHORT]),
    ("sync", ".frames", &[EIO]),
    ("create", ".frames", &[EACCES, ENOSPC]),
    ("sync", "/log$", &[EIO]),
    ("write", "/keyring", &[EIO, SHORT]),
    ("sync", "/keyring", &[EIO]),
    ("sync", "/keys$", &[EIO]),
    ("write", "/audit/", &[EIO, ENOSPC, SHORT]),
    ("sync", "/audit/", &[EIO]),
    ("write", "registry.redb", &[EIO, ENOSPC, SHORT]),
    ("sync", "registry.redb", &[EIO]),
];

async fn fails(skips: &[u64], times: &[u64], durability: &str) {
    let mut world = World::start(&[("LOG__DURABILITY", durability)]).await;
    let mut faults = 0;
    under_load(&mut world, |world| {
        for (call, path, failures) in CASES {
            // In `os` mode the log is not synced.
            if durability == "os"
                && *call == "sync"
                && (path.contains("frames") || path.contains("log"))
            {
                continue;
            }
            for failure in *failures {
                for (skip, times) in
                    skips.iter().flat_map(|skip| times.iter().map(move |times| (*skip, *times)))
                {
                    // One call of these is made at a change of the hour.
                    let skip = if path.ends_with('$') || *call == "create" || path.contains("key") {
                        0
                    } else {
                        skip
                    };
                    world.plan(call, path, skip, times, failure);
                    world.next_hour();
                    let what = format!("{call} {path} {skip} {times} {failure}");
                    wait_until(&format!("{what} is met"), || {
                        world.read();
                        world.met() > 0
                    });
                    thread::sleep(Duration::from_millis(50));
                    faults += 1;
                    say(&format!("{durability}: {what}: met {}", world.met()));
                    world.wait_until_mended();
                }
            }
        }
    });
    world.check(&format!("{durability}, {faults} faults")).await;
}

#[tokio::test]
async fn a_disk_that_fails_in_any_way_breaks_no_promise() {
    fails(&[0], &[1], "disk").await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn long_a_disk_that_fails_at_any_call_breaks_no_promise() {
    fails(&[0, 1, 2, 3, 5, 8], &[1, 2, 1_000_000], "disk").await;
    fails(&[0, 1, 2, 3, 5, 8], &[1, 1_000_000], "os").await;
}

/// The stall is longer than any bound, so that a request that waits for its end shows.
const STALL: Duration = Duration::from_secs(25);

async fn hangs(cases: &[(&str, &str)]) {
    let mut world = World::start(&[]).await;
    under_load(&mut world, |world| {
        for (call, path) in cases {
            let failure = format!("stall {}", STALL.as_millis());
            world.plan(call, path, 0, 1, &failure);
            world.next_hour();
            let started = Instant::now();
            wait_until("the disk hangs", || world.met() > 0);
            let status = world.read();
            thread::sleep(STALL.saturating_sub(started.elapsed()));
            world.wait_until_mended();
            say(&format!("{call} {path} hangs for {STALL:?}: a read gets {status}"));
        }
    });
    let slowest = *world.told.slowest.lock().unwrap();
    say(&format!("the slowest answer took {slowest:?}"));
    assert!(slowest < STALL - Duration::from_secs(5), "a request waited for the disk: {slowest:?}");
    assert!(!world.told.refused.lock().unwrap().is_empty(), "nothing was refused");
    world.check("a disk that hangs").await;
}

#[tokio::test]
async fn a_disk_that_hangs_refuses_requests_within_a_bound() {
    hangs(&[("sync", ".frames"), ("sync", "registry.redb")]).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn long_every_kind_of_file_may_hang() {
    let calls = [
        ("write", ".frames"),
        ("create", ".frames"),
        ("sync", "/log$"),
        ("write", "/keyring"),
        ("sync", "/keyring"),
        ("sync", "/keys$"),
        ("sync", "/audit/"),
        ("write", "registry.redb"),
    ];
    hangs(&calls).await;
}

/// A slow disk delays answers, and nothing else.
#[tokio::test]
async fn a_slow_disk_answers_everything() {
    let mut world = World::start(&[]).await;
    under_load(&mut world, |world| {
        world.plan("sync", "/data/", 0, 1_000_000, "stall 50");
        for _ in 0..2 {
            world.next_hour();
            thread::sleep(Duration::from_secs(3));
            assert_eq!(world.read(), 200);
        }
        assert!(world.met() > 20, "the disk was not slow");
        world.wait_until_mended();
    });
    assert_eq!(*world.told.refused.lock().unwrap(), BTreeMap::new());
    world.check("50 ms a sync").await;
}

#[tokio::test]
async fn the_logs_directory_is_removed_under_the_server() {
    let world = World::start(&[]).await;
    let mut wire = Wire::connect(&world.server.phones).unwrap();
    assert_eq!(ask(&mut wire, &world.token).status, 200);
    fs::remove_dir_all(world.server.data.join("log")).unwrap();
    for _ in 0..20 {
        let reply = ask(&mut wire, &world.token);
        assert_eq!((reply.status, &reply.body["code"]), (503, &json!("log-unwritable")));
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(wire.ask("GET", "/readyz", "", &Value::Null).unwrap().status, 503);
}

/// At a start every file is written in turn. A start that fails says so, and the next one finds everything.
#[tokio::test]
async fn a_start_on_a_disk_that_fails_loses_nothing() {
    starts(&[EIO]).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn long_a_start_on_a_disk_that_fails_in_any_way_loses_nothing() {
    starts(&[EIO, ENOSPC, SHORT]).await;
}

async fn starts(failures: &[&str]) {
    let mut world = World::start(&[("LOG__RETENTION", "2h")]).await;
    let (mut refused, mut started, mut met) = (0, 0, 0);
    for path in ["/clock", "/keyring", "/root.key", "addresses.json", ".frames", "registry.redb"] {
        for call in ["write", "sync"] {
            for failure in failures {
                for skip in 0..2 {
                    let mut wire = Wire::connect(&world.server.phones).unwrap();
                    assert_eq!(ask(&mut wire, &world.token).status, 200);
                    assert!(world.server.stop().await.success());
                    world.next_hour();
                    world.plan(call, path, skip, 1, failure);
                    world.server.launch();
                    let addresses = world.server.data.join("addresses.json");
                    let launched = Instant::now();
                    wait_until("it serves or ends", || {
                        // Without its file of addresses a server goes on, and writes it a minute later.
                        let is_late = path == "addresses.json" && launched.elapsed().as_secs() > 2;
                        !world.server.is_running() || addresses.exists() || is_late
                    });
                    met += u64::from(world.met() > 0);
                    world.mend();
                    if world.server.is_running() {
                        started += 1;
                        assert!(world.server.stop().await.success());
                    } else {
                        refused += 1;
                        let code = world.server.wait().await.code();
                        assert_eq!(code, Some(1), "{call} {path} {skip} {failure}");
                    }
                    world.server.spawn().await;
                    let me = wait_for_me(&world);
                    assert_eq!(me, 200, "{call} {path} {skip} {failure}: the device is gone");
                }
            }
        }
    }
    say(&format!(
        "starts on a disk that fails: {met} faults, {refused} refused, {started} went on"
    ));
    assert!(met > 12, "most faults were not met");
    assert!(world.server.stop().await.success());
}

fn wait_for_me(world: &World) -> u16 {
    let mut wire = Wire::connect(&world.server.phones).unwrap();
    wire.ask("GET", "/v1/devices/me", &world.token, &Value::Null).unwrap().status
}
