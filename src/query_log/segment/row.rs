//! A row in 32 bytes, in memory before writing and after reading: its e-mail address and its client are stored elsewhere. And a
//! row as it is hashed.

use std::{cmp::Ordering, num::NonZeroU64, ops::Range};

use super::outcome;
use crate::{
    clock::Timestamp,
    handle::PhoneKey,
    ids::RequestId,
    query_log::record::{Client, HandleView, LogRow, Outcome, RowView},
};

/// Marks an e-mail address; phone numbers have 50 bits.
const EMAIL: u64 = 1 << 63;

/// Bytes of e-mail addresses for each row of a buffer. Usually one row in five has an address, of 25 bytes.
pub(super) const TEXT_BYTES_PER_ROW: usize = 32;

/// A row without its e-mail address and its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// 0 for none, the bits of a phone number, or [`EMAIL`] with the offset (32 bits) and length (16) of the text.
    pub(super) handle: u64,
    /// The count of a request, the id of a change, or a number of refusals.
    pub(super) id: u64,
    /// Microseconds into the hour.
    pub(super) at: u32,
    pub(super) client: u32,
    pub(super) took_us: u32,
    pub(super) outcome: u32,
}

/// The `handle` of a row. Appends an e-mail address to `texts`, which must stay below 4 GiB.
pub(super) fn put_handle(texts: &mut Vec<u8>, handle: Option<HandleView<'_>>) -> u64 {
    match handle {
        None => 0,
        Some(HandleView::Phone(key)) => key.bits(),
        Some(HandleView::Email(text)) => put_email(texts, text.as_bytes()),
    }
}

/// Appends an e-mail address to `texts` and returns the `handle` of its row.
pub(super) fn put_email(texts: &mut Vec<u8>, text: &[u8]) -> u64 {
    let start = texts.len() as u64;
    debug_assert!(start < 1 << 32 && text.len() < 1 << 16, "the offset would name another text");
    texts.extend_from_slice(text);
    EMAIL | start << 16 | text.len() as u64
}

impl Row {
    /// A row of the log, `at` microseconds into the hour. Appends its e-mail address to `texts`.
    pub(super) fn new(at: u32, row: &RowView<'_>, texts: &mut Vec<u8>, client: u32) -> Self {
        let RowView { at: _, handle, client: _, id, took_us, outcome } = *row;
        let id = match outcome {
            Outcome::Lookup { .. } => RequestId::from_bits(id).count(),
            Outcome::Change { .. } | Outcome::Refusals { .. } => id,
        };
        Self { handle: put_handle(texts, handle), id, at, client, took_us, outcome: outcome.bits() }
    }

    /// The row of the log, at this instant, whose address is in `texts`. None if the writer does not write such a row.
    pub(super) fn log_row(&self, at: Timestamp, texts: &[u8], client: Client) -> Option<LogRow> {
        let outcome = Outcome::from_bits(self.outcome)?;
        let (handle, id, took_us) = (self.view(texts)?, self.log_id(), self.took_us);
        RowView { at, handle, client, id, took_us, outcome }.row()
    }

    /// The id as in the log.
    const fn log_id(&self) -> u64 {
        if outcome::is_lookup(self.outcome) {
            RequestId::from_count(self.id).bits()
        } else {
            self.id
        }
    }

    pub(super) fn phone(&self) -> Option<u64> {
        (self.handle != 0 && self.handle & EMAIL == 0).then_some(self.handle)
    }

    pub(super) fn email(&self) -> Option<Range<usize>> {
        let start = (self.handle >> 16 & u64::from(u32::MAX)) as usize;
        let length = (self.handle & 0xffff) as usize;
        (self.handle & EMAIL != 0).then_some(start..start + length)
    }

    /// The handle, whose address is in `texts`. None if it is neither a phone number nor UTF-8.
    pub(super) fn view<'a>(&self, texts: &'a [u8]) -> Option<Option<HandleView<'a>>> {
        Some(match (self.phone(), self.email()) {
            (Some(bits), _) => Some(HandleView::Phone(PhoneKey::from_bits(bits)?)),
            (None, Some(text)) => {
                Some(HandleView::Email(std::str::from_utf8(texts.get(text)?).ok()?))
            }
            (None, None) => None,
        })
    }

    /// The order of a sealed segment: rows without a handle, phone numbers, e-mail addresses by text; then by time.
    pub(super) fn compare(&self, other: &Self, texts: &[u8]) -> Ordering {
        if self.handle & other.handle & EMAIL == 0 {
            return self.key().cmp(&other.key());
        }
        let text = |row: &Self| row.email().map(|range| &texts[range]);
        text(self).cmp(&text(other)).then(self.at.cmp(&other.at))
    }

    /// A sort key for all rows except those with e-mail addresses.
    pub(super) fn key(&self) -> u128 {
        u128::from(self.handle) << 32 | u128::from(self.at)
    }
}

/// The fields of a row, as hashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashedRow {
    /// 0 for none, the bits of a phone number, or the hash of an e-mail address.
    pub(super) handle: u64,
    /// Microseconds since the epoch.
    pub(super) at: u64,
    pub(super) id: u64,
    /// The time that it took, and the codes of the outcome in the lower half.
    pub(super) what: u64,
    pub(super) client: NonZeroU64,
}

/// The fields of a row that the caller hashes or encodes.
pub(super) struct Hashes {
    pub(super) handle: u64,
    pub(super) codes: u32,
    pub(super) client: NonZeroU64,
}

impl HashedRow {
    /// Of a row of the log. It names every field, so that a new field does not compile until it is hashed.
    pub(super) fn of_log(row: &RowView<'_>, hashes: &Hashes) -> Self {
        let RowView { at, handle: _, client: _, id, took_us, outcome: _ } = *row;
        Self::new(at.as_micros(), id, took_us, hashes)
    }

    /// Of a row that was read back from an hour that begins at `start`, in microseconds.
    pub(super) fn of_columns(row: &Row, start: u64, hashes: &Hashes) -> Self {
        let Row { handle: _, id: _, at, client: _, took_us, outcome: _ } = *row;
        Self::new(start + u64::from(at), row.log_id(), took_us, hashes)
    }

    fn new(at: u64, id: u64, took_us: u32, hashes: &Hashes) -> Self {
        let Hashes { handle, codes, client } = *hashes;
        Self { handle, at, id, what: u64::from(took_us) << 32 | u64::from(codes), client }
    }
}
