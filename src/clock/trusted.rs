//! Trusted time: what everything that lapses, is removed or is destroyed goes by.
//!
//! The rules are in [`super::rules`]. This file reads the machine, keeps the decision between two comparisons, and saves it, so
//! that a restart does not believe a wrong clock either. A wall clock that is wrong for a minute then changes nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    config::{Config, Trust},
    machine::{Machine, SharedMachine},
    rules::{Event, Reading, Rules, Standing},
    saved::{self, ClockFileError, Saved},
    system::Clock,
    timestamp::{Timestamp, micros},
};
use crate::files::SharedDisk;

/// Wall clock and boot clock are read one after the other. A pair that took longer than this is no pair: the process was
/// interrupted in between.
const PAIR_MAX: Duration = Duration::from_micros(200);
/// Attempts to read a pair. The last one counts whatever it took.
const PAIR_ATTEMPTS: usize = 5;
/// The file in the data directory.
const FILE_NAME: &str = "clock";

/// The trusted clock of a data directory. Every process that changes the directory has one.
#[derive(Debug)]
pub struct TrustedClock {
    machine: SharedMachine,
    config: Config,
    file: PathBuf,
    disk: SharedDisk,
    /// Trusted time less the boot clock, in microseconds: [`Rules::offset_us`], to be read without the lock.
    offset_us: AtomicI64,
    /// The reading of the boot clock from which the clocks are compared again, in microseconds.
    compare_at_us: AtomicU64,
    rules: Mutex<Rules>,
    /// Held while the file is replaced: two threads must not write one name at once.
    saving: Mutex<()>,
}

/// What the clocks show, and whether they agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ClockStatus {
    /// The time by which records are stamped, devices lapse and hours are destroyed.
    #[schema(value_type = String, format = DateTime)]
    pub trusted: Timestamp,
    /// What the machine's wall clock shows.
    #[schema(value_type = String, format = DateTime)]
    pub wall: Timestamp,
    /// Wall clock less trusted time, in seconds.
    pub wall_ahead_seconds: i64,
    /// Whether trusted time follows the wall clock.
    pub is_followed: bool,
    /// Whether the kernel reports that a time service keeps the wall clock right.
    pub is_synchronised: bool,
    /// Seconds until the wall clock is followed, if it does not jump again. Only after a new start of the machine.
    pub probation_seconds: Option<u64>,
}

impl ClockStatus {
    /// What disagrees and what to do about it; none while trusted time follows the wall clock.
    pub fn advice(&self) -> Option<String> {
        if self.is_followed {
            return None;
        }
        let apart = Duration::from_secs(self.wall_ahead_seconds.unsigned_abs());
        let apart = humantime::format_duration(apart);
        let direction = if self.wall_ahead_seconds < 0 { "behind" } else { "ahead of" };
        let probation = self.probation_seconds.map_or_else(String::new, |left| {
            let left = humantime::format_duration(Duration::from_secs(left));
            format!(", or wait {left}: the wall clock is followed then if it does not jump")
        });
        Some(format!(
            "The wall clock is {apart} {direction} trusted time, so it is not followed. If it is wrong, correct it. If it is \
             right, run `dispatchd clock trust`{probation}"
        ))
    }
}

