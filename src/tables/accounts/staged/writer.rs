//! Writes a staged file.

use std::{
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use zstd::bulk::Compressor;

use super::format::{HEADER_BYTES, Header, StagedTotals};
use crate::{
    files::{AtomicFile, create_dir, remove_leftovers},
    limits,
    tables::accounts::source::ImportDigest,
};

const ENDING: &str = ".staged";
/// The fastest one: a staged file is read once or twice and removed.
const COMPRESSION_LEVEL: i32 = 1;

/// The path of the staged file of the import `digest`.
pub(super) fn path(directory: &Path, digest: ImportDigest) -> PathBuf {
    directory.join(format!("{digest}{ENDING}"))
}

/// Compressed rows of whole accounts.
pub(crate) struct Block {
    frame: Vec<u8>,
    totals: StagedTotals,
}

impl Block {
    /// Compresses `rows`, which have these totals. Called on the threads that group rows, to relieve the one that writes
    /// the file.
    pub(crate) fn new(rows: &[u8], totals: StagedTotals) -> io::Result<Self> {
        assert!(
            rows.len() <= limits::STAGED_BLOCK_BYTES_MAX,
            "grouping bounds the rows of a block"
        );
        let mut compressor = Compressor::new(COMPRESSION_LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self { frame: compressor.compress(rows)?, totals })
    }
}

/// Writes a staged file. If dropped before [`StagedWriter::finish`], it leaves no file.
pub(crate) struct StagedWriter {
    fresh: AtomicFile,
    header: Header,
}

impl StagedWriter {
    /// Begins the file of the import `digest`, and removes files of interrupted stagings from `directory`.
    pub(crate) fn create(directory: &Path, digest: ImportDigest) -> io::Result<Self> {
        create_dir(directory)?;
        remove_leftovers(directory, ENDING)?;
        let mut fresh = AtomicFile::create(&path(directory, digest))?;
        fresh.file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        Ok(Self { fresh, header: Header { digest, totals: StagedTotals::default() } })
    }

    /// Appends a block, unless it has no account. Its accounts must have higher ids than those before it.
    pub(crate) fn write(&mut self, block: &Block) -> io::Result<()> {
        if block.totals.accounts == 0 {
            return Ok(());
        }
        self.header.totals += block.totals;
        self.fresh.file.write_all(&block.frame)
    }

    /// Makes the file durable, and gives it its name.
    pub(crate) fn finish(mut self) -> io::Result<(PathBuf, StagedTotals)> {
        self.fresh.file.rewind()?;
        self.fresh.file.write_all(&self.header.encode())?;
        let path = self.fresh.path().to_owned();
        self.fresh.keep()?;
        Ok((path, self.header.totals))
    }
}
