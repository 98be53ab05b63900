//! Random histories of a server whose clock is wrong and whose disk is full: nothing is destroyed early, nothing is readable
//! for too long, no device is lost, no phone is sent to text messages, and every answered record is found.
//!
//! A history runs in a server in this process, on a clock that the test moves and on a small disk of its own. The test knows the
//! true time. `DISPATCHD_TEST_SEED` runs one history and, if it fails, prints the steps that it takes.

mod checks;
mod people;
mod rules;
mod steps;
mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use dispatchd::clock::{Clock as _, SystemClock};
use tokio::runtime;

use self::{
    rules::{Fault, Figures, Violation},
    steps::{History, Step},
    world::World,
};
use crate::{disk_full::SmallDisk, harness::say};

const WORKERS: usize = 4;

/// Prints the seed if the history panics.
struct NamedInPanics(u64);

impl Drop for NamedInPanics {
    fn drop(&mut self) {
        if thread::panicking() {
            say(&format!("DISPATCHD_TEST_SEED={}", self.0));
        }
    }
}

/// Runs a history. Returns what it met, and at which step what went wrong.
async fn run(history: &History, disk: &SmallDisk) -> (Figures, Option<(usize, Violation)>) {
    let _named = NamedInPanics(history.seed);
    let mut world = World::start(history, disk).await;
    let mut fault = None;
    // In the end everything is right again.
    let restart = Step::Restart { off: Duration::ZERO, crashes: false };
    let end = [Step::Free, Step::Synchronise, restart];
    for (number, step) in history.steps.iter().chain(&end).enumerate() {
        let mut done = world.apply(*step).await;
        if done.is_ok() {
            world.upkeep().await;
            done = world.check().await;
        }
        if let Err(violation) = done {
            fault = Some((number, violation));
            break;
        }
    }
    if fault.is_none() {
        let number = history.steps.len();
        fault = world.check_soundness().await.err().map(|violation| (number, violation));
    }
    let figures = world.figures;
    world.stop_and_remove().await;
    (figures, fault)
}

/// Leaves out each step without which the history fails all the same.
fn shrink(history: &mut History, fault: Fault, disk: &SmallDisk) {
    for at in (0..history.steps.len()).rev() {
        let step = history.steps.remove(at);
        let is_same = |(_, found): &(usize, Violation)| found.fault == fault;
        if !block_on(run(history, disk)).1.as_ref().is_some_and(is_same) {
            history.steps.insert(at, step);
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn run_all(count: u64, test: &str) {
    let seed = std::env::var("DISPATCHD_TEST_SEED").ok();
    let seed = seed.map(|seed| seed.parse::<u64>().expect("a number"));
    let count = if seed.is_some() { 1 } else { count };
    let first = seed.unwrap_or_else(|| SystemClock.now().as_micros());
    let disks: Option<Vec<_>> = (0..WORKERS).map(|_| SmallDisk::mount("disk", test)).collect();
    let Some(disks) = disks else { return };
    let (next, met) = (AtomicU64::new(0), Mutex::new((Figures::default(), Vec::new())));
    thread::scope(|scope| {
        for disk in &disks {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let history = History::new(first + number);
                    let (figures, fault) = block_on(run(&history, disk));
                    let mut met = met.lock().unwrap();
                    met.0.add(figures);
                    met.1.extend(fault.map(|(at, violation)| (history, at, violation)));
                }
            });
        }
    });
    let (figures, faults) = met.into_inner().unwrap();
    let mut kinds = BTreeMap::<Fault, usize>::new();
    for (history, at, violation) in &faults {
        *kinds.entry(violation.fault).or_default() += 1;
        println!("DISPATCHD_TEST_SEED={}: {:?}: {}", history.seed, violation.fault, violation.what);
        let mut history = History {
            steps: history.steps.iter().take(*at + 1).copied().collect(),
            ..history.clone()
        };
        if seed.is_some() {
            shrink(&mut history, violation.fault, &disks[0]);
        }
        println!("{history:#?}");
    }
    say(&format!(
        "{count} clock histories from DISPATCHD_TEST_SEED={first}: {figures:?}, faults {kinds:?}"
    ));
    assert!(faults.is_empty(), "{kinds:?}");
    assert!(count < 50 || figures.is_full(), "{figures:?}");
}

#[test]
fn wrong_clocks_and_full_disks_do_no_harm() {
    run_all(50, "clock_histories::wrong_clocks_and_full_disks_do_no_harm");
}

#[test]
#[ignore = "2,000 histories"]
fn long_wrong_clocks_and_full_disks_do_no_harm() {
    run_all(2_000, "clock_histories::long_wrong_clocks_and_full_disks_do_no_harm");
}
