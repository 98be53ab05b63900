//! [`Examined`]: what the etcd members say of themselves, for checks of a deployment.

use std::time::Duration;

use super::config::Fence;

/// What is known of etcd at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// How the newest head is found: [`Fence::Read`] or [`Fence::Write`].
    pub fence: Fence,
    /// The members that answered.
    pub members: Vec<ExaminedMember>,
    /// Those that did not, each by its URL or name, and why.
    pub silent: Vec<(String, String)>,
    /// The alarms of all members.
    pub alarms: Vec<RaisedAlarm>,
}

/// A member that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExaminedMember {
    /// Where it was asked.
    pub url: String,
    /// Its version.
    pub version: String,
    /// Whether its linearizable reads are never stale: it has the fix of etcd issue 20418.
    pub has_fresh_reads: bool,
    /// Whether it knows a leader.
    pub has_leader: bool,
    /// Bytes of its database's file.
    pub file_bytes: u64,
    /// Bytes of the file that hold something.
    pub used_bytes: u64,
    /// The greatest size of the file, if that is known. etcd raises the alarm NOSPACE there.
    pub quota_bytes: Option<u64>,
    /// How long 99 of 100 syncs of its log took at most since its start. None if it has made too few of them.
    ///
    /// # Errors
    /// Why its metrics could not be read.
    pub sync_p99: Result<Option<Duration>, String>,
}

/// An alarm of etcd. It lasts until an operator disarms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaisedAlarm {
    /// The URL of the member that raised it, or its id in hexadecimal if it did not answer.
    pub member: String,
    /// Its name, such as `NOSPACE`.
    pub name: &'static str,
    /// What it means.
    pub what: &'static str,
    /// What to do.
    pub to_do: &'static str,
}
