//! Every call that a running server makes to the disk fails, once or until the disk is mended.
//!
//! A dry run counts the calls by kind of file. Then one run follows for each call and each failure. After every run the power is
//! cut, and the directory is opened as the crash left it. A run is repeated by its [`Fault`] alone. No run may show:
//!
//! - an answer without a record: an acknowledged record that is missing, before or after the power cut;
//! - an answer after a failed sync: a file written further although a sync of it failed;
//! - a read without its audit entry, a lost key, a damaged clock file;
//! - an expired hour that is still there once the disk is mended.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::support::*;
use crate::{
    audit::{Audit, Call, Filters, Wanted},
    clock::{self, Clock, ManualClock, Timestamp, TrustedClock},
    files::{
        self, SharedDisk,
        tests::{
            faults::{DiskCall, Failure, Fault},
            sim_disk::{SimDisk, Survives, UnsyncedDisk},
        },
    },
    query_log::{Durability, QueryLog},
    shutdown::Shutdown,
};

const RETENTION: Duration = Duration::from_secs(3 * 3600);
const AUDIT_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// Half hours of each of two processes.
const STEPS: usize = 4;

/// What went wrong over all runs. All must be zero but the first two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    runs: usize,
    refused: usize,
    answers_without_record: usize,
    answers_after_failed_sync: usize,
    reads_without_entry: usize,
    kept_too_long: usize,
}

/// A server's files on a disk that fails.
struct World {
    bench: Bench,
    sim: SimDisk,
    /// Numbers and instants of the records that were acknowledged.
    acked: Vec<(u64, Timestamp)>,
    /// Entries of calls that were allowed to read.
    begun: Vec<u64>,
    next: u64,
    refused: usize,
}

impl World {
    fn new(fault: Option<Fault>) -> Self {
        let live = TempDir::new().unwrap();
        let sim = SimDisk::new(live.path());
        let mut bench = Bench::with_disk(Arc::new(sim.clone()));
        bench.config = crate::query_log::Config {
            durability: Durability::Disk,
            retention: RETENTION,
            ..Default::default()
        };
        bench.dir = live;
        if let Some(fault) = fault {
            sim.faults.plan(fault);
        }
        Self { bench, sim, acked: Vec::new(), begun: Vec::new(), next: 0, refused: 0 }
    }

    /// Runs two processes. The first is killed. The disk is mended one step after its first failure.
    fn run(&mut self) {
        for is_killed in [true, false] {
            if !is_killed {
                self.bench.clock.advance(HOUR);
            }
            let (log, trusted) = self.start();
            let audit = self.audit(&log);
            let mut failed_before = false;
            for _ in 0..STEPS {
                self.step(&log, &audit, &trusted);
                if failed_before {
                    self.sim.faults.mend();
                }
                failed_before = self.sim.faults.failed() > 0;
                if !log.is_writable() {
                    log.shared.reopen();
                }
            }
            if self.sim.faults.failed() > 0 {
                self.sim.faults.mend();
            }
            let lost = self.lost(&log);
            assert!(lost.is_empty(), "{lost:?} cannot be read in the running server");
            if is_killed { log.abandon() } else { log.close() }
        }
    }

    /// Opens everything. A start that fails is tried again, the second time on a mended disk.
    fn start(&mut self) -> (QueryLog, TrustedClock) {
        for attempt in 0.. {
            let log = self.bench.try_open();
            let trusted = self.trusted();
            match (log, trusted) {
                (Ok((log, report)), Ok(trusted)) => {
                    assert!(report.keys_missing.is_empty(), "{report:?}");
                    assert_eq!((report.damaged, report.unreadable.len()), (0, 0), "{report:?}");
                    return (log, trusted);
                }
                (log, trusted) => {
                    self.refused += 1;
                    let errors = (log.err(), trusted.err());
                    assert!(attempt < 2, "a start on a mended disk fails: {errors:?}");
                    if attempt == 1 {
                        self.sim.faults.mend();
                    }
                }
            }
        }
        unreachable!("the loop ends by itself")
    }

