//! `dispatchd registry snapshot FILE`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{stopped::Stopped, transfer};
use crate::{
    cli::{client::block_on, output::may_write, progress::ProgressView, source::Source},
    files::AtomicFile,
};

#[derive(Args)]
pub(in crate::cli) struct Snapshot {
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
    pub(super) fn run(self) -> anyhow::Result<()> {
        may_write(&self.file, self.force)?;
        match &self.source.data {
            Some(data) => {
                let stopped = Stopped::open(data, &self.source.config()?)?;
                let copy = AtomicFile::made_by(&self.file, |file| stopped.registry.snapshot(file))?;
                copy.keep().with_context(|| format!("writing {}", self.file.display()))?;
            }
            None => {
                let api = self.source.client()?;
                let view = ProgressView::stderr();
                block_on(transfer::download(&api, &self.file, &view))?;
            }
        }
        eprintln!("dispatchd: the registry is in {}", self.file.display());
        Ok(())
    }
}
