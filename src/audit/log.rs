//! The audit log as its users hold it.

use std::{
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::getuid;

use super::{
    chain::{AuditError, Chain, io_at},
    entry::{Call, What},
    files::{self, Day, FileName},
    filters::Filters,
    fingerprint::FingerprintKey,
    listing::{Listing, Wanted},
    state::{AuditState, Audited},
    verify::{self, VerifyReport},
};
use crate::{
    clock::{Clock, SharedClock},
    envelope::Keyring,
    files::{OsDisk, SharedDisk},
    limits,
};

/// The audit log of one data directory. Cheap to clone. Its calls read and write files, so they belong on a thread that
/// may wait.
#[derive(Clone, Debug)]
pub struct Audit {
    shared: Arc<AuditState>,
}

impl Audit {
    /// An audit log in `dir`, which the first entry creates. Nothing is opened yet: an error is for those who want to read.
    ///
    /// The `keyring` has the keys of the query log's hours, whose fingerprints die with them. It may be opened for reading
    /// only.
    pub fn new(
        dir: PathBuf,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        retention: Duration,
    ) -> Self {
        Self::on_disk(OsDisk::shared(), dir, keyring, clock, retention)
    }

    /// As [`Audit::new`], with `disk` for all changes of files.
    pub fn on_disk(
        disk: SharedDisk,
        dir: PathBuf,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        retention: Duration,
    ) -> Self {
        let (chain, endings) = (Chain::new(dir, disk, clock), Mutex::default());
        let (ended, is_writing, written) = (Condvar::new(), Mutex::new(false), Condvar::new());
        let is_writable = AtomicBool::new(true);
        let shared = AuditState {
            chain,
            keyring,
            retention,
            endings,
            ended,
            is_writing,
            written,
            is_writable,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Notes that `operator` (a name, or [`local_user`]) makes a call. Durable when this returns, so that what is given
    /// out afterwards has its entry whatever happens. After an error nothing may be given.
    pub fn begin(
        &self,
        operator: &str,
        call: Call,
        filters: &Filters,
    ) -> Result<Audited, AuditError> {
        let (operator, call) = (operator.to_owned(), call.code().to_owned());
        let filters = filters.clone();
        let of = self.shared.append(move |shared| {
            // Its key may have to be made, and then it is written to the disk.
            let key = match filters.has_personal() {
                true => FingerprintKey::present(&shared.keyring, &*shared.chain.clock)?,
                false => None,
            };
            let (case, filters) = (filters.case().map(str::to_owned), filters.noted(key.as_ref()));
            Ok(What::Begin { operator, call, filters, case })
        })?;
        Ok(Audited::new(Arc::clone(&self.shared), of))
    }

    /// Whether the last entry was written. True before the first.
    pub fn is_writable(&self) -> bool {
        self.shared.is_writable.load(Ordering::Relaxed)
    }

    /// The calls that are noted and wanted, oldest first, each with how it ended.
    pub fn list(&self, wanted: Wanted) -> Result<Listing, AuditError> {
        Listing::new(&self.shared, wanted)
    }

    /// Reads the whole chain and says where it is not what was written.
    pub fn verify(&self) -> Result<VerifyReport, AuditError> {
        verify::verify(&self.shared.chain)
    }

    /// Removes the days that are older than the retention, and returns their number. Call it now and then; an additional
    /// call does no harm. After an error the next call tries again.
    pub fn expire(&self) -> Result<usize, AuditError> {
        let AuditState { chain, retention, .. } = &*self.shared;
        let list = || files::list(&chain.dir).map_err(io_at(&chain.dir));
        let due = |files: &[FileName]| due(files, *retention, &*chain.clock);
        // Checked without the lock first: on almost every tick nothing is due.
        if due(&list()?) == 0 {
            return Ok(0);
        }
        let _lock = chain.lock()?;
        let files = list()?;
        let due = due(&files);
        files[..due].iter().try_for_each(|file| chain.remove(*file))?;
        Ok(due)
    }

    /// Waits until the calls that broke off have their end entries, for a few seconds at most. To be called once no call
    /// is under way.
    pub fn close(&self) {
        self.shared.await_endings(limits::AUDIT_CLOSE_PATIENCE);
    }
}

/// Who reads files by the command line: `local:` and the user's number. No operator's name has a colon.
pub fn local_user() -> String {
    format!("local:{}", getuid().as_raw())
}

/// How many of the files, oldest first, are to be removed: what remains is always the end of the chain, without a hole.
///
/// A day expires when the newest entry that it can hold is too old. A day in the future was named by a wrong clock: its
/// entries are older than the file after it, so it expires with that file. Jumps of trusted time do not count.
fn due(files: &[FileName], retention: Duration, clock: &dyn Clock) -> usize {
    let now = clock.now();
    let (today, horizon) = (Day::of(now), now.minus(retention));
    let end = |file: &FileName| clock.rebase(file.day.end().min(now), now);
    let mut is_next_due = false;
    let mut due: Vec<bool> = files
        .iter()
        .rev()
        .map(|file| {
            is_next_due = if file.day > today { is_next_due } else { end(file) <= horizon };
            is_next_due
        })
        .collect();
    due.reverse();
    due.into_iter().take_while(|is_due| *is_due).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

    fn files(days: &[u64]) -> Vec<FileName> {
        let name = |(at, day): (usize, &u64)| FileName {
            place: u32::try_from(at).unwrap() + 1,
            day: Day::of(Timestamp::from_secs(day * 24 * 3600)),
        };
        days.iter().enumerate().map(name).collect()
    }

    #[test]
    fn a_day_goes_when_its_newest_entry_is_too_old_and_not_before() {
        let end = Day::of(Timestamp::from_secs(100 * 24 * 3600)).end();
        let files = files(&[99, 100, 101]);
        let last_moment = end.plus(RETENTION).minus(Duration::from_micros(1));
        let due_at = |now| due(&files, RETENTION, &*ManualClock::at(now));
        assert_eq!(due_at(last_moment), 1);
        assert_eq!(due_at(end.plus(RETENTION)), 2);
        assert_eq!(due_at(end.plus(RETENTION + DAY)), 3);
    }

    /// Trusted time went back from a year ahead, long ago: instants in the future count from then.
    #[derive(Debug)]
    struct WentBack(Timestamp);

    impl Clock for WentBack {
        fn now(&self) -> Timestamp {
            self.0
        }

        fn boot(&self) -> Duration {
            Duration::ZERO
        }

        fn rebase(&self, stamp: Timestamp, now: Timestamp) -> Timestamp {
            if stamp > now { Timestamp::EPOCH } else { stamp }
        }
    }

    #[test]
    fn the_present_day_is_never_due() {
        let now = Timestamp::from_secs(200 * 24 * 3600 + 60);
        assert_eq!(due(&files(&[199, 200]), RETENTION, &WentBack(now)), 0);
    }

    #[test]
    fn wrong_clocks_neither_keep_days_for_ever_nor_make_holes() {
        let clock = ManualClock::at(Timestamp::from_secs(200 * 24 * 3600));
        let due = |days: &[u64]| due(&files(days), RETENTION, &*clock);
        assert_eq!(due(&[150, 900, 151, 199]), 3);
        assert_eq!(due(&[150, 900, 199]), 1);
        assert_eq!(due(&[150, 900]), 1);
        assert_eq!(due(&[199, 0, 199]), 0);
    }
}
