//! Writes a staged file.

use std::{
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    account_codec::encode_account,
    layout::{BLOCK_HEAD_BYTES, HEADER_BYTES, Header, StagedTotals, push_crc},
};
use crate::{
    files::{AtomicFile, create_dir, remove_leftovers},
    ids::AccountId,
    limits,
    registry::TransferAccount,
    tables::accounts::source::{ImportDigest, digest_bytes},
};

const ENDING: &str = ".staged";

/// The path of the staged file of the import `digest`.
pub(super) fn path(directory: &Path, digest: ImportDigest) -> PathBuf {
    directory.join(format!("{digest}{ENDING}"))
}

pub(crate) struct Block {
    bytes: Vec<u8>,
    last: Option<AccountId>,
    totals: StagedTotals,
}

impl Default for Block {
    fn default() -> Self {
        let (bytes, totals) = (vec![0; BLOCK_HEAD_BYTES], StagedTotals::default());
        Self { bytes, last: None, totals }
    }
}

impl Block {
    /// Adds an account, whose id must be higher than those before it.
    pub(crate) fn push(&mut self, account: &TransferAccount) {
        assert!(self.last < Some(account.account), "accounts are in ascending order");
        self.bytes = encode_account(account, std::mem::take(&mut self.bytes));
        self.last = Some(account.account);
        self.totals += account.into();
    }

    /// Adds length and checksum. Called on the thread that made the block, to relieve the one that writes the file.
    pub(crate) fn finish(&mut self) {
        let payload = self.bytes.len() - BLOCK_HEAD_BYTES;
        assert!(payload <= limits::STAGED_BLOCK_BYTES_MAX, "grouping bounds the rows of a block");
        let payload = u32::try_from(payload).expect("below the limit");
        self.bytes[..BLOCK_HEAD_BYTES].copy_from_slice(&payload.to_le_bytes());
        push_crc(&mut self.bytes);
    }
}

/// Writes a staged file. If dropped before [`StagedWriter::finish`], it leaves no file.
pub(crate) struct StagedWriter {
    fresh: AtomicFile,
    digest: ImportDigest,
    totals: StagedTotals,
    sha256: Context,
    last: Option<AccountId>,
}

impl StagedWriter {
    /// Begins the file of the import `digest`, and removes files of interrupted stagings from `directory`.
    pub(crate) fn create(directory: &Path, digest: ImportDigest) -> io::Result<Self> {
        create_dir(directory)?;
        remove_leftovers(directory, ENDING)?;
        let mut fresh = AtomicFile::create(&path(directory, digest))?;
        fresh.file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        let totals = StagedTotals::default();
        Ok(Self { fresh, digest, totals, sha256: Context::new(&SHA256), last: None })
    }

    /// Appends a finished block, unless it has no account.
    pub(crate) fn write(&mut self, block: &Block) -> io::Result<()> {
        if block.last.is_none() {
            return Ok(());
        }
        assert!(self.last < block.last, "blocks are in ascending order");
        self.last = block.last;
        self.totals += block.totals;
        self.sha256.update(&block.bytes);
        self.fresh.file.write_all(&block.bytes)
    }

    /// Makes the file durable, and gives it its name.
    pub(crate) fn finish(mut self) -> io::Result<(PathBuf, StagedTotals)> {
        let (digest, totals, sha256) = (self.digest, self.totals, digest_bytes(self.sha256));
        self.fresh.file.rewind()?;
        self.fresh.file.write_all(&Header { digest, totals, sha256 }.encode())?;
        let path = self.fresh.path().to_owned();
        self.fresh.keep()?;
        Ok((path, totals))
    }
}
