//! Converts the cells of one row to values: every check that needs no other row.

use std::{ops::Range, str::FromStr as _};

use chrono::NaiveDate;

use crate::{
    clock::Timestamp,
    handle::{Handle, HandleError, Region},
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
    /// A floating-point number. No column takes one: digits of an id or a number may already be lost.
    Float,
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
    /// Whether an instant had no time zone.
    pub(super) has_local_time: bool,
}

impl CellReader {
    /// A reader of national numbers in `region` that refuses instants more than a day after `now`.
    pub(super) fn new(region: Option<Region>, now: Timestamp) -> Self {
        let latest = now.plus(limits::IMPORT_FUTURE_MAX);
        let (handle, account) = Default::default();
        Self { region, latest, handle, account, has_local_time: false }
    }

    /// Converts the row that begins on `line`. None if all its cells are empty.
    pub(super) fn read<'a>(
        &mut self,
        line: u64,
        cells: &Cells<'a>,
    ) -> Result<Option<Row<'a>>, Reason> {
        if cells.iter().all(|cell| matches!(cell, Cell::Text(""))) {
            return Ok(None);
        }
        // The types of the columns were checked, so an instant or a flag occurs only in a column of its own.
        let text = |column: Column| match cells[column as usize] {
            Cell::Text(text) => Ok(text.trim()),
            Cell::Float => Err(Reason::Float(column.name())),
            Cell::Instant(_) | Cell::Flag(_) => Ok(""),
        };
        let handle = self.handle(text(Column::Handle)?)?;
        let id = |column: Column| match text(column)? {
            text if is_decimal_id(text) => Err(Reason::Decimal(column.name())),
            text => Ok(text),
        };
        let account = self.account(id(Column::Account)?).ok_or(Reason::AccountId)?;
        let device = Identity::device(id(Column::Device)?).ok_or(Reason::DeviceId)?;
        let platform = platform(text(Column::Platform)?).ok_or(Reason::Platform)?;
        let mut instant = |column: Column| self.instant(cells[column as usize], column);
        let last_check_in_at =
            instant(Column::LastCheckInAt)?.ok_or(Reason::Time(Column::LastCheckInAt.name()))?;
        let proved_at = instant(Column::ProvedAt)?;
        let registered_at = instant(Column::RegisteredAt)?;
        let discoverable = match cells[Column::Discoverable as usize] {
            Cell::Flag(flag) => flag,
            _ => flag(text(Column::Discoverable)?).ok_or(Reason::Discoverable)?,
        };
        let name = match cells[Column::Name as usize] {
            // Blanks around a name belong to it.
            Cell::Text(name) => Some(name).filter(|name| !name.is_empty()),
            _ => return Err(Reason::Float(Column::Name.name())),
        };
        if name.is_some_and(|name| name.len() > limits::DEVICE_NAME_BYTES_MAX) {
            return Err(Reason::NameLength);
        }
        let token_hash = token_hash(text(Column::TokenHash)?)?;
        Ok(Some(Row {
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
        }))
    }

    fn handle(&mut self, text: &str) -> Result<Option<Handle>, Reason> {
        if text.is_empty() {
            return Ok(None);
        }
        if self.handle.0 != text {
            let region = self.region;
            if region.is_some_and(|region| Handle::has_two_readings(text, region)) {
                return Err(Reason::TwoReadings);
            }
            // Parsed before the cache changes: it must not pair a refused text with the former handle.
            let why = |error: HandleError| {
                if is_decimal(text) { Reason::Decimal("handle") } else { error.into() }
            };
            let handle = Handle::parse(text, region).map_err(why)?;
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

    fn instant(&mut self, cell: Cell<'_>, column: Column) -> Result<Option<Timestamp>, Reason> {
        let at = match cell {
            Cell::Text(text) => match text.trim() {
                "" => return Ok(None),
                text => plain_instant(text).or_else(|| self.other_instant(text)),
            },
            Cell::Instant(micros) => u64::try_from(micros).ok().map(Timestamp::from_micros),
            Cell::Float => return Err(Reason::Float(column.name())),
            Cell::Flag(_) => None,
        };
        match at {
            None => Err(Reason::Time(column.name())),
            Some(at) if at > self.latest => Err(Reason::Future(column.name())),
            Some(at) => Ok(Some(at)),
        }
    }

    /// Parses RFC 3339, and what databases, data frames and spreadsheets write instead: a zone as `+00`, `+0000` or ` UTC`, or
    /// no zone, which is UTC; no seconds; a date alone, which is its midnight.
    fn other_instant(&mut self, text: &str) -> Option<Timestamp> {
        const DATE_BYTES: usize = "2026-11-23T".len();
        const MINUTE_BYTES: usize = "08:41".len();

        if text.len() + 1 == DATE_BYTES {
            let parsed = Timestamp::from_str(&format!("{text}T00:00:00Z")).ok();
            self.has_local_time |= parsed.is_some();
            return parsed;
        }
        let time = text.get(DATE_BYTES..)?;
        let is_time = |byte: u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.');
        let len = time.bytes().take_while(|byte| is_time(*byte)).count();
        let (at, zone) = text.split_at(DATE_BYTES + len);
        let zone = zone.trim_start();
        let zone = match (zone.len(), zone) {
            (0, _) | (_, "UTC") => "Z".to_owned(),
            (3, _) => format!("{zone}:00"),
            (5, _) => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
            _ => zone.to_owned(),
        };
        let seconds = if len == MINUTE_BYTES { ":00" } else { "" };
        let parsed = Timestamp::from_str(&format!("{at}{seconds}{zone}")).ok();
        self.has_local_time |= parsed.is_some() && text.len() == at.len();
        parsed
    }
}

/// The platform of this name in any case.
fn platform(text: &str) -> Option<Platform> {
    Platform::from_code(text).or_else(|| Platform::from_code(&text.to_ascii_lowercase()))
}

/// A flag as programs write it: `True` by Python, `TRUE` by spreadsheets, `t` by PostgreSQL, `1` by MySQL. An empty cell is
/// true.
fn flag(text: &str) -> Option<bool> {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if ["", "true", "t", "1"].iter().any(is) {
        return Some(true);
    }
    ["false", "f", "0"].iter().any(is).then_some(false)
}

/// Whether a spreadsheet or a data frame made a decimal number of an id. Two ids that were rounded may be one: two people would
/// share an account. Ids in hexadecimal digits have no point and no sign.
fn is_decimal_id(text: &str) -> bool {
    text.contains(['.', ',', '+']) && is_decimal(text)
}

/// Whether a text that is no handle is one of which a spreadsheet or a data frame made a decimal number:
/// `+4915123456789.0`, `4.91512E+12`.
fn is_decimal(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.trim_start_matches(['\'', '+']);
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    let is_whole = |fraction: &str| fraction.bytes().all(|byte| byte == b'0');
    is_digits(whole)
        && match exponent {
            // Dots and commas separate the groups of numbers, too. No group is nothing but zeros at the end of a number.
            None => !fraction.is_empty() && is_whole(fraction),
            Some(exponent) => {
                is_digits(exponent.trim_start_matches(['+', '-']))
                    && (fraction.is_empty() || is_digits(fraction))
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

    #[test]
    fn instants_are_read_as_other_programs_write_them() {
        let now = "2026-11-24T00:00:00Z".parse().unwrap();
        let read = |text: &str| {
            let mut reader = CellReader::new(None, now);
            let at = reader.instant(Cell::Text(text), Column::ProvedAt);
            (at.ok().flatten(), reader.has_local_time)
        };
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let whole = at("2026-11-23T08:41:07Z");
        for (writer, text) in [
            ("PostgreSQL, DuckDB", "2026-11-23 08:41:07+00"),
            ("pandas", "2026-11-23 08:41:07+00:00"),
            ("polars", "2026-11-23T08:41:07+0000"),
            ("BigQuery", "2026-11-23 08:41:07 UTC"),
            ("Snowflake", "2026-11-23 08:41:07.000 Z"),
            ("India", "2026-11-23 14:11:07+0530"),
            ("India", "2026-11-23 14:11:07.000000 +05:30"),
            ("Newfoundland", " 2026-11-23t05:11:07-03:30 "),
        ] {
            assert_eq!(read(text), (whole, false), "{writer}: {text}");
        }
        for text in ["2026-11-23 08:41:07", "2026-11-23T08:41:07.000000"] {
            assert_eq!(read(text), (whole, true), "{text}");
        }
        let minute = at("2026-11-23T08:41:00Z");
        assert_eq!(read("2026-11-23 08:41"), (minute, true));
        assert_eq!(read("2026-11-23 08:41 +00"), (minute, false));
        assert_eq!(
            read("2026-11-23"),
            (at("2026-11-23T00:00:00Z"), true),
            "pandas, if all are midnights"
        );
        let fine = (at("2026-11-23T08:41:07.123456Z"), false);
        assert_eq!(read("2026-11-23 08:41:07.123456789+00:00"), fine, "nanoseconds of pandas");
        for text in [
            "2026-11-2",
            "2026-11-23 08",
            "23.11.2026 08:41:07",
            "11/23/2026 08:41:07",
            "2026-11-23 08:41:07 PM",
            "2026-11-23 08:41:07 Europe/Berlin",
            "2026-11-23 08:41:07\u{e9}0",
            "1795423267",
        ] {
            assert_eq!(read(text), (None, false), "{text}");
        }
    }

    #[test]
    fn flags_and_platforms_are_read_in_any_case() {
        for text in ["", "true", "True", "TRUE", "t", "1"] {
            assert_eq!(flag(text), Some(true), "{text}");
        }
        for text in ["false", "False", "FALSE", "f", "0"] {
            assert_eq!(flag(text), Some(false), "{text}");
        }
        for text in ["yes", "WAHR", "1.0", "2", "tru"] {
            assert_eq!(flag(text), None, "{text}");
        }
        assert_eq!(platform("iOS"), Some(Platform::Ios));
        assert_eq!(platform("iPadOS"), Some(Platform::Ipados));
        assert_eq!(platform("android"), None);
    }

    #[test]
    fn a_decimal_number_is_no_handle() {
        for text in [
            "+4915123456789.0",
            "+436641234567.0",
            "4915123456789.00",
            "4915123456789,0",
            "'+4915123456789.0",
            "4.91512E+12",
            "4,91512E+12",
            "4.91512e12",
            "5E+12",
            "+4.91512E+12",
        ] {
            assert!(is_decimal(text), "{text}");
        }
        for text in [
            "+4915123456789",
            "+1.415.555.0123",
            "0511.123456",
            "+33.6.39.98.12.30",
            "4915123456789.",
            "5e12@example.com",
            "E",
            "",
        ] {
            assert!(!is_decimal(text), "{text}");
        }
    }

    #[test]
    fn an_id_that_a_spreadsheet_rounded_is_no_id() {
        for text in ["1.23456789012346E+017", "1,2E+17", "100.0", "5E+12"] {
            assert!(is_decimal_id(text), "{text}");
        }
        for text in ["100", "5e12", "12e34567", "1.2.0", "1.5", "customer.0", "a_0123456789abc"] {
            assert!(!is_decimal_id(text), "{text}");
        }
    }

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
