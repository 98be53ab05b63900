//! Whether all nodes of a cluster have forgotten what they must.
//!
//! Each node looks into its own files and tells what it found. Nobody can look into those of another machine. So a node that does not
//! answer leaves the question open.

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::peers::Peers;
use crate::query_log::ForgottenReport;

/// What should be forgotten and is not: on this machine, and on those of the other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgottenAnswer {
    /// What this machine found. `proved` is true only if each other node answered and found nothing, too.
    #[serde(flatten)]
    pub own: ForgottenReport,
    /// What the other nodes of the cluster found, each on its own machine. Left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<NodeForgotten>,
}

/// What another node found on its own machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeForgotten {
    /// The name of the node.
    #[schema(example = "b")]
    pub node: String,
    /// Why it did not tell. Null if it did.
    #[schema(required)]
    pub error: Option<String>,
    /// What it found. Null if it did not tell.
    #[schema(required)]
    pub report: Option<ForgottenReport>,
}

impl From<ForgottenReport> for ForgottenAnswer {
    fn from(own: ForgottenReport) -> Self {
        Self { own, others: Vec::new() }
    }
}

impl ForgottenAnswer {
    /// The same with what other nodes found.
    #[must_use]
    pub fn with_others(mut self, others: Vec<NodeForgotten>) -> Self {
        self.own.proved &= others.iter().all(NodeForgotten::is_proved);
        Self { own: self.own, others }
    }
}

impl NodeForgotten {
    /// Whether it told that it found nothing.
    pub fn is_proved(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.proved)
    }
}

/// Asks every other node, in the order of their names.
pub async fn forgotten_by_others(peers: &Peers) -> Vec<NodeForgotten> {
    let others = peers.others();
    let asked = others.iter().map(|other| async {
        let (report, error) = match peers.client().forgotten(other.callee()).await {
            Ok(report) => (Some(report), None),
            Err(error) => (None, Some(error.to_string())),
        };
        NodeForgotten { node: other.name.clone(), error, report }
    });
    join_all(asked).await
}
