//! `dispatchd cluster init|leave|recover`: the nodes that serve one directory.

mod files;
mod init;
mod leave;
mod recover;

use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Cluster {
    /// Begin a cluster with the data directory of a stopped server as its first member
    Init(init::Init),
    /// Make a stopped member's data directory one of a single machine again
    Leave(leave::Leave),
    /// Rebuild the log in an etcd that was lost or restored, from the stopped member that has applied the most
    Recover(recover::Recover),
}

impl Cluster {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Init(init) => init.run(),
            Self::Leave(leave) => leave.run(),
            Self::Recover(recover) => recover.run(),
        }
    }
}
