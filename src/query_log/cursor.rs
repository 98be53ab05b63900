//! A place in the log, as opaque text that stays valid while segments around it are sealed and expire.
//!
//! ```text
//! version (1 byte, 2), at (8), hour (4), file number (4): big endian, base64url
//! ```
//!
//! Within one file no two rows have the same instant ([`super::log_clock`]), so hour, file and instant name a row. Its
//! index in the file would not do: the row loses it when its segment is sealed.

use std::{fmt, str::FromStr};

use bytes::{Buf as _, BufMut as _};
use data_encoding::BASE64URL_NOPAD;

use super::segment_name::SegmentId;
use crate::clock::{Hour, Timestamp};

const VERSION: u8 = 2;

/// The position of one row. Cursors are ordered by hour, then instant, then file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    hour: Hour,
    at: Timestamp,
    number: u32,
}

/// The text is not a cursor that this program wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this log")]
pub struct CursorError;

impl Cursor {
    /// Bytes of a place without the version.
    pub const BYTES: usize = 16;

    /// The place as bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let mut rest = bytes.as_mut_slice();
        rest.put_u64(self.at.as_micros());
        rest.put_u32(self.hour.number());
        rest.put_u32(self.number);
        bytes
    }

    /// The place of these bytes. Each 16 bytes are one.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        let at = Timestamp::from_micros(rest.get_u64());
        let hour = Hour::from_number(rest.get_u32());
        Self { hour, at, number: rest.get_u32() }
    }

    pub(super) const fn new(segment: SegmentId, at: Timestamp) -> Self {
        Self { hour: segment.hour, at, number: segment.number }
    }

    pub(super) const fn hour(&self) -> Hour {
        self.hour
    }

    /// The instant of the row.
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[VERSION][..], &self.to_bytes()].concat();
        f.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CursorError)?;
        let Some((&VERSION, place)) = bytes.split_first() else { return Err(CursorError) };
        Ok(Self::from_bytes(place.try_into().map_err(|_| CursorError)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_survive_their_text(hour: u32, number: u32, at: u64) {
            let id = SegmentId { hour: Hour::from_number(hour), number };
            let cursor = Cursor::new(id, Timestamp::from_micros(at));
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