    fn trusted(&self) -> Result<TrustedClock, clock::ClockFileError> {
        let machine = Arc::clone(&self.bench.clock) as _;
        let (disk, data) = (Arc::clone(&self.bench.disk), self.bench.dir.path());
        TrustedClock::open(machine, disk, data, &clock::Config::default())
    }

    fn audit(&self, log: &QueryLog) -> Audit {
        let (disk, clock) = (Arc::clone(&self.bench.disk), Arc::clone(&self.bench.clock) as _);
        let dir = self.bench.dir.path().join("audit");
        Audit::on_disk(disk, dir, log.keyring(), clock, AUDIT_RETENTION)
    }

    fn step(&mut self, log: &QueryLog, audit: &Audit, trusted: &TrustedClock) {
        for _ in 0..2 {
            let (n, at) = (self.next, self.bench.clock.now());
            self.next += 1;
            let committed = log.append(&lookup(n)).and_then(|ack| ack.wait_blocking());
            match committed {
                Ok(()) => self.acked.push((n, at)),
                Err(_) => self.refused += 1,
            }
        }
        match audit.begin("ann", Call::Search, &Filters::none().handle(&phone(1))) {
            Ok(audited) => {
                self.begun.push(audited.number());
                audited.finish();
            }
            Err(_) => self.refused += 1,
        }
        self.bench.clock.advance(HOUR / 2);
        log.tick();
        log.seal(&|| false);
        self.refused += usize::from(trusted.save().is_err());
        let addresses = self.bench.dir.path().join("addresses.json");
        self.refused += usize::from(files::replace(&self.bench.disk, &addresses, b"{}").is_err());
    }

    /// Compares the directory with what was promised, as it is and as a power cut leaves it.
    fn check(&self, context: &str, figures: &mut Figures) {
        figures.runs += 1;
        figures.refused += self.refused;
        figures.answers_after_failed_sync += self.sim.writes_after_failed_sync();
        // What nobody promised may be there as well: every fourth run.
        let kinds = [Survives::Nothing, Survives::Everything];
        for survives in kinds.into_iter().take(1 + usize::from(figures.runs.is_multiple_of(4))) {
            let crashed = TempDir::new().unwrap();
            self.sim.crash_at(self.sim.ops(), 0, survives, crashed.path());
            let clock = ManualClock::at(self.bench.clock.now());
            let disk: SharedDisk = Arc::new(UnsyncedDisk);
            let options = options(crashed.path(), &clock, &self.bench.config, &disk);
            let (log, report) = QueryLog::open(options, &Shutdown::new())
                .unwrap_or_else(|error| panic!("{context}, {survives:?}: {error}"));
            let lost = (report.damaged, report.unreadable.len(), report.keys_missing.len());
            assert_eq!(lost, (0, 0, 0), "{context}, {survives:?}");
            let audit = Audit::on_disk(
                Arc::clone(&disk),
                crashed.path().join("audit"),
                log.keyring(),
                Arc::clone(&clock) as _,
                AUDIT_RETENTION,
            );
            self.compare(&log, &audit, figures, &format!("{context}, {survives:?}"));
            let trusted = TrustedClock::open(
                Arc::clone(&clock) as _,
                Arc::clone(&disk),
                crashed.path(),
                &clock::Config::default(),
            );
            trusted.unwrap_or_else(|error| panic!("{context}, {survives:?}: {error}"));
            clock.advance(2 * HOUR);
            let outcome = log.tick();
            assert!(outcome.error.is_none() && outcome.files_left == 0, "{context}, {survives:?}");
            let now = clock.now();
            let is_expired = |hour: &clock::Hour| hour.start().plus(RETENTION) <= now;
            figures.kept_too_long +=
                log.keyring().hours().iter().filter(|hour| is_expired(hour)).count();
            log.close();
        }
    }

