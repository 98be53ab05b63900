//! [`Others`]: asks the other nodes for their parts of an answer to an operator.
//!
//! A call that reads for long may be silent for long. So a node is not given up for being slow: it is given up once it does not answer
//! the call that [`Peers`] makes each second either, for [`limits::CLUSTER_PART_PATIENCE`].

use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::{
    answer_lines::AnswerLines,
    client_error::ClientError,
    lost_nodes::{LostNodes, RemovedNode},
    member::Member,
    member_client::Asking,
    peers::Peers,
};
use crate::{limits, registry::NodeId};

/// The lines of an answer of another node.
pub type PartLines = AnswerLines<ClientError>;

/// Asks the other nodes of the cluster what an operator asked this one. Clones share it.
#[derive(Clone)]
pub struct Others {
    peers: Peers,
    lost: Option<LostNodes>,
}

impl Others {
    /// Those that `peers` knows.
    pub const fn new(peers: Peers) -> Self {
        Self { peers, lost: None }
    }

    /// The same, with the copies of nodes that are lost, if there is an object store.
    #[must_use]
    pub fn with_lost(self, lost: Option<LostNodes>) -> Self {
        Self { lost, ..self }
    }

    /// The copies of nodes that are lost. None without an object store.
    pub const fn lost(&self) -> Option<&LostNodes> {
        self.lost.as_ref()
    }

    /// The nodes that were removed and have copies that this node opens. Waits for the object store, until `stop` returns true.
    pub fn removed(&self, stop: &dyn Fn() -> bool) -> Vec<RemovedNode> {
        let members = || self.peers.members().iter().map(|member| member.node).collect::<Vec<_>>();
        self.lost.as_ref().map_or_else(Vec::new, |lost| lost.removed(&members(), stop))
    }

    /// The name of this node.
    pub fn own_name(&self) -> &str {
        &self.peers.identity().name
    }

    /// The number of this node.
    pub fn own_node(&self) -> NodeId {
        self.peers.identity().node
    }

    /// The other nodes now, in the order of their names.
    pub fn members(&self) -> Vec<Member> {
        self.peers.others()
    }

    /// The answer of a node that comes line by line, once it begins.
    ///
    /// # Errors
    /// If it refuses, or does not answer.
    pub async fn lines(&self, of: &Member, asking: &Asking<'_>) -> Result<PartLines, ClientError> {
        self.check_member(of)?;
        self.while_alive(of, self.peers.client().lines(of.callee(), asking)).await
    }

    /// The answer of a node that comes in one piece.
    ///
    /// # Errors
    /// If it refuses, does not answer, or answers with too much.
    pub async fn answer<T: DeserializeOwned>(
        &self,
        of: &Member,
        asking: &Asking<'_>,
    ) -> Result<T, ClientError> {
        self.check_member(of)?;
        self.while_alive(of, self.peers.client().answer(of.callee(), asking)).await
    }

    /// A node that was removed meanwhile is told nothing more.
    fn check_member(&self, of: &Member) -> Result<(), ClientError> {
        if self.is_member(of) { Ok(()) } else { Err(ClientError::Removed) }
    }

    /// What `work` gives, which waits for a node; unless the node answers nothing any more.
    ///
    /// # Errors
    /// Those of `work`, or that the node does not answer.
    pub async fn while_alive<T, E: From<ClientError>>(
        &self,
        of: &Member,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            done = work => done,
            why = self.until_silent(of) => Err(why.into()),
        }
    }

    fn is_member(&self, node: &Member) -> bool {
        self.peers.others().iter().any(|other| other.node == node.node)
    }

    /// Waits until a node has not answered for [`limits::CLUSTER_PART_PATIENCE`], or is removed. Returns why.
    pub async fn until_silent(&self, of: &Member) -> ClientError {
        let mut since = None;
        loop {
            sleep(limits::CLUSTER_PEER_PAUSE / 4).await;
            if !self.is_member(of) {
                return ClientError::Removed;
            }
            let Some(why) = self.peers.silence(of) else {
                since = None;
                continue;
            };
            let begun: Instant = *since.get_or_insert_with(Instant::now);
            if limits::CLUSTER_PART_PATIENCE <= begun.elapsed() {
                return ClientError::Silent(why);
            }
        }
    }
}
