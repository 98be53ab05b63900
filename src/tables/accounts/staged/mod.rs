//! The staged file: checked accounts in ascending order of their ids, ready to be applied.
//!
//! ```text
//! header:
//! 0   8   magic "DDSTAGED"
//! 8   4   version, 1
//! 12  4   zero
//! 16  32  digest of the import
//! 48  24  accounts, devices, handles (8 each)
//! 72  4   CRC-32 of all preceding bytes
//!
//! blocks, each:
//! 0   4   bytes of the payload, at least 1
//! 4   4   accounts in the payload
//! 8   8   id of the last of them
//! 16  n   payload: accounts, encoded with postcard
//! +n  4   CRC-32 of all preceding bytes of the block
//!
//! end:
//! 0   4   zero
//! 4   24  accounts, devices, handles, as in the header
//! 28  32  SHA-256 of the blocks and then of the header
//! 60  4   CRC-32 of all preceding bytes of the end
//! ```
//!
//! Numbers are little-endian. The writer writes the header last, when it knows the totals.
//!
//! A reader trusts nothing, since anybody may have made a staged file that a client uploads. It cannot check whether two
//! accounts have the same device or handle without holding all accounts. Whoever applies them must check that.

mod account_codec;
mod error;
mod file;
mod layout;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use error::StagedError;
pub use file::{find, verify};
pub use layout::StagedTotals;
pub use reader::StagedReader;
pub(super) use writer::{Block, StagedWriter};
