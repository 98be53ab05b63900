//! One row of a file, from cells to values: all that can be judged without the other rows.

use std::str::FromStr as _;

use crate::{
    clock::Timestamp,
    handle::{Handle, Region},
    limits,
    registry::Platform,
};

use super::{bad_rows::Reason, columns::Column, identity::Identity, rows::Row};

/// A row's cells. What is empty, null or no column of the file is the empty text.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub(super) handle: &'a str,
    pub(super) account: &'a str,
    pub(super) device: &'a str,
    pub(super) platform: &'a str,
    pub(super) last_check_in_at: Time<'a>,
    pub(super) proved_at: Time<'a>,
    pub(super) registered_at: Time<'a>,
    pub(super) discoverable: Flag<'a>,
    pub(super) name: &'a str,
    pub(super) token_hash: &'a str,
}

/// An instant, as a file has it.
#[derive(Clone, Copy)]
pub(super) enum Time<'a> {
    Text(&'a str),
    /// Since the Unix epoch.
    Micros(i64),
}

/// A yes or no, as a file has it.
#[derive(Clone, Copy)]
pub(super) enum Flag<'a> {
    Text(&'a str),
    Bool(bool),
}

/// Reads rows one after the other. Rows of one account often follow each other, so the handle and the account read last
/// are remembered.
pub(super) struct CellReader {
    region: Option<Region>,
    latest: Timestamp,
    handle: (String, Option<Handle>),
    account: (String, Option<Identity>),
}

impl CellReader {
    /// National numbers are read in `region`; instants more than a day after `now` are refused.
    pub(super) fn new(region: Option<Region>, now: Timestamp) -> Self {
        let latest = now.plus(limits::IMPORT_FUTURE_MAX);
        Self { region, latest, handle: Default::default(), account: Default::default() }
    }

    /// The row that begins on `line`.
    pub(super) fn read<'a>(&mut self, line: u64, cells: &Cells<'a>) -> Result<Row<'a>, Reason> {
        let handle = self.handle(cells.handle)?;
        let account = self.account(cells.account).ok_or(Reason::AccountId)?;
        let device = Identity::device(cells.device).ok_or(Reason::DeviceId)?;
        let platform = Platform::from_code(cells.platform).ok_or(Reason::Platform)?;
        let last_check_in_at = self
            .time(cells.last_check_in_at, Column::LastCheckInAt)?
            .ok_or(Reason::Time(Column::LastCheckInAt.name()))?;
        let proved_at = self.time(cells.proved_at, Column::ProvedAt)?;
        let registered_at = self.time(cells.registered_at, Column::RegisteredAt)?;
        let discoverable = match cells.discoverable {
            Flag::Bool(flag) => flag,
            Flag::Text("" | "true") => true,
            Flag::Text("false") => false,
            Flag::Text(_) => return Err(Reason::Discoverable),
        };
        if cells.name.len() > limits::DEVICE_NAME_BYTES_MAX {
            return Err(Reason::NameLength);
        }
        let name = Some(cells.name).filter(|name| !name.is_empty());
        let token_hash = token_hash(cells.token_hash)?;
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
            // Parsed before it is remembered: a refused text must not stand beside the handle before it.
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

    fn time(&self, cell: Time<'_>, column: Column) -> Result<Option<Timestamp>, Reason> {
        let no_instant = Reason::Time(column.name());
        let at = match cell {
            Time::Text("") => return Ok(None),
            Time::Text(text) => {
                plain_instant(text).or_else(|| Timestamp::from_str(text).ok()).ok_or(no_instant)?
            }
            Time::Micros(micros) => {
                Timestamp::from_micros(u64::try_from(micros).map_err(|_| no_instant)?)
            }
        };
        if at > self.latest {
            return Err(Reason::Future(column.name()));
        }
        Ok(Some(at))
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

/// The commonest form of an instant, `2026-11-23T08:41:07Z` with up to six more digits, ten times as fast as by the
/// calendar library; nothing for any other text, which may be an instant all the same.
fn plain_instant(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let (whole, fraction) = bytes.strip_suffix(b"Z")?.split_at_checked(19)?;
    let separators = (whole[4], whole[7], whole[10], whole[13], whole[16]);
    if separators != (b'-', b'-', b'T', b':', b':') {
        return None;
    }
    let (year, month, day) = (number(&whole[..4])?, number(&whole[5..7])?, number(&whole[8..10])?);
    let (hour, minute, second) =
        (number(&whole[11..13])?, number(&whole[14..16])?, number(&whole[17..19])?);
    // Days up to 28 exist in every month; later ones, leap seconds and old years are left to the calendar.
    let is_plain = (1970..=9999).contains(&year) && (1..=12).contains(&month);
    if !is_plain || !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = match fraction.split_first() {
        None => 0,
        Some((b'.', digits)) if (1..=6).contains(&digits.len()) => {
            number(digits)? * 10_u64.pow(6 - u32::try_from(digits.len()).ok()?)
        }
        Some(_) => return None,
    };
    let seconds = (days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    Some(Timestamp::from_micros(seconds * 1_000_000 + micros))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// Days from the Unix epoch to a date: years begin in March, so that the leap day is the last one.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    const TO_EPOCH: u64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - TO_EPOCH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_cut_reads_instants_as_the_calendar_does(
            secs in 0_u64..253_402_300_800, micros in 0_u64..1_000_000, digits in 0_usize..=7,
        ) {
            let at = Timestamp::from_micros(secs * 1_000_000 + micros).to_string();
            let text = match digits {
                0 => format!("{}Z", &at[..19]),
                7 => format!("{}0Z", &at[..26]),
                digits => format!("{}Z", &at[..20 + digits]),
            };
            if let Some(short) = plain_instant(&text) {
                prop_assert_eq!(Ok(short), text.parse());
            } else {
                prop_assert!(digits == 7 || at[8..10] > *"28");
            }
        }

        #[test]
        fn no_text_misleads_the_short_cut(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]{0,8})?(Z|z|\\+00:00)?") {
            if let Some(short) = plain_instant(&text) {
                prop_assert_eq!(Ok(short), text.parse());
            }
        }
    }
}
