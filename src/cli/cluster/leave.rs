//! `dispatchd cluster leave`: a stopped node becomes a single machine.

use clap::Args;

use super::files::StoppedNode;
use crate::{
    cli::{config::ConfigFile, note::note},
    cluster,
    files::OsDisk,
};

#[derive(Args)]
pub(in crate::cli) struct Leave {
    #[command(flatten)]
    config: ConfigFile,
}

impl Leave {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut node = StoppedNode::open(&self.config)?;
        let data = node.config.server.data.clone();
        let left = cluster::leave(&data, OsDisk::shared(), &mut node.registry)?;
        let name = left.map_or_else(|| "NODE".to_owned(), |identity| identity.name);
        note!(
            "dispatchd: {} is a single machine's directory now; empty cluster.engine, and run `dispatchd cluster remove {name}` on another \
             member if there is one",
            data.display()
        );
        Ok(())
    }
}
