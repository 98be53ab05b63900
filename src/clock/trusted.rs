//! Trusted time: what everything that lapses, is removed or is destroyed goes by.
//!
//! The rules are in [`super::rules`]. This file reads the machine, keeps the decision between two comparisons, and saves it, so
//! that a restart does not believe a wrong clock either. A wall clock that is wrong for a minute then changes nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    config::{Config, Trust},
    eras::Evidence,
    machine::{Machine, SharedMachine},
    rules::{Reading, Rules, Standing},
    saved::{self, ClockFileError, Saved},
    system::Clock,
    timestamp::{Era, Timestamp, micros},
};
use crate::{files::SharedDisk, limits};

/// Wall clock and boot clock are read one after the other. A pair that took longer than this is no pair: the process was
/// interrupted in between.
const PAIR_MAX: Duration = Duration::from_micros(200);
/// Attempts to read a pair. The last one counts whatever it took.
const PAIR_ATTEMPTS: usize = 5;
/// Bits of an offset. They hold [`crate::limits::CLOCK_LATEST`]; the other bits hold an era.
const OFFSET_BITS: u32 = 52;
const OFFSET_US_MAX: u64 = (1 << OFFSET_BITS) - 1;
/// The file in the data directory.
const FILE_NAME: &str = "clock";

/// The trusted clock of a data directory. Every process that changes the directory has one.
#[derive(Debug)]
pub struct TrustedClock {
    machine: SharedMachine,
    config: Config,
    file: PathBuf,
    disk: SharedDisk,
    /// The era, and trusted time less the boot clock in microseconds ([`Rules::offset_us`]): one number, so that a reader
    /// without the lock gets two that belong together.
    era_and_offset: AtomicU64,
    /// The end of the last jump, in microseconds.
    last_jump_to_us: AtomicU64,
    /// How far the wall clock was ahead at the last comparison, in microseconds; 0 if it was behind.
    ahead_us: AtomicU64,
    /// The reading of the boot clock from which the clocks are compared again, in microseconds.
    compare_at_us: AtomicU64,
    rules: Mutex<Rules>,
    /// The era in the file.
    saved_era: AtomicU64,
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
    /// Seconds until the wall clock is followed, if it does not jump again. Only after a reboot.
    #[schema(required)]
    pub probation_seconds: Option<u64>,
}

impl ClockStatus {
    /// What disagrees and what to do about it; none while trusted time follows the wall clock.
    pub fn advice(&self) -> Option<String> {
        if self.is_followed {
            return None;
        }
        let apart = rounded(self.wall_ahead_seconds.unsigned_abs());
        let direction = if self.wall_ahead_seconds < 0 { "behind" } else { "ahead of" };
        let probation = self.probation_seconds.map_or_else(String::new, |left| {
            let left = rounded(left);
            format!(", or wait {left}: the wall clock is followed then if it does not jump")
        });
        Some(format!(
            "The wall clock is {apart} {direction} trusted time, so it is not followed. If it is wrong, correct it. If it is \
             right, run `dispatchd clock trust`{probation}"
        ))
    }
}

