//! `dispatchd cluster init|invite|join|status|remove|leave|recover`: the nodes that serve one directory.

mod files;
mod init;
mod invite;
mod join;
mod leave;
mod recover;
mod status;

use clap::Subcommand;

use super::operator::DataDirectory;

#[derive(Subcommand)]
pub(super) enum Cluster {
    /// Begin a cluster with the data directory of a stopped server as its first member
    Init(init::Init),
    /// Let a node join once, within an hour, and print its token, alone, on standard output; run this on a member
    Invite {
        /// The name of the node: letters, digits, '.', '_' and '-'
        name: String,
        #[command(flatten)]
        data: DataDirectory,
    },
    /// Make an empty data directory that of a member: take the cluster's state over from one that runs
    Join(join::Join),
    /// Show every node: how far it is, its clock, whether it answers. Exit code 1 if one, or an etcd member, is missing
    Status(status::Status),
    /// Remove a node from the cluster; run this on another one
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        data: DataDirectory,
    },
    /// Make a stopped member's data directory one of a single machine again
    Leave(leave::Leave),
    /// Rebuild the log in an etcd that was lost or restored, from the stopped member that has applied the most
    Recover(recover::Recover),
}

impl Cluster {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Init(init) => init.run(),
            Self::Invite { name, data } => invite::invite(&name, &data),
            Self::Join(join) => join.run(),
            Self::Status(status) => status.run(),
            Self::Remove { name, data } => invite::remove(&name, &data),
            Self::Leave(leave) => leave.run(),
            Self::Recover(recover) => recover.run(),
        }
    }
}
