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
    panic::{AssertUnwindSafe, catch_unwind},
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
use crate::{disk_full::SmallDisk, harness::say, variables::seed};

const WORKERS: usize = 4;

/// What a history met, and at which step what went wrong.
type Outcome = (Figures, Option<(usize, Violation)>);

/// Runs a history on a disk of its own. A panic is an answer that nobody expected, at the last step.
fn run(history: &History, test: &str) -> Outcome {
    let disk = SmallDisk::mount("disk", test).expect("the first one could be mounted");
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = AssertUnwindSafe(|| runtime.block_on(run_on(&disk, history)));
    catch_unwind(run).unwrap_or_else(|panic| {
        let what = panic.downcast::<String>().map_or_else(|_| String::new(), |text| *text);
        (Figures::default(), Some((history.steps.len(), Violation::new(Fault::Answer, what))))
    })
}

async fn run_on(disk: &SmallDisk, history: &History) -> Outcome {
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
    world.stop().await;
    (figures, fault)
}

/// Leaves out each step without which the history fails all the same.
fn shrink(history: &mut History, fault: Fault, test: &str) {
    for at in (0..history.steps.len()).rev() {
        let step = history.steps.remove(at);
        let is_same = |(_, found): &(usize, Violation)| found.fault == fault;
        if !run(history, test).1.as_ref().is_some_and(is_same) {
            history.steps.insert(at, step);
        }
    }
}

/// Runs histories with the seeds from `first` on, or the one with the seed that the environment names.
fn run_all(first: u64, count: u64, test: &str) {
    let seed = std::env::var("DISPATCHD_TEST_SEED").ok();
    let seed = seed.map(|seed| seed.parse::<u64>().expect("a number"));
    let count = if seed.is_some() { 1 } else { count };
    let first = seed.unwrap_or(first);
    if SmallDisk::mount("disk", test).is_none() {
        return;
    }
    let (next, met) = (AtomicU64::new(0), Mutex::new((Figures::default(), Vec::new())));
    let work = || {
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && number < count
        {
            let history = History::new(first + number);
            let (figures, fault) = run(&history, test);
            let mut met = met.lock().unwrap();
            met.0.add(figures);
            met.1.extend(fault.map(|(at, violation)| (history, at, violation)));
        }
    };
    thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
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
            shrink(&mut history, violation.fault, test);
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
    run_all(seed(), 50, "clock_histories::wrong_clocks_and_full_disks_do_no_harm");
}

#[test]
#[ignore = "2,000 histories"]
fn long_wrong_clocks_and_full_disks_do_no_harm() {
    let now = SystemClock.now().as_micros();
    run_all(now, 2_000, "clock_histories::long_wrong_clocks_and_full_disks_do_no_harm");
}
