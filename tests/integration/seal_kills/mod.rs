//! `kill -9` at every step of sealing and of expiry. No record is lost, duplicated, or readable again after its
//! expiry.
//!
//! The test starts itself as another process ([`child`]), which opens the log on a special disk ([`disk`]). The disk
//! kills the process with SIGKILL before, during or right after one of its changes. The next process continues on the
//! same directory, at the wall time of the kill. The retention is four hours, so hours expire while others are
//! sealed. After each process the test compares the files with what was acknowledged ([`model`]).
//!
//! Each change has a name, such as `seal: rename sealing to sealed`. The test orders the next kill at the name and
//! moment that it has ordered least. Half of the kills may come during the recovery from the last one. A process may
//! never reach the ordered step. If it was a step of sealing that no kill has hit yet, the test orders it again,
//! alone and first. The test ends after enough kills, when each step of sealing was hit.
//!
//! `DISPATCHD_TEST_KILLS` sets the number of kills (60). `DISPATCHD_TEST_SEED` repeats a run.

mod child;
mod disk;
mod model;

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dispatchd::{
    clock::{ManualClock, Timestamp},
    envelope::KeyFiles,
    query_log::{Filter, LogReader, LogRow, Order},
};
use tempfile::TempDir;

use crate::{
    harness::say,
    load::Dice,
    retention::copy,
    variables::{from_env, seed},
};
pub(crate) use child::record;
use child::{Orders, RETENTION};
use disk::{Moment, START, Target};
use model::Model;

/// 2026-11-23T08:00:00Z.
const BEGIN: Timestamp = Timestamp::from_secs(1_795_420_800);
/// A retention for a reader that returns everything that the keys decrypt.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
const SECOND_PIECE: &str = "seal: append sealing second or later piece";
/// How many copies of the directory the test keeps, and the number of processes between two copies.
const COPIES: usize = 4;
const BETWEEN_COPIES: u64 = 3;

/// What the test knows about a step.
#[derive(Debug, Default)]
struct Step {
    /// The most times that one process made this change.
    occurs: u64,
    /// How often a kill was ordered at each moment. A process may not reach a rare step.
    ordered: [u64; 3],
    /// Kills before, during and after it.
    hits: [u64; 3],
}

impl Step {
    fn was_hit(&self) -> bool {
        self.hits != [0; 3]
    }
}

struct Trial {
    folder: TempDir,
    dice: Dice,
    model: Model,
    steps: BTreeMap<String, Step>,
    copies: VecDeque<PathBuf>,
    processes: u64,
    kills: u64,
    sound: u64,
    /// Old copies that were opened with current keys.
    tried: u64,
}

impl Trial {
    fn new(seed: u64) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            dice: Dice::new(seed),
            model: Model::at(BEGIN),
            steps: BTreeMap::new(),
            copies: VecDeque::new(),
            processes: 0,
            kills: 0,
            sound: 0,
            tried: 0,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The least ordered step and moment outside a start. Steps of sealing and expiry come first.
    fn least_ordered(&mut self) -> Option<Target> {
        let by_orders = |(name, step): (&String, &Step)| {
            let is_rest = !name.starts_with("seal") && !name.starts_with("tick");
            let moments: &[usize] = if is_torn(name) { &[0, 1, 2] } else { &[0, 2] };
            let (name, occurs, ordered) = (name.clone(), step.occurs, step.ordered);
            moments.iter().map(move |at| ((ordered[*at], is_rest), name.clone(), occurs, *at))
        };
        let known = self.steps.iter().filter(|(name, _)| !name.starts_with("start"));
        let all: Vec<_> = known.flat_map(by_orders).collect();
        let least = all.iter().map(|step| step.0).min()?;
        let least: Vec<_> = all.into_iter().filter(|step| step.0 == least).collect();
        let (_, name, occurs, moment) = &least[self.dice.below(least.len() as u64) as usize];
        self.steps.entry(name.clone()).or_default().ordered[*moment] += 1;
        // Later occurrences need many hours that wait for sealing at once.
        let occurrence = 1 + self.dice.below((*occurs).min(3));
        Some(Target { name: name.clone(), occurrence, moment: Moment::ALL[*moment] })
    }

    /// The steps of sealing that no kill has hit.
    fn missed(&self) -> impl Iterator<Item = (&String, &Step)> {
        let missed = |(name, step): &(&String, &Step)| name.starts_with("seal") && !step.was_hit();
        self.steps.iter().filter(missed)
    }

    /// A step of sealing that was ordered, but never hit, at its first occurrence.
    fn overdue(&mut self) -> Option<Target> {
        let ordered = |step: &Step| step.ordered.iter().sum::<u64>();
        let waited = self.missed().filter(|(_, step)| ordered(step) > 0);
        let name = waited.min_by_key(|(_, step)| ordered(step))?.0.clone();
        let moment = self.dice.below(3) as usize;
        self.steps.entry(name.clone()).or_default().ordered[moment] += 1;
        Some(Target { name, occurrence: 1, moment: Moment::ALL[moment] })
    }

    fn targets(&mut self) -> Vec<Target> {
        if let Some(target) = self.overdue() {
            return vec![target];
        }
        let mut targets: Vec<_> = self.least_ordered().into_iter().collect();
        if self.dice.below(2) == 0 {
            let moment = Moment::ALL[self.dice.below(3) as usize];
            let occurrence = 1 + self.dice.below(8);
            targets.push(Target { name: START.into(), occurrence, moment });
        }
        targets
    }

