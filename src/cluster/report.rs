//! What a node tells the others of itself, and what is known of all nodes.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::member::Member;
use crate::{clock::Timestamp, registry::NodeId};

/// What a node tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberReport {
    /// Its name.
    #[schema(example = "a")]
    pub name: String,
    /// Its number, in hexadecimal: a directory that joins again has another one.
    #[schema(example = "00c0ffee00c0ffee")]
    pub node: String,
    /// A random number of its process, in hexadecimal: two processes with one data directory, of which one is a copy, differ in it.
    #[schema(example = "00decade00decade")]
    pub process: String,
    /// The place in the shared log of the last entry that it has applied.
    pub applied: u64,
    /// What its clock shows: the time by which it decides.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// The newest format of entries that it reads.
    pub format: u8,
    /// The version of its program.
    #[schema(example = "0.5.0")]
    pub version: String,
    /// Whether it follows the shared log and takes changes.
    pub ready: bool,
}

/// A node, as the node that was asked knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberState {
    /// Its name.
    #[schema(example = "a")]
    pub name: String,
    /// Its number, in hexadecimal.
    #[schema(example = "00c0ffee00c0ffee")]
    pub node: String,
    /// The origin at which the others ask it.
    #[schema(example = "http://10.0.0.1:8081")]
    pub address: String,
    /// Whether it answered when it was asked last. The node that was asked answers itself.
    pub reachable: bool,
    /// Why it did not answer.
    #[schema(required)]
    pub error: Option<String>,
    /// The place of the last entry that it had applied when it answered last. Null before its first answer, as all that follows.
    #[schema(required)]
    pub applied: Option<u64>,
    /// By how many entries it is behind the node that is ahead of all.
    #[schema(required)]
    pub lag: Option<u64>,
    /// How far its clock is ahead of the clock of the node that was asked, in milliseconds; negative if it is behind.
    #[schema(required)]
    pub clock_ahead_ms: Option<i64>,
    /// Whether it follows the shared log and takes changes.
    #[schema(required)]
    pub ready: Option<bool>,
    /// The version of its program.
    #[schema(required)]
    pub version: Option<String>,
}

/// The cluster, as the node that was asked knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterReport {
    /// Which cluster it is, in hexadecimal.
    #[schema(example = "00112233445566778899aabbccddeeff")]
    pub cluster: String,
    /// The name of the node that was asked.
    #[schema(example = "a")]
    pub node: String,
    /// Why this node takes no changes. Null if it does.
    #[schema(required)]
    pub held: Option<String>,
    /// Every node, in the order of their names.
    pub members: Vec<MemberState>,
    /// The etcd members that this node knows.
    pub engine: Vec<EngineMember>,
}

/// An etcd member, which holds the shared log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineMember {
    /// Where it is asked.
    #[schema(example = "http://10.0.0.1:2379")]
    pub url: String,
    /// Its version. Null if it does not answer.
    #[schema(required, example = "3.6.9")]
    pub version: Option<String>,
    /// Why it does not answer.
    #[schema(required)]
    pub error: Option<String>,
}

impl MemberState {
    /// A member, with its last answer and with why it did not answer the last time. `ahead_us` tells how far its clock is ahead, in
    /// microseconds. How far it lags is known only beside all others.
    pub(super) fn new(
        member: &Member,
        told: Option<&MemberReport>,
        ahead_us: Option<i64>,
        error: Option<String>,
    ) -> Self {
        Self {
            name: member.name.clone(),
            node: shown(member.node),
            address: member.address.clone(),
            reachable: error.is_none() && told.is_some(),
            applied: told.map(|told| told.applied),
            lag: None,
            clock_ahead_ms: ahead_us.map(|us| us / 1_000),
            ready: told.filter(|_| error.is_none()).map(|told| told.ready),
            version: told.map(|told| told.version.clone()),
            error,
        }
    }
}

impl ClusterReport {
    /// What does not answer or is not ready: names of nodes, then URLs of the etcd members.
    pub fn missing(&self) -> Vec<&str> {
        let nodes = self.members.iter().filter(|it| !it.reachable || it.ready != Some(true));
        let engine = self.engine.iter().filter(|it| it.error.is_some());
        nodes.map(|it| &*it.name).chain(engine.map(|it| &*it.url)).collect()
    }
}

/// A node's number as it is shown.
pub fn shown(node: NodeId) -> String {
    format!("{:016x}", node.0)
}

/// The node whose number is shown so. None if it is none's.
pub(super) fn node_of(text: &str) -> Option<NodeId> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
    Some(NodeId(u64::from_be_bytes(bytes.try_into().ok()?)))
}
