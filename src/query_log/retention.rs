//! Retention destroys expired hours: the key first, then the files.
//!
//! An hour is due when its oldest possible record reaches the retention. A tick destroys the keys of all due hours at
//! once ([`crate::envelope::Keyring::prune`]), then unlinks every file of a due hour whose key is gone. A crash may come
//! after any step: the next tick unlinks each file that is due and has no key, whoever destroyed that key. A file that
//! has no key and is *not* due is damaged, and stays.
//!
//! Time is trusted time ([`crate::clock::TrustedClock`]): a wall clock that is wrong for a while destroys nothing. Trusted time
//! itself can have been far ahead when an hour was written, if the first start had a wrong clock. The keyring records when
//! it first saw each key, and an hour in the future expires by that instant. As soon as the hour's start has passed it
//! expires by its start again.

use std::{path::PathBuf, time::Duration};

use super::{catalog::Catalog, search::Sources, segment_name::SegmentId};
use crate::{
    clock::{Hour, Timestamp},
    envelope::KeyringError,
    files::SharedDisk,
    limits,
};

/// What one tick did.
#[derive(Debug, Default)]
pub struct RetentionOutcome {
    /// Hours whose keys the tick destroyed.
    pub hours_destroyed: usize,
    /// Files unlinked.
    pub files_removed: usize,
    /// Files that could not be unlinked. Their keys are gone; the next tick tries again.
    pub files_left: usize,
    /// Why no key could be destroyed; the next tick tries again.
    pub error: Option<KeyringError>,
}

#[derive(Debug)]
pub(super) struct Retention {
    disk: SharedDisk,
    /// Hours whose keys this process destroyed and whose files it could not unlink. Without this list, files of an hour in
    /// the future would not look due.
    unlinkable: Vec<Hour>,
}

impl Retention {
    pub(super) const fn new(disk: SharedDisk) -> Self {
        Self { disk, unlinkable: Vec::new() }
    }

    /// Destroys the due hours. It first calls `finish_hours` with them, which closes their open files.
    pub(super) fn tick(
        &mut self,
        sources: &Sources,
        finish_hours: impl FnOnce(&[Hour]),
    ) -> RetentionOutcome {
        let Sources { catalog, keyring, clock, retention: span } = sources;
        let (now, span) = (clock.now(), *span);
        let mut outcome = RetentionOutcome::default();
        if let Err(error) = keyring.witness(now) {
            outcome.error = Some(error);
            return outcome;
        }
        let hours = keyring.hours();
        let is_due =
            |(hour, born): &(&Hour, &Timestamp)| expiry(**hour, Some(**born), span, now) <= now;
        let due: Vec<Hour> = hours.iter().filter(is_due).map(|(hour, _)| *hour).collect();
        // Destruction is final, so this checks `expiry` without its rules for wrong clocks: no hour goes whose start and
        // whose key are both younger than the retention.
        let is_old = |hour: &Hour| hour.start().min(hours[hour]).plus(span) <= now;
        assert!(due.iter().all(is_old), "retention would destroy an hour inside the window");
        if !due.is_empty() {
            finish_hours(&due);
            self.unlinkable.extend(&due);
            if let Err(error) = keyring.prune(&due) {
                tracing::error!(%error, hours = due.len(), "cannot destroy expired keys; the next tick tries again");
                outcome.error = Some(error);
                return outcome;
            }
            outcome.hours_destroyed = due.len();
        }
        let alive = keyring.hours();
        let is_dead = |hour: Hour| {
            !alive.contains_key(&hour)
                && (expiry(hour, None, span, now) <= now || self.unlinkable.contains(&hour))
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
            match catalog.unlink(&*self.disk, id, &path) {
                Ok(()) => outcome.files_removed += 1,
                Err(error) => {
                    tracing::warn!(%error, file = %id, "cannot unlink an expired file; its key is gone and the next tick tries again");
                    outcome.files_left += 1;
                    left.push(id.hour);
                }
            }
        }
        self.unlinkable.retain(|hour| left.contains(hour));
        if outcome.files_removed > 0
            && let Err(error) = self.disk.sync_dir(catalog.dir())
        {
            // After a crash the names may be back. The next start finds them due and without a key.
            tracing::warn!(%error, "the removal of expired files may not be durable yet");
        }
    }
}

/// When an hour expires. `born` is the earliest time at which the keyring held its key.
pub(super) fn expiry(
    hour: Hour,
    born: Option<Timestamp>,
    span: Duration,
    now: Timestamp,
) -> Timestamp {
    let start = hour.start();
    let born = born.unwrap_or(start);
    let was_ahead = born.plus(limits::CLOCK_STEP_BACK_MAX) < start;
    let oldest = if was_ahead && start <= now { start } else { start.min(born) };
    oldest.plus(span)
}
