//! [`HourKeyExchange`]: asks the other nodes for keys of hours.

use std::{collections::BTreeMap, sync::Mutex};

use futures_util::future::join_all;
use tokio::{task::spawn_blocking, time::sleep};

use super::holder::{HourKeys, HourKeysError};
use crate::{
    cluster::{client_error::ClientError, member::Member, peers::Peers},
    limits,
    lock::lock,
    registry::NodeId,
};

/// Asks the other nodes for keys of hours.
pub struct HourKeyExchange {
    keys: HourKeys,
    peers: Peers,
    /// Why nothing came from these the last time.
    failing: Mutex<BTreeMap<NodeId, String>>,
}

/// Why nothing came from a node. The next round asks again.
#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Keys(#[from] HourKeysError),
    #[error("the keys could not be stored")]
    Crashed,
}

impl HourKeyExchange {
    /// Asks the other nodes of `peers`. Nothing is asked before [`Self::run`].
    pub fn new(keys: HourKeys, peers: Peers) -> Self {
        Self { keys, peers, failing: Mutex::default() }
    }

    /// Asks all of them each second. Never ends.
    pub async fn run(self) {
        loop {
            let others = self.peers.others();
            let numbers: Vec<_> = others.iter().map(|it| it.node).collect();
            self.keys.look(&numbers);
            join_all(others.iter().map(|other| self.pull(other))).await;
            sleep(limits::CLUSTER_PEER_PAUSE).await;
        }
    }

    /// Asks a node until it has nothing more, or for the rest in the next round.
    pub(super) async fn pull(&self, from: &Member) {
        let (mut count, mut outcome) = (0, Ok(()));
        for _ in 0..limits::CLUSTER_HOUR_KEYS_ANSWERS_MAX {
            match self.pull_once(from).await {
                Ok((taken, more)) => {
                    count += taken;
                    if !more || taken == 0 {
                        break;
                    }
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let member = &from.name;
        if count > 0 {
            tracing::info!(member, keys = count, "keys of hours came from a member");
        }
        let mut failing = lock(&self.failing);
        match outcome {
            Ok(()) => drop(failing.remove(&from.node)),
            // Peers tells of nodes that do not answer.
            Err(PullError::Client(ClientError::Unanswered(_) | ClientError::Untrusted(_))) => {}
            Err(error) => {
                let why = error.to_string();
                if failing.insert(from.node, why.clone()).is_none_or(|before| before != why) {
                    tracing::warn!(
                        member,
                        why,
                        "no keys of hours come from a member; trying again"
                    );
                }
            }
        }
    }

    /// How many keys came, and whether there are more.
    async fn pull_once(&self, from: &Member) -> Result<(usize, bool), PullError> {
        let (private, request) = self.keys.request(from.node);
        let answer = self.peers.client().hour_keys(from.callee(), &request).await?;
        let (keys, more) = (self.keys.clone(), answer.more);
        let from = from.node;
        keys.confirm(from, answer.proven.clone());
        if answer.keys.is_empty() {
            return Ok((0, false));
        }
        let taken = spawn_blocking(move || keys.take(from, &private, &answer)).await;
        Ok((taken.map_err(|_| PullError::Crashed)??, more))
    }
}
