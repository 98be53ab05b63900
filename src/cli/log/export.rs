//! `dispatchd log export --output FILE`.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::{
    api::{Call as _, LogRow, RecordFilter},
    cli::note::note,
    cli::{
        errors::UsageError,
        output::may_write,
        progress::ProgressView,
        source::{Source, print_passed_over},
    },
    clock::{Clock as _, SystemClock},
    query_log::SearchOutcome,
    tables::accounts::{Phase, Progress, Unit},
    tables::records::{ExportFile, Format, RecipientError, Recipients},
};

/// Rows between two looks at the progress.
const SHOW_EVERY_ROWS: u64 = 4_096;

#[derive(Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    request: RecordFilter,
    /// The file to write. Only its owner can read it; it appears once it is complete
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The format; not needed if FILE ends in .parquet, .csv or .ndjson, with or without .age
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Encrypt to this age recipient (age1…), who alone can read it; may be repeated. Let FILE end in .age
    #[arg(long, value_name = "RECIPIENT")]
    encrypt_to: Vec<String>,
    /// Encrypt to the age recipients in this file, one a line; lines that begin with # do not count
    #[arg(long, value_name = "FILE")]
    encrypt_to_file: Vec<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    source: Source,
}

impl Export {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        may_write(&self.output, self.force)?;
        let format = self.format()?;
        let recipients = self.recipients()?;
        self.request.resolve(SystemClock.now())?;
        let mut file = ExportFile::create(&self.output, format, recipients.as_ref())?;
        let view = ProgressView::stderr();
        let outcome = self
            .source
            .rows(&self.request, |row| add(&mut file, &row, &view))
            .context("there is no file")?;
        drop(view);
        // Another process may have made it meanwhile.
        may_write(&self.output, self.force)?;
        let records = file.records();
        file.finish()?;
        self.print(records, outcome);
        Ok(())
    }

    fn format(&self) -> Result<Format, UsageError> {
        let of_name = || Format::of(&self.output);
        self.format.or_else(of_name).ok_or_else(|| {
            let takes =
                "--format, or a name that ends in .parquet, .csv or .ndjson (.age behind it)";
            UsageError(format!("{}: which format? Give {takes}", self.output.display()))
        })
    }

    /// Who can decrypt the file; none for a plain file.
    fn recipients(&self) -> anyhow::Result<Option<Recipients>> {
        let mut keys: Vec<(String, String)> = Vec::new();
        for (at, key) in self.encrypt_to.iter().enumerate() {
            keys.push((format!("--encrypt-to, number {}", at + 1), key.trim().to_owned()));
        }
        for path in &self.encrypt_to_file {
            let shown = path.display();
            let text = fs::read_to_string(path).with_context(|| shown.to_string())?;
            let lines = text.lines().map(str::trim).enumerate();
            let before = keys.len();
            let wanted = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
            keys.extend(
                wanted.map(|(at, line)| (format!("{shown}, line {}", at + 1), line.to_owned())),
            );
            if keys.len() == before {
                return Err(UsageError(format!("{shown} names no recipient")).into());
            }
        }
        let wrong = |(at, error): (usize, RecipientError)| {
            let place = keys.get(at).map_or("", |(place, _)| place.as_str());
            UsageError(format!("{place}: {error}"))
        };
        let recipients = Recipients::parse(keys.iter().map(|(_, key)| key.as_str()));
        let recipients = recipients.map_err(wrong)?;
        let ends_in_age =
            self.output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("age"));
        if recipients.is_none() && ends_in_age {
            let fault = "ends in .age, but no recipient is named: give --encrypt-to";
            return Err(UsageError(format!("{} {fault}", self.output.display())).into());
        }
        Ok(recipients)
    }

    fn print(&self, records: u64, outcome: Option<SearchOutcome>) {
        let shown = self.output.display();
        match records {
            0 => note!("dispatchd: no record matches; {shown} is valid and empty"),
            1 => note!("dispatchd: 1 record is in {shown}"),
            _ => note!("dispatchd: {records} records are in {shown}"),
        }
        match outcome {
            Some(outcome) => print_passed_over(outcome),
            None => note!(
                "dispatchd: a proxy kept back whether the server could read everything; run `dispatchd log verify`"
            ),
        }
        note!(
            "dispatchd: the log forgets records after its retention; this file does not expire: delete it yourself"
        );
    }
}

fn add(file: &mut ExportFile, row: &LogRow, view: &ProgressView) -> anyhow::Result<()> {
    file.write(row)?;
    let done = file.records();
    if done.is_multiple_of(SHOW_EVERY_ROWS) {
        view.show(Progress { phase: Phase::Writing, unit: Unit::Rows, done, total: 0 });
    }
    Ok(())
}