    /// Runs one process from start to end, then checks what it leaves.
    fn round(&mut self, targets: Vec<Target>) {
        let busy = targets.iter().any(|target| target.name == SECOND_PIECE)
            || self.processes.is_multiple_of(12);
        let orders = Orders {
            data: self.data(),
            journal: self.folder.path().join("journal"),
            wall: self.model.wall.as_micros(),
            first: self.model.next,
            seed: self.dice.roll(),
            busy,
            targets,
        };
        let _ = fs::remove_file(&orders.journal);
        let output = self.folder.path().join("output");
        let status = child::live(&orders, &output);
        self.processes += 1;
        let journal = fs::read_to_string(&orders.journal).unwrap();
        let was_killed = self.read(&journal);
        let ended_as_meant = match was_killed {
            true => status.signal() == Some(9),
            false => status.success() && journal.ends_with("done\n"),
        };
        let said = fs::read_to_string(output).unwrap();
        assert!(ended_as_meant, "{status}, {}\n{journal}\n{said}", self.place(&orders));
        self.kills += u64::from(was_killed);
        self.compare();
        assert!(self.model.tally.is_sound(), "{:?}, {}", self.model.tally, self.place(&orders));
    }

    fn place(&self, orders: &Orders) -> String {
        format!("process {}, wall {}, {:?}", self.processes, self.model.wall, orders.targets)
    }

    /// Reads the child's journal. Returns whether the child was killed.
    fn read(&mut self, journal: &str) -> bool {
        let (mut was_killed, mut met) = (false, BTreeMap::<&str, u64>::new());
        for line in journal.lines() {
            if let Some(name) = line.strip_prefix("change ") {
                *met.entry(name).or_default() += 1;
            } else if let Some(kill) = line.strip_prefix("kill ") {
                let (moment, name) = kill.split_once(' ').unwrap();
                let moment = Moment::ALL.iter().position(|it| format!("{it:?}") == moment).unwrap();
                // Only an append and a wipe can be half done.
                let moment = if moment == 1 && !is_torn(name) { 0 } else { moment };
                self.steps.entry(name.to_owned()).or_default().hits[moment] += 1;
                was_killed = true;
            } else if line == "sound" {
                self.sound += 1;
            } else {
                assert!(self.model.apply(line) || line == "done", "{line}");
            }
        }
        for (name, count) in met {
            let step = self.steps.entry(name.to_owned()).or_default();
            step.occurs = step.occurs.max(count);
        }
        was_killed
    }

    fn compare(&mut self) {
        let (data, wall) = (self.data(), self.model.wall);
        if self.model.next == 0 {
            return;
        }
        let opens = |retention| rows(&data, wall, retention).expect("the log opens");
        self.model.compare(&opens(FOR_EVER));
        self.model.compare_clamped(&opens(RETENTION));
        for old in &self.copies {
            for today in [&["keyring", "root.key"][..], &["keyring"], &["root.key"]] {
                let tried = self.folder.path().join("tried");
                copy(old, &tried);
                for name in today {
                    fs::copy(data.join("keys").join(name), tried.join("keys").join(name)).unwrap();
                }
                if let Some(rows) = rows(&tried, wall, FOR_EVER) {
                    self.model.compare_copy(&rows);
                }
                fs::remove_dir_all(tried).unwrap();
            }
            self.tried += 1;
        }
        if self.processes.is_multiple_of(BETWEEN_COPIES) {
            let name = format!("copy-{}", self.processes);
            let fresh = self.folder.path().join(name);
            copy(&data, &fresh);
            self.copies.push_back(fresh);
            if self.copies.len() > COPIES {
                fs::remove_dir_all(self.copies.pop_front().unwrap()).unwrap();
            }
        }
    }

    fn say_steps(&self) {
        for (name, step) in &self.steps {
            let [before, middle, after] = step.hits;
            say(&format!("{before:5} before {middle:4} amid {after:4} after  {name}"));
        }
    }
}

/// Whether a change can be half done.
fn is_torn(name: &str) -> bool {
    !name.contains("sync") && (name.contains("append") || name.contains("wipe"))
}

/// All records that the keys of a data directory decrypt. `None` if the keys cannot be opened.
fn rows(data: &Path, wall: Timestamp, retention: Duration) -> Option<Vec<LogRow>> {
    let keys = KeyFiles::new(&data.join("keys"), None);
    let clock = ManualClock::at(wall);
    let reader = LogReader::open_read_only(&data.join("log"), keys, clock, retention).ok()?;
    let search = reader.search(&Filter::default(), Order::Asc, None);
    Some(search.map(|row| row.unwrap().1).collect())
}

#[test]
fn kill_9_at_every_step_of_sealing_and_expiry() {
    let started = Instant::now();
    let kills = from_env("DISPATCHD_TEST_KILLS", 60);
    let seed = seed();
    say(&format!("{kills} kills while sealing and expiring, DISPATCHD_TEST_SEED={seed}"));
    let mut trial = Trial::new(seed);
    // The first processes discover the steps, including those of expiry.
    (0..3).for_each(|_| trial.round(Vec::new()));
    let enough = 3 * kills + 100;
    // Fewer kills serve to study one fault, and need not hit all steps.
    let all = kills >= 60;
    while (trial.kills < kills || all && trial.missed().next().is_some())
        && trial.processes < enough
    {
        let targets = trial.targets();
        trial.round(targets);
    }
    trial.round(Vec::new());
    trial.say_steps();
    let tally = trial.model.tally;
    say(&format!(
        "{} kills of {} processes in {:?}, {} times sound: {tally:?}; old copies tried with today's keys: {}",
        trial.kills,
        trial.processes,
        started.elapsed(),
        trial.sound,
        trial.tried,
    ));
    assert!(trial.kills >= kills, "too few kills");
    assert!(tally.acknowledged > 30 * kills && trial.sound > kills / 2);
    let missed: Vec<_> = trial.missed().collect();
    assert!(!all || missed.is_empty(), "steps of sealing that no kill hit: {missed:?}");
}
