//! A disk that hangs: requests are refused within a bound, and what was written after all is there once.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::support::*;
use crate::{
    files::tests::{
        faults::{DiskCall, Failure, Fault},
        sim_disk::SimDisk,
    },
    limits,
    query_log::{AppendAck, AppendError, Durability},
};

/// Guards against a hang of the test itself.
const PATIENCE: Duration = Duration::from_secs(120);

fn bench(durability: Durability) -> (Bench, SimDisk) {
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let mut bench = Bench::with_disk(Arc::new(sim.clone()));
    bench.config.durability = durability;
    bench.dir = live;
    (bench, sim)
}

fn hangs(sim: &SimDisk, kind: &str, call: DiskCall) {
    let first = sim.faults.calls().get(&(kind.to_owned(), call)).copied().unwrap_or(0);
    let failure = Failure::Hang;
    sim.faults.plan(Fault { kind: kind.to_owned(), call, first, times: 1, failure });
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn outcome(ack: &mut AppendAck) -> Option<Result<(), AppendError>> {
    match poll(ack) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_commit_that_hangs_fails_its_requests_and_is_made_once() {
    for (durability, call) in [
        (Durability::Disk, DiskCall::Sync),
        (Durability::Disk, DiskCall::Append),
        (Durability::Os, DiskCall::Append),
    ] {
        let (bench, sim) = bench(durability);
        let log = bench.open();
        put(&log, &lookup(1));
        hangs(&sim, "frames", call);
        let mut caught = log.append(&lookup(2)).unwrap();
        let mut change = Box::pin(log.append(&change(3)).unwrap().until_known());
        wait_until("the disk hangs", || sim.faults.failed() == 1);
        let mut waiting = log.append(&lookup(4)).unwrap();
        let started = Instant::now();
        wait_until("the commit is given up", || !log.is_writable());
        assert!(started.elapsed() > limits::LOG_COMMIT_PATIENCE / 2, "given up too early");
        assert_eq!(log.append(&lookup(5)).err(), Some(AppendError::Unwritable));
        assert_eq!(outcome(&mut caught), Some(Err(AppendError::Unwritable)));
        assert_eq!(outcome(&mut waiting), Some(Err(AppendError::Unwritable)));
        assert!(!caught.is_committed(), "{durability:?} {call:?}");
        // Some records may be in an earlier commit than others; nobody knows yet.
        let known = poll(&mut change);
        assert!(known.is_pending() || known == Poll::Ready(Err(AppendError::Unwritable)));

        sim.faults.mend();
        wait_until("the log can be written again", || log.is_writable());
        put(&log, &lookup(6));
        assert!(caught.is_committed(), "what was written is known");
        let found = numbers(&log.reader());
        let written = poll(change) == Poll::Ready(Ok(()));
        assert_eq!(found.contains(&3), written, "{found:?}");
        assert!(found.starts_with(&[1, 2]) && found.ends_with(&[6]), "{found:?}");
        assert!(!found.contains(&4) && !found.contains(&5), "{found:?}");
        log.close();
        drop(log);
        assert_eq!(numbers(&bench.open().reader()), found, "a start finds something else");
    }
}

#[test]
fn the_change_of_the_hour_may_hang_anywhere() {
    for (kind, call) in [
        ("keyring", DiskCall::Sync),
        ("keys", DiskCall::SyncDir),
        ("frames", DiskCall::Create),
        ("log", DiskCall::SyncDir),
    ] {
        let (bench, sim) = bench(Durability::Disk);
        let log = bench.open();
        put(&log, &lookup(1));
        bench.clock.advance(HOUR);
        hangs(&sim, kind, call);
        let mut ack = log.append(&lookup(2)).unwrap();
        wait_until("the disk hangs", || sim.faults.failed() == 1);
        // Readers need keys, and do not wait for the disk.
        assert_eq!(numbers(&log.reader()), [1], "{kind}");
        wait_until("the commit is given up", || !log.is_writable());
        assert_eq!(outcome(&mut ack), Some(Err(AppendError::Unwritable)));
        sim.faults.mend();
        wait_until("the log can be written again", || log.is_writable());
        put(&log, &lookup(3));
        assert_eq!(numbers(&log.reader()), [1, 2, 3], "{kind}");
    }
}
