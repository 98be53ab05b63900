//! `dispatchd cluster recover`: the log of a lost or restored engine begins anew behind what a stopped node has applied.

use anyhow::bail;
use clap::Args;

use super::files::{StoppedNode, engine};
use crate::{
    cli::{client::block_on, config::ConfigFile, note::note},
    cluster::Identity,
    shared_log::SharedLog as _,
};

#[derive(Args)]
pub(in crate::cli) struct Recover {
    /// Do it. Without this the command only says what this member has applied, to compare the members
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Recover {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let node = StoppedNode::open_existing(&self.config)?;
        let data = &node.config.server.data;
        let Some(identity) = Identity::read(data)? else {
            bail!("{}: belongs to no cluster", data.display());
        };
        let Some(applied) = node.registry.log_head() else {
            bail!(
                "{}: its registry has left the shared log, so it cannot say how the log goes on; run this on another member",
                data.display()
            );
        };
        let (place, name) = (applied.place, &identity.name);
        block_on(async {
            let engine = engine(&node.config.cluster).await?;
            let head = engine.head().await?;
            if head == applied {
                note!("dispatchd: the log ends at place {place}, as {name} has it: nothing to do");
                return Ok(());
            }
            if applied.place < head.place {
                bail!(
                    "the log in etcd ends at place {}, and {name} has applied place {place} only; if the log is whole, start {name}; \
                     else run this on the member that has applied the most, or remove the keys under cluster.prefix",
                    head.place
                );
            }
            if !self.yes {
                bail!(
                    "{name} has applied place {place}, and the log in etcd ends at place {}; stop all members, run this on each, and \
                     give --yes on the one with the greatest place",
                    head.place
                );
            }
            if !engine.begin_anew(head, applied).await? && engine.head().await? != applied {
                bail!(
                    "the log in etcd has changed meanwhile; stop all members, and run this again"
                );
            }
            note!(
                "dispatchd: the log goes on behind place {place}; start {name}, then the other members"
            );
            Ok(())
        })
    }
}
