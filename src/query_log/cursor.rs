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
const BYTES: usize = 17;

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
        let mut bytes = vec![VERSION];
        bytes.put_u64(self.at.as_micros());
        bytes.put_u32(self.hour.number());
        bytes.put_u32(self.number);
        f.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CursorError)?;
        let mut bytes = bytes.as_slice();
        if bytes.len() != BYTES || bytes.get_u8() != VERSION {
            return Err(CursorError);
        }
        let at = Timestamp::from_micros(bytes.get_u64());
        let hour = Hour::from_number(bytes.get_u32());
        Ok(Self { hour, at, number: bytes.get_u32() })
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
