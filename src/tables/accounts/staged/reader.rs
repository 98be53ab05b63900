//! Reads a staged file, and checks every byte of it.

use std::{
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    account_codec::{decode_account, is_canonical},
    layout::{
        BLOCK_HEAD_BYTES, CRC_BYTES, HEADER_BYTES, Header, StagedError, StagedTotals, verify_crc,
    },
    writer,
};
use crate::{
    files::{self, File},
    ids::AccountId,
    limits,
    registry::TransferAccount,
    tables::accounts::source::{ImportDigest, digest_bytes},
};

/// The accounts of a staged file, in ascending order of their ids.
///
/// The reader checks every account before it returns it. Only the end of the file proves that no account was missing, so
/// call [`verify`] before applying accounts that must be complete.
pub struct StagedReader<R> {
    input: R,
    header: Header,
    /// Of the blocks that were read.
    sha256: Context,
    /// Payload of the current block.
    block: Vec<u8>,
    /// Where the next account begins in `block`.
    at: usize,
    last: Option<AccountId>,
    seen: StagedTotals,
    is_over: bool,
}

impl StagedReader<BufReader<File>> {
    /// Opens the staged file at `path`.
    pub fn open(path: &Path) -> Result<Self, StagedError> {
        Self::new(BufReader::new(files::open(path).map_err(StagedError::Read)?))
    }
}

impl<R: Read> StagedReader<R> {
    /// Reads the header of a staged file from `input`. A buffer is not needed, since the reader reads whole blocks.
    pub fn new(mut input: R) -> Result<Self, StagedError> {
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header)?;
        Ok(Self {
            input,
            header: Header::decode(&header)?,
            sha256: Context::new(&SHA256),
            block: Vec::new(),
            at: 0,
            last: None,
            seen: StagedTotals::default(),
            is_over: false,
        })
    }

    /// The totals that the header states.
    pub const fn totals(&self) -> StagedTotals {
        self.header.totals
    }

    /// The next accounts, at most `accounts_max`. Empty at the end of a complete file.
    ///
    /// # Errors
    /// If the file cannot be read, or is invalid. No account follows, and those returned before may not be what was staged.
    pub fn next_batch(&mut self, accounts_max: usize) -> Result<Vec<TransferAccount>, StagedError> {
        let mut batch = Vec::new();
        while !self.is_over && batch.len() < accounts_max.max(1) {
            match self.next_account() {
                Ok(account) => batch.extend(account),
                Err(error) => {
                    self.is_over = true;
                    return Err(error);
                }
            }
        }
        Ok(batch)
    }

    /// The next account. None at the end, or if a block begins.
    fn next_account(&mut self) -> Result<Option<TransferAccount>, StagedError> {
        if self.at == self.block.len() {
            if self.seen.accounts < self.header.totals.accounts {
                self.next_block()?;
            } else {
                self.check_end()?;
                self.is_over = true;
            }
            return Ok(None);
        }
        let (account, rest) = decode_account(&self.block[self.at..])?;
        self.at = self.block.len() - rest.len();
        if self.last >= Some(account.account) {
            return Err(StagedError::Invalid("accounts are not in order"));
        }
        self.last = Some(account.account);
        self.seen += (&account).into();
        Ok(Some(account))
    }

    fn next_block(&mut self) -> Result<(), StagedError> {
        let mut head = [0; BLOCK_HEAD_BYTES];
        self.input.read_exact(&mut head)?;
        let payload = u32::from_le_bytes(head) as usize;
        if payload > limits::STAGED_BLOCK_BYTES_MAX {
            return Err(StagedError::Damaged);
        }
        self.block.clear();
        self.block.extend_from_slice(&head);
        // The buffer grows with the bytes that arrive, so that a false length allocates nothing.
        let rest = payload + CRC_BYTES;
        let read = (&mut self.input).take(rest as u64).read_to_end(&mut self.block)?;
        if read < rest {
            return Err(StagedError::CutOff);
        }
        self.sha256.update(&self.block);
        verify_crc(&self.block)?;
        if payload == 0 {
            return Err(StagedError::Invalid("a block contains no account"));
        }
        self.at = BLOCK_HEAD_BYTES;
        self.block.truncate(BLOCK_HEAD_BYTES + payload);
        Ok(())
    }

    fn check_end(&mut self) -> Result<(), StagedError> {
        if (&mut self.input).take(1).read_to_end(&mut Vec::new())? > 0 {
            return Err(StagedError::Invalid("bytes follow the end"));
        }
        if digest_bytes(self.sha256.clone()) != self.header.sha256 {
            return Err(StagedError::Damaged);
        }
        let is_right = self.seen == self.header.totals;
        is_right.then_some(()).ok_or(StagedError::Invalid("the totals are wrong"))
    }
}

/// Finds the complete staged file of the import `digest` in `directory`.
///
/// # Errors
/// If a file of its name exists but cannot be used. The caller may remove it and stage the source again.
pub fn find(directory: &Path, digest: ImportDigest) -> Result<Option<PathBuf>, StagedError> {
    let path = writer::path(directory, digest);
    let opened = files::if_exists(files::open(&path)).map_err(StagedError::Read)?;
    let Some(file) = opened else { return Ok(None) };
    if StagedReader::new(BufReader::new(file))?.header.digest == digest {
        Ok(Some(path))
    } else {
        Err(StagedError::Invalid("it belongs to another import than its name says"))
    }
}

/// Reads a staged file to its end, and parses every handle again. Whoever receives a staged file must call this before
/// applying any of its accounts.
pub fn verify(input: impl Read) -> Result<(ImportDigest, StagedTotals), StagedError> {
    const BATCH_ACCOUNTS: usize = 1_024;

    let mut reader = StagedReader::new(input)?;
    loop {
        let batch = reader.next_batch(BATCH_ACCOUNTS)?;
        if batch.is_empty() {
            return Ok((reader.header.digest, reader.header.totals));
        }
        let mut handles = batch.iter().flat_map(|account| &account.claims);
        if !handles.all(|claim| is_canonical(&claim.handle)) {
            return Err(StagedError::Invalid("a handle is not in canonical form"));
        }
    }
}
