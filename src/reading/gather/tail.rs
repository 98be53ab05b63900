//! [`NodeTails`]: the records of all other nodes as they come, over their restarts. [`Doubles`] knows the records of one change.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{
    StreamExt as _,
    future::join_all,
    stream::{self, Stream},
};
use tokio::time::{sleep, timeout};

use super::merge::{Bounds, ChangeKeys, Recent};
use crate::{
    api::{FoundRow, MissingNode, NodeNote, RecordFilter, ReturnedNode},
    clock::Timestamp,
    cluster::{Asking, ClientError, Member, Others, PartLines},
    limits,
    registry::NodeId,
};

const EVENTS: &str = "text/event-stream";
/// What stands before a record, and before what is said of a node. The latter has an event's name before it.
const DATA: &[u8] = b"data: ";
/// Between two attempts to reach a node, and between two looks for nodes that joined.
const PAUSE: Duration = limits::CLUSTER_PEER_PAUSE;

/// What a tail tells.
pub enum Told {
    /// A record.
    Row(FoundRow),
    /// Whether records of another node are missing.
    Note(NodeNote),
}

/// Follows the logs of the other nodes for an operator, also of those that join meanwhile.
pub(in crate::reading) struct NodeTails {
    others: Others,
    /// The operator, and the request, limited to one node.
    asked: (String, String),
    /// When the tail began.
    now: Timestamp,
    /// Those that were there then.
    tails: Vec<NodeTail>,
    /// The numbers of the nodes that are followed, or were.
    known: BTreeSet<NodeId>,
}

impl NodeTails {
    /// Tails of what the nodes record from `now` on. Nothing is asked yet.
    pub(in crate::reading) fn new(others: Others, asked: (String, String), now: Timestamp) -> Self {
        let (tails, known) = (Vec::new(), BTreeSet::new());
        let mut all = Self { others, asked, now, tails, known };
        all.tails = std::iter::from_fn(|| all.new_tail()).collect();
        all
    }

    /// Asks the nodes for the first time. Waits until each of them answers or counts as missing, but not long.
    pub(in crate::reading) async fn begin(&mut self) {
        join_all(self.tails.iter_mut().map(NodeTail::begin)).await;
    }

    /// What the nodes tell. It does not end.
    pub(in crate::reading) fn told(mut self) -> impl Stream<Item = Told> + Send + 'static {
        let first = std::mem::take(&mut self.tails);
        let joined = stream::unfold(self, |mut all| async move {
            loop {
                sleep(PAUSE).await;
                if let Some(tail) = all.new_tail() {
                    return Some((NodeTail { is_new: true, ..tail }, all));
                }
            }
        });
        let tails = stream::iter(first).chain(joined);
        tails.flat_map_unordered(None, |tail| tail.told().boxed())
    }

    /// The tail of a node that is not followed yet.
    fn new_tail(&mut self) -> Option<NodeTail> {
        let mut members = self.others.members().into_iter();
        let node = members.find(|member| !self.known.contains(&member.node))?;
        self.known.insert(node.node);
        let (operator, body) = self.asked.clone();
        Some(NodeTail {
            others: self.others.clone(),
            node,
            operator,
            body,
            lines: None,
            read_to: self.now,
            is_missing: false,
            is_new: false,
            is_over: false,
            begun: None,
        })
    }
}

/// Follows the log of another node for an operator. Nothing is read ahead but what lies in the buffers of the connection.
struct NodeTail {
    others: Others,
    node: Member,
    operator: String,
    body: String,
    /// None while the node does not answer.
    lines: Option<PartLines>,
    /// Up to this instant everything was given.
    read_to: Timestamp,
    is_missing: bool,
    /// It joined since the tail began, and has not answered yet.
    is_new: bool,
    is_over: bool,
    /// What the first attempt to reach it came to.
    begun: Option<NodeNote>,
}

impl NodeTail {
    /// Asks the node for the first time. A tail does not wait long for one that does not begin.
    async fn begin(&mut self) {
        self.begun = self.open(limits::CLUSTER_TAIL_PATIENCE).await;
    }

    /// What the node tells. It ends if the node is removed from the cluster.
    fn told(self) -> impl Stream<Item = Told> + Send + 'static {
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
        let (body, operator) = (Some(&*self.body), &*self.operator);
        let asking = Asking { path: RecordFilter::TAIL_POSTED_TO, body, takes: EVENTS, operator };
        let lines = self.others.lines(&self.node, &asking);
        match within(patience, lines).await {
            Ok(lines) => {
                self.lines = Some(lines);
                let (node, since) = (self.node.name.clone(), self.read_to);
                let (was_missing, was_new) = (self.is_missing, self.is_new);
                (self.is_missing, self.is_new) = (false, false);
                (was_missing || was_new).then_some(NodeNote::Returned(ReturnedNode { node, since }))
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
