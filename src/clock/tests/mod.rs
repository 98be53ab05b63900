//! Trusted time against clocks that are set wrong, machines that start anew, and files that are damaged.

mod corrections;
mod reboots;
mod saved;
mod steps;

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;

use super::{
    Clock as _, ClockFileError, Config, Machine as _, ManualClock, SystemClock, Timestamp, Trust,
    TrustedClock,
};
use crate::files::{OsDisk, tests::sim_disk::UnsyncedDisk};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// 2026-03-01T12:00:00Z.
const START: Timestamp = Timestamp::from_secs(1_772_366_400);

/// A data directory and its machine, whose kernel knows of no time service.
struct World {
    machine: Arc<ManualClock>,
    folder: TempDir,
    config: Config,
    clock: TrustedClock,
}

impl World {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let (machine, folder) = (ManualClock::at(START), tempfile::tempdir().unwrap());
        machine.set_synchronised(false);
        let clock = open(&machine, &folder, &config).unwrap();
        Self { machine, folder, config, clock }
    }

    /// Starts the process anew; the last one had saved its time if `was_saved`.
    fn restart(&mut self, was_saved: bool) {
        if was_saved {
            self.clock.save().unwrap();
        }
        self.clock = open(&self.machine, &self.folder, &self.config).unwrap();
    }

    /// Saves, takes the power away for `off`, reboots and starts the process.
    fn power_cycle(&mut self, off: Duration) {
        self.clock.save().unwrap();
        self.machine.advance(off);
        self.machine.reboot();
        self.restart(false);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn is_followed(&self) -> bool {
        self.clock.status().is_followed
    }
}

fn open(
    machine: &Arc<ManualClock>,
    folder: &TempDir,
    config: &Config,
) -> Result<TrustedClock, ClockFileError> {
    TrustedClock::open(Arc::clone(machine) as _, Arc::new(UnsyncedDisk), folder.path(), config)
}

/// Steps of the wall clock that trusted time must not follow: an hour and more, in both directions.
fn wrong() -> Vec<Timestamp> {
    let spans = [HOUR + MINUTE, 2 * HOUR, DAY, 31 * DAY, 40 * DAY, 181 * DAY, 3650 * DAY];
    let both = |span| [START.plus(span), START.minus(span)];
    spans.into_iter().flat_map(both).chain([Timestamp::EPOCH]).collect()
}
