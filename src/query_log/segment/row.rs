//! A row in 32 bytes, as it waits to be written or was read: its text and its client's particulars lie beside it.

use std::{cmp::Ordering, ops::Range};

/// The mark of an e-mail address among handles; phone numbers have 50 bits.
const EMAIL: u64 = 1 << 63;

/// Bytes of text for each row of a budget: one row in five has an address of 25 bytes.
pub(super) const TEXT_BYTES_PER_ROW: usize = 32;

/// A row without its text and its client's particulars.
#[derive(Clone, Copy, Debug)]
pub(in crate::query_log) struct Row {
    /// 0 for none, a phone number's bits, or [`EMAIL`] with the text's place (32 bits) and length (16).
    pub(super) handle: u64,
    /// The count of a request, the id of a change.
    pub(super) id: u64,
    /// Microseconds into the hour.
    pub(super) at: u32,
    /// A client's number.
    pub(super) client: u32,
    pub(super) took_us: u32,
    pub(super) outcome: u32,
}

/// The `handle` of a row whose text is this, which is put behind the others. Texts must stay below 4 GiB.
pub(super) fn put_email(texts: &mut Vec<u8>, text: &[u8]) -> u64 {
    let start = texts.len() as u64;
    texts.extend_from_slice(text);
    EMAIL | start << 16 | text.len() as u64
}

impl Row {
    /// The phone number's bits.
    pub(super) fn phone(&self) -> Option<u64> {
        (self.handle != 0 && self.handle & EMAIL == 0).then_some(self.handle)
    }

    /// Where the address stands among the texts.
    pub(super) fn email(&self) -> Option<Range<usize>> {
        let start = (self.handle >> 16 & u64::from(u32::MAX)) as usize;
        let length = (self.handle & 0xffff) as usize;
        (self.handle & EMAIL != 0).then_some(start..start + length)
    }

    #[cfg(test)]
    pub(super) const fn at(handle: u64, at: u32) -> Self {
        Self { handle, id: 0, at, client: 0, took_us: 0, outcome: 0 }
    }

    /// By handle, then by time: rows without a handle, phone numbers, addresses by their text.
    pub(super) fn compare(&self, other: &Self, texts: &[u8]) -> Ordering {
        if self.handle & other.handle & EMAIL == 0 {
            return self.key().cmp(&other.key());
        }
        let text = |row: &Self| row.email().map(|range| &texts[range]);
        text(self).cmp(&text(other)).then(self.at.cmp(&other.at))
    }

    /// Orders all but two e-mail addresses.
    pub(super) fn key(&self) -> u128 {
        u128::from(self.handle) << 32 | u128::from(self.at)
    }
}
