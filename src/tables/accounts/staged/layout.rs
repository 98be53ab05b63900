//! Header, blocks and checksums of a staged file as bytes, and why they are refused.

use std::{io, ops::AddAssign};

use postcard::fixint::le;
use serde::{Deserialize, Serialize};

use crate::{registry::TransferAccount, tables::accounts::source::ImportDigest};

const MAGIC: &[u8; 8] = b"DDSTAGED";
const VERSION: u8 = 1;
pub(super) const HEADER_BYTES: usize = 101;
/// Bytes of a block before its payload: the length of the payload.
pub(super) const BLOCK_HEAD_BYTES: usize = 4;
pub(super) const CRC_BYTES: usize = 4;

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
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
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

/// The header of a staged file after its magic and version. Every value has a fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) digest: ImportDigest,
    pub(super) totals: StagedTotals,
    /// SHA-256 of the blocks.
    pub(super) sha256: [u8; 32],
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let start = [&MAGIC[..], &[VERSION]].concat();
        let mut bytes = postcard::to_extend(self, start).expect("a header serializes");
        push_crc(&mut bytes);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, StagedError> {
        if !bytes.starts_with(MAGIC) {
            return Err(StagedError::NotStaged);
        }
        match &verify_crc(bytes)?[MAGIC.len()..] {
            [VERSION, header @ ..] => {
                postcard::from_bytes(header).map_err(|_| StagedError::Damaged)
            }
            [version, ..] => Err(StagedError::Version(*version)),
            [] => Err(StagedError::CutOff),
        }
    }
}

/// Appends the CRC-32 of all bytes.
pub(super) fn push_crc(bytes: &mut Vec<u8>) {
    let crc = crc32fast::hash(bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
}

/// Checks the CRC-32 at the end of `bytes`, and returns the bytes before it.
pub(super) fn verify_crc(bytes: &[u8]) -> Result<&[u8], StagedError> {
    let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(StagedError::CutOff)?;
    let matches = crc32fast::hash(content) == u32::from_le_bytes(*crc);
    matches.then_some(content).ok_or(StagedError::Damaged)
}
