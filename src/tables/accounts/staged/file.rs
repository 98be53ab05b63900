//! Finds a staged file, and checks a whole one.

use std::{
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    account_codec::is_canonical, error::StagedError, layout::StagedTotals, reader::StagedReader,
};
use crate::{files, tables::accounts::source::ImportDigest};

/// The ending of the name of a staged file.
pub(super) const ENDING: &str = ".staged";

/// Finds the complete staged file of the import `digest` in `directory`.
///
/// # Errors
/// If a file of its name exists but cannot be used. The caller may remove it and stage the source again.
pub fn find(directory: &Path, digest: ImportDigest) -> Result<Option<PathBuf>, StagedError> {
    let path = path(directory, digest);
    let opened = files::if_exists(files::open(&path)).map_err(StagedError::Read)?;
    let Some(file) = opened else { return Ok(None) };
    if StagedReader::new(BufReader::new(file))?.digest() == digest {
        Ok(Some(path))
    } else {
        Err(StagedError::Invalid("it belongs to another import than its name says"))
    }
}

/// The path of the staged file of the import `digest`.
pub(super) fn path(directory: &Path, digest: ImportDigest) -> PathBuf {
    directory.join(format!("{digest}{ENDING}"))
}

/// Reads a staged file to its end, and parses every handle again. Whoever receives a staged file must call this before
/// applying any of its accounts.
///
/// # Errors
/// If the file cannot be read, or is invalid.
pub fn verify(input: impl Read) -> Result<(ImportDigest, StagedTotals), StagedError> {
    const BATCH_ACCOUNTS: usize = 1_024;

    let mut reader = StagedReader::new(input)?;
    loop {
        let batch = reader.next_batch(BATCH_ACCOUNTS)?;
        if batch.is_empty() {
            return Ok((reader.digest(), reader.totals()));
        }
        let mut handles = batch.iter().flat_map(|account| &account.claims);
        if !handles.all(|claim| is_canonical(&claim.handle)) {
            return Err(StagedError::Invalid("a handle is not in canonical form"));
        }
    }
}
