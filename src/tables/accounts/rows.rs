//! Rows in memory while an import is sorted: 13 million rows in a gigabyte.
//!
//! Each piece encodes its rows one after the other, in the order of the file. A [`RowPosition`] addresses a row. The values
//! that rows are compared by are at fixed offsets from the start of a row:
//!
//! ```text
//! 0   2  bytes of the row after this head
//! 2   1  flags
//! 3   8  account
//! 11  8  device
//! 19  8  hash of the handle
//! 27     the other values, encoded with postcard
//! ```

use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    vocabulary::Platform,
};

use super::identity::Identity;

const HEAD_BYTES: usize = 27;
const BAD: u8 = 1;
const HAS_HANDLE: u8 = 2;

#[derive(Clone)]
pub(super) struct Row<'a> {
    pub(super) line: u64,
    pub(super) account: Identity,
    pub(super) device: Identity,
    pub(super) handle: Option<Handle>,
    pub(super) platform: Platform,
    pub(super) last_check_in_at: Timestamp,
    pub(super) proved_at: Option<Timestamp>,
    pub(super) registered_at: Option<Timestamp>,
    pub(super) discoverable: bool,
    pub(super) name: Option<&'a str>,
    pub(super) token_hash: Option<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
enum StoredHandle<'a> {
    None,
    Phone(u64),
    Email(&'a str),
}

#[derive(Serialize, Deserialize)]
struct StoredRow<'a> {
    line: u64,
    account_check: Option<[u8; 8]>,
    device_check: Option<[u8; 8]>,
    handle: StoredHandle<'a>,
    platform: u8,
    last_check_in_at: u64,
    proved_at: Option<u64>,
    registered_at: Option<u64>,
    discoverable: bool,
    name: Option<&'a str>,
    token_hash: Option<[u8; 16]>,
}

/// The position of a row: the number of its piece and the offset in it. Positions sort in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowPosition {
    piece: u32,
    start: u32,
}

/// An entry of an index: the sort key, and the position of the row.
pub(super) type Entry = (u64, RowPosition);

#[derive(Default)]
pub(super) struct PieceOfRows {
    bytes: Vec<u8>,
    pub(super) count: u64,
}

impl<'a> Row<'a> {
    /// Reads a row that [`Rows::copy`] wrote at the front of `bytes`, and returns the bytes after it. None for other
    /// bytes.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (account, rest) = bytes.split_first_chunk()?;
        let (device, rest) = rest.split_first_chunk()?;
        let (stored, rest) = postcard::take_from_bytes::<StoredRow<'_>>(rest).ok()?;
        let row = stored.row(u64::from_le_bytes(*account), u64::from_le_bytes(*device))?;
        Some((row, rest))
    }
}

impl<'a> StoredRow<'a> {
    /// None if it has a handle or a platform that cannot exist.
    fn row(self, account: u64, device: u64) -> Option<Row<'a>> {
        Some(Row {
            line: self.line,
            account: Identity { bits: account, check: self.account_check },
            device: Identity { bits: device, check: self.device_check },
            handle: match self.handle {
                StoredHandle::None => None,
                StoredHandle::Phone(bits) => Some(Handle::Phone(PhoneKey::from_bits(bits)?)),
                StoredHandle::Email(text) => Some(Handle::from_canonical(text)?),
            },
            platform: Platform::from_number(self.platform)?,
            last_check_in_at: Timestamp::from_micros(self.last_check_in_at),
            proved_at: self.proved_at.map(Timestamp::from_micros),
            registered_at: self.registered_at.map(Timestamp::from_micros),
            discoverable: self.discoverable,
            name: self.name,
            token_hash: self.token_hash,
        })
    }
}

