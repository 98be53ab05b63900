//! Stages a file, or finds the staged file that an earlier, interrupted run made of it.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use anyhow::bail;

use crate::{
    cli::note::note,
    cli::{errors::UsageError, progress::ProgressView},
    clock::{Clock as _, SystemClock},
    config::Config,
    handle::Region,
    limits,
    tables::accounts::{BadRows, Source, StageError, StageOptions, StagedReader, find, stage},
};

pub(super) struct Ready {
    pub(super) path: PathBuf,
    pub(super) accounts: u64,
    /// Rows that were left out; none if an earlier run had left them out.
    pub(super) bad: Option<BadRows>,
}

pub(super) fn options(
    skip_bad: bool,
    region: Option<&str>,
    config: &Config,
) -> anyhow::Result<StageOptions> {
    let region = region.map(|code| {
        let unknown = |_| UsageError(format!("--region {code}: not the code of a country"));
        Region::parse(code).map_err(unknown)
    });
    Ok(StageOptions {
        skip_bad,
        region: region.transpose()?,
        devices_per_account: config.registry.devices_per_account,
        now: SystemClock.now(),
        threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        record_bytes_max: limits::IMPORT_RECORD_BYTES_MAX,
    })
}

/// Stages `file` in `directory`, unless it is staged there already.
pub(super) fn ready(
    file: &Path,
    directory: &Path,
    options: &StageOptions,
    view: &ProgressView,
) -> anyhow::Result<Ready> {
    let show = |progress| view.show(progress);
    let source = Source::open(file, &show)?;
    match find(directory, source.digest(options)) {
        Ok(Some(path)) => {
            let accounts = StagedReader::open(&path)?.totals().accounts;
            note!("dispatchd: found what an earlier run had staged; continuing from it");
            return Ok(Ready { path, accounts, bad: None });
        }
        Ok(None) => {}
        Err(error) => note!(
            "dispatchd: the file that an earlier run staged cannot be used: {error}; staging again"
        ),
    }
    match stage(&source, directory, options, &show) {
        Ok(staged) => {
            for note in &staged.notes {
                note!("dispatchd: {note}");
            }
            Ok(Ready { path: staged.path, accounts: staged.totals.accounts, bad: Some(staged.bad) })
        }
        Err(StageError::BadRows(bad)) => {
            list(&bad);
            let rows = if bad.total() == 1 { "bad row" } else { "bad rows" };
            bail!("{} {rows}: nothing was imported; --skip-bad imports the others", bad.total())
        }
        Err(error) => Err(error.into()),
    }
}

/// Lists the first bad rows on standard error.
pub(super) fn list(bad: &BadRows) {
    let first = bad.first();
    for row in &first {
        note!("line {}: {}", row.line, row.reason);
    }
    let more = bad.total() - first.len() as u64;
    if more > 0 {
        note!("and {more} more");
    }
}
