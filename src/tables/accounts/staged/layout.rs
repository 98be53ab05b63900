//! Header, block head, end and checksums of a staged file as bytes.

use std::ops::AddAssign;

use super::error::StagedError;
use crate::{registry::TransferAccount, tables::accounts::source::ImportDigest};

const MAGIC: &[u8; 8] = b"DDSTAGED";
const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 76;
pub(super) const BLOCK_HEAD_BYTES: usize = 16;
/// Without the zero, which distinguishes the end from a block.
pub(super) const END_BYTES: usize = 60;

/// What a staged file contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StagedTotals {
    /// Accounts.
    pub accounts: u64,
    /// Devices of all accounts.
    pub devices: u64,
    /// Handles of all accounts.
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

/// The header of a staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) digest: ImportDigest,
    pub(super) totals: StagedTotals,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(self.digest.bytes());
        push_totals(&mut bytes, self.totals);
        push_crc(&mut bytes);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, StagedError> {
        if !bytes.starts_with(MAGIC) {
            return Err(StagedError::NotStaged);
        }
        let mut rest = verify_crc(bytes)?;
        let _: [u8; 8] = read(&mut rest)?;
        let version = u32::from_le_bytes(read(&mut rest)?);
        let zero: [u8; 4] = read(&mut rest)?;
        if version != VERSION || zero != [0; 4] {
            return Err(StagedError::Version(version));
        }
        let digest = ImportDigest::from_bytes(read(&mut rest)?);
        Ok(Self { digest, totals: read_totals(&mut rest)? })
    }
}

/// The head of a block, before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub(super) payload_bytes: u32,
    pub(super) accounts: u32,
    pub(super) last: u64,
}

impl BlockHead {
    pub(super) fn encode(self) -> [u8; BLOCK_HEAD_BYTES] {
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.accounts.to_le_bytes());
        bytes[8..].copy_from_slice(&self.last.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StagedError> {
        let mut rest = bytes;
        Ok(Self {
            payload_bytes: u32::from_le_bytes(read(&mut rest)?),
            accounts: u32::from_le_bytes(read(&mut rest)?),
            last: u64::from_le_bytes(read(&mut rest)?),
        })
    }
}

/// The end, including its zero.
pub(super) fn encode_end(totals: StagedTotals, sha256: &[u8; 32]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    push_totals(&mut bytes, totals);
    bytes.extend_from_slice(sha256);
    push_crc(&mut bytes);
    bytes
}

/// The totals and the SHA-256 of an end, whose bytes include the zero.
pub(super) fn decode_end(
    bytes: &[u8; 4 + END_BYTES],
) -> Result<(StagedTotals, [u8; 32]), StagedError> {
    let mut rest = verify_crc(bytes)?;
    let _: [u8; 4] = read(&mut rest)?;
    Ok((read_totals(&mut rest)?, read(&mut rest)?))
}

fn push_totals(bytes: &mut Vec<u8>, totals: StagedTotals) {
    for count in [totals.accounts, totals.devices, totals.handles] {
        bytes.extend_from_slice(&count.to_le_bytes());
    }
}

fn read_totals(rest: &mut &[u8]) -> Result<StagedTotals, StagedError> {
    Ok(StagedTotals {
        accounts: u64::from_le_bytes(read(rest)?),
        devices: u64::from_le_bytes(read(rest)?),
        handles: u64::from_le_bytes(read(rest)?),
    })
}

/// Splits `N` bytes off the front of `rest`.
fn read<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], StagedError> {
    let (first, after) = rest.split_first_chunk::<N>().ok_or(StagedError::CutOff)?;
    *rest = after;
    Ok(*first)
}

/// Appends the CRC-32 of all bytes.
pub(super) fn push_crc(bytes: &mut Vec<u8>) {
    let crc = crc32fast::hash(bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
}

/// Checks the CRC-32 at the end of `bytes`, and returns the bytes before it.
pub(super) fn verify_crc(bytes: &[u8]) -> Result<&[u8], StagedError> {
    let (content, crc) = bytes.split_last_chunk::<4>().ok_or(StagedError::CutOff)?;
    let matches = crc32fast::hash(content) == u32::from_le_bytes(*crc);
    matches.then_some(content).ok_or(StagedError::Damaged)
}
