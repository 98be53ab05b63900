//! Converts the cells of one row to values: every check that needs no other row.

use std::{ops::Range, str::FromStr as _};

use chrono::NaiveDate;

use crate::{
    clock::Timestamp,
    handle::{Handle, Region},
    limits,
    vocabulary::Platform,
};

use super::{bad_rows::Reason, columns::Column, identity::Identity, rows::Row};

/// One cell of a row, as the file stores it. A cell that is empty or null, or whose column is not in the file, is the empty
/// text.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    /// Microseconds since the Unix epoch.
    Instant(i64),
    Flag(bool),
}

/// The cells of a row, in the order of [`Column::ALL`].
pub(super) type Cells<'a> = [Cell<'a>; Column::ALL.len()];

/// Converts rows in sequence. Rows of one account often follow each other, so the reader caches the last handle and the
/// last account.
pub(super) struct CellReader {
    region: Option<Region>,
    latest: Timestamp,
    handle: (String, Option<Handle>),
    account: (String, Option<Identity>),
}

impl CellReader {
    /// A reader of national numbers in `region` that refuses instants more than a day after `now`.
    pub(super) fn new(region: Option<Region>, now: Timestamp) -> Self {
        let latest = now.plus(limits::IMPORT_FUTURE_MAX);
        Self { region, latest, handle: Default::default(), account: Default::default() }
    }

    /// Converts the row that begins on `line`.
    pub(super) fn read<'a>(&mut self, line: u64, cells: &Cells<'a>) -> Result<Row<'a>, Reason> {
        // The types of the columns were checked, so a cell that is no text occurs only in an instant or a flag.
        let text = |column: Column| match cells[column as usize] {
            Cell::Text(text) => text,
            Cell::Instant(_) | Cell::Flag(_) => "",
        };
        let handle = self.handle(text(Column::Handle))?;
        let account = self.account(text(Column::Account)).ok_or(Reason::AccountId)?;
        let device = Identity::device(text(Column::Device)).ok_or(Reason::DeviceId)?;
        let platform = Platform::from_code(text(Column::Platform)).ok_or(Reason::Platform)?;
        let instant = |column: Column| self.instant(cells[column as usize], column);
        let last_check_in_at =
            instant(Column::LastCheckInAt)?.ok_or(Reason::Time(Column::LastCheckInAt.name()))?;
        let proved_at = instant(Column::ProvedAt)?;
        let registered_at = instant(Column::RegisteredAt)?;
        let discoverable = match cells[Column::Discoverable as usize] {
            Cell::Flag(flag) => flag,
            Cell::Text("" | "true") => true,
            Cell::Text("false") => false,
            Cell::Text(_) | Cell::Instant(_) => return Err(Reason::Discoverable),
        };
        let name = Some(text(Column::Name)).filter(|name| !name.is_empty());
        if name.is_some_and(|name| name.len() > limits::DEVICE_NAME_BYTES_MAX) {
            return Err(Reason::NameLength);
        }
        let token_hash = token_hash(text(Column::TokenHash))?;
        Ok(Row {
            line,
            account,
            device,
            handle,
            platform,
            last_check_in_at,
            proved_at,
            registered_at,
            discoverable,
            name,
            token_hash,
        })
    }

    fn handle(&mut self, text: &str) -> Result<Option<Handle>, Reason> {
        if text.is_empty() {
            return Ok(None);
        }
        if self.handle.0 != text {
            // Parsed before the cache changes: it must not pair a refused text with the former handle.
            let handle = Handle::parse(text, self.region)?;
            text.clone_into(&mut self.handle.0);
            self.handle.1 = Some(handle);
        }
        Ok(self.handle.1.clone())
    }

    fn account(&mut self, text: &str) -> Option<Identity> {
        if self.account.0 != text || text.is_empty() {
            let account = Identity::account(text)?;
            text.clone_into(&mut self.account.0);
            self.account.1 = Some(account);
        }
        self.account.1
    }

    fn instant(&self, cell: Cell<'_>, column: Column) -> Result<Option<Timestamp>, Reason> {
        let at = match cell {
            Cell::Text("") => return Ok(None),
            Cell::Text(text) => plain_instant(text).or_else(|| Timestamp::from_str(text).ok()),
            Cell::Instant(micros) => u64::try_from(micros).ok().map(Timestamp::from_micros),
            Cell::Flag(_) => None,
        };
        match at {
            None => Err(Reason::Time(column.name())),
            Some(at) if at > self.latest => Err(Reason::Future(column.name())),
            Some(at) => Ok(Some(at)),
        }
    }
}

fn token_hash(text: &str) -> Result<Option<[u8; 16]>, Reason> {
    if text.is_empty() {
        return Ok(None);
    }
    let decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    let hash = decoded.ok().and_then(|bytes| bytes.try_into().ok());
    hash.map(Some).ok_or(Reason::TokenHash)
}

/// Parses the most common form of an instant, `2026-11-23T08:41:07Z` with up to six decimals, ten times as fast as
/// [`Timestamp::from_str`]. None for any other text, which may still be an instant.
fn plain_instant(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let (whole, fraction) = bytes.strip_suffix(b"Z")?.split_at_checked(19)?;
    if [4, 7, 10, 13, 16].map(|at| whole[at]) != *b"--T::" {
        return None;
    }
    let micros = match fraction.split_first() {
        None => 0,
        Some((b'.', decimals)) if (1..=6).contains(&decimals.len()) => {
            number(decimals)? * 10_u32.pow(6 - u32::try_from(decimals.len()).ok()?)
        }
        Some(_) => return None,
    };
    let field = |range: Range<usize>| number(&whole[range]);
    let year = i32::try_from(field(0..4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, field(5..7)?, field(8..10)?)?;
    let at = date.and_hms_micro_opt(field(11..13)?, field(14..16)?, field(17..19)?, micros)?;
    u64::try_from(at.and_utc().timestamp_micros()).ok().map(Timestamp::from_micros)
}

/// The value of at most six digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_fast_parser_agrees_with_the_general_one(
            secs in 0_u64..253_402_300_800, micros in 0_u64..1_000_000, digits in 0_usize..=7,
        ) {
            let at = Timestamp::from_micros(secs * 1_000_000 + micros).to_string();
            let text = match digits {
                0 => format!("{}Z", &at[..19]),
                7 => format!("{}0Z", &at[..26]),
                digits => format!("{}Z", &at[..20 + digits]),
            };
            if let Some(fast) = plain_instant(&text) {
                prop_assert_eq!(Ok(fast), text.parse());
            } else {
                prop_assert_eq!(digits, 7);
            }
        }

        #[test]
        fn no_text_makes_the_fast_parser_disagree(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]{0,8})?(Z|z|\\+00:00)?") {
            if let Some(fast) = plain_instant(&text) {
                prop_assert_eq!(Ok(fast), text.parse());
            }
        }
    }
}
