//! `dispatchd log export --output FILE`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueHint};

use crate::{
    api::{Call as _, LogRow, RecordFilter},
    cli::note::{note, print_lacks},
    cli::{
        errors::UsageError,
        progress::ProgressView,
        source::Source,
        target::{may_export, target},
        text::counted,
    },
    clock::{Clock as _, SystemClock},
    reading::Outcome,
    tables::{
        Target,
        accounts::{Phase, Progress, Unit},
        records::{ExportFile, Format, RecipientError, Recipients},
    },
};

/// Rows between two looks at the progress.
const SHOW_EVERY_ROWS: u64 = 4_096;

#[derive(Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    request: RecordFilter,
    /// The file to write, or - for standard output. Only its owner can read the file; it appears once it is complete
    #[arg(long, value_name = "FILE", value_parser = target(), value_hint = ValueHint::AnyPath)]
    output: Target,
    /// The format; not needed if FILE ends in .parquet, .csv or .ndjson, with or without .age
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Encrypt to this age recipient (age1…), who alone can read it; may be repeated. Let FILE end in .age
    #[arg(long, value_name = "RECIPIENT")]
    encrypt_to: Vec<String>,
    /// Encrypt to the age recipients in this file, one a line; lines that begin with # do not count
    #[arg(long, value_name = "FILE")]
    encrypt_to_file: Vec<PathBuf>,
    /// Replace the file if it exists. Nothing but a regular file is ever replaced
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    source: Source,
}

impl Export {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let format = self.format()?;
        let recipients = self.recipients()?;
        // No text for a terminal.
        let binary = match format {
            _ if recipients.is_some() => Some("an encrypted export"),
            Format::Parquet => Some("Parquet"),
            Format::Csv | Format::Ndjson => None,
        };
        may_export(&self.output, binary, self.force)?;
        self.request.resolve(SystemClock.now())?;
        let mut file = ExportFile::create(&self.output, format, recipients.as_ref())?;
        let (view, without) = match &self.output {
            Target::File(_) => (Some(ProgressView::stderr()), "there is no file"),
            // A bar between the rows would be in their way.
            Target::Stdout => (None, "what was written is not all"),
        };
        let rows =
            self.source.rows(&self.request, |row| add(&mut file, row.into_parts(), view.as_ref()));
        let outcome = rows.context(without)?;
        drop(view);
        // Another process may have made the file meanwhile.
        may_export(&self.output, binary, self.force)?;
        let records = file.records();
        file.finish(outcome.as_ref().is_some_and(|it| it.missing.is_some()))?;
        self.print(records, outcome.as_ref())
    }

    /// The file; none for standard output.
    fn path(&self) -> Option<&Path> {
        match &self.output {
            Target::File(path) => Some(path),
            Target::Stdout => None,
        }
    }

    fn format(&self) -> Result<Format, UsageError> {
        let of_name = || self.path().and_then(Format::of);
        self.format.or_else(of_name).ok_or_else(|| {
            let takes =
                "--format, or a name that ends in .parquet, .csv or .ndjson (.age behind it)";
            UsageError(format!("{}: which format? Give {takes}", self.output))
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
        let ending = self.path().and_then(Path::extension);
        let ends_in_age = ending.is_some_and(|ending| ending.eq_ignore_ascii_case("age"));
        if recipients.is_none() && ends_in_age {
            let fault = "ends in .age, but no recipient is named: give --encrypt-to";
            return Err(UsageError(format!("{} {fault}", self.output)).into());
        }
        Ok(recipients)
    }

    fn print(&self, records: u64, outcome: Option<&Outcome>) -> anyhow::Result<()> {
        let (shown, counted) = (&self.output, counted(records, "record"));
        let lacks = outcome.map_or(Ok(()), print_lacks);
        match records {
            _ if self.output == Target::Stdout => note!("dispatchd: {counted} written"),
            0 if lacks.is_ok() => {
                note!("dispatchd: no record matches; {shown} is valid and empty");
            }
            0 => note!("dispatchd: no record came; {shown} is valid and empty"),
            1 => note!("dispatchd: {counted} is in {shown}"),
            _ => note!("dispatchd: {counted} are in {shown}"),
        }
        match outcome {
            Some(_) => {}
            None => note!(
                "dispatchd: a proxy kept back whether the server could read everything; run `dispatchd log verify`"
            ),
        }
        note!(
            "dispatchd: the log forgets records after its retention; an export does not expire: delete it yourself"
        );
        lacks
    }
}

fn add(
    file: &mut ExportFile,
    (row, node): (LogRow, Option<String>),
    view: Option<&ProgressView>,
) -> anyhow::Result<()> {
    file.write(&row, node.as_deref())?;
    let done = file.records();
    if let Some(view) = view.filter(|_| done.is_multiple_of(SHOW_EVERY_ROWS)) {
        view.show(Progress { phase: Phase::Writing, unit: Unit::Rows, done, total: 0 });
    }
    Ok(())
}
