//! [`QuotaExchange`]: tells the other nodes what this one charged to quotas.
//!
//! A node *takes part* from its first answer on. Rounds wait for the nodes that take part. One that does not answer, or answers from
//! another run of its process, takes no part until it was told what is owed. So only the round in which a node goes away waits for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures_util::future::{join, join_all};
use tokio::time::sleep;

use super::{member::Member, member_client::ClientError, peers::Peers};
use crate::{
    limits,
    lock::lock,
    quota::{Quota, QuotaNews, Sharing},
    registry::NodeId,
};

/// Tells the other nodes of quotas.
pub struct QuotaExchange {
    quota: Arc<Quota>,
    peers: Peers,
    /// The nodes that take part, each with the run of its process.
    taking_part: Mutex<HashMap<NodeId, u64>>,
}

impl QuotaExchange {
    /// Tells the other nodes of `peers`. Nothing is told before [`Self::run`].
    pub fn new(quota: Arc<Quota>, peers: Peers) -> Self {
        Self { quota, peers, taking_part: Mutex::default() }
    }

    /// Tells them each second, and at once if a call waits for it. Never ends, unless quotas are disabled.
    pub async fn run(self) {
        let Some(sharing) = self.quota.sharing() else { return };
        join(self.rounds(sharing), self.take_in()).await;
    }

    async fn rounds(&self, sharing: &Sharing) {
        loop {
            sharing.until_due(limits::CLUSTER_PEER_PAUSE).await;
            let others = self.peers.others();
            let round = sharing.begin(others.len());
            let told = others.iter().filter_map(|other| {
                let run = lock(&self.taking_part).get(&other.node).copied()?;
                Some(self.tell(other, run, &round.news))
            });
            join_all(told).await;
            sharing.end(round);
        }
    }

    /// Lets nodes take part that do not yet.
    async fn take_in(&self) {
        loop {
            let others = self.peers.others();
            let is_member = |node: &NodeId| others.iter().any(|other| other.node == *node);
            lock(&self.taking_part).retain(|node, _| is_member(node));
            let takes_part = |other: &&Member| lock(&self.taking_part).contains_key(&other.node);
            join_all(others.iter().filter(|it| !takes_part(it)).map(|it| self.begin(it))).await;
            sleep(limits::CLUSTER_PEER_PAUSE).await;
        }
    }

    /// Tells a node that takes part with this run of its process.
    async fn tell(&self, other: &Member, run: u64, news: &QuotaNews) {
        let told = self.peers.client().tell_quota(other.callee(), news).await;
        let why = match told {
            Ok(receipt) if receipt.run == run => return,
            Ok(_) => "it has begun again".to_owned(),
            Err(error) => error.to_string(),
        };
        lock(&self.taking_part).remove(&other.node);
        tracing::info!(member = other.name, why, "a member counts quotas apart for now");
    }

    /// Lets a node take part, and tells it what is owed. If it does not answer, the next call tries again.
    async fn begin(&self, other: &Member) {
        let begun = async {
            let receipt =
                self.peers.client().tell_quota(other.callee(), &QuotaNews::default()).await?;
            // Before what is owed is read: what is spent from now on is told by a round.
            lock(&self.taking_part).insert(other.node, receipt.run);
            for news in self.quota.owed() {
                self.peers.client().tell_quota(other.callee(), &news).await?;
            }
            Ok::<_, ClientError>(())
        };
        match begun.await {
            Ok(()) => tracing::info!(member = other.name, "a member counts quotas with this node"),
            // Peers tells of nodes that do not answer.
            Err(error) => {
                lock(&self.taking_part).remove(&other.node);
                tracing::debug!(member = other.name, %error, "a member counts quotas apart");
            }
        }
    }
}
