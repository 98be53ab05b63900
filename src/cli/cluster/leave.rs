//! `dispatchd cluster leave`: a stopped node becomes a single machine.

use anyhow::{Context as _, bail};
use clap::Args;

use super::files::StoppedNode;
use crate::{
    cli::{client::block_on, config::ConfigFile, note::note},
    cluster,
    files::OsDisk,
    shared_log::{Head, SharedLog as _, etcd::Etcd},
};

#[derive(Args)]
pub(in crate::cli) struct Leave {
    /// Leave although etcd has changes that this node lacks, or does not answer
    #[arg(long)]
    behind: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Leave {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut node = StoppedNode::open_existing(&self.config)?;
        let data = node.config.server.data.clone();
        if let Some(applied) = node.registry.log_head().filter(|_| !self.behind) {
            refuse_if_behind(&node.config.cluster, applied)?;
        }
        let root_key = node.config.keys.root_key.as_deref();
        let left = cluster::leave(&data, root_key, &OsDisk::shared(), &mut node.registry)?;
        let name = left.map_or_else(|| "NODE".to_owned(), |identity| identity.name);
        note!(
            "dispatchd: {} is a single machine's directory now; empty cluster.engine, and run `dispatchd cluster remove {name}` on another \
             member if there is one",
            data.display()
        );
        Ok(())
    }
}

/// What other nodes acknowledged, and only the log has, would be lost with the keys of this one.
fn refuse_if_behind(config: &cluster::Config, applied: Head) -> anyhow::Result<()> {
    if !config.is_on() {
        bail!(
            "cluster.engine is empty: name the etcd members, which say whether this node has every change, or give --behind"
        );
    }
    let head = block_on(async { Ok(Etcd::new(&config.etcd()?)?.head().await) })?;
    let head = head.context("etcd does not say whether this node has every change; give --behind to leave without knowing")?;
    if applied.place < head.place {
        bail!(
            "this node has applied place {}, and the log ends at place {}: start it once, so that it reads the rest, or give --behind",
            applied.place,
            head.place
        );
    }
    Ok(())
}
