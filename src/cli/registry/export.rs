//! `dispatchd registry export FILE`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueHint};

use super::{
    stopped::Stopped,
    subject_key,
    transfer::{self, WorkDirectory},
};
use crate::{
    audit::Call,
    cli::note::note,
    cli::{
        client::block_on,
        errors::UsageError,
        progress::ProgressView,
        source::Source,
        target::{may_export, may_write, target},
        text::counted,
    },
    operators::Role,
    registry::StoppedRegistry,
    tables::{
        ExportError, Target,
        accounts::{ExportWriter, FileKind, Phase, Progress, Unit},
    },
};

#[derive(Args)]
pub(crate) struct Export {
    /// The file to write, whose name ends in .csv or .parquet, or - for standard output. FILE.subject-key is written beside
    /// the file; standard output goes without it
    #[arg(value_parser = target(), value_hint = ValueHint::AnyPath)]
    file: Target,
    /// The format; not needed if FILE ends in .csv or .parquet. Of standard output it is csv by default
    #[arg(long, value_enum)]
    format: Option<FileKind>,
    /// In CSV, put an apostrophe before a handle or a name that a spreadsheet would take for a number or a formula. An import
    /// takes it away
    #[arg(long)]
    for_spreadsheet: bool,
    /// Replace the files if they exist. Nothing but a regular file is ever replaced
    #[arg(long)]
    force: bool,
    /// Where the copy of a running server's registry is kept during the export, instead of FILE.work, or registry.work in
    /// this directory
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    work_dir: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let kind = self.kind()?;
        self.may_write(kind)?;
        let config = self.source.running.config.load()?;
        let view = ProgressView::stderr();
        let accounts = if let Some(data) = &self.source.data {
            let stopped = Stopped::open(data, &config)?;
            let mut audited = stopped.note(Call::RegistryExport)?;
            let written = self.write(kind, &stopped.registry, &view)?;
            audited.add(written);
            audited.finish();
            written
        } else {
            let beside = match &self.file {
                Target::File(file) => file,
                Target::Stdout => Path::new("registry"),
            };
            let copy = Copy::clear(self.work_dir.as_deref(), beside)?;
            let api = self.source.client(Role::Admin)?;
            let store = copy.directory.join("registry.redb");
            block_on(transfer::download(&api, &store, &view))?;
            let clock = std::sync::Arc::new(crate::clock::SystemClock);
            let registry = StoppedRegistry::open(&copy.directory, config.registry, clock)?;
            self.write(kind, &registry, &view)?
        };
        view.end();
        let accounts = counted(accounts, "account");
        match &self.file {
            file @ Target::File(_) => {
                note!("dispatchd: {accounts} in {file}, and the key of their subjects beside it")
            }
            Target::Stdout => {
                note!("dispatchd: {accounts} written, without the key of their subjects")
            }
        }
        Ok(())
    }

    fn kind(&self) -> Result<FileKind, UsageError> {
        match (self.format, &self.file) {
            (Some(kind), _) => Ok(kind),
            (None, Target::Stdout) => Ok(FileKind::Csv),
            (None, Target::File(file)) => {
                FileKind::of(file).map_err(|error| UsageError(error.to_string()))
            }
        }
    }

    /// Refuses what must not be written to.
    fn may_write(&self, kind: FileKind) -> anyhow::Result<()> {
        may_export(&self.file, (kind == FileKind::Parquet).then_some("Parquet"), self.force)?;
        match &self.file {
            Target::File(file) => may_write(&subject_key::path(file), self.force),
            Target::Stdout => Ok(()),
        }
    }

    /// Writes the key first: a crash in between leaves a key without accounts, never accounts without their key.
    fn write(
        &self,
        kind: FileKind,
        registry: &StoppedRegistry,
        view: &ProgressView,
    ) -> anyhow::Result<u64> {
        let total = registry.accounts()?;
        if matches!(self.file, Target::Stdout) {
            // A bar between the rows, or before the first, would be in their way.
            view.end();
        }
        let writer = ExportWriter::create(&self.file, kind, self.for_spreadsheet)?;
        let Target::File(file) = &self.file else {
            return write_all(writer, registry, &|_| ()).context("what was written is not all");
        };
        subject_key::write(file, registry)?;
        let written = write_all(writer, registry, &|done| {
            view.show(Progress { phase: Phase::Writing, unit: Unit::Accounts, done, total });
        });
        written.inspect_err(|_| drop(fs::remove_file(subject_key::path(file))))
    }
}

fn write_all(
    mut writer: ExportWriter,
    registry: &StoppedRegistry,
    progress: &dyn Fn(u64),
) -> anyhow::Result<u64> {
    let (mut done, mut failed) = (0, None::<ExportError>);
    registry.export(&mut |account| {
        failed = writer.write(&account).err();
        done += 1;
        progress(done);
        failed.is_none()
    })?;
    failed.map_or(Ok(()), Err)?;
    writer.finish()?;
    Ok(done)
}

/// A running server's registry while it is exported. Removed at the end, well or not; what a crash left is removed
/// before the next one.
struct Copy {
    directory: PathBuf,
    /// Removed after the directory below it.
    _work: WorkDirectory,
}

impl Copy {
    fn clear(named: Option<&Path>, file: &Path) -> anyhow::Result<Self> {
        let work = WorkDirectory::make(named, file)?;
        // One of its own below: whatever else is in a directory that was named stays untouched.
        let directory = work.path.join("dispatchd-export");
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .with_context(|| format!("removing {}", directory.display()))?;
        }
        crate::files::create_dir(&directory)
            .with_context(|| format!("making {}", directory.display()))?;
        Ok(Self { directory, _work: work })
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
