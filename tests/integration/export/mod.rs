//! `dispatchd log export`: DuckDB, pyarrow and age open the files, and incomplete exports leave none.

mod broken;
mod files;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use dispatchd::{
    clock::{Clock as _, ManualClock, SystemClock, Timestamp},
    envelope::KeyFiles,
    files::DataDirectory,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    query_log::{self, LogOptions, LookupRecord, QueryLog, Record, RefusalCount},
    shutdown::Shutdown,
    vocabulary::{Cause, Change, ChangeKind, HandleLoss, ProblemCode, Reason, Route},
};

use crate::harness::{dispatchd, run};

const HOUR: Duration = Duration::from_secs(3_600);
const V4: &str = "192.0.2.7";
const V6: &str = "2001:db8::7";
/// Records of the last planted hour.
const BULK: u64 = 3_000;

/// A data directory with a log of three hours.
struct Planted {
    folder: tempfile::TempDir,
    /// The time of the first record.
    start: Timestamp,
}

impl Planted {
    /// Two hours with known records, and one hour with many records.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let start = SystemClock.now().hour(Default::default()).start().minus(3 * HOUR);
        let clock = ManualClock::at(start);
        DataDirectory::prepare(&data).unwrap();
        let keys = KeyFiles::new(&data.join("keys"), None);
        let config = query_log::Config::default();
        let options = LogOptions::new(data.join("log"), keys, config, clock.clone());
        let (log, _) = QueryLog::open(options, &Shutdown::new()).unwrap();
        for hour in [first_hour(), second_hour(), bulk()] {
            log.append_all(&hour).unwrap().wait_blocking().unwrap();
            clock.advance(HOUR);
        }
        log.tick();
        // Seal all hours. An export then always has the same order, which is not the order of time.
        clock.advance(HOUR);
        assert_eq!(log.seal(&|| false).segments, 3);
        log.close();
        Self { folder, start }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `dispatchd log export` from the files to `name`.
    fn export(&self, name: &str, words: &[&str]) -> Command {
        let mut command = export_to(&self.file(name), words);
        command.arg("--data").arg(self.data());
        command
    }
}

fn export_to(file: &Path, words: &[&str]) -> Command {
    let mut command = dispatchd();
    command.args(["log", "export"]).args(words).arg("--output").arg(file);
    command
}

/// The message of a command that succeeds.
#[track_caller]
fn done(command: &mut Command) -> String {
    let output = run(command);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    said
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn handle(text: &str) -> Handle {
    Handle::parse(text, None).unwrap()
}

/// An answered lookup, if it has a route, or a refused one.
fn lookup(
    asker: Option<u64>,
    ip: &str,
    asked: Option<&str>,
    route: Option<Route>,
    reason: Reason,
    took_us: u32,
) -> Record {
    let status = match reason {
        Reason::Refused(ProblemCode::TokenInvalid) => 401,
        Reason::Refused(ProblemCode::LookupQuota) => 429,
        Reason::Refused(ProblemCode::HandleInvalid) => 400,
        _ => 200,
    };
    Record::Lookup(LookupRecord {
        request: RequestId::from_bits(took_us.into()),
        account: asker.map(AccountId::from_bits),
        device: asker.map(DeviceId::from_bits),
        ip: Some(ip.parse().unwrap()),
        handle: asked.map(handle),
        route,
        reason,
        status,
        took_us,
    })
}

fn change(kind: ChangeKind, handle_of: Option<&str>, device: Option<u64>, cause: Cause) -> Record {
    Record::Change(Change {
        id: ChangeId::from_bits(1),
        kind,
        handle: handle_of.map(handle),
        device: device.map(DeviceId::from_bits),
        account: Some(AccountId::from_bits(1)),
        cause,
    })
}

fn first_hour() -> Vec<Record> {
    use Reason::{LiveDevice, NeverRegistered};
    let removed = Reason::Lost(HandleLoss::DeviceRemoved);
    let (blue, green, nothing) = (Some(Route::Imessage), Some(Route::Sms), Some(Route::None));
    let no_address = Record::Lookup(LookupRecord {
        request: RequestId::from_bits(70),
        account: Some(AccountId::from_bits(2)),
        device: Some(DeviceId::from_bits(2)),
        ip: None,
        handle: Some(handle("{x}|'y'@example.com")),
        route: nothing,
        reason: NeverRegistered,
        status: 200,
        took_us: 70,
    });
    vec![
        change(ChangeKind::HandleBound, Some("+14155550123"), Some(7), Cause::Proof),
        lookup(Some(1), V4, Some("+14155550123"), blue, LiveDevice, 10),
        change(ChangeKind::DeviceRemoved, None, Some(7), Cause::SignOut),
        lookup(Some(1), V4, Some("+14155550123"), green, removed, 20),
        change(ChangeKind::HandleMoved, Some("ann@example.com"), None, Cause::NewerProof),
        lookup(Some(2), V6, Some("+14155550123"), blue, LiveDevice, 30),
        lookup(Some(2), V6, Some("=1+1@example.com"), nothing, NeverRegistered, 40),
        lookup(Some(2), V6, Some("'quoted@example.com"), nothing, NeverRegistered, 50),
        lookup(Some(2), V4, Some("jürgen@bücher.example"), nothing, NeverRegistered, 60),
        no_address,
    ]
}

fn second_hour() -> Vec<Record> {
    use ProblemCode::{HandleInvalid, LookupQuota, TokenInvalid};
    use Reason::{LeaseExpired, NeverRegistered, Refused};
    let removed = Reason::Lost(HandleLoss::DeviceRemoved);
    let green = Some(Route::Sms);
    vec![
        lookup(Some(2), V6, Some("+14155550199"), green, NeverRegistered, 80),
        lookup(Some(2), V6, Some("+14155550199"), green, LeaseExpired, 90),
        lookup(Some(2), V6, Some("+14155550123"), green, removed, 100),
        lookup(None, V4, None, None, Refused(TokenInvalid), 110),
        lookup(None, V6, None, None, Refused(TokenInvalid), 120),
        lookup(Some(1), V4, Some("+14155550177"), None, Refused(LookupQuota), 130),
        lookup(Some(1), V4, None, None, Refused(HandleInvalid), 140),
        Record::Refusals(RefusalCount::new(TokenInvalid, 1_000)),
    ]
}

fn bulk() -> Vec<Record> {
    let asked = |n: u64| {
        let number = format!("+1415556{n:04}");
        let (route, reason) = (Some(Route::Sms), Reason::NeverRegistered);
        lookup(Some(3), V4, Some(&number), route, reason, 1_000_000 + n as u32)
    };
    (0..BULK).map(asked).collect()
}
