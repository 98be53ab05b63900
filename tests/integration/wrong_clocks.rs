//! The real binary with a wall clock that is wrong for a while: nothing is destroyed, no phone is sent to text messages,
//! and every answered record can be read. The wall clock comes from a preloaded library (`tests/tools/wall_clock.c`); a reboot is a `clock` file
//! that names another boot.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Device, Server, dispatchd, json_of, run, shared_library};

const HANDLE: &str = "+14155550142";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// The library, compiled once.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| shared_library("wall_clock"))
}

/// A server on a machine whose wall clock the test sets, a phone with a handle, and what was answered.
struct World {
    server: Server,
    phone: Device,
    reader: String,
    admin: String,
    answered: usize,
    /// How often the log was read.
    reads: usize,
    _folder: TempDir,
}

impl World {
    async fn start(offset: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let file = folder.path().join("offset");
        fs::write(&file, offset.to_string()).unwrap();
        let mut server = Server::stopped(&data, &[]);
        server.set_process_env(&[
            ("LD_PRELOAD", library().to_str().unwrap()),
            ("WALL_CLOCK_OFFSET", file.to_str().unwrap()),
        ]);
        server.spawn().await;
        let phone = server.sign_up().await;
        server.prove(&phone, HANDLE).await;
        let (reader, admin) =
            (server.operator_token("reader", "reader"), server.operator_token("admin", "admin"));
        let mut world =
            Self { server, phone, reader, admin, answered: 0, reads: 0, _folder: folder };
        world.check().await;
        world
    }

    /// Sets the wall clock to be off by `seconds`.
    fn set(&self, seconds: i64) {
        self.write(&seconds.to_string());
    }

    /// The same by a time service, as the kernel knows.
    async fn synchronise(&self, seconds: i64) {
        self.write(&format!("{seconds} s"));
        tokio::time::sleep(COMPARED).await;
        assert!(self.is_followed());
    }

    fn write(&self, offset: &str) {
        let file = self.server.data.with_file_name("offset");
        fs::write(file.with_extension("new"), offset).unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
    }

    /// Reboots the machine with a wall clock that is off by `seconds`.
    async fn reboot(&mut self, seconds: i64) {
        assert!(self.server.stop().await.success());
        let file = self.server.data.join("clock");
        let text = fs::read_to_string(&file).unwrap();
        let mut saved: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        saved["boot_id"] = "another boot".into();
        let saved = saved.to_string();
        let crc = crc32fast::hash(saved.as_bytes());
        fs::write(&file, format!("{saved}\n{crc:08x}\n")).unwrap();
        self.set(seconds);
        self.server.spawn().await;
    }

    /// The phone's handle is blue, and what was answered until now is in the log.
    async fn check(&mut self) {
        assert_eq!(self.server.route(&self.phone, HANDLE).await, "imessage");
        self.answered += 1;
        let me = self.server.phone(Method::GET, "/v1/devices/me").bearer_auth(&self.phone.token);
        assert_eq!(json_of(me).await.0, StatusCode::OK, "the device is gone");
        assert_eq!(self.readable().await, self.answered);
    }

    /// As [`Self::check`], while reads of the log are hidden by a wall clock that is ahead.
    async fn ask(&mut self) {
        assert_eq!(self.server.route(&self.phone, HANDLE).await, "imessage");
        self.answered += 1;
    }

    async fn readable(&mut self) -> usize {
        self.reads += 1;
        self.server.records(&self.reader, "kind=lookup&order=asc&limit=100000").await.len()
    }

