//! The process that the test kills. It runs a log for some hours on the directory that the process before it left.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{Arc, LazyLock},
    time::Duration,
};

use dispatchd::{
    clock::{Clock as _, Hour, ManualClock, Timestamp},
    envelope::KeyFiles,
    files::SharedDisk,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    query_log::{Config, Durability, LogOptions, LookupRecord, QueryLog, Record},
    shutdown::Shutdown,
    vocabulary::{Cause, Change, ChangeKind, Reason, Route},
};
use serde::{Deserialize, Serialize};

use super::disk::{FatalDisk, Journal, Target};
use crate::load::Dice;

const VARIABLE: &str = "DISPATCHD_TEST_ORDERS";
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
pub(super) const RETENTION: Duration = Duration::from_secs(4 * 3_600);
/// Hours that a process lives unless it is killed.
const HOURS: u64 = 3;
/// Commits of a busy hour, and records of each. The sealed file then consists of several appended pieces.
const BUSY: (u64, u64) = (2, 16_000);

/// The parent's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) data: PathBuf,
    pub(super) journal: PathBuf,
    /// The wall time in microseconds.
    pub(super) wall: u64,
    /// The number of the first record.
    pub(super) first: u64,
    pub(super) seed: u64,
    /// Whether one of the hours is busy.
    pub(super) busy: bool,
    pub(super) targets: Vec<Target>,
}

/// Starts the process and waits until it ends.
pub(super) fn live(orders: &Orders, output: &Path) -> ExitStatus {
    let file = fs::File::create(output).unwrap();
    let name = "seal_kills::child::lives_until_it_is_killed";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(VARIABLE, serde_json::to_string(orders).unwrap());
    command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap()
}

/// An odd factor, so that multiplying is invertible. Sequential ids would compress too well.
const SCATTER: u64 = 0x9E37_79B9_7F4A_7C15;
/// The inverse of the factor modulo 2^64, by Newton's iteration.
static GATHER: LazyLock<u64> = LazyLock::new(|| {
    let step =
        |inverse: u64| inverse.wrapping_mul(2_u64.wrapping_sub(SCATTER.wrapping_mul(inverse)));
    (0..6).fold(SCATTER, |inverse, _| step(inverse))
});

/// The record with this number. The number determines its whole content.
pub(crate) fn record(n: u64) -> Record {
    let id = n.wrapping_mul(SCATTER);
    let handle = match n % 11 {
        0 => None,
        1..=3 => Handle::from_canonical(&format!("asked{}@mail{}.example", n % 997, n % 13)),
        _ => Handle::from_canonical(&format!("+1415555{:04}", id % 10_000)),
    };
    if n % 9 == 4 {
        return Record::Change(Change {
            id: ChangeId::from_bits(id),
            kind: ChangeKind::HandleBound,
            handle,
            device: Some(DeviceId::from_bits(n % 11)),
            account: None,
            cause: Cause::Proof,
        });
    }
    let is_green = n.is_multiple_of(3);
    Record::Lookup(LookupRecord {
        request: RequestId::from_bits(id),
        account: Some(AccountId::from_bits(n % 7)),
        device: Some(DeviceId::from_bits(n % 101)),
        ip: Some(IpAddr::V4(Ipv4Addr::from_bits(0xC000_0200 + (id % 251) as u32))),
        handle,
        route: Some(if is_green { Route::Sms } else { Route::Imessage }),
        reason: if is_green { Reason::NeverRegistered } else { Reason::LiveDevice },
        status: 200,
        took_us: (id >> 44) as u32,
    })
}

/// The number of a record that [`record`] made.
pub(super) fn number(record: &Record) -> u64 {
    let id = match record {
        Record::Lookup(lookup) => lookup.request.bits(),
        Record::Change(change) => change.id.bits(),
        Record::Refusals(refusals) => refusals.count,
    };
    id.wrapping_mul(*GATHER)
}

