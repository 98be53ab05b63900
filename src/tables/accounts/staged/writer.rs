//! Writes a staged file.

use std::{
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    ENDING, StagedTotals,
    format::{
        BLOCK_HEAD_BYTES, BlockHead, HEADER_BYTES, Header, encode_account, encode_end, push_crc,
    },
};
use crate::{
    files::{AtomicFile, create_dir, remove_leftovers},
    limits,
    registry::TransferAccount,
    tables::accounts::source::{ImportDigest, digest_bytes},
};

/// Accounts encoded together.
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
    /// Adds the account with the next higher id.
    pub(in crate::tables::accounts) fn push(&mut self, account: &TransferAccount) {
        let id = account.account.bits();
        assert!(self.totals.accounts == 0 || id > self.last, "accounts come in order, each once");
        self.bytes = encode_account(account, std::mem::take(&mut self.bytes));
        self.last = id;
        self.totals.accounts += 1;
        self.totals.devices += account.devices.len() as u64;
        self.totals.handles += account.claims.len() as u64;
    }

    /// Puts head and checksum around the accounts. To be called where it costs the file's writer nothing.
    pub(in crate::tables::accounts) fn seal(&mut self) {
        let payload = self.bytes.len() - BLOCK_HEAD_BYTES;
        assert!(payload <= limits::STAGED_BLOCK_BYTES_MAX, "a block's rows are few");
        let head = BlockHead {
            payload_bytes: u32::try_from(payload).expect("it is below the limit"),
            accounts: u32::try_from(self.totals.accounts).expect("as above"),
            last: self.last,
        };
        self.bytes[..BLOCK_HEAD_BYTES].copy_from_slice(&head.encode());
        push_crc(&mut self.bytes);
    }
}

/// A staged file being written. Dropped before [`StagedWriter::finish`], it leaves nothing.
pub(in crate::tables::accounts) struct StagedWriter {
    fresh: AtomicFile,
    digest: ImportDigest,
    totals: StagedTotals,
    sha256: Context,
    last: Option<u64>,
}

impl StagedWriter {
    /// Begins the file of the import `digest`, and removes what interrupted stagings left in `directory`.
    pub(in crate::tables::accounts) fn create(
        directory: &Path,
        digest: ImportDigest,
    ) -> io::Result<Self> {
        create_dir(directory)?;
        remove_leftovers(directory, ENDING)?;
        let mut fresh = AtomicFile::create(&super::path(directory, digest))?;
        fresh.file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        let totals = StagedTotals::default();
        Ok(Self { fresh, digest, totals, sha256: Context::new(&SHA256), last: None })
    }

    /// Appends a sealed block, unless it is empty.
    pub(in crate::tables::accounts) fn write(&mut self, block: &Block) -> io::Result<()> {
        if block.totals.accounts == 0 {
            return Ok(());
        }
        assert!(self.last.is_none_or(|last| last < block.last), "blocks come in order");
        self.last = Some(block.last);
        self.totals.accounts += block.totals.accounts;
        self.totals.devices += block.totals.devices;
        self.totals.handles += block.totals.handles;
        self.sha256.update(&block.bytes);
        self.fresh.file.write_all(&block.bytes)
    }

    /// Makes the file durable under its name.
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
