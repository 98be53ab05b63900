//! The staged file: checked accounts in ascending order of their ids, ready to be applied.
//!
//! ```text
//! header:
//! 0   8   magic "DDSTAGED"
//! 8   1   version, 1
//! 9   32  digest of the import
//! 41  24  accounts, devices, handles (8 each)
//! 65  32  SHA-256 of the blocks
//! 97  4   CRC-32 of all preceding bytes
//!
//! blocks up to the end, each:
//! 0   4   bytes of the payload
//! 4   n   payload: accounts, encoded with postcard
//! +n  4   CRC-32 of all preceding bytes of the block
//! ```
//!
//! Numbers are little-endian. The writer writes the header last, when it knows the totals.
//!
//! A reader trusts nothing, since anybody may have made a staged file that a client uploads. It cannot check whether two
//! accounts have the same device or handle without holding all accounts. Whoever applies them must check that.

mod account_codec;
mod layout;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use layout::{StagedError, StagedTotals};
pub use reader::{StagedReader, find, verify};
pub(super) use writer::{Block, StagedWriter};
