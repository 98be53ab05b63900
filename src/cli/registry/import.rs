//! `dispatchd registry import FILE`.
//!
//! The file is staged first: read to its end, checked and sorted. That takes most of the time and touches no registry,
//! and it is not done again if a crash comes in between: the staged file stays until it is applied. Into a stopped
//! server's files it is applied in one transaction; a running server takes it as a whole and applies it by itself.

use std::{
    fs::{self, File},
    io::{Write as _, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Method;

use super::{
    staging::{self, Ready},
    stopped::Stopped,
    subject_key,
    transfer::{self, WorkDirectory},
};
use crate::{
    api::{BadRowReport, BadRowsReport, ImportLine, ImportPhase, ImportReport, ImportState},
    audit::Call,
    cli::note::note,
    cli::{
        answers::Lines,
        client::{Client, block_on, refused},
        errors::UsageError,
        output::print_json,
        progress::ProgressView,
        source::Source,
    },
    config::Config,
    operators::Role,
    registry::{Imported, TransferAccount},
    tables::accounts::{
        BadRow, BadRows, FileKind, Phase, Progress, StageOptions, StagedReader, Unit,
    },
};

const PATH: &str = "/v1/registry/import";
const BATCH_ACCOUNTS: usize = 1_024;

#[derive(Args)]
pub(crate) struct Import {
    /// The file; its name ends in .csv or .parquet
    file: PathBuf,
    /// Leave bad rows out; without this one bad row means that nothing is imported
    #[arg(long)]
    skip_bad: bool,
    /// The country in which phone numbers without a calling code are read; without it they are bad
    #[arg(long, value_name = "CC")]
    region: Option<String>,
    /// Where the file is staged for a running server, instead of FILE.work: as large as the file, and as private
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    work_dir: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<()> {
        // Before anything is made or asked: a mistyped name ends here.
        FileKind::of(&self.file).map_err(|error| UsageError(error.to_string()))?;
        File::open(&self.file).with_context(|| self.file.display().to_string())?;
        let config = self.source.running.config.load()?;
        let options = staging::options(self.skip_bad, self.region.as_deref(), &config)?;
        let (ready, imported) = match &self.source.data {
            Some(data) => self.to_files(data, &config, &options)?,
            None => block_on(self.to_server(&options))?,
        };
        print(&imported, ready.bad.as_ref(), self.json)?;
        if imported.is_all_stale() {
            bail!("nothing was imported: everything in the file is too old");
        }
        Ok(())
    }

    /// All or nothing. A crash before the end leaves the registry as it was, and the staged file for the next run.
    fn to_files(
        &self,
        data: &Path,
        config: &Config,
        options: &StageOptions,
    ) -> anyhow::Result<(Ready, Imported)> {
        let key = subject_key::read(&self.file)?;
        let is_new = !data.is_dir();
        let mut stopped = Stopped::open_or_found(data, config)?;
        if stopped.registry.log_head().is_some() {
            // Its registry would leave the shared log.
            bail!(
                "{}: belongs to a cluster; start its server, and leave out --data to go through its API (--server, --token-file)",
                data.display()
            );
        }
        if is_new {
            // A mistyped name must not look like a server's directory.
            let made = fs::canonicalize(data)?;
            note!("dispatchd: {} did not exist: made a new data directory", made.display());
        }
        let view = ProgressView::stderr();
        let directory = data.join("registry").join("import");
        let ready = staging::ready(&self.file, &directory, options, &view)?;
        if let Some(key) = key {
            let is_same = *key == *stopped.registry.subject_key();
            if !is_same && !stopped.registry.adopt_subject_key(key)? {
                note!(
                    "dispatchd: the registry has accounts and keeps its own subject key: subjects \
                     will not be those of the registry that was exported"
                );
            }
        }
        let total = ready.accounts;
        let mut audited = stopped.note(Call::Import)?;
        audited.add(total);
        let imported = stopped.registry.import(accounts(&ready.path)?, &mut |done| {
            view.show(Progress { phase: Phase::Applying, unit: Unit::Accounts, done, total });
        })?;
        audited.finish();
        fs::remove_file(&ready.path).context("removing the staged file")?;
        Ok((ready, imported))
    }

    async fn to_server(&self, options: &StageOptions) -> anyhow::Result<(Ready, Imported)> {
        let api = self.source.client(Role::Admin)?;
        // Before the long work: may this be done at all, and is the server free?
        let state: ImportState = api.json(api.request(Method::GET, PATH)).await?;
        if state.state == ImportPhase::Applying {
            let ImportState { accounts, total, .. } = state;
            bail!("the server applies another import: {accounts} of {total} accounts so far");
        }
        if subject_key::read(&self.file)?.is_some() {
            note!(
                "dispatchd: a running server keeps its own subject key: subjects will not be those \
                 of the registry that was exported"
            );
        }
        let view = ProgressView::stderr();
        let work = WorkDirectory::make(self.work_dir.as_deref(), &self.file)?;
        let ready = staging::ready(&self.file, &work.path, options, &view)?;
        let imported = send(&api, &ready, &view).await?;
        fs::remove_file(&ready.path).context("removing the staged file")?;
        Ok((ready, imported))
    }
}

fn accounts(
    path: &Path,
) -> anyhow::Result<impl Iterator<Item = Result<TransferAccount, String>> + Send + use<>> {
    let mut reader = StagedReader::open(path)?;
    let batches = std::iter::from_fn(move || match reader.next_batch(BATCH_ACCOUNTS) {
        Ok(batch) if batch.is_empty() => None,
        Ok(batch) => Some(batch.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(error) => Some(vec![Err(error.to_string())]),
    });
    Ok(batches.flatten())
}

/// Uploads the staged file and follows its import to the end.
async fn send(api: &Client, ready: &Ready, view: &ProgressView) -> anyhow::Result<Imported> {
    let response = transfer::upload(api, PATH, &ready.path, view).await?;
    let mut lines = Lines::of(response);
    loop {
        // However it ends, the server has accepted the file.
        let Ok(Some(line)) = lines.next().await else {
            bail!(
                "the server went away; it has accepted the import and goes on with it by itself \
                 when it runs"
            );
        };
        match serde_json::from_slice(&line)? {
            ImportLine::Imported { imported } => return Ok(imported),
            ImportLine::Problem { problem } => return Err(refused(problem)),
            ImportLine::Progress { accounts: done, total } => {
                view.show(Progress { phase: Phase::Applying, unit: Unit::Accounts, done, total });
            }
        }
    }
}

/// Prints the counts of an import. Rows that were left out are listed on standard error.
fn print(imported: &Imported, bad: Option<&BadRows>, is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return print_json(&ImportReport { imported: *imported, bad_rows: bad.map(bad_rows) });
    }
    let mut out = stdout().lock();
    let lines = counts(imported).into_iter().enumerate();
    // What came in is always said, even if it is nothing.
    for (_, (count, one, many)) in lines.filter(|(at, (count, ..))| *at < 3 || *count > 0) {
        writeln!(out, "{count:>12}  {}", if count == 1 { one } else { many })?;
    }
    if let Some(bad) = bad.filter(|bad| bad.total() > 0) {
        let rows = if bad.total() == 1 { "bad row" } else { "bad rows" };
        writeln!(out, "{:>12}  {rows} left out", bad.total())?;
        staging::list(bad);
    }
    Ok(())
}

fn bad_rows(bad: &BadRows) -> BadRowsReport {
    let row = |row: &BadRow| BadRowReport { line: row.line, reason: row.reason.to_string() };
    BadRowsReport { total: bad.total(), first: bad.first().iter().map(row).collect() }
}

/// Each count with its words for one and for several.
fn counts(imported: &Imported) -> [(u64, &'static str, &'static str); 12] {
    [
        (imported.accounts, "account came in", "accounts came in"),
        (imported.devices, "device came in", "devices came in"),
        (imported.handles, "handle came in", "handles came in"),
        (
            imported.moved,
            "of these moved here from an account with an older proof",
            "of these moved here from an account with an older proof",
        ),
        (
            imported.accounts_kept,
            "account was here already and stays as it is",
            "accounts were here already and stay as they are",
        ),
        (
            imported.handles_held,
            "handle stays with an account that proved it later",
            "handles stay with an account that proved them later",
        ),
        (
            imported.handles_ended,
            "handle ended here after it was proved, and stays so",
            "handles ended here after they were proved, and stay so",
        ),
        (
            imported.handles_stale,
            "handle is too old to say whether it has ended",
            "handles are too old to say whether they have ended",
        ),
        (
            imported.devices_silent,
            "device was silent for longer than devices are remembered",
            "devices were silent for longer than devices are remembered",
        ),
        (
            imported.devices_held,
            "device belongs to another account here",
            "devices belong to other accounts here",
        ),
        (
            imported.devices_over_limit,
            "device is more than its account may have",
            "devices are more than their accounts may have",
        ),
        (
            imported.devices_without_handle,
            "device has an account none of whose handles came in",
            "devices have accounts none of whose handles came in",
        ),
    ]
}
