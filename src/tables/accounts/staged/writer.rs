//! Writes a staged file.

use std::{
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    account_codec::encode_account,
    file::{self, ENDING},
    layout::{
        BLOCK_HEAD_BYTES, BlockHead, HEADER_BYTES, Header, StagedTotals, encode_end, push_crc,
    },
};
use crate::{
    files::{AtomicFile, create_dir, remove_leftovers},
    limits,
    registry::TransferAccount,
    tables::accounts::source::{ImportDigest, digest_bytes},
};

/// A block of encoded accounts.
pub(in crate::tables::accounts) struct Block {
    bytes: Vec<u8>,
    last: u64,
    totals: StagedTotals,
}

impl Default for Block {
    fn default() -> Self {
        Self { bytes: vec![0; BLOCK_HEAD_BYTES], last: 0, totals: StagedTotals::default() }
    }
}

impl Block {
    /// Adds an account, whose id must be higher than those before it.
    pub(in crate::tables::accounts) fn push(&mut self, account: &TransferAccount) {
        let id = account.account.bits();
        assert!(self.totals.accounts == 0 || id > self.last, "accounts are in ascending order");
        self.bytes = encode_account(account, std::mem::take(&mut self.bytes));
        self.last = id;
        self.totals += account.into();
    }

    /// Adds head and checksum. Called on the thread that made the block, to relieve the one that writes the file.
    pub(in crate::tables::accounts) fn finish(&mut self) {
        let payload = self.bytes.len() - BLOCK_HEAD_BYTES;
        assert!(payload <= limits::STAGED_BLOCK_BYTES_MAX, "grouping bounds the rows of a block");
        let head = BlockHead {
            payload_bytes: u32::try_from(payload).expect("below the limit"),
            accounts: u32::try_from(self.totals.accounts)
                .expect("an account has at least one byte"),
            last: self.last,
        };
        self.bytes[..BLOCK_HEAD_BYTES].copy_from_slice(&head.encode());
        push_crc(&mut self.bytes);
    }
}

/// Writes a staged file. If dropped before [`StagedWriter::finish`], it leaves no file.
pub(in crate::tables::accounts) struct StagedWriter {
    fresh: AtomicFile,
    digest: ImportDigest,
    totals: StagedTotals,
    sha256: Context,
    last: Option<u64>,
}

impl StagedWriter {
    /// Begins the file of the import `digest`, and removes files of interrupted stagings from `directory`.
    pub(in crate::tables::accounts) fn create(
        directory: &Path,
        digest: ImportDigest,
    ) -> io::Result<Self> {
        create_dir(directory)?;
        remove_leftovers(directory, ENDING)?;
        let mut fresh = AtomicFile::create(&file::path(directory, digest))?;
        fresh.file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        let totals = StagedTotals::default();
        Ok(Self { fresh, digest, totals, sha256: Context::new(&SHA256), last: None })
    }

    /// Appends a finished block, unless it has no account.
    pub(in crate::tables::accounts) fn write(&mut self, block: &Block) -> io::Result<()> {
        if block.totals.accounts == 0 {
            return Ok(());
        }
        assert!(self.last.is_none_or(|last| last < block.last), "blocks are in ascending order");
        self.last = Some(block.last);
        self.totals += block.totals;
        self.sha256.update(&block.bytes);
        self.fresh.file.write_all(&block.bytes)
    }

    /// Makes the file durable, and gives it its name.
    pub(in crate::tables::accounts) fn finish(mut self) -> io::Result<(PathBuf, StagedTotals)> {
        let header = Header { digest: self.digest, totals: self.totals }.encode();
        self.sha256.update(&header);
        let end = encode_end(self.totals, &digest_bytes(self.sha256));
        self.fresh.file.write_all(&end)?;
        self.fresh.file.rewind()?;
        self.fresh.file.write_all(&header)?;
        let path = self.fresh.path().to_owned();
        self.fresh.keep()?;
        Ok((path, self.totals))
    }
}
