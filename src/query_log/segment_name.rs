//! The names of the files in the log's directory: one writer, one strict parser.
//!
//! ```text
//! 0000498728-000001.frames               a segment as it is written: hour (since the epoch) and file within the hour
//! 0000498728-000001.sealing              the same while it is being sealed
//! 0000498728-000001.sealed               the same once that is done and checked; then the frames go
//! 0000498728-000001-000000004096.cut     what was cut off it, and where: dies with the hour
//! ```
//!
//! Padded with zeros, so that the order of the names is the order of time.

use std::fmt;

use crate::clock::Hour;

/// Which file: the hour, and the number within the hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The hour that it covers.
    pub hour: Hour,
    /// Counted from 1; a new one at each start of the process and after each error.
    pub number: u32,
}

/// A name in the log's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogFileName {
    /// Records as they came.
    Frames(SegmentId),
    /// Sealed records that are not whole yet: of no use to a reader.
    Sealing(SegmentId),
    /// Sealed records.
    Sealed(SegmentId),
    /// What recovery cut off a file, from this offset.
    Cut(SegmentId, u64),
}

impl LogFileName {
    pub(super) const fn segment(self) -> SegmentId {
        match self {
            Self::Frames(id) | Self::Sealing(id) | Self::Sealed(id) | Self::Cut(id, _) => id,
        }
    }

    /// Reads a name; none unless it is exactly one that would be written.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(stem) = name.strip_suffix(".frames") {
            return SegmentId::parse(stem).map(Self::Frames);
        }
        if let Some(stem) = name.strip_suffix(".sealing") {
            return SegmentId::parse(stem).map(Self::Sealing);
        }
        if let Some(stem) = name.strip_suffix(".sealed") {
            return SegmentId::parse(stem).map(Self::Sealed);
        }
        let (stem, offset) = name.strip_suffix(".cut")?.split_at_checked(17)?;
        let offset = digits(offset.strip_prefix('-')?, 12)?;
        SegmentId::parse(stem).map(|id| Self::Cut(id, offset))
    }
}

impl fmt::Display for LogFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames(id) => write!(f, "{id}.frames"),
            Self::Sealing(id) => write!(f, "{id}.sealing"),
            Self::Sealed(id) => write!(f, "{id}.sealed"),
            Self::Cut(id, offset) => write!(f, "{id}-{offset:012}.cut"),
        }
    }
}

impl SegmentId {
    fn parse(stem: &str) -> Option<Self> {
        let (hour, number) = stem.split_once('-')?;
        let hour = u32::try_from(digits(hour, 10)?).ok()?;
        let number = u32::try_from(digits(number, 6)?).ok()?;
        Some(Self { hour: Hour::from_epoch_hours(hour), number })
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}-{:06}", self.hour.epoch_hours(), self.number)
    }
}

fn digits(text: &str, width: usize) -> Option<u64> {
    let strict = text.len() == width && text.bytes().all(|digit| digit.is_ascii_digit());
    strict.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(hour: u32, number: u32) -> SegmentId {
        SegmentId { hour: Hour::from_epoch_hours(hour), number }
    }

    proptest! {
        #[test]
        fn names_survive_and_sort_by_time(hours: [u32; 2], numbers in [0..=999_999u32, 0..=999_999u32], at in 0..=999_999_999_999u64) {
            let ids = [id(hours[0], numbers[0]), id(hours[1], numbers[1])];
            for name in [LogFileName::Frames(ids[0]), LogFileName::Sealing(ids[0]), LogFileName::Sealed(ids[0]), LogFileName::Cut(ids[0], at)] {
                prop_assert_eq!(LogFileName::parse(&name.to_string()), Some(name));
            }
            let names = ids.map(|id| LogFileName::Frames(id).to_string());
            prop_assert_eq!(names[0].cmp(&names[1]), ids[0].cmp(&ids[1]));
        }

        #[test]
        fn what_parses_is_what_would_be_written(text in "[0-9]{9,11}-[0-9]{5,7}(-[0-9]{11,13})?\\.(frames|cut|frame|seal(ing|ed)?)") {
            if let Some(name) = LogFileName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn near_misses_are_not_ours() {
        for text in [
            "498728-1.frames",
            "0000498728-000001",
            "0000498728-000001.frames.bak",
            "0000498728-00001.frames",
            "+000498728-000001.frames",
            "0000498728_000001.frames",
            "9999999999-000001.frames",
            "0000498728-000001.cut",
            " 0000498728-000001.frames",
            "0000498728-000001-4096.cut",
            "0000498728-000001-000000004096.frames",
            "lock",
            "",
            ".frames",
            "٠٠٠٠٤٩٨٧٢٨-000001.frames",
            "0000498728-000001.Frames",
            "0000498728-000001.seal",
            "0000498728-000001.sealed.sealing",
        ] {
            assert_eq!(LogFileName::parse(text), None, "{text}");
        }
    }
}
