//! Retention destroys expired hours: the key first, then the files.
//!
//! An hour is due when its oldest possible record reaches the retention. A tick destroys the keys of all due hours at
//! once ([`crate::envelope::Keyring::prune`]), then unlinks every file of a due hour whose key is gone. A crash may come
//! after any step: the next tick unlinks each file that is due and has no key, whoever destroyed that key. A file that
//! has no key and is *not* due is damaged, and stays.
//!
//! Time is trusted time ([`crate::clock::TrustedClock`]): a wall clock that is wrong for a while destroys nothing. If trusted time
//! itself was wrong when an hour was written, the hour's era has a shift that corrects it.

use std::path::PathBuf;

use super::{catalog::Catalog, search::Sources, segment_name::SegmentId};
use crate::{clock::Hour, envelope::KeyringError, files::Disk};

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

/// Destroys the due hours. It first calls `finish_hours` with them, which closes their open files.
pub(super) fn tick(
    sources: &Sources,
    disk: &dyn Disk,
    finish_hours: impl FnOnce(&[Hour]),
) -> RetentionOutcome {
    let Sources { catalog, keyring, clock, retention } = sources;
    let now = clock.now();
    let is_due = |hour: &Hour| sources.expiry(*hour) <= now;
    let mut outcome = RetentionOutcome::default();
    let Some(due) = keyring.expired(&**clock, *retention) else { return outcome };
    if !due.is_empty() {
        finish_hours(&due);
        if let Err(error) = keyring.prune(&due) {
            tracing::error!(%error, hours = due.len(), "cannot destroy expired keys; the next tick tries again");
            outcome.error = Some(error);
            return outcome;
        }
        outcome.hours_destroyed = due.len();
    }
    let alive = keyring.hours();
    let is_dead = |id: SegmentId| !alive.contains(&id.hour) && is_due(&id.hour);
    let files = catalog.files().into_iter().filter(|(id, _)| is_dead(*id)).collect();
    unlink(catalog, disk, files, &mut outcome);
    outcome
}

fn unlink(
    catalog: &Catalog,
    disk: &dyn Disk,
    files: Vec<(SegmentId, PathBuf)>,
    outcome: &mut RetentionOutcome,
) {
    for (id, path) in files {
        match catalog.unlink(disk, id, &path) {
            Ok(()) => outcome.files_removed += 1,
            Err(error) => {
                tracing::warn!(%error, file = %id, "cannot unlink an expired file; its key is gone and the next tick tries again");
                outcome.files_left += 1;
            }
        }
    }
    if outcome.files_removed > 0
        && let Err(error) = disk.sync_dir(catalog.dir())
    {
        // After a crash the names may be back. The next start finds them due and without a key.
        tracing::warn!(%error, "the removal of expired files may not be durable yet");
    }
}