    /// `dispatchd clock status --json` of the running server, or another command.
    fn clock(&self, command: &str, token: &str) -> Value {
        let mut clock = dispatchd();
        clock.arg("clock").args(command.split(' '));
        clock.args(["--json", "--server", &self.server.operators]);
        let output = run(clock.env("DISPATCHD_TOKEN", token));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Whether the answers that read the log say that the clocks hide records. All of them must say the same.
    async fn says_hidden(&self) -> bool {
        let mut said = Vec::new();
        for (path, field, accept) in [
            ("/v1/log", "/hidden_until", "application/json"),
            ("/v1/log/flips", "/summary/hidden_until", "application/json"),
            ("/v1/handles/%2B14155550142/timeline", "/hidden_until", "application/json"),
            ("/v1/log/export", "", "application/x-ndjson"),
        ] {
            let call = self.server.operator(&self.reader, path).header("accept", accept);
            let answer = call.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            let header = answer.headers().get("dispatchd-hidden-until").cloned();
            let header = header.map(|until| until.to_str().unwrap().to_owned());
            said.push(header.is_some());
            if !field.is_empty() {
                let body: Value = answer.json().await.unwrap();
                let until = body.pointer(field).and_then(Value::as_str);
                assert_eq!(until.is_some(), header.is_some(), "{path}");
                assert!(until.is_none_or(|until| until.ends_with('Z')), "{path}");
            }
        }
        for words in ["log search", "log flips", "why +14155550142"] {
            let mut read = dispatchd();
            read.args(words.split(' ')).args(["--server", &self.server.operators]);
            let output = run(read.env("DISPATCHD_TOKEN", &self.reader));
            let notes = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{words}: {notes}");
            said.push(notes.contains("are hidden: the server's wall clock is ahead"));
        }
        assert!(said.iter().all(|is_said| *is_said == said[0]), "{said:?}");
        // Who read the log is not hidden.
        let audit = self.server.operator(&self.admin, "/v1/audit").send().await.unwrap();
        assert!(!audit.headers().contains_key("dispatchd-hidden-until"));
        said[0]
    }

    fn is_followed(&self) -> bool {
        self.clock("status", &self.reader)["is_followed"].as_bool().unwrap()
    }

    /// Everything is there after a restart with the right time, and the log is sound.
    async fn end(mut self) {
        self.set(0);
        tokio::time::sleep(COMPARED).await;
        self.check().await;
        self.server.restart().await;
        self.check().await;
        assert!(self.is_followed());
        let audited = self.server.operator(&self.admin, "/v1/audit?operator=reader");
        let audited = audited.send().await.unwrap().text().await.unwrap().lines().count();
        assert!(audited >= self.reads, "{audited} of {} reads are in the audit log", self.reads);
        for arguments in [&["log", "verify"][..], &["audit", "verify"]] {
            let mut verify = dispatchd();
            verify.args(arguments).arg("--data").arg(&self.server.data);
            let output = run(&mut verify);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        assert!(self.server.stop().await.success());
    }
}

/// The server compares the clocks once a second.
const COMPARED: Duration = Duration::from_millis(1_200);

/// Longer than a minute, so that each of the server's minutely tasks runs with the wrong clock.
const LONG: Duration = Duration::from_secs(65);

#[tokio::test]
async fn a_running_server_destroys_nothing_by_a_clock_that_is_half_a_year_ahead_for_a_minute() {
    let mut world = World::start(0).await;
    world.set(181 * DAY);
    world.ask().await;
    assert!(!world.is_followed());
    tokio::time::sleep(LONG).await;
    world.ask().await;
    let output = world.server.output();
    assert!(output.contains("dispatchd clock trust"), "no message says what to do:\n{output}");
    world.end().await;
}

#[tokio::test]
async fn a_start_with_a_clock_that_is_ahead_destroys_nothing() {
    for offset in [31 * DAY, 400 * DAY, 10 * YEAR] {
        let mut world = World::start(0).await;
        world.set(offset);
        world.server.restart().await;
        assert!(!world.is_followed());
        world.ask().await;
        world.end().await;
    }
}

#[tokio::test]
async fn a_start_with_a_clock_that_is_behind_loses_no_answered_record() {
    for offset in [-2 * HOUR, -40 * DAY, -10 * YEAR] {
        let mut world = World::start(0).await;
        world.set(offset);
        world.server.restart().await;
        assert!(!world.is_followed());
        for _ in 0..5 {
            world.check().await;
        }
        world.end().await;
    }
}

#[tokio::test]
async fn a_small_correction_is_followed() {
    let mut world = World::start(0).await;
    for offset in [50 * MINUTE, 0, -50 * MINUTE] {
        world.set(offset);
        tokio::time::sleep(COMPARED).await;
        world.check().await;
        assert!(world.is_followed());
    }
    world.end().await;
}

#[tokio::test]
async fn a_machine_with_a_dead_clock_battery_continues_from_the_time_saved() {
    let mut world = World::start(0).await;
    world.reboot(-20 * YEAR).await;
    assert!(!world.is_followed());
    world.check().await;
    world.end().await;
}

#[tokio::test]
async fn a_machine_that_was_off_for_days_is_on_probation_and_an_operator_ends_it() {
    let mut world = World::start(0).await;
    world.reboot(3 * DAY).await;
    let status = world.clock("status", &world.reader);
    assert_eq!(status["is_followed"], false);
    assert!(status["probation_seconds"].as_u64().unwrap() > 3_500, "{status}");
    world.check().await;
    let status = world.clock("trust", &world.admin);
    assert_eq!((&status["is_followed"], &status["wall_ahead_seconds"]), (&true.into(), &0.into()));
    world.check().await;
    world.server.restart().await;
    assert!(world.is_followed());
    world.check().await;
}

#[tokio::test]
async fn a_machine_that_was_off_for_long_waits_for_an_operator_and_then_forgets() {
    let mut world = World::start(0).await;
    assert!(!world.says_hidden().await);
    world.reboot(40 * DAY).await;
    let status = world.clock("status", &world.reader);
    assert_eq!(
        (&status["is_followed"], &status["probation_seconds"]),
        (&false.into(), &Value::Null)
    );
    // What is too old by the wall clock is hidden, and still there.
    assert_eq!(world.readable().await, 0);
    assert!(world.says_hidden().await);
    let mut refused = dispatchd();
    refused.args(["clock", "trust", "--server", &world.server.operators]);
    let refused = run(refused.env("DISPATCHD_TOKEN", &world.reader));
    let refused = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.contains("role-insufficient") && refused.contains("the role admin"),
        "{refused}"
    );

    // What trust destroys is said before it does.
    let lost = &status["if_trusted"];
    assert!(lost["log_hours"].as_u64() >= Some(1), "{status}");
    assert_eq!(lost["log_hours"], lost["log_hours_total"], "{status}");
    let mut unconfirmed = dispatchd();
    unconfirmed.args(["clock", "trust", "--server", &world.server.operators]);
    let unconfirmed = run(unconfirmed.env("DISPATCHD_TOKEN", &world.admin));
    let said = String::from_utf8_lossy(&unconfirmed.stderr);
    assert_eq!(unconfirmed.status.code(), Some(2), "{said}");
    for part in ["nothing was changed", "hours of the query log", "--yes"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!world.is_followed());
    let trusted = world.clock("trust --yes", &world.admin);
    assert_eq!(trusted["if_trusted"], Value::Null);
    let audited = world.server.operator(&world.admin, "/v1/audit?operator=admin");
    let audited = audited.header("accept", "application/x-ndjson").send().await.unwrap();
    let audited = audited.text().await.unwrap();
    assert!(audited.contains("\"call\":\"clock-trust\""), "{audited}");
    assert!(!world.says_hidden().await);
    world.server.restart().await;
    assert!(world.is_followed());
    assert_eq!(world.readable().await, 0);
    let files = fs::read_dir(world.server.data.join("log")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name != "lock").collect();
    assert!(left.is_empty(), "{left:?} is older than the retention");
}

/// A hypervisor stopped the machine for three hours, and the time service sets its clock.
#[tokio::test]
async fn a_machine_that_was_paused_goes_on_by_itself() {
    let mut world = World::start(0).await;
    world.set(3 * HOUR);
    world.ask().await;
    assert!(!world.is_followed());
    world.synchronise(3 * HOUR).await;
    world.check().await;
    assert_eq!(world.clock("status", &world.reader)["is_synchronised"], true);
    world.synchronise(0).await;
    world.end().await;
}

#[tokio::test]
async fn a_first_start_with_a_clock_that_is_ahead_loses_nothing_when_it_is_corrected() {
    for offset in [2 * HOUR, 40 * DAY, 10 * YEAR] {
        let mut world = World::start(offset).await;
        assert!(world.is_followed());
        world.check().await;
        world.synchronise(0).await;
        world.check().await;
        world.end().await;
    }
}

#[tokio::test]
async fn a_first_start_with_a_clock_that_is_behind_loses_nothing_when_it_is_corrected() {
    for offset in [-2 * HOUR, -40 * DAY] {
        let mut world = World::start(offset).await;
        assert!(world.is_followed());
        world.check().await;
        world.synchronise(0).await;
        world.check().await;
        world.end().await;
    }
}

/// What was answered before the machine was off is too old. What was answered since then is not, although trusted time
/// was forty days behind.
#[tokio::test]
async fn what_is_answered_before_the_clock_is_confirmed_is_kept() {
    let mut world = World::start(0).await;
    world.synchronise(0).await;
    world.check().await;
    world.reboot(40 * DAY).await;
    world.answered = 0;
    for _ in 0..5 {
        world.ask().await;
    }
    world.synchronise(40 * DAY).await;
    world.check().await;
    world.server.restart().await;
    world.check().await;
    assert!(world.server.stop().await.success());
}

#[tokio::test]
async fn the_command_line_works_on_the_files_of_a_stopped_server() {
    let mut world = World::start(0).await;
    assert!(world.server.stop().await.success());
    let data = world.server.data.clone();
    let run_clock = |command: &str| {
        let mut clock = dispatchd();
        clock.env("LD_PRELOAD", library()).env("WALL_CLOCK_OFFSET", data.with_file_name("offset"));
        run(clock.arg("clock").args(command.split(' ')).arg("--data").arg(&data))
    };
    let clock = |command: &str| {
        let output = run_clock(command);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(clock("status").contains("followed       yes"));
    world.server.spawn().await;
    world.reboot(200 * DAY).await;
    assert!(world.server.stop().await.success());
    let status = clock("status");
    assert!(status.contains("followed       no") && status.contains("ahead of trusted time"));
    assert!(status.contains("dispatchd clock trust"), "{status}");
    assert!(status.contains("destroy 1 of 1 hours of the query log"), "{status}");
    let refused = run_clock("trust");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("destroy 1 of 1 hours of the query log"), "{said}");
    assert!(clock("status").contains("followed       no"));
    assert!(clock("trust --yes").contains("followed       yes"));
    assert!(clock("status").contains("followed       yes"));

    // Beside a running server it says whose decision it shows.
    world.server.spawn().await;
    let beside = run_clock("status");
    let said = String::from_utf8_lossy(&beside.stderr);
    assert!(beside.status.success() && said.contains("what a new process would decide"), "{said}");
    assert!(said.contains(&format!("pid {}", world.server.pid())), "{said}");
    assert!(world.server.stop().await.success());
}
