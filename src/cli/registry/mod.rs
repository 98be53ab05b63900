//! `dispatchd registry import|export|snapshot|stats`: on a running server, or with `--data DIR` on a stopped one's files.

mod export;
mod import;
mod staging;
mod stats;
mod stopped;
mod subject_key;
mod transfer;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use self::stopped::Stopped;
use super::{client::block_on, progress::ProgressView, source::Source, target::may_write};
use crate::cli::note::note;
use crate::{
    audit::Call, files::AtomicFile, operators::Role, registry::CopyFor, vocabulary::Platform,
};

#[derive(Subcommand)]
pub(super) enum Registry {
    /// Take accounts in from a CSV or Parquet file
    #[command(after_help = platforms())]
    Import(import::Import),
    /// Write every account to a CSV or Parquet file that an import can read
    Export(export::Export),
    /// Copy the registry's store as it is at one moment
    Snapshot(Snapshot),
    /// Count handles, devices and accounts, and what the index takes in memory
    Stats(stats::Stats),
}

fn platforms() -> String {
    let codes: Vec<_> = Platform::ALL.iter().map(|platform| platform.code()).collect();
    format!("The column platform takes one of {}.", codes.join(", "))
}

impl Registry {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Import(import) => import.run(),
            Self::Export(export) => export.run(),
            Self::Snapshot(snapshot) => snapshot.run(),
            Self::Stats(stats) => stats.run(),
        }
    }
}

#[derive(Args)]
pub(super) struct Snapshot {
    /// The file to write; in the place of a stopped server's registry/registry.redb it restores the registry
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    source: Source,
}

impl Snapshot {
    /// A crash leaves no FILE, or the earlier one, and perhaps FILE.new, which the next run replaces.
    fn run(self) -> anyhow::Result<()> {
        may_write(&self.file, self.force)?;
        match &self.source.data {
            Some(data) => {
                let stopped = Stopped::open(data, &self.source.running.config.load()?)?;
                let mut audited = stopped.note(Call::Snapshot)?;
                audited.add(stopped.registry.accounts()?);
                let copy = AtomicFile::made_by(&self.file, |file| {
                    stopped.registry.snapshot(file, CopyFor::Backup)
                })?;
                copy.keep().with_context(|| format!("writing {}", self.file.display()))?;
                audited.finish();
            }
            None => {
                let api = self.source.client(Role::Admin)?;
                let view = ProgressView::stderr();
                block_on(transfer::download(&api, &self.file, &view))?;
            }
        }
        note!("dispatchd: the registry is in {}", self.file.display());
        Ok(())
    }
}
