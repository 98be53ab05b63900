//! `dispatchd registry import|export|snapshot|stats`: on a running server, or with `--data DIR` on a stopped one's files.

mod export;
mod import;
mod snapshot;
mod staging;
mod stats;
mod stopped;
mod subject_key;
mod transfer;

use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Registry {
    /// Take accounts in from a CSV or Parquet file
    Import(import::Import),
    /// Write every account to a CSV or Parquet file that an import can read
    Export(export::Export),
    /// Copy the registry's store as it is at one moment
    Snapshot(snapshot::Snapshot),
    /// Count handles, devices and accounts, and what the index takes in memory
    Stats(stats::Stats),
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
