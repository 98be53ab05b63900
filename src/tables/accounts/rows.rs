//! Rows in memory while an import is sorted: 13 million of them in a gigabyte.
//!
//! Rows are encoded one behind the other in pieces, in the order of the file, and named by their [`RowPosition`]. What rows
//! are compared by stands at a fixed distance from a row's start:
//!
//! ```text
//! 0   2  bytes of the row after this head
//! 2   1  flags
//! 3   8  account
//! 11  8  device
//! 19  8  hash of the handle
//! 27     postcard
//! ```

use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    registry::Platform,
};

use super::identity::Identity;

const HEAD_BYTES: usize = 27;
const BAD: u8 = 1;
const HAS_HANDLE: u8 = 2;

/// One row's values.
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
enum HeldHandle<'a> {
    None,
    Phone(u64),
    Email(&'a str),
}

#[derive(Serialize, Deserialize)]
struct Held<'a> {
    line: u64,
    account_check: Option<[u8; 8]>,
    device_check: Option<[u8; 8]>,
    handle: HeldHandle<'a>,
    platform: u8,
    last_check_in_at: u64,
    proved_at: Option<u64>,
    registered_at: Option<u64>,
    discoverable: bool,
    name: Option<&'a str>,
    token_hash: Option<[u8; 16]>,
}

/// Where a row is: the number of its piece, and its start in there. Places are in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowPosition(u64);

impl RowPosition {
    const fn new(piece: usize, start: usize) -> Self {
        Self((piece as u64) << 32 | start as u64)
    }

    const fn piece(self) -> usize {
        (self.0 >> 32) as usize
    }

    const fn start(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

/// What an index of rows is sorted by, and the row.
pub(super) type Entry = (u64, RowPosition);

/// Writes rows of one piece.
#[derive(Default)]
pub(super) struct PieceOfRows {
    bytes: Vec<u8>,
    pub(super) count: u64,
}

impl PieceOfRows {
    /// Appends a row. All rows of an import need one `hasher`.
    pub(super) fn push(&mut self, row: &Row<'_>, hasher: &impl BuildHasher) {
        let start = self.bytes.len();
        let flags = if row.handle.is_some() { HAS_HANDLE } else { 0 };
        self.bytes.extend_from_slice(&[0, 0, flags]);
        let hash = row.handle.as_ref().map_or(0, |handle| hasher.hash_one(handle));
        for word in [row.account.bits, row.device.bits, hash] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        let held = Held {
            line: row.line,
            account_check: row.account.check.map(u64::to_le_bytes),
            device_check: row.device.check.map(u64::to_le_bytes),
            handle: match &row.handle {
                None => HeldHandle::None,
                Some(Handle::Phone(key)) => HeldHandle::Phone(key.bits()),
                Some(Handle::Email(address)) => HeldHandle::Email(address.as_str()),
            },
            platform: row.platform as u8,
            last_check_in_at: row.last_check_in_at.as_micros(),
            proved_at: row.proved_at.map(Timestamp::as_micros),
            registered_at: row.registered_at.map(Timestamp::as_micros),
            discoverable: row.discoverable,
            name: row.name,
            token_hash: row.token_hash,
        };
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(&held, bytes).expect("memory takes any row");
        let len = self.bytes.len() - start - HEAD_BYTES;
        let len = u16::try_from(len).expect("a handle and a name are short");
        self.bytes[start..start + 2].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
    }
}

/// All rows of an import.
#[derive(Default)]
pub(super) struct Rows {
    pieces: Vec<Box<[u8]>>,
    /// Rows that were added.
    pub(super) count: u64,
}

impl Rows {
    /// Adds the piece that follows in the file.
    pub(super) fn add(&mut self, piece: PieceOfRows) {
        // Exactly as large as it is: what a growing vector holds in reserve would be a third of all.
        self.pieces.push(piece.bytes.into_boxed_slice());
        self.count += piece.count;
    }

    /// What `key` says of each row that is not bad, sorted by it and then in the order of the file. Rows of which it
    /// says nothing are left out.
    pub(super) fn index(&self, key: impl Fn(&Self, RowPosition) -> Option<u64>) -> Vec<Entry> {
        let mut index = Vec::with_capacity(usize::try_from(self.count).unwrap_or(0));
        for (number, piece) in self.pieces.iter().enumerate() {
            let mut start = 0;
            while start < piece.len() {
                let place = RowPosition::new(number, start);
                if !self.is_bad(place) {
                    index.extend(key(self, place).map(|key| (key, place)));
                }
                start += HEAD_BYTES + self.body_len(place);
            }
        }
        index.sort_unstable();
        index
    }

    pub(super) fn account(&self, place: RowPosition) -> u64 {
        self.word(place, 3)
    }

    pub(super) fn device(&self, place: RowPosition) -> u64 {
        self.word(place, 11)
    }

    /// The hash of the row's handle, if it has one.
    pub(super) fn handle_hash(&self, place: RowPosition) -> Option<u64> {
        (self.head(place)[2] & HAS_HANDLE != 0).then(|| self.word(place, 19))
    }

    pub(super) fn is_bad(&self, place: RowPosition) -> bool {
        self.head(place)[2] & BAD != 0
    }

    pub(super) fn mark_bad(&mut self, place: RowPosition) {
        self.pieces[place.piece()][place.start() + 2] |= BAD;
    }

    pub(super) fn row(&self, place: RowPosition) -> Row<'_> {
        let start = place.start() + HEAD_BYTES;
        let body = &self.pieces[place.piece()][start..start + self.body_len(place)];
        let held: Held<'_> = postcard::from_bytes(body).expect("as it was encoded above");
        let identity =
            |bits, check: Option<[u8; 8]>| Identity { bits, check: check.map(u64::from_le_bytes) };
        Row {
            line: held.line,
            account: identity(self.account(place), held.account_check),
            device: identity(self.device(place), held.device_check),
            handle: match held.handle {
                HeldHandle::None => None,
                HeldHandle::Phone(bits) => PhoneKey::from_bits(bits).map(Handle::Phone),
                HeldHandle::Email(text) => Handle::from_canonical(text),
            },
            platform: Platform::ALL[usize::from(held.platform)],
            last_check_in_at: Timestamp::from_micros(held.last_check_in_at),
            proved_at: held.proved_at.map(Timestamp::from_micros),
            registered_at: held.registered_at.map(Timestamp::from_micros),
            discoverable: held.discoverable,
            name: held.name,
            token_hash: held.token_hash,
        }
    }

    fn head(&self, place: RowPosition) -> &[u8] {
        let start = place.start();
        &self.pieces[place.piece()][start..start + HEAD_BYTES]
    }

    fn body_len(&self, place: RowPosition) -> usize {
        let head = self.head(place);
        usize::from(u16::from_le_bytes([head[0], head[1]]))
    }

    fn word(&self, place: RowPosition, at: usize) -> u64 {
        let (words, _) = self.head(place)[at..].as_chunks::<8>();
        u64::from_le_bytes(words[0])
    }
}
