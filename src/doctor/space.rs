//! Whether the disks have space for the log of the whole retention at today's rate, and for a snapshot of the registry.

use std::{path::Path, time::Duration};

use bytesize::ByteSize;

use super::unreadable::unreadable;
use crate::{
    api::{Check, Finding},
    clock::{Clock, Timestamp},
    config::Config,
    files::{self, FileStamp, Space},
    query_log,
};

const DAY: Duration = Duration::from_secs(86_400);
/// A log that is younger tells nothing about a day.
const YOUNGEST: Duration = Duration::from_secs(3_600);

/// What the log takes.
#[derive(Clone, Copy, Debug, Default)]
struct LogFacts {
    /// Bytes of all hours.
    total: u64,
    /// Bytes of the last day.
    of_last_day: u64,
    /// How long ago its oldest record may be.
    age: Duration,
    retention: Duration,
}

/// Looks at the log, the registry, and the disks that they lie on.
pub(super) fn check(config: &Config, clock: &dyn Clock) -> Vec<Finding> {
    let data = &config.server.data;
    let mut findings = Vec::new();
    let log = data.join("log");
    match log_facts(&log, clock, config.log.retention)
        .and_then(|facts| Ok((facts, space_of(&log)?)))
    {
        Ok((facts, space)) => findings.extend(judge_log(facts, free(space, config))),
        Err(error) => findings.push(unreadable(Check::Space, &log.display().to_string(), &error)),
    }
    let registry = data.join("registry");
    let store = files::if_exists(FileStamp::of(&registry.join("registry.redb")));
    match store.and_then(|store| Ok((store, space_of(&registry)?))) {
        Ok((store, space)) => {
            let bytes = store.map_or(0, |store| store.bytes);
            findings.extend(judge_registry(bytes, free(space, config)));
        }
        Err(error) => {
            findings.push(unreadable(Check::Space, &registry.display().to_string(), &error))
        }
    }
    let low = |name: &str| {
        let space = space_of(&data.join(name)).ok()?;
        judge_reserve(name, space, config.server.disk_reserve)
    };
    findings.extend(["log", "registry"].into_iter().filter_map(low));
    findings
}

/// The space of a directory. One that does not exist yet will lie on the disk of its parent.
fn space_of(path: &Path) -> std::io::Result<Space> {
    files::space_of(path).or_else(|_| files::space_of(files::parent(path)))
}

/// Bytes that this server may still use.
fn free(space: Space, config: &Config) -> u64 {
    space.free.saturating_sub(space.reserve(config.server.disk_reserve))
}

fn log_facts(log: &Path, clock: &dyn Clock, retention: Duration) -> std::io::Result<LogFacts> {
    let (now, hours) = (clock.now(), query_log::bytes_by_hour(log)?);
    let hours: Vec<(Timestamp, u64)> =
        hours.into_iter().map(|(hour, bytes)| (clock.began(hour), bytes)).collect();
    let of_last_day = hours.iter().filter(|(start, _)| now.since(*start) <= DAY);
    Ok(LogFacts {
        total: hours.iter().map(|(_, bytes)| bytes).sum(),
        of_last_day: of_last_day.map(|(_, bytes)| bytes).sum(),
        age: hours.iter().map(|(start, _)| now.since(*start)).max().unwrap_or_default(),
        retention,
    })
}

fn judge_log(log: LogFacts, free: u64) -> Option<Finding> {
    if log.age < YOUNGEST {
        return None;
    }
    let span = log.age.min(DAY).as_secs().max(1);
    let scaled = |span_wanted: Duration| {
        let bytes =
            u128::from(log.of_last_day) * u128::from(span_wanted.as_secs()) / u128::from(span);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    };
    let (a_day, at_the_end) = (scaled(DAY), scaled(log.retention));
    let growth = at_the_end.saturating_sub(log.total);
    (growth > free).then(|| {
        Finding::warning(
            Check::Space,
            format!(
                "at today's rate, {} a day, the log grows by {} until its retention ends, and its disk has {} left to use",
                amount(a_day),
                amount(growth),
                amount(free)
            ),
            "enlarge the disk of the data directory, or shorten log.retention: a full disk stops lookups",
        )
    })
}

