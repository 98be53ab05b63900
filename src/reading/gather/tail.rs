//! [`NodeTail`]: the records of another node as they come, over its restarts. [`Doubles`] knows the records of one change.

use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::time::{sleep, timeout};

use super::merge::{Bounds, ChangeKeys, Recent};
use crate::{
    api::{FoundRow, MissingNode, NodeNote, ReturnedNode},
    clock::Timestamp,
    cluster::{Asking, ClientError, Member, Others, PartLines},
    limits,
};

/// Where a tail is posted.
const PATH: &str = "/v1/log/tail";
const EVENTS: &str = "text/event-stream";
/// What stands before a record, and before what is said of a node. The latter has an event's name before it.
const DATA: &[u8] = b"data: ";
/// Between two attempts to reach a node.
const PAUSE: Duration = limits::CLUSTER_PEER_PAUSE;

/// What a tail tells.
pub enum Told {
    /// A record.
    Row(FoundRow),
    /// Whether records of another node are missing.
    Note(NodeNote),
}

/// Follows the log of another node for an operator. Nothing is read ahead but what lies in the buffers of the connection.
pub(in crate::reading) struct NodeTail {
    others: Others,
    node: Member,
    operator: String,
    body: String,
    /// None while the node does not answer.
    lines: Option<PartLines>,
    /// Up to this instant everything was given.
    read_to: Timestamp,
    is_missing: bool,
    is_over: bool,
    /// What the first attempt to reach it came to.
    begun: Option<NodeNote>,
}

impl NodeTail {
    /// A tail of what the node records from `now` on. `body` is the request, limited to the node. Nothing is asked yet.
    pub(in crate::reading) fn new(
        others: Others,
        node: Member,
        (operator, body): (String, String),
        now: Timestamp,
    ) -> Self {
        let (lines, read_to, begun) = (None, now, None);
        let (is_missing, is_over) = (false, false);
        Self { others, node, operator, body, lines, read_to, is_missing, is_over, begun }
    }

    /// Asks the node for the first time. A tail does not wait long for one that does not begin.
    pub(in crate::reading) async fn begin(&mut self) {
        self.begun = self.open(limits::CLUSTER_TAIL_PATIENCE).await;
    }

    /// What the node tells. It ends if the node is removed from the cluster.
    pub(in crate::reading) fn told(self) -> impl Stream<Item = Told> + Send + 'static {
        stream::unfold(self, |mut tail| async move { Some((tail.next().await?, tail)) })
    }

    async fn next(&mut self) -> Option<Told> {
        if let Some(note) = self.begun.take() {
            return Some(Told::Note(note));
        }
        while !self.is_over {
            let told = match &mut self.lines {
                None => self.open(limits::CLUSTER_TAIL_SILENCE).await,
                Some(lines) => match next_row(&self.others, &self.node, lines).await {
                    Ok(row) => {
                        self.read_to = row.at;
                        return Some(Told::Row(row));
                    }
                    Err(why) => self.lost(&why),
                },
            };
            if let Some(note) = told {
                return Some(Told::Note(note));
            }
            if self.lines.is_none() && !self.is_over {
                sleep(PAUSE).await;
            }
        }
        None
    }

    /// Asks the node, and waits so long for the head of its answer.
    async fn open(&mut self, patience: Duration) -> Option<NodeNote> {
        let (path, body, operator) = (PATH, Some(&*self.body), &*self.operator);
        let asking = Asking { path, body, takes: EVENTS, operator };
        let lines = self.others.lines(&self.node, &asking);
        match within(patience, lines).await {
            Ok(lines) => {
                self.lines = Some(lines);
                let (node, since) = (self.node.name.clone(), self.read_to);
                let was_missing = std::mem::take(&mut self.is_missing);
                was_missing.then_some(NodeNote::Returned(ReturnedNode { node, since }))
            }
            Err(why) => self.lost(&why),
        }
    }

    /// The node does not answer. It is named once.
    fn lost(&mut self, why: &ClientError) -> Option<NodeNote> {
        self.lines = None;
        self.is_over = matches!(why, ClientError::Removed);
        let is_new = !std::mem::replace(&mut self.is_missing, true);
        let (node, why) = (self.node.name.clone(), why.to_string());
        is_new.then_some(NodeNote::Missing(MissingNode { node, why }))
    }
}

/// What `work` gives, which waits for a node; unless it waits for longer.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let silent = |_| ClientError::Unanswered(format!("silent for {} seconds", patience.as_secs()));
    timeout(patience, work).await.map_err(silent)?
}

/// The next record that the node gives.
async fn next_row(
    others: &Others,
    node: &Member,
    lines: &mut PartLines,
) -> Result<FoundRow, ClientError> {
    loop {
        let line = match lines.arrived() {
            Some(line) => line,
            None => {
                let next = async { Ok::<_, ClientError>(lines.next().await?) };
                let next = within(limits::CLUSTER_TAIL_SILENCE, others.while_alive(node, next));
                let ended = || ClientError::Unanswered("it ended its answer".to_owned());
                next.await?.ok_or_else(ended)?
            }
        };
        if let Some(row) = line.strip_prefix(DATA) {
            let row: FoundRow = serde_json::from_slice(row).map_err(|_| ClientError::Unreadable)?;
            // The node says of itself what it likes.
            let (_, row) = row.into_placed().ok_or(ClientError::Unreadable)?;
            return Ok(FoundRow::of_node(row, Some(&node.name)));
        }
    }
}

/// The records of changes that a tail gave last.
#[derive(Default)]
pub(in crate::reading) struct Doubles {
    recent: Recent,
    keys: ChangeKeys,
    /// The names of the nodes. A place in it stands for a node.
    nodes: Vec<String>,
}

impl Doubles {
    /// A row of one of the nodes, as a client gets it. None if another node has given a record of the same change.
    pub(in crate::reading) fn first(&mut self, row: FoundRow) -> Option<FoundRow> {
        let (row, name) = row.into_parts();
        if let Some(change) = self.keys.of(&row) {
            let name = name.as_deref().unwrap_or_default();
            let known = self.nodes.iter().position(|node| node == name);
            let node = known.unwrap_or_else(|| {
                self.nodes.push(name.to_owned());
                self.nodes.len() - 1
            });
            if self.recent.is_double(change, row.at, node, Bounds::USUAL) {
                return None;
            }
        }
        Some(FoundRow::of_node(row, name.as_deref()))
    }
}
