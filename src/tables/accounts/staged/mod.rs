//! The staged file: checked accounts in ascending order of their ids, ready to be applied.
//!
//! ```text
//! 0   8   magic "DDSTAGED"
//! 8   4   version, 1
//! 12  4   zero
//! 16  32  digest of the import
//! 48  24  accounts, devices, handles (8 each)
//! 72  4   CRC-32 of everything before
//!
//! then blocks:
//! 0   4   bytes of the payload, at least 1
//! 4   4   accounts in it
//! 8   8   id of the last of them
//! 16  n   payload: accounts, each in postcard's encoding
//! +n  4   CRC-32 of everything before, in this block
//!
//! then the end:
//! 0   4   zero
//! 4   24  accounts, devices, handles again
//! 28  32  SHA-256 of the blocks and then of the file's first 76 bytes
//! 60  4   CRC-32 of everything before, from the zero on
//! ```
//!
//! Numbers are little-endian. The file's first bytes are written last, when the totals are known.
//!
//! A reader trusts nothing: a staged file may be an upload, made by whoever. What it cannot know without holding all
//! accounts at once is whether a device or a handle is in two of them; whoever applies them finds that out.

mod format;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    io::{self, BufReader},
    path::{Path, PathBuf},
};

pub use reader::{StagedReader, verify};
pub(super) use writer::{Block, StagedWriter};

use super::source::ImportDigest;
use crate::files;

/// What the name of a staged file ends in.
const ENDING: &str = ".staged";

/// What a staged file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StagedTotals {
    /// Accounts.
    pub accounts: u64,
    /// Devices of all accounts.
    pub devices: u64,
    /// Handles that accounts hold.
    pub handles: u64,
}

/// Why a staged file cannot be used. No content of it is in it.
#[derive(Debug, thiserror::Error)]
pub enum StagedError {
    /// It cannot be read.
    #[error("the staged file cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It begins with other bytes.
    #[error("it is not a staged file")]
    NotStaged,
    /// A later version of this program wrote it.
    #[error("the staged file has version {0}, which is not known")]
    Version(u32),
    /// It ends early.
    #[error("the staged file is cut off")]
    CutOff,
    /// Its bytes are not as they were written.
    #[error("the staged file is damaged")]
    Damaged,
    /// What it says cannot be; the text says what, and nothing of whom.
    #[error("the staged file contradicts itself: {0}")]
    Invalid(&'static str),
}

impl From<io::Error> for StagedError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Read(error),
        }
    }
}

/// The staged file of the import `digest` in `directory`, if it was staged to the end.
///
/// # Errors
/// If there is a file of its name that cannot be used: it may be removed, and the source staged again.
pub fn find(directory: &Path, digest: ImportDigest) -> Result<Option<PathBuf>, StagedError> {
    let path = path(directory, digest);
    let opened = files::if_exists(files::open(&path)).map_err(StagedError::Read)?;
    let Some(file) = opened else { return Ok(None) };
    if StagedReader::new(BufReader::new(file))?.digest() == digest {
        Ok(Some(path))
    } else {
        Err(StagedError::Invalid("its name is that of another import"))
    }
}

fn path(directory: &Path, digest: ImportDigest) -> PathBuf {
    directory.join(format!("{digest}{ENDING}"))
}