impl PieceOfRows {
    /// Appends a row. All rows of an import must use the same `hasher`.
    pub(super) fn push(&mut self, row: &Row<'_>, hasher: &impl BuildHasher) {
        let start = self.bytes.len();
        let flags = if row.handle.is_some() { HAS_HANDLE } else { 0 };
        self.bytes.extend_from_slice(&[0, 0, flags]);
        let hash = row.handle.as_ref().map_or(0, |handle| hasher.hash_one(handle));
        for word in [row.account.bits, row.device.bits, hash] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        let stored = StoredRow {
            line: row.line,
            account_check: row.account.check,
            device_check: row.device.check,
            handle: match &row.handle {
                None => StoredHandle::None,
                Some(Handle::Phone(key)) => StoredHandle::Phone(key.bits()),
                Some(Handle::Email(address)) => StoredHandle::Email(address.as_str()),
            },
            platform: row.platform.number(),
            last_check_in_at: row.last_check_in_at.as_micros(),
            proved_at: row.proved_at.map(Timestamp::as_micros),
            registered_at: row.registered_at.map(Timestamp::as_micros),
            discoverable: row.discoverable,
            name: row.name,
            token_hash: row.token_hash,
        };
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(&stored, bytes).expect("a row serializes");
        let len = self.bytes.len() - start - HEAD_BYTES;
        let len = u16::try_from(len).expect("limits bound handle and name");
        self.bytes[start..start + 2].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
    }
}

#[derive(Default)]
pub(super) struct Rows {
    pieces: Vec<Box<[u8]>>,
    pub(super) count: u64,
}

impl Rows {
    /// Adds the next piece of the file.
    pub(super) fn add(&mut self, piece: PieceOfRows) {
        // Without the spare capacity of the vector, which would be a third of the memory.
        self.pieces.push(piece.bytes.into_boxed_slice());
        self.count += piece.count;
    }

    /// An index of the rows that are not bad and have a `key`, sorted by key and then in the order of the file.
    pub(super) fn index(&self, key: impl Fn(&Self, RowPosition) -> Option<u64>) -> Vec<Entry> {
        let mut index = Vec::with_capacity(usize::try_from(self.count).unwrap_or(0));
        for (piece, bytes) in (0..).zip(&self.pieces) {
            let mut start = 0;
            while (start as usize) < bytes.len() {
                let position = RowPosition { piece, start };
                if !self.is_bad(position) {
                    index.extend(key(self, position).map(|key| (key, position)));
                }
                start += HEAD_BYTES as u32 + u32::from(self.body_len(position));
            }
        }
        index.sort_unstable();
        index
    }

    pub(super) fn account(&self, position: RowPosition) -> u64 {
        self.word(position, 3)
    }

    pub(super) fn device(&self, position: RowPosition) -> u64 {
        self.word(position, 11)
    }

    /// The hash of the handle. None for a row without a handle.
    pub(super) fn handle_hash(&self, position: RowPosition) -> Option<u64> {
        (self.bytes_at(position)[2] & HAS_HANDLE != 0).then(|| self.word(position, 19))
    }

    pub(super) fn is_bad(&self, position: RowPosition) -> bool {
        self.bytes_at(position)[2] & BAD != 0
    }

    pub(super) fn mark_bad(&mut self, position: RowPosition) {
        self.pieces[position.piece as usize][position.start as usize + 2] |= BAD;
    }

    pub(super) fn row(&self, position: RowPosition) -> Row<'_> {
        let stored = postcard::from_bytes::<StoredRow<'_>>(self.body(position)).ok();
        let row = stored.and_then(|row| row.row(self.account(position), self.device(position)));
        row.expect("a row that was encoded above")
    }

    /// Appends a row for [`Row::read`]: its account, its device, and the other values.
    pub(super) fn copy(&self, position: RowPosition, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.account(position).to_le_bytes());
        out.extend_from_slice(&self.device(position).to_le_bytes());
        out.extend_from_slice(self.body(position));
    }

    /// The bytes of a row, and of all rows after it in its piece.
    fn bytes_at(&self, position: RowPosition) -> &[u8] {
        &self.pieces[position.piece as usize][position.start as usize..]
    }

    fn body(&self, position: RowPosition) -> &[u8] {
        &self.bytes_at(position)[HEAD_BYTES..][..self.body_len(position).into()]
    }

    fn body_len(&self, position: RowPosition) -> u16 {
        let row = self.bytes_at(position);
        u16::from_le_bytes([row[0], row[1]])
    }

    fn word(&self, position: RowPosition, at: usize) -> u64 {
        let (words, _) = self.bytes_at(position)[at..].as_chunks::<8>();
        u64::from_le_bytes(words[0])
    }
}
