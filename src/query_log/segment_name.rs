//! The names of the files in the log's directory. Only this file writes and parses them.
//!
//! ```text
//! 0000498728-000001.frames               a segment as it is written: hour since the epoch, number within the hour
//! 0000498728-000001.sealing              a sealed file that is not complete yet
//! 0000498728-000001.sealed               a sealed file that was read back and compared; it replaces the frames
//! 0000498728-000001-000000004096.cut     bytes that recovery cut off a file, and their offset
//! ```
//!
//! Numbers are padded with zeros, so the order of the names is the order of time.

use std::fmt;

use crate::clock::Hour;

/// Identifies a segment in any form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The hour of all its records.
    pub hour: Hour,
    /// Counted from 1. Each start of the process and each write error takes a new number.
    pub number: u32,
}

/// A name in the log's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LogFileName {
    Frames(SegmentId),
    Sealing(SegmentId),
    Sealed(SegmentId),
    /// Bytes that recovery cut off a file, from this offset on.
    Cut(SegmentId, u64),
}

impl LogFileName {
    pub(super) const fn segment(self) -> SegmentId {
        match self {
            Self::Frames(id) | Self::Sealing(id) | Self::Sealed(id) | Self::Cut(id, _) => id,
        }
    }

    /// None unless `Display` writes exactly this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (stem, extension) = name.split_once('.')?;
        match extension {
            "frames" => SegmentId::parse(stem).map(Self::Frames),
            "sealing" => SegmentId::parse(stem).map(Self::Sealing),
            "sealed" => SegmentId::parse(stem).map(Self::Sealed),
            "cut" => {
                let (stem, offset) = stem.rsplit_once('-')?;
                Some(Self::Cut(SegmentId::parse(stem)?, digits(offset, 12)?))
            }
            _ => None,
        }
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
    /// None unless `Display` writes exactly this text.
    pub fn parse(stem: &str) -> Option<Self> {
        let (hour, number) = stem.split_once('-')?;
        let hour = u32::try_from(digits(hour, 10)?).ok()?;
        let number = u32::try_from(digits(number, 6)?).ok()?;
        Some(Self { hour: Hour::from_number(hour), number })
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}-{:06}", self.hour.number(), self.number)
    }
}

pub(super) fn digits(text: &str, width: usize) -> Option<u64> {
    let strict = text.len() == width && text.bytes().all(|digit| digit.is_ascii_digit());
    strict.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(hour: u32, number: u32) -> SegmentId {
        SegmentId { hour: Hour::from_number(hour), number }
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
    fn near_misses_are_refused() {
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