fn judge_registry(bytes: u64, free: u64) -> Option<Finding> {
    (bytes > free).then(|| {
        Finding::warning(
            Check::Space,
            format!(
                "the registry takes {}, and its disk has {} left to use: a snapshot does not fit",
                amount(bytes),
                amount(free)
            ),
            "enlarge the disk of the data directory",
        )
    })
}

fn judge_reserve(name: &str, space: Space, wanted: u64) -> Option<Finding> {
    space.is_low(wanted, false).then(|| {
        Finding::error(
            Check::Space,
            format!(
                "the disk of {name}/ has {} free, less than the {} that server.disk_reserve leaves to other programs, so calls \
                 are refused",
                amount(space.free),
                amount(space.reserve(wanted))
            ),
            "free space on the disk, or enlarge it",
        )
    })
}

fn amount(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        api::Severity,
        clock::{Hour, ManualClock},
    };

    const HOUR: Duration = Duration::from_secs(3_600);

    /// A day of 24 GB in a log of ten days, of 240 GB.
    const BUSY: LogFacts = LogFacts {
        total: 240_000_000_000,
        of_last_day: 24_000_000_000,
        age: Duration::from_secs(10 * 86_400),
        retention: Duration::from_secs(30 * 86_400),
    };

    #[test]
    fn the_log_needs_space_for_the_days_that_it_does_not_have_yet() {
        assert_eq!(judge_log(BUSY, 480_000_000_000), None);
        let found = judge_log(BUSY, 479_999_999_999).unwrap();
        assert_eq!((found.check, found.severity), (Check::Space, Severity::Warning));
        for part in ["24.0 GB a day", "grows by 480.0 GB"] {
            assert!(found.what.contains(part), "{}", found.what);
        }
        // A log of its whole length does not grow.
        let whole = LogFacts { total: 720_000_000_000, ..BUSY };
        assert_eq!(judge_log(whole, 0), None);
        assert_eq!(judge_log(LogFacts::default(), 0), None, "a new log");
    }

    #[test]
    fn a_log_of_some_hours_is_scaled_to_a_day() {
        let young =
            LogFacts { total: 2_000, of_last_day: 2_000, age: 2 * HOUR, retention: 3 * HOUR };
        assert_eq!(judge_log(young, 1_000), None);
        assert!(judge_log(young, 999).unwrap().what.contains("24.0 kB a day"));
        assert_eq!(judge_log(LogFacts { age: HOUR / 2, ..young }, 0), None);
    }

    #[test]
    fn the_last_day_of_the_files_is_what_counts() {
        let folder = tempfile::tempdir().unwrap();
        let now = Hour::from_number(498_728);
        let clock = ManualClock::at(now.start().plus(HOUR / 2));
        for (hours_ago, bytes) in [(0, 5), (23, 70), (24, 200), (48, 3_000)] {
            let name = format!("{:010}-000001.frames", now.number() - hours_ago);
            fs::write(folder.path().join(name), vec![0; bytes]).unwrap();
        }
        let facts = log_facts(folder.path(), &*clock, 30 * DAY).unwrap();
        assert_eq!((facts.total, facts.of_last_day), (3_275, 75));
        assert_eq!(facts.age, 48 * HOUR + HOUR / 2);
    }

    #[test]
    fn a_snapshot_must_fit_and_the_reserve_must_be_free() {
        assert_eq!(judge_registry(10, 10), None);
        assert!(judge_registry(11, 10).unwrap().what.contains("a snapshot does not fit"));
        let space = |free| Space { free, total: 1 << 40 };
        assert_eq!(judge_reserve("log", space(256 << 20), 256 << 20), None);
        let low = judge_reserve("log", space((256 << 20) - 1), 256 << 20).unwrap();
        assert_eq!(low.severity, Severity::Error);
        assert!(low.what.contains("log/"), "{}", low.what);
    }
}
