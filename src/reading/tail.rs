//! Records as they are committed.
//!
//! On a node of a cluster, a tail follows all nodes. The records come as they arrive: those of one node in its order, between nodes in
//! none. Of the records of one change the first that arrives is given. A node that does not answer is named at once, and followed
//! again when it is back. A node that joins meanwhile is followed, too.

use std::time::Duration;

use futures_util::{
    StreamExt as _, future,
    stream::{self, Stream},
};
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    gather::{Doubles, NodeTails, Told},
    records::{FilesReader, ReadingError, Records},
};
use crate::{
    api::{Call as _, Fields, FoundRow, RecordFilter},
    audit::{Audited, Call, Filters},
    query_log::{Cursor, Filter, LogReader, LogRow, Order, Tail},
};

/// Records read at one look; more wait for the reader.
const ROWS_AT_ONCE: usize = 1_000;
/// How often a tail looks for new records. A look costs one comparison when there is none.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// Notes the call as made by the operator `by`, and follows the log from now on.
pub fn follow(
    records: &Records,
    by: &str,
    request: &RecordFilter,
) -> Result<(Follower, Audited), ReadingError> {
    let (now, others) = (records.now(), records.asks_others(request)?);
    let filter = request.resolve(now)?;
    let scope = request.scope.as_deref();
    let filters = Filters::of(&filter).in_case(request.case()).plain("scope", scope);
    let (reader, audited) = records.read(by, Call::Tail, &filters)?;
    let body = Fields::json_of(&request.at_node(&filter));
    let nodes = others.map(|others| NodeTails::new(others, (by.to_owned(), body), now));
    let position = match records.files_reader(&audited) {
        None => Position::Server(Box::new(reader.tail(reader.position(), &filter))),
        Some(files) => Position::Files { files, filter, after: newest(&reader)? },
    };
    let own = OwnTail { position, node: records.node() };
    Ok((Follower { own, nodes }, audited))
}

/// Follows the log of this node, and of the others if they are asked, too.
pub struct Follower {
    own: OwnTail,
    /// The other nodes, if they are asked.
    nodes: Option<NodeTails>,
}

impl Follower {
    /// Asks the other nodes for the first time. Waits until each of them answers or counts as missing, but not long.
    pub async fn begin(&mut self) {
        if let Some(nodes) = &mut self.nodes {
            nodes.begin().await;
        }
    }

    /// The records of this node since the last call, and whether the call reached the end of its log. If it did not, call again at
    /// once, even if no record matched.
    pub fn next_rows(&mut self) -> Result<(Vec<FoundRow>, bool), ReadingError> {
        self.own.next_rows()
    }

    /// Everything as it comes. It ends at `stopping`, and when a segment of this node cannot be read: a client then connects again, and
    /// knows of the gap.
    pub fn told(
        self,
        stopping: impl Future<Output = ()> + Send + 'static,
    ) -> impl Stream<Item = Told> + Send + 'static {
        let own = own_rows(self.own).map(|row| Some(Told::Row(row)));
        let own = own.chain(stream::iter([None]));
        let mut doubles = self.nodes.is_some().then(Doubles::default);
        let nodes = self.nodes.map(|nodes| nodes.told().map(Some));
        let nodes = stream::iter(nodes).flatten();
        let told = stream::select(own, nodes).take_while(|told| future::ready(told.is_some()));
        let told = told.filter_map(move |told| {
            future::ready(match told {
                Some(Told::Row(row)) => {
                    let row = match &mut doubles {
                        Some(doubles) => doubles.first(row),
                        None => Some(row),
                    };
                    row.map(Told::Row)
                }
                Some(note) => Some(note),
                None => None,
            })
        });
        told.take_until(stopping)
    }
}

/// Ends when the log cannot be read.
fn own_rows(own: OwnTail) -> impl Stream<Item = FoundRow> + Send + 'static {
    let rows = stream::unfold(Some(own), |own| async move {
        let mut own = own?;
        loop {
            let read = spawn_blocking(move || {
                let found = own.next_rows();
                (own, found)
            });
            let (rows, is_at_end) = match read.await {
                Ok((back, Ok(found))) => {
                    own = back;
                    found
                }
                Ok((_, Err(error))) => {
                    tracing::error!(%error, "a tail ended: a segment cannot be read");
                    return None;
                }
                Err(_) => return None,
            };
            if !rows.is_empty() {
                return Some((rows, Some(own)));
            }
            // Rows that do not match are no reason to wait: a tail with a filter would fall behind a busy log for ever.
            if is_at_end {
                sleep(POLL_EVERY).await;
            }
        }
    });
    rows.map(stream::iter).flatten()
}

/// Follows the log of this node.
struct OwnTail {
    position: Position,
    /// The name of this node, in a cluster.
    node: Option<String>,
}

enum Position {
    /// The writer says how far the log is committed.
    Server(Box<Tail>),
    /// Files have no writer to ask: each look searches behind the last record seen.
    Files { files: FilesReader, filter: Filter, after: Option<Cursor> },
}

impl OwnTail {
    fn next_rows(&mut self) -> Result<(Vec<FoundRow>, bool), ReadingError> {
        let (rows, is_at_end) = self.position.next_rows()?;
        let found = |(place, row)| {
            let row = FoundRow::of_node(row, self.node.as_deref());
            if self.node.is_some() { row.at_place(place) } else { row }
        };
        Ok((rows.into_iter().map(found).collect(), is_at_end))
    }
}

impl Position {
    fn next_rows(&mut self) -> Result<(Vec<(Cursor, LogRow)>, bool), ReadingError> {
        match self {
            Self::Server(tail) => {
                let from = tail.position();
                let rows = tail.next_rows(ROWS_AT_ONCE)?;
                Ok((rows, tail.position() == from))
            }
            Self::Files { files, filter, after } => {
                let found = files.open()?.search(filter, Order::Asc, *after).take(ROWS_AT_ONCE);
                let rows = found.collect::<Result<Vec<_>, _>>()?;
                *after = rows.last().map(|(place, _)| *place).or(*after);
                let is_at_end = rows.len() < ROWS_AT_ONCE;
                Ok((rows, is_at_end))
            }
        }
    }
}

fn newest(reader: &LogReader) -> Result<Option<Cursor>, ReadingError> {
    let newest = reader.search(&Filter::default(), Order::Desc, None).next();
    Ok(newest.transpose()?.map(|(cursor, _)| cursor))
}