/// Does nothing unless the parent started this process.
#[test]
fn lives_until_it_is_killed() {
    let Ok(orders) = std::env::var(VARIABLE) else {
        return;
    };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let journal = Journal::new(&orders.journal, orders.targets.clone());
    let mut dice = Dice::new(orders.seed);
    let clock = ManualClock::at(Timestamp::from_micros(orders.wall));
    let durability = if dice.below(4) == 0 { Durability::Os } else { Durability::Disk };
    let disk: SharedDisk = Arc::new(FatalDisk(Arc::clone(&journal)));
    let options = LogOptions {
        dir: orders.data.join("log"),
        keys: KeyFiles::new(&orders.data.join("keys"), None),
        config: Config { durability, retention: RETENTION, ..Config::default() },
        copies: None,
        clock: Arc::clone(&clock) as _,
        disk: Arc::clone(&disk),
        keys_disk: disk,
        disk_reserve: 0,
    };
    let (log, report) = QueryLog::open(options, &Shutdown::new()).unwrap();
    assert_eq!((report.damaged, report.unreadable.len(), report.unknown.len()), (0, 0, 0));
    assert!(report.keys_missing.is_empty(), "{report:?}");
    let mut life = Life { log, clock, journal, dice, next: orders.first, dir: orders.data };
    life.nothing_half_done(false);
    life.tick();
    life.nothing_half_done(true);
    life.everything_sound();
    let busy = orders.busy.then(|| life.dice.below(HOURS));
    for hour in 0..HOURS {
        life.one_hour(busy == Some(hour));
    }
    life.tick();
    life.nothing_half_done(true);
    life.everything_sound();
    if life.dice.below(2) == 0 {
        life.journal.enter("close");
        life.log.close();
    }
    life.journal.say("done");
}

struct Life {
    log: QueryLog,
    clock: Arc<ManualClock>,
    journal: Arc<Journal>,
    dice: Dice,
    next: u64,
    dir: PathBuf,
}

impl Life {
    fn one_hour(&mut self, is_busy: bool) {
        let batches = 2 + self.dice.below(3);
        for batch in 0..batches {
            let count = 1 + self.dice.below(60);
            self.append(count);
            if is_busy && batch == 1 {
                (0..BUSY.0).for_each(|_| self.append(BUSY.1));
            }
            self.pass(HOUR / u32::try_from(batches + 1).unwrap());
            if self.dice.below(6) == 0 {
                self.seal();
            }
        }
        let (now, late) = (self.clock.now(), self.dice.below(5));
        let past_grace = now.hour(Default::default()).end().since(now) + MINUTE * (2 + late as u32);
        self.pass(past_grace);
        self.tick();
        if self.dice.below(4) > 0 {
            self.seal();
        }
    }

    /// Appends records. The journal has a line for the attempt, and one for the acknowledgement, each before the
    /// child goes on.
    fn append(&mut self, count: u64) {
        self.journal.enter("append");
        let first = self.next;
        self.next += count;
        self.journal.say(&format!("try {first} {count}"));
        let records: Vec<_> = (first..self.next).map(record).collect();
        self.log.append_all(&records).unwrap().wait_blocking().unwrap();
        self.journal.say(&format!("ack {first} {count}"));
    }

    fn pass(&self, span: Duration) {
        self.clock.advance(span);
        self.journal.say(&format!("wall {}", self.clock.now().as_micros()));
    }

    fn tick(&self) {
        self.journal.enter("tick");
        let outcome = self.log.tick();
        assert!(outcome.error.is_none() && outcome.files_left == 0, "{outcome:?}");
        self.journal.say(&format!("ticked {}", self.clock.now().as_micros()));
    }

    /// Seals. In some runs hours pass during the sealing, and some hours expire.
    fn seal(&mut self) {
        let (asked, jump_at) = (Cell::new(0), 1 + self.dice.below(8));
        let jump = HOUR * (1 + self.dice.below(3)) as u32;
        self.journal.enter("seal");
        let outcome = self.log.seal(&|| {
            asked.set(asked.get() + 1);
            if asked.get() == jump_at && jump_at < 4 {
                self.pass(jump);
                self.tick();
                self.journal.enter("seal");
            }
            false
        });
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    }

    /// No unfinished file exists, and no frames beside their sealed file.
    ///
    /// Files of expired hours may remain until the tick.
    fn nothing_half_done(&self, after_tick: bool) {
        let names: BTreeSet<String> = fs::read_dir(self.dir.join("log"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for name in &names {
            let Some((stem, kind @ ("sealing" | "sealed"))) = name.rsplit_once('.') else {
                continue;
            };
            let hour = Hour::from_number(stem[..10].parse().unwrap());
            if !after_tick && hour.start().plus(RETENTION) <= self.clock.now() {
                continue;
            }
            assert!(kind != "sealing", "{name} remains: {names:?}");
            let frames = names.contains(&format!("{stem}.frames"));
            assert!(!frames, "{stem} exists as frames and as a sealed file: {names:?}");
        }
        for entry in fs::read_dir(self.dir.join("keys")).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(name == "keyring" || name == "root.key", "{name:?} remains");
        }
    }

    fn everything_sound(&self) {
        let report = self.log.reader().verify();
        assert!(report.sound, "{report:?}");
        let report = self.log.reader().prove_forgotten().unwrap();
        assert!(report.proved, "{report:?}");
        self.journal.say("sound");
    }
}
