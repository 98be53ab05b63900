//! The names of the quota's files. Only this file writes and parses them.
//!
//! ```text
//! 0000498728-000001.handles     asked handles of an hour: hour since the epoch with its era, number of the file
//! 0000498728-000002.states      states from that hour on
//! ```

use std::{fmt, io, path::Path};

use crate::{clock::Hour, files};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileKind {
    /// Fingerprints of the handles that were asked for in one hour.
    Handles,
    /// States of accounts and budgets. A file begins with all of them, and goes on with those that changed.
    States,
}

impl FileKind {
    /// The purpose in the derivation of the file's key. The log has others.
    pub(super) const fn purpose(self) -> u8 {
        match self {
            Self::Handles => 3,
            Self::States => 4,
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Handles => "handles",
            Self::States => "states",
        }
    }
}

/// A name. The order of names is the order in which the files were created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    /// Counted from 1 for all kinds together, and larger than that of every file that was there.
    pub(super) number: u32,
    /// The hour whose key opens the file.
    pub(super) hour: Hour,
    pub(super) kind: FileKind,
}

impl FileName {
    /// None unless `Display` writes exactly this name.
    fn parse(name: &str) -> Option<Self> {
        let (stem, ending) = name.split_once('.')?;
        let (hour, number) = stem.split_once('-')?;
        let kinds = [FileKind::Handles, FileKind::States];
        let kind = kinds.into_iter().find(|kind| kind.ending() == ending)?;
        let name_of = |hour| Self { hour: Hour::from_number(hour), number: 0, kind };
        let read = Self { number: number.parse().ok()?, ..name_of(hour.parse().ok()?) };
        (read.to_string() == name).then_some(read)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = self.kind.ending();
        write!(f, "{:010}-{:06}.{ending}", self.hour.number(), self.number)
    }
}

/// The names in a directory, in their order. Files with other names are left alone.
pub(super) fn list(dir: &Path) -> io::Result<Vec<FileName>> {
    let names = files::names(dir)?;
    let mut names: Vec<_> = names.iter().filter_map(|it| FileName::parse(it.to_str()?)).collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_a_near_miss_is_not() {
        let hour = Hour::from_number(498_728);
        for kind in [FileKind::Handles, FileKind::States] {
            let name = FileName { hour, number: 7, kind };
            assert_eq!(FileName::parse(&name.to_string()), Some(name));
        }
        assert!(FileName::parse("0000498728-000007.handles").is_some());
        for text in [
            "0000498728-7.handles",
            "498728-000007.states",
            "0000498728-000007.frames",
            "+000498728-000007.states",
            "",
        ] {
            assert_eq!(FileName::parse(text), None, "{text}");
        }
    }
}
