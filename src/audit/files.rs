//! The files of the audit log: `<place in the chain>-<day>.ndjson`.
//!
//! Places are counted from 1 and have no holes, so that a missing file is evident; days are counted from the Unix epoch
//! and may have holes, since nobody may have read on a day. A day has one file, unless a clock was set back by more than
//! a day: then a further one is begun, and the place says which is newer.

use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
};

use crate::{clock::Timestamp, files};

const SECS_PER_DAY: u64 = 24 * 3600;
const SUFFIX: &str = ".ndjson";

/// One day of UTC, counted from the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(u32);

impl Day {
    pub(super) fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.as_secs() / SECS_PER_DAY).unwrap_or(u32::MAX))
    }

    /// The first instant after the day.
    pub(super) fn end(self) -> Timestamp {
        Timestamp::from_secs((u64::from(self.0) + 1) * SECS_PER_DAY)
    }
}

/// The name of a file. Later ones in the chain are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    pub(super) place: u32,
    pub(super) day: Day,
}

impl FileName {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (place, day) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let number = |text: &str| -> Option<u32> {
            let is_plain = text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| text.parse().ok()).flatten()
        };
        Some(Self { place: number(place)?, day: Day(number(day)?) })
    }

    /// Whether an entry of `day` belongs in this file, the newest. A clock that steps back a little does not begin a new
    /// file. A clock that was far ahead must not collect all later entries in a day that never expires.
    pub(super) fn takes(self, day: Day) -> bool {
        self.day == day || self.day.0 == day.0.saturating_add(1)
    }

    /// The file after this one, or the first.
    pub(super) fn next(newest: Option<Self>, day: Day) -> Self {
        Self { place: newest.map_or(1, |newest| newest.place.saturating_add(1)), day }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:07}-{:07}{SUFFIX}", self.place, self.day.0)
    }
}

/// The files in `dir`, oldest first; none if there is no directory yet.
pub(super) fn list(dir: &Path) -> io::Result<Vec<FileName>> {
    let names = files::if_exists(files::names(dir))?.unwrap_or_default();
    let mut found: Vec<_> =
        names.iter().filter_map(|name| FileName::parse(name.to_str()?)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The lines of a file up to `len` bytes, without their ends and without empty ones, one at a time.
pub(super) fn lines(
    path: &Path,
    len: u64,
) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + use<>> {
    let lines = BufReader::new(files::open(path)?.take(len)).split(b'\n');
    Ok(lines.filter(|line| !line.as_ref().is_ok_and(Vec::is_empty)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_text_and_nothing_else_is_a_name() {
        let name = FileName { place: 7, day: Day::of(Timestamp::from_secs(1_795_420_800)) };
        assert_eq!(name.to_string(), "0000007-0020780.ndjson");
        assert_eq!(FileName::parse(&name.to_string()), Some(name));
        for other in
            ["lock", "7-20780.ndjson", "0000007-0020780.ndjson.new", "+000007-0020780.ndjson"]
        {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_a_little_stays_in_the_file() {
        let of = |day| FileName { place: 1, day: Day(day) };
        assert!(of(10).takes(Day(10)) && of(10).takes(Day(9)));
        assert!(!of(10).takes(Day(11)) && !of(10).takes(Day(8)));
        let next = FileName::next(Some(of(10)), Day(8));
        assert!(next > of(10) && FileName::next(None, Day(8)).place == 1);
    }
}
