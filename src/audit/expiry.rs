//! Expiry by whole days, oldest first: what remains is always the end of the chain, without a hole.

use std::time::Duration;

use super::{
    chain::Chain,
    error::AuditError,
    files::{self, Day, FileName},
};
use crate::clock::Timestamp;

/// How many of the files, oldest first, are to be removed.
///
/// A day expires when the newest entry that it can hold is too old. A day in the future was named by a wrong clock: its
/// entries are older than the file after it, so it expires with that file.
pub(super) fn due(files: &[FileName], retention: Duration, now: Timestamp) -> usize {
    let (today, horizon) = (Day::of(now), now.minus(retention));
    let mut is_next_due = false;
    let mut due: Vec<bool> = files
        .iter()
        .rev()
        .map(|file| {
            is_next_due = if file.day > today { is_next_due } else { file.day.end() <= horizon };
            is_next_due
        })
        .collect();
    due.reverse();
    due.into_iter().take_while(|is_due| *is_due).count()
}

/// Removes what is due. Returns the number of files, each a day.
pub(super) fn expire(
    chain: &Chain,
    retention: Duration,
    now: Timestamp,
) -> Result<usize, AuditError> {
    let list = || files::list(&chain.dir).map_err(super::error::io_at(&chain.dir));
    // Checked without the lock first: on almost every tick nothing is due.
    if due(&list()?, retention, now) == 0 {
        return Ok(0);
    }
    let _lock = chain.lock()?;
    let files = list()?;
    let due = due(&files, retention, now);
    files[..due].iter().try_for_each(|file| chain.remove(*file))?;
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(due(&files, RETENTION, last_moment), 1);
        assert_eq!(due(&files, RETENTION, end.plus(RETENTION)), 2);
        assert_eq!(due(&files, RETENTION, end.plus(RETENTION + DAY)), 3);
    }

    #[test]
    fn wrong_clocks_neither_keep_days_for_ever_nor_make_holes() {
        let now = Timestamp::from_secs(200 * 24 * 3600);
        assert_eq!(due(&files(&[150, 900, 151, 199]), RETENTION, now), 3);
        assert_eq!(due(&files(&[150, 900, 199]), RETENTION, now), 1);
        assert_eq!(due(&files(&[150, 900]), RETENTION, now), 1);
        assert_eq!(due(&files(&[199, 0, 199]), RETENTION, now), 0);
    }
}
