//! `dispatchd registry export FILE`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{
    stopped::Stopped,
    subject_key,
    transfer::{self, WorkDirectory},
};
use crate::{
    cli::note::note,
    cli::{
        client::block_on, errors::UsageError, output::may_write, progress::ProgressView,
        source::Source,
    },
    operators::Role,
    registry::StoppedRegistry,
    tables::{
        ExportError,
        accounts::{ExportWriter, FileKind, Phase, Progress, Unit},
    },
};

#[derive(Args)]
pub(crate) struct Export {
    /// The file to write; its name ends in .csv or .parquet. FILE.subject-key is written beside it
    file: PathBuf,
    /// In CSV, put an apostrophe before a handle or a name that a spreadsheet would take for a number or a formula. An import
    /// takes it away
    #[arg(long)]
    for_spreadsheet: bool,
    /// Replace the files if they exist
    #[arg(long)]
    force: bool,
    /// Where the copy of a running server's registry is kept during the export, instead of FILE.work
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    work_dir: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let kind = FileKind::of(&self.file).map_err(|error| UsageError(error.to_string()))?;
        may_write(&self.file, self.force)?;
        may_write(&subject_key::path(&self.file), self.force)?;
        let config = self.source.config.load()?;
        let view = ProgressView::stderr();
        let accounts = if let Some(data) = &self.source.data {
            let stopped = Stopped::open(data, &config)?;
            self.write(kind, &stopped.registry, &view)?
        } else {
            let copy = Copy::clear(self.work_dir.as_deref(), &self.file)?;
            let api = self.source.client(Role::Admin)?;
            let store = copy.directory.join("registry.redb");
            block_on(transfer::download(&api, &store, &view))?;
            let clock = std::sync::Arc::new(crate::clock::SystemClock);
            let registry = StoppedRegistry::open(&copy.directory, config.registry, clock)?;
            self.write(kind, &registry, &view)?
        };
        note!(
            "dispatchd: {accounts} accounts are in {}, and the key of their subjects beside it",
            self.file.display()
        );
        Ok(())
    }

    /// Writes the key first: a crash in between leaves a key without accounts, never accounts without their key.
    fn write(
        &self,
        kind: FileKind,
        registry: &StoppedRegistry,
        view: &ProgressView,
    ) -> anyhow::Result<u64> {
        let total = registry.accounts()?;
        let mut writer = ExportWriter::create(&self.file, kind, self.for_spreadsheet)?;
        subject_key::write(&self.file, registry)?;
        let written = write_all(&mut writer, registry, &|done| {
            view.show(Progress { phase: Phase::Writing, unit: Unit::Accounts, done, total });
        });
        let finished = written.and_then(|done| Ok(writer.finish().map(|()| done)?));
        finished.inspect_err(|_| drop(fs::remove_file(subject_key::path(&self.file))))
    }
}

fn write_all(
    writer: &mut ExportWriter,
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
    failed.map_or(Ok(done), |error| Err(error.into()))
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
