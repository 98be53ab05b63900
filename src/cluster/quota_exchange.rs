//! [`QuotaExchange`]: tells the other nodes what this one charged to quotas.
//!
//! A node *takes part* from its first answer on. Rounds wait for the nodes that take part. One that does not answer, or answers from
//! another process, takes no part until it was told what is owed. So only the round in which a node goes away waits for it.
//!
//! Each node begins by itself: one that takes long to hear what is owed keeps no other one apart.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::{Arc, Mutex},
};

use futures_util::{
    StreamExt as _,
    future::{join, join_all},
    stream::FuturesUnordered,
};
use tokio::{task::spawn_blocking, time::sleep};

use super::{client_error::ClientError, member::Member, peers::Peers};
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
    /// The nodes that take part, each with the number of its process.
    taking_part: Mutex<HashMap<NodeId, String>>,
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
                let process = lock(&self.taking_part).get(&other.node).cloned()?;
                Some(self.tell(other, process, &round.news))
            });
            join_all(told).await;
            sharing.end(round);
        }
    }

    /// Lets nodes take part that do not yet.
    async fn take_in(&self) {
        let (mut beginning, mut calls) = (HashSet::new(), FuturesUnordered::new());
        loop {
            let others = self.peers.others();
            let is_member = |node: &NodeId| others.iter().any(|other| other.node == *node);
            lock(&self.taking_part).retain(|node, _| is_member(node));
            for other in others {
                let takes_part = lock(&self.taking_part).contains_key(&other.node);
                // One that hears what is owed takes part already, and falls out of that if it does not answer.
                if !beginning.contains(&other.node) && !takes_part {
                    beginning.insert(other.node);
                    calls.push(async move {
                        self.begin(&other).await;
                        other.node
                    });
                }
            }
            let mut pause = pin!(sleep(limits::CLUSTER_PEER_PAUSE));
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    Some(node) = calls.next() => beginning.remove(&node),
                };
            }
        }
    }

    /// Tells a node that takes part with this process.
    async fn tell(&self, other: &Member, process: String, news: &QuotaNews) {
        let told = self.peers.client().tell_quota(other.callee(), news).await;
        let why = match told {
            Ok(receipt) if receipt.process == process => return,
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
            lock(&self.taking_part).insert(other.node, receipt.process);
            // It reads millions of accounts on a large node.
            let quota = Arc::clone(&self.quota);
            let owed = spawn_blocking(move || quota.owed()).await;
            for news in owed.map_err(|_| ClientError::Unreadable)? {
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

#[cfg(test)]
mod tests;
