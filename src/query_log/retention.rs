//! Forgetting, hour by hour: the key first, then the files.
//!
//! An hour is due when its oldest possible record reaches the retention. A tick destroys the keys of all due hours at
//! once ([`crate::envelope::Keyring::prune`]), and then unlinks every file of a due hour whose key is gone. Each step may
//! be the last before a crash: a file that is due and has no key is unlinked by the next tick, whoever destroyed the key.
//! A file that has no key and is *not* due is damage, and stays.
//!
//! A clock can be wrong in two ways. If it jumps while the process runs, wall and boot clock disagree, and nothing is
//! destroyed until they agree again or the process starts anew. If it was far ahead when an hour was written, that hour
//! would stay for ever; so the keyring keeps when each key was first seen, and an hour that is still in the future
//! expires by that. Once its time has really come it expires by its hour again: a clock that was far *behind* for a
//! while must not make everything look old.

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use super::{catalog::Catalog, segment_name::SegmentId};
use crate::{
    clock::{Clock, Hour, Timestamp},
    envelope::{Keyring, KeyringError},
    files::SharedDisk,
    limits,
};

/// What one tick did.
#[derive(Debug, Default)]
pub struct RetentionOutcome {
    /// Nothing was destroyed, since the clocks disagree.
    pub frozen: bool,
    /// Hours whose keys were destroyed.
    pub hours_destroyed: usize,
    /// Files unlinked.
    pub files_removed: usize,
    /// Files that could not be unlinked; each tick tries again. Their keys are gone already.
    pub files_left: usize,
    /// Why the keys could not be destroyed, if they could not; the next tick tries again.
    pub error: Option<KeyringError>,
}

/// The retention of one log.
#[derive(Debug)]
pub(super) struct Retention {
    span: Duration,
    disk: SharedDisk,
    wall_start: Timestamp,
    boot_start: Duration,
    was_frozen: bool,
    /// Files of hours that this process destroyed and could not unlink: an hour in the future would not look due.
    condemned: Vec<Hour>,
}

impl Retention {
    pub(super) fn new(clock: &dyn Clock, span: Duration, disk: SharedDisk) -> Self {
        let (wall_start, boot_start) = (clock.now(), clock.boot());
        Self { span, disk, wall_start, boot_start, was_frozen: false, condemned: Vec::new() }
    }

    /// Destroys what is due. `end_hours` is told which hours these are, so that none of their files stays open.
    pub(super) fn tick(
        &mut self,
        clock: &dyn Clock,
        keyring: &Keyring,
        catalog: &Catalog,
        end_hours: impl FnOnce(&[Hour]),
    ) -> RetentionOutcome {
        let mut outcome = RetentionOutcome { frozen: self.is_frozen(clock), ..Default::default() };
        if outcome.frozen {
            return outcome;
        }
        let now = clock.now();
        if let Err(error) = keyring.witness(now) {
            outcome.error = Some(error);
            return outcome;
        }
        let due = due_hours(&keyring.hours(), self.span, now);
        if !due.is_empty() {
            end_hours(&due);
            self.condemned.extend(&due);
            if let Err(error) = keyring.prune(&due) {
                tracing::error!(%error, hours = due.len(), "expired keys could not be destroyed; trying again");
                outcome.error = Some(error);
                return outcome;
            }
            outcome.hours_destroyed = due.len();
        }
        let alive = keyring.hours();
        let condemned = &self.condemned;
        let is_dead = |hour: Hour| {
            !alive.contains_key(&hour)
                && (expiry(hour, None, self.span, now) <= now || condemned.contains(&hour))
        };
        let files: Vec<_> =
            catalog.files().into_iter().filter(|(id, _)| is_dead(id.hour)).collect();
        self.unlink(catalog, files, &mut outcome);
        outcome
    }

    fn unlink(
        &mut self,
        catalog: &Catalog,
        files: Vec<(SegmentId, PathBuf)>,
        outcome: &mut RetentionOutcome,
    ) {
        let mut left = Vec::new();
        for (id, path) in files {
            match self.disk.unlink(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, file = %id, "an expired file cannot be removed; its key is gone, trying again");
                    outcome.files_left += 1;
                    left.push(id.hour);
                }
                _ => {
                    catalog.remove(id, &path);
                    outcome.files_removed += 1;
                }
            }
        }
        self.condemned.retain(|hour| left.contains(hour));
        if outcome.files_removed > 0
            && let Err(error) = self.disk.sync_dir(catalog.dir())
        {
            // After a crash the names may be back; the next start sees them as due and without a key.
            tracing::warn!(%error, "the removal of expired files may not be durable yet");
        }
    }

    fn is_frozen(&mut self, clock: &dyn Clock) -> bool {
        // Signed, in microseconds: the wall may have gone back to before the start.
        let wall = i128::from(clock.now().as_micros()) - i128::from(self.wall_start.as_micros());
        let boot = clock.boot().saturating_sub(self.boot_start).as_micros();
        let apart = wall.abs_diff(i128::try_from(boot).unwrap_or(i128::MAX));
        let frozen = apart > limits::CLOCK_DISAGREEMENT_MAX.as_micros();
        if frozen && !self.was_frozen {
            tracing::error!(
                "wall clock and boot clock disagree; no log segment is destroyed until they agree or a restart"
            );
        }
        self.was_frozen = frozen;
        frozen
    }
}

/// When an hour expires. `born`: the earliest wall time at which its key was seen.
pub(super) fn expiry(
    hour: Hour,
    born: Option<Timestamp>,
    span: Duration,
    now: Timestamp,
) -> Timestamp {
    let start = hour.start();
    let born = born.unwrap_or(start);
    let from_the_future = born.plus(limits::CLOCK_STEP_BACK_MAX) < start;
    let oldest = if from_the_future && start <= now { start } else { start.min(born) };
    oldest.plus(span)
}

/// The hours whose time has come.
pub(super) fn due_hours(
    hours: &BTreeMap<Hour, Timestamp>,
    span: Duration,
    now: Timestamp,
) -> Vec<Hour> {
    let due = |(hour, born): (&Hour, &Timestamp)| {
        (expiry(*hour, Some(*born), span, now) <= now).then_some(*hour)
    };
    hours.iter().filter_map(due).collect()
}