    fn compare(&self, log: &QueryLog, audit: &Audit, figures: &mut Figures, context: &str) {
        let lost = self.lost(log);
        figures.answers_without_record += lost.len();
        let listed: Vec<_> =
            audit.list(Wanted::default()).unwrap().map(|call| call.unwrap().n).collect();
        let missing: Vec<_> = self.begun.iter().filter(|n| !listed.contains(n)).collect();
        figures.reads_without_entry += missing.len();
        if !lost.is_empty() || !missing.is_empty() {
            eprintln!("{context}: records {lost:?} and entries {missing:?} are missing");
        }
        let verified = audit.verify().unwrap();
        assert!(verified.sound, "{context}: {verified:?}");
    }

    /// Acknowledged records that cannot be read although they have not expired.
    fn lost(&self, log: &QueryLog) -> Vec<u64> {
        let found = numbers(&log.reader());
        let unique: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(unique.len(), found.len(), "a record twice");
        // Retention destroys whole hours.
        let horizon = self.bench.clock.now().minus(RETENTION - HOUR);
        let promised = self.acked.iter().filter(|(_, at)| *at > horizon).map(|(n, _)| *n);
        promised.filter(|n| !unique.contains(n)).collect()
    }
}

/// All calls of a run without faults, by kind of file.
fn calls() -> BTreeMap<(String, DiskCall), usize> {
    let mut world = World::new(None);
    world.run();
    let mut figures = Figures::default();
    world.check("no fault", &mut figures);
    assert_eq!((figures.refused, world.acked.len()), (0, 4 * STEPS));
    world.sim.faults.calls()
}

/// Each fault of a call, of which a run makes `count`.
fn faults(
    (kind, call): &(String, DiskCall),
    count: usize,
    failures: &[(Failure, usize)],
) -> Vec<Fault> {
    let fault =
        |first, (failure, times)| Fault { kind: kind.clone(), call: *call, first, times, failure };
    (0..count)
        .flat_map(|first| failures.iter().map(move |failure| fault(first, *failure)))
        .collect()
}

const LOG: &[&str] = &["frames", "sealing", "sealed", "log"];

fn is_of_log(kind: &str) -> bool {
    LOG.contains(&kind)
}

/// Runs all faults of the kinds of files that are `wanted`.
fn run_all(failures: &[(Failure, usize)], wanted: impl Fn(&str) -> bool) {
    let started = Instant::now();
    let say = |line: String| std::io::stderr().write_all(line.as_bytes()).unwrap();
    let mut total = Figures::default();
    for (call, count) in calls() {
        if !wanted(&call.0) {
            continue;
        }
        let mut figures = Figures::default();
        for fault in faults(&call, count, failures) {
            let context = format!("{fault:?}");
            let mut world = World::new(Some(fault));
            world.run();
            assert!(world.sim.faults.failed() > 0, "{context}: the fault was not met");
            world.check(&context, &mut figures);
        }
        say(format!("{} {:?}, {count} calls: {figures:?}\n", call.0, call.1));
        let Figures { runs, refused, .. } = figures;
        assert_eq!(figures, Figures { runs, refused, ..Figures::default() });
        total.runs += runs;
        total.refused += refused;
    }
    say(format!("disk faults: {total:?} in {:?}\n", started.elapsed()));
}

#[test]
fn every_call_for_the_log_may_fail_and_no_promise_breaks() {
    run_all(&[(Failure::Io, 1)], is_of_log);
}

#[test]
fn every_call_for_keys_audit_clock_and_addresses_may_fail_and_no_promise_breaks() {
    run_all(&[(Failure::Io, 1)], |kind| !is_of_log(kind));
}

#[test]
#[ignore = "takes minutes"]
fn long_every_call_to_the_disk_may_fail_in_every_way_for_any_time() {
    let failures = [Failure::Io, Failure::Full, Failure::Denied];
    let ways = failures.iter().flat_map(|failure| [(*failure, 1), (*failure, usize::MAX)]);
    run_all(&ways.collect::<Vec<_>>(), |_| true);
}
