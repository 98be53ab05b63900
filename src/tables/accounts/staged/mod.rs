//! The staged file: checked rows in ascending order of their accounts, ready to be applied.
//!
//! The file is a zstd stream (RFC 8878): a skippable frame with the header, then frames of rows with content checksums.
//! `zstd -t FILE` checks it, too.
//!
//! ```text
//! header, numbers little-endian:
//! 0   8   zstd's head of a skippable frame of 69 bytes
//! 8   8   magic "DDSTAGED"
//! 16  1   version, 2
//! 17  32  digest of the import
//! 49  24  accounts, devices, handles (8 each)
//! 73  4   CRC-32 of all preceding bytes
//! ```
//!
//! A frame has whole accounts, at most [`limits::STAGED_BLOCK_BYTES_MAX`](crate::limits::STAGED_BLOCK_BYTES_MAX) of rows.
//! A reader returns no account before it has checked the checksum of its frame. The writer writes the header last, when it
//! knows the totals. They show a reader whether frames are missing.
//!
//! A reader trusts nothing, since anybody may have made a staged file that a client uploads. It cannot check whether two
//! accounts have the same device or handle without holding all accounts. Whoever applies them must check that.

mod format;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use format::{StagedError, StagedTotals};
pub use reader::{StagedReader, find, verify};
pub(super) use writer::{Block, StagedWriter};