impl TrustedClock {
    /// Continues from what the last process saved in the directory `data`; without a file there it follows the wall clock.
    /// Nothing is written.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn open(
        machine: SharedMachine,
        disk: SharedDisk,
        data: &Path,
        config: &Config,
    ) -> Result<Self, ClockFileError> {
        let (file, config) = (data.join(FILE_NAME), config.clone());
        let mut rules = restore(saved::read(&file)?, &*machine);
        compare(&mut rules, read(&*machine), &config);
        let (offset_us, compare_at_us) = (AtomicI64::new(rules.offset_us), AtomicU64::new(0));
        let rules = Mutex::new(rules);
        Ok(Self {
            machine,
            config,
            file,
            disk,
            offset_us,
            compare_at_us,
            rules,
            saving: Mutex::new(()),
        })
    }

    /// Saves trusted time for the next process. To be called each minute and at the stop.
    ///
    /// # Errors
    /// If the file cannot be replaced. Then a next process continues from an earlier time.
    pub fn save(&self) -> Result<(), ClockFileError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = *self.compare_now();
        let boot = self.machine.uptime();
        let saved = Saved {
            trusted: rules.at(boot),
            boot_id: self.machine.boot_id().unwrap_or_default(),
            boot_us: micros(boot),
            standing: rules.standing,
        };
        saved::write(&self.disk, &self.file, &saved)
    }

    /// Follows the wall clock from now on, because an operator says that it is right, and saves that.
    ///
    /// # Errors
    /// As [`Self::save`]. Then the wall clock is followed all the same, until the process ends.
    pub fn trust(&self) -> Result<ClockStatus, ClockFileError> {
        let by_us = {
            let mut rules = self.lock();
            let by_us = rules.trust(read(&*self.machine));
            self.publish(&rules);
            by_us
        };
        tracing::warn!(
            by_s = by_us / 1_000_000,
            "an operator says that the wall clock is right; trusted time follows it"
        );
        self.save()?;
        Ok(self.status())
    }

    /// What the clocks show now.
    pub fn status(&self) -> ClockStatus {
        let rules = self.compare_now();
        let reading = read(&*self.machine);
        let trusted = rules.at(reading.boot);
        let ahead = reading.wall.since(trusted).as_secs().cast_signed()
            - trusted.since(reading.wall).as_secs().cast_signed();
        ClockStatus {
            trusted,
            wall: reading.wall,
            wall_ahead_seconds: ahead,
            is_followed: rules.standing == Standing::Followed,
            is_synchronised: reading.is_synchronised,
            probation_seconds: rules.probation_left(reading, self.config.probation),
        }
    }

    /// Compares the clocks, if nobody else is doing it.
    #[cold]
    fn compare_if_free(&self) {
        if let Ok(mut rules) = self.rules.try_lock() {
            compare(&mut rules, read(&*self.machine), &self.config);
            self.publish(&rules);
        }
    }

    fn compare_now(&self) -> MutexGuard<'_, Rules> {
        let mut rules = self.lock();
        compare(&mut rules, read(&*self.machine), &self.config);
        self.publish(&rules);
        rules
    }

    fn publish(&self, rules: &Rules) {
        self.offset_us.store(rules.offset_us, Ordering::Relaxed);
        let next = self.machine.uptime().saturating_add(self.machine.compare_every());
        self.compare_at_us.store(micros(next), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TrustedClock {
    fn now(&self) -> Timestamp {
        let mut boot_us = micros(self.machine.uptime());
        if boot_us >= self.compare_at_us.load(Ordering::Relaxed) {
            self.compare_if_free();
            boot_us = micros(self.machine.uptime());
        }
        let us = boot_us.saturating_add_signed(self.offset_us.load(Ordering::Relaxed));
        Timestamp::from_micros(us)
    }

    fn latest(&self) -> Timestamp {
        self.now().max(self.machine.wall())
    }

    fn boot(&self) -> Duration {
        self.machine.uptime()
    }
}

fn restore(saved: Option<Saved>, machine: &dyn Machine) -> Rules {
    let reading = read(machine);
    let Some(saved) = saved else { return Rules::new(reading) };
    let is_same_run = machine.boot_id().is_some_and(|id| id == saved.boot_id)
        && saved.boot_us <= micros(reading.boot);
    if is_same_run {
        Rules::same_run(saved.trusted, Duration::from_micros(saved.boot_us), saved.standing)
    } else {
        Rules::new_run(saved.trusted, reading)
    }
}

fn compare(rules: &mut Rules, mut reading: Reading, config: &Config) {
    reading.is_synchronised |= config.trust == Trust::Always;
    match rules.compare(reading, config.probation) {
        None => {}
        Some(Event::Followed { by_us }) => {
            tracing::warn!(by_s = by_us / 1_000_000, "trusted time follows the wall clock again");
        }
        Some(Event::Refused) => {
            let ahead_s = reading.wall.since(rules.at(reading.boot)).as_secs();
            let behind_s = rules.at(reading.boot).since(reading.wall).as_secs();
            tracing::error!(
                ahead_s,
                behind_s,
                "the wall clock was set by more than an hour; trusted time does not follow it"
            );
        }
    }
}

/// A reading of both clocks at one moment.
fn read(machine: &dyn Machine) -> Reading {
    let mut pair = (machine.uptime(), machine.wall());
    for _ in 1..PAIR_ATTEMPTS {
        if machine.uptime().saturating_sub(pair.0) <= PAIR_MAX {
            break;
        }
        pair = (machine.uptime(), machine.wall());
    }
    let (boot, wall) = pair;
    Reading { wall, boot, is_synchronised: machine.is_synchronised() }
}

impl fmt::Display for ClockStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "trusted time   {}", self.trusted)?;
        writeln!(f, "wall clock     {}", self.wall)?;
        writeln!(
            f,
            "time service   {}",
            if self.is_synchronised { "synchronised" } else { "not known to be synchronised" }
        )?;
        writeln!(f, "followed       {}", if self.is_followed { "yes" } else { "no" })?;
        if let Some(advice) = self.advice() {
            writeln!(f, "\n{advice}")?;
        }
        Ok(())
    }
}
