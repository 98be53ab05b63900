//! Reads a staged file, and checks every byte of it.

use std::{
    io::{self, BufReader, Read},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    account_codec::decode_account,
    error::StagedError,
    layout::{
        BLOCK_HEAD_BYTES, BlockHead, END_BYTES, HEADER_BYTES, Header, StagedTotals, decode_end,
        verify_crc,
    },
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
/// call [`verify`](super::verify) before applying accounts that must be complete.
pub struct StagedReader<R> {
    input: R,
    header: Header,
    header_bytes: [u8; HEADER_BYTES],
    sha256: Context,
    block: Vec<u8>,
    /// Where the next account begins in `block`, and where the last one ends.
    at: usize,
    end: usize,
    left_in_block: u32,
    last_of_block: u64,
    last: Option<u64>,
    after: Option<u64>,
    seen: StagedTotals,
    /// Whether blocks were skipped, so that their devices and handles could not be counted.
    has_skipped: bool,
    is_over: bool,
}

impl StagedReader<BufReader<File>> {
    /// Opens the staged file at `path`.
    ///
    /// # Errors
    /// If the file cannot be opened, or its header is invalid.
    pub fn open(path: &Path) -> Result<Self, StagedError> {
        Self::new(BufReader::new(files::open(path).map_err(StagedError::Read)?))
    }
}

impl<R: Read> StagedReader<R> {
    /// Reads the header of a staged file from `input`. A buffer is not needed, since the reader reads whole blocks.
    ///
    /// # Errors
    /// If the header cannot be read, or is invalid.
    pub fn new(mut input: R) -> Result<Self, StagedError> {
        let mut header_bytes = [0; HEADER_BYTES];
        input.read_exact(&mut header_bytes)?;
        Ok(Self {
            input,
            header: Header::decode(&header_bytes)?,
            header_bytes,
            sha256: Context::new(&SHA256),
            block: Vec::new(),
            at: 0,
            end: 0,
            left_in_block: 0,
            last_of_block: 0,
            last: None,
            after: None,
            seen: StagedTotals::default(),
            has_skipped: false,
            is_over: false,
        })
    }

    /// The digest of the import that the file was staged for.
    #[must_use]
    pub const fn digest(&self) -> ImportDigest {
        self.header.digest
    }

    /// The totals that the header states.
    #[must_use]
    pub const fn totals(&self) -> StagedTotals {
        self.header.totals
    }

    /// Skips all accounts up to `account`, inclusive: those that were applied before an interruption.
    pub const fn start_after(&mut self, account: AccountId) {
        self.after = Some(account.bits());
    }

    /// The next accounts, at most `accounts_max`. Empty at the end of a complete file.
    ///
    /// # Errors
    /// If the file cannot be read, or is invalid. No account follows, and those returned before may not be what was staged.
    pub fn next_batch(&mut self, accounts_max: usize) -> Result<Vec<TransferAccount>, StagedError> {
        let mut batch = Vec::new();
        while batch.len() < accounts_max.max(1) {
            match self.next_account() {
                Ok(Some(account)) => batch.push(account),
                Ok(None) => break,
                Err(error) => {
                    self.is_over = true;
                    self.left_in_block = 0;
                    return Err(error);
                }
            }
        }
        Ok(batch)
    }

    fn next_account(&mut self) -> Result<Option<TransferAccount>, StagedError> {
        loop {
            if self.left_in_block == 0 && !self.next_block()? {
                return Ok(None);
            }
            let (account, rest) = decode_account(&self.block[self.at..self.end])?;
            self.at = self.end - rest.len();
            self.left_in_block -= 1;
            let id = account.account.bits();
            let is_last = self.left_in_block == 0;
            if self.last.is_some_and(|last| id <= last) || is_last != (id == self.last_of_block) {
                return Err(StagedError::Invalid("accounts are not in order"));
            }
            if is_last && self.at != self.end {
                return Err(StagedError::Invalid("a block contains more than its accounts"));
            }
            self.last = Some(id);
            self.seen += (&account).into();
            if self.after.is_none_or(|after| id > after) {
                return Ok(Some(account));
            }
        }
    }

    /// Reads up to the next block with accounts that are not skipped. False at the end.
    fn next_block(&mut self) -> Result<bool, StagedError> {
        while !self.is_over {
            let mut bytes = [0; 4];
            self.input.read_exact(&mut bytes)?;
            if u32::from_le_bytes(bytes) == 0 {
                self.check_end()?;
                self.is_over = true;
                return Ok(false);
            }
            let head = self.read_block(bytes)?;
            if self.last.is_some_and(|last| head.last <= last) {
                return Err(StagedError::Invalid("blocks are not in order"));
            }
            if self.after.is_some_and(|after| head.last <= after) {
                self.seen.accounts += u64::from(head.accounts);
                self.last = Some(head.last);
                self.has_skipped = true;
                continue;
            }
            (self.left_in_block, self.last_of_block) = (head.accounts, head.last);
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the rest of a block that begins with `payload_bytes`.
    fn read_block(&mut self, payload_bytes: [u8; 4]) -> Result<BlockHead, StagedError> {
        let payload = u32::from_le_bytes(payload_bytes) as usize;
        if payload > limits::STAGED_BLOCK_BYTES_MAX {
            return Err(StagedError::Damaged);
        }
        let whole = BLOCK_HEAD_BYTES + payload + size_of::<u32>();
        self.block.clear();
        self.block.extend_from_slice(&payload_bytes);
        // The buffer grows with the bytes that arrive, so that a false length allocates nothing.
        let rest = whole - payload_bytes.len();
        let read = (&mut self.input).take(rest as u64).read_to_end(&mut self.block)?;
        if read < rest {
            return Err(StagedError::CutOff);
        }
        self.sha256.update(&self.block);
        let content = verify_crc(&self.block)?;
        let head = BlockHead::decode(content)?;
        (self.at, self.end) = (BLOCK_HEAD_BYTES, content.len());
        if head.accounts == 0 {
            return Err(StagedError::Invalid("a block contains no account"));
        }
        Ok(head)
    }

    fn check_end(&mut self) -> Result<(), StagedError> {
        let mut bytes = [0; 4 + END_BYTES];
        self.input.read_exact(&mut bytes[4..])?;
        let (totals, sha256) = decode_end(&bytes)?;
        self.sha256.update(&self.header_bytes);
        if digest_bytes(self.sha256.clone()) != sha256 {
            return Err(StagedError::Damaged);
        }
        let seen = if self.has_skipped {
            StagedTotals { accounts: self.seen.accounts, ..totals }
        } else {
            self.seen
        };
        if totals != self.header.totals || seen != totals {
            return Err(StagedError::Invalid("the totals are wrong"));
        }
        match self.input.read_exact(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Err(StagedError::Invalid("bytes follow the end")),
        }
    }
}
