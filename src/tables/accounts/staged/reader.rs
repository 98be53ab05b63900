//! Reads a staged file, and checks every byte of it.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use zstd::stream::read::Decoder;

use super::{
    format::{HEADER_BYTES, Header, StagedError, StagedTotals},
    writer,
};
use crate::{
    files::{self, File},
    handle::Handle,
    limits,
    registry::TransferAccount,
    tables::accounts::{account::AccountBuilder, rows::Row, source::ImportDigest},
};

/// The largest window that a frame may need, as a power of two: 8 MiB, so that a foreign file cannot take more memory.
const WINDOW_LOG_MAX: u32 = 23;
const NOT_CANONICAL: StagedError = StagedError::Invalid("a handle is not in canonical form");

/// The accounts of a staged file, in ascending order of their ids.
///
/// The reader checks every account before it returns it. Only the end of the file proves that no account was missing, so
/// call [`verify`] before applying accounts that must be complete.
pub struct StagedReader<R> {
    input: BufReader<R>,
    header: Header,
    /// The rows of the current frame.
    rows: Vec<u8>,
    /// Where the next account begins in `rows`.
    at: usize,
    last: Option<u64>,
    seen: StagedTotals,
    is_over: bool,
}

impl StagedReader<File> {
    /// Opens the staged file at `path`.
    pub fn open(path: &Path) -> Result<Self, StagedError> {
        Self::new(files::open(path).map_err(StagedError::Read)?)
    }
}

impl<R: Read> StagedReader<R> {
    /// Reads the header of a staged file from `input`. A buffer is not needed.
    pub fn new(input: R) -> Result<Self, StagedError> {
        let mut input = BufReader::new(input);
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header)?;
        let header = Header::decode(&header)?;
        let (rows, seen) = (Vec::new(), StagedTotals::default());
        Ok(Self { input, header, rows, at: 0, last: None, seen, is_over: false })
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
            let next = if self.at == self.rows.len() {
                self.next_frame().map(|()| None)
            } else {
                self.next_account()
            };
            self.is_over |= next.is_err();
            batch.extend(next?);
        }
        Ok(batch)
    }

    /// Decompresses the next frame, or checks the end of the file.
    fn next_frame(&mut self) -> Result<(), StagedError> {
        if self.input.fill_buf()?.is_empty() {
            self.is_over = true;
            return match self.header.totals {
                totals if totals == self.seen => Ok(()),
                totals if totals.accounts > self.seen.accounts => Err(StagedError::CutOff),
                _ => Err(StagedError::Invalid("the totals are wrong")),
            };
        }
        let mut frame = Decoder::with_buffer(&mut self.input)?.single_frame();
        frame.window_log_max(WINDOW_LOG_MAX)?;
        self.rows.clear();
        self.at = 0;
        // The buffer grows with the bytes that arrive. Reading to the end of the frame checks its checksum.
        frame.take(limits::STAGED_BLOCK_BYTES_MAX as u64 + 1).read_to_end(&mut self.rows)?;
        match self.rows.len() {
            0 => Err(StagedError::Invalid("a frame contains no row")),
            len if len > limits::STAGED_BLOCK_BYTES_MAX => {
                Err(StagedError::Invalid("a frame is too long"))
            }
            _ => Ok(()),
        }
    }

    /// The account whose rows are next.
    fn next_account(&mut self) -> Result<Option<TransferAccount>, StagedError> {
        let (first, mut rest) = row(&self.rows[self.at..])?;
        if self.last >= Some(first.account.bits) {
            return Err(StagedError::Invalid("accounts are not in order"));
        }
        self.last = Some(first.account.bits);
        let devices_max = limits::STAGED_DEVICES_PER_ACCOUNT_MAX;
        let mut builder = AccountBuilder::new(first.account, devices_max);
        let mut add = |row: &Row<'_>| {
            builder.add(row).map_err(|_| StagedError::Invalid("rows of an account contradict"))
        };
        add(&first)?;
        // A row begins with the id of its account.
        while rest.starts_with(&first.account.bits.to_le_bytes()) {
            let (next, after) = row(rest)?;
            add(&next)?;
            rest = after;
        }
        self.at = self.rows.len() - rest.len();
        let account = builder.finish();
        account.iter().for_each(|account| self.seen += account.into());
        Ok(account)
    }
}

/// The row at the front of `bytes`, and the bytes after it. Fails if the registry could not hold its values.
fn row(bytes: &[u8]) -> Result<(Row<'_>, &[u8]), StagedError> {
    let (row, rest) = Row::read(bytes).ok_or(StagedError::Invalid("a row cannot be read"))?;
    let name_fits = |name: &str| (1..=limits::DEVICE_NAME_BYTES_MAX).contains(&name.len());
    if !row.name.is_none_or(name_fits) {
        return Err(StagedError::Invalid("a device's name has a wrong length"));
    }
    match &row.handle {
        // The text of an address could otherwise break the lines of the log. The form of a number was checked.
        Some(handle @ Handle::Email(_)) if !is_canonical(handle) => Err(NOT_CANONICAL),
        _ => Ok((row, rest)),
    }
}

/// Whether the handle's text parses to itself.
fn is_canonical(handle: &Handle) -> bool {
    Handle::parse(&handle.canonical(), None).as_ref() == Ok(handle)
}

/// Finds the complete staged file of the import `digest` in `directory`.
///
/// # Errors
/// If a file of its name exists but cannot be used. The caller may remove it and stage the source again.
pub fn find(directory: &Path, digest: ImportDigest) -> Result<Option<PathBuf>, StagedError> {
    let path = writer::path(directory, digest);
    let opened = files::if_exists(files::open(&path)).map_err(StagedError::Read)?;
    let Some(file) = opened else { return Ok(None) };
    if StagedReader::new(file)?.header.digest == digest {
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
            return Err(NOT_CANONICAL);
        }
    }
}
