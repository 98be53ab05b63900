//! The header of a staged file as bytes, and why a file is refused.

use std::{io, ops::AddAssign};

use postcard::fixint::le;
use serde::{Deserialize, Serialize};

use crate::{registry::TransferAccount, tables::accounts::source::ImportDigest};

/// The head of a skippable zstd frame, which decoders skip, and the magic in it.
const START: &[u8; 16] = b"\x50\x2A\x4D\x18\x45\0\0\0DDSTAGED";
const VERSION: u8 = 2;
const CRC_BYTES: usize = 4;
pub(super) const HEADER_BYTES: usize = 77;

/// Why a staged file cannot be used. The error contains no content of the file.
#[derive(Debug, thiserror::Error)]
pub enum StagedError {
    /// An I/O error occurred.
    #[error("the staged file cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The file does not begin with the magic.
    #[error("the file is not a staged file")]
    NotStaged,
    /// Another version of this program wrote the file.
    #[error("the staged file has the unknown version {0}")]
    Version(u8),
    /// The file ends early.
    #[error("the staged file is cut off")]
    CutOff,
    /// A checksum does not match.
    #[error("the staged file is damaged")]
    Damaged,
    /// The checksums match, but the content is impossible.
    #[error("the content of the staged file is impossible: {0}")]
    Invalid(&'static str),
}

impl From<io::Error> for StagedError {
    /// The kind of an error while bytes are read and decompressed. Only errors of the system have a number.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ if error.raw_os_error().is_none() => Self::Damaged,
            _ => Self::Read(error),
        }
    }
}

/// What a staged file contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedTotals {
    /// Accounts.
    #[serde(with = "le")]
    pub accounts: u64,
    /// Devices of all accounts.
    #[serde(with = "le")]
    pub devices: u64,
    /// Handles of all accounts.
    #[serde(with = "le")]
    pub handles: u64,
}

impl From<&TransferAccount> for StagedTotals {
    fn from(account: &TransferAccount) -> Self {
        let (devices, handles) = (account.devices.len() as u64, account.claims.len() as u64);
        Self { accounts: 1, devices, handles }
    }
}

impl AddAssign for StagedTotals {
    fn add_assign(&mut self, other: Self) {
        self.accounts += other.accounts;
        self.devices += other.devices;
        self.handles += other.handles;
    }
}

/// The header after its start and version. Every value has a fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) digest: ImportDigest,
    pub(super) totals: StagedTotals,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let start = [&START[..], &[VERSION]].concat();
        let mut bytes = postcard::to_extend(self, start).expect("a header serializes");
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, StagedError> {
        if !bytes.starts_with(START) {
            return Err(StagedError::NotStaged);
        }
        let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(StagedError::CutOff)?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return Err(StagedError::Damaged);
        }
        match &content[START.len()..] {
            [VERSION, header @ ..] => {
                postcard::from_bytes(header).map_err(|_| StagedError::Damaged)
            }
            [version, ..] => Err(StagedError::Version(*version)),
            [] => Err(StagedError::CutOff),
        }
    }
}