impl TrustedClock {
    /// Continues from what the last process saved in the directory `data`. Without a file there it continues from the newest
    /// hour of the log, and without a log it follows the wall clock. Nothing is written.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn open(
        machine: SharedMachine,
        disk: SharedDisk,
        data: &Path,
        config: &Config,
    ) -> Result<Self, ClockFileError> {
        let (file, newest) = (data.join(FILE_NAME), saved::newest_hour(data)?);
        let saved = saved::read(&file)?.or_else(|| newest.map(saved::guess));
        let mut rules = restore(saved, &*machine, config);
        newest.into_iter().for_each(|hour| rules.eras.pass(hour));
        let clock = Self {
            machine,
            config: config.clone(),
            file,
            disk,
            era_and_offset: AtomicU64::new(0),
            last_jump_to_us: AtomicU64::new(0),
            ahead_us: AtomicU64::new(0),
            compare_at_us: AtomicU64::new(0),
            rules: Mutex::new(rules),
            saved_era: AtomicU64::new(0),
            saving: Mutex::new(()),
        };
        clock.compare();
        Ok(clock)
    }

    /// Saves trusted time for the next process. To be called each minute and at the stop.
    ///
    /// # Errors
    /// If the file cannot be replaced. Then a next process continues from an earlier time.
    pub fn save(&self) -> Result<(), ClockFileError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let (rules, reading) = self.compare();
        let era = rules.eras.current;
        let saved = Saved {
            trusted: rules.at(reading.boot),
            boot_id: self.machine.boot_id().unwrap_or_default(),
            boot_us: micros(reading.boot),
            standing: rules.standing,
            steps_from: rules.steps_from,
            eras: rules.eras,
        };
        saved::write(&self.disk, &self.file, &saved)?;
        self.saved_era.store(era.number().into(), Ordering::Relaxed);
        Ok(())
    }

    /// Whether an era began that is not saved.
    pub fn has_unsaved_era(&self) -> bool {
        let era = u64::from(self.stamp().1.number());
        era != self.saved_era.load(Ordering::Relaxed)
    }

    /// Follows the wall clock from now on, because an operator says that it is right, and saves that.
    ///
    /// # Errors
    /// As [`Self::save`]. Then the wall clock is followed all the same, until the process ends.
    pub fn trust(&self) -> Result<ClockStatus, ClockFileError> {
        {
            let (mut rules, reading) = (self.lock(), read(&*self.machine));
            rules.follow(reading, Evidence::Operator);
            self.publish(&rules, reading);
        }
        self.save()?;
        Ok(self.status())
    }

    /// What the clocks show now.
    pub fn status(&self) -> ClockStatus {
        let (mut rules, reading) = self.compare();
        let probation = rules.probation_left(reading, self.config.probation);
        ClockStatus {
            trusted: rules.at(reading.boot),
            wall: reading.wall,
            wall_ahead_seconds: rules.ahead_us(reading) / 1_000_000,
            is_followed: rules.standing == Standing::Followed,
            is_synchronised: reading.is_synchronised,
            probation_seconds: probation.map(|left| left.as_secs()),
        }
    }

    /// Compares the clocks. Returns what came of it, and the reading.
    fn compare(&self) -> (Rules, Reading) {
        let mut rules = self.lock();
        let reading = self.compare_in(&mut rules);
        (rules.clone(), reading)
    }

    fn compare_in(&self, rules: &mut Rules) -> Reading {
        let reading = read(&*self.machine);
        let evidence = match self.config.trust {
            Trust::Always => Evidence::Configured,
            Trust::Check if reading.is_synchronised => Evidence::TimeService,
            Trust::Check => Evidence::Plausible,
        };
        rules.compare(reading, evidence, self.config.probation);
        self.publish(rules, reading);
        reading
    }

    fn publish(&self, rules: &Rules, reading: Reading) {
        let (era, offset_us) = (u64::from(rules.eras.current.number()), rules.offset_us);
        let offset_us = u64::try_from(offset_us).unwrap_or(0).min(OFFSET_US_MAX);
        self.era_and_offset.store(era << OFFSET_BITS | offset_us, Ordering::Relaxed);
        self.last_jump_to_us.store(rules.eras.last_jump_to().as_micros(), Ordering::Relaxed);
        let ahead_us = u64::try_from(rules.ahead_us(reading)).unwrap_or(0);
        self.ahead_us.store(ahead_us, Ordering::Relaxed);
        let next = reading.boot.saturating_add(self.machine.compare_every());
        self.compare_at_us.store(micros(next), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TrustedClock {
    fn now(&self) -> Timestamp {
        self.stamp().0
    }

    fn stamp(&self) -> (Timestamp, Era) {
        let mut boot_us = micros(self.machine.uptime());
        if boot_us >= self.compare_at_us.load(Ordering::Relaxed)
            // Whoever holds the lock compares already.
            && let Ok(mut rules) = self.rules.try_lock()
        {
            boot_us = micros(self.compare_in(&mut rules).boot);
        }
        let packed = self.era_and_offset.load(Ordering::Relaxed);
        let era = u16::try_from(packed >> OFFSET_BITS).unwrap_or(u16::MAX);
        let at = Timestamp::from_micros(boot_us.saturating_add(packed & OFFSET_US_MAX));
        (at, Era::from_number(era))
    }

    fn shift_us(&self, era: Era) -> i64 {
        // Readers ask for each row, so the present era takes no lock.
        let packed = self.era_and_offset.load(Ordering::Relaxed);
        if packed >> OFFSET_BITS == u64::from(era.number()) {
            return 0;
        }
        self.lock().eras.shift_us(era)
    }

    fn reached(&self, era: Era) -> Timestamp {
        let now = self.now();
        self.lock().eras.went_back_from(era).map_or(now, |then| then.max(now))
    }

    fn rebase(&self, stamp: Timestamp, now: Timestamp) -> Timestamp {
        let is_after = stamp.as_micros() >= self.last_jump_to_us.load(Ordering::Relaxed);
        if is_after && stamp <= now { stamp } else { self.lock().eras.rebase(stamp, now) }
    }

    fn latest(&self) -> Timestamp {
        let now = self.now();
        now.plus(Duration::from_micros(self.ahead_us.load(Ordering::Relaxed)))
    }

    fn wall_clock(&self) -> Timestamp {
        self.machine.wall()
    }

    fn boot(&self) -> Duration {
        self.machine.uptime()
    }
}

/// A span with its two largest units, such as `40d 3h`.
fn rounded(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

fn restore(saved: Option<Saved>, machine: &dyn Machine, config: &Config) -> Rules {
    let reading = read(machine);
    let Some(saved) = saved else { return Rules::new(reading) };
    let is_same_boot = machine.boot_id().is_some_and(|id| id == saved.boot_id)
        && saved.boot_us <= micros(reading.boot);
    let mut rules = if is_same_boot {
        let boot = Duration::from_micros(saved.boot_us);
        Rules::same_boot(saved.trusted, boot, saved.standing, saved.eras, saved.steps_from)
    } else {
        Rules::rebooted(saved.trusted, saved.standing, saved.eras, reading)
    };
    // No device could check in meanwhile.
    let now = rules.at(reading.boot);
    if config.trust == Trust::Check && now.since(saved.trusted) > limits::CLOCK_AGREEMENT {
        rules.eras.skip(saved.trusted, now);
    }
    rules
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
    // Once more, because the process may have been interrupted between our reading and the kernel's.
    let is_synchronised = machine.is_synchronised(wall) || machine.is_synchronised(machine.wall());
    Reading { wall, boot, is_synchronised }
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
