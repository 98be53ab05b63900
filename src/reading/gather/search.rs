//! [`GatheredSearch`]: a search in the logs of all nodes.

use std::{collections::BTreeMap, thread};

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::{
    asked_node::AskedNode,
    lost_part::{LostNode, LostPart},
    merge::{Bounds, ChangeKeys, Item, Merge, Part, Recent, behind},
    node_search::{NodeSearch, SearchCall},
    own_rows::OwnRows,
};
use crate::{
    api::{ClusterPlace, FoundRow, Paging, SearchRequest},
    clock::Timestamp,
    cluster::Others,
    limits,
    query_log::{
        Cursor, Filter, Kind, LogReader, LogRow, LostLog, LostRows, Order, Search, SearchOutcome,
    },
    reading::{call::Stop, outcome::Outcome, records::ReadingError},
    registry::NodeId,
};

/// What is asked for.
pub(in crate::reading) struct Question {
    pub(in crate::reading) request: SearchRequest,
    pub(in crate::reading) filter: Filter,
    pub(in crate::reading) order: Order,
    pub(in crate::reading) after: Option<ClusterPlace>,
    pub(in crate::reading) limit: Option<usize>,
    /// Who asks this node.
    pub(in crate::reading) operator: String,
}

/// A search over all nodes. The other nodes are asked when the first row is.
pub(in crate::reading) struct GatheredSearch {
    question: Question,
    others: Others,
    reader: LogReader,
    runtime: Handle,
    stop: Stop,
    keys: ChangeKeys,
    /// The name of each part's node, in the order of the parts.
    nodes: Vec<(u64, String)>,
    running: Option<Merge<(Cursor, LogRow), SearchPart>>,
    /// The last row that was given or was a double: its instant and node, and that of each node.
    last: Option<(Timestamp, u64)>,
    places: BTreeMap<u64, Cursor>,
}

/// The rows of one node.
struct SearchPart {
    rows: NodeRows,
    keys: ChangeKeys,
}

enum NodeRows {
    Own(Box<OwnRows<Search>>),
    Other(Box<NodeSearch>),
    /// It is not asked.
    None,
}

impl Part<(Cursor, LogRow)> for SearchPart {
    fn next(&mut self) -> Option<Result<Item<(Cursor, LogRow)>, ReadingError>> {
        let found = match &mut self.rows {
            NodeRows::Own(rows) => rows.next()?.map_err(Into::into),
            NodeRows::Other(search) => Ok(search.next()?),
            NodeRows::None => return None,
        };
        Some(found.map(|(place, row)| Item {
            at: row.at,
            change: self.keys.of(&row),
            row: (place, row),
        }))
    }
}

impl GatheredSearch {
    /// A search at this node, whose log `reader` reads. It waits on `runtime` for the other nodes.
    pub(in crate::reading) fn new(
        question: Question,
        (others, reader, runtime): (Others, LogReader, Handle),
        stop: Stop,
    ) -> Self {
        let (nodes, places) = (Vec::new(), BTreeMap::new());
        let (keys, running, last) = (ChangeKeys::default(), None, None);
        Self { question, others, reader, runtime, stop, keys, nodes, running, last, places }
    }

    /// Where the last row given is: a search that begins there goes on behind it. None before the first row.
    pub(in crate::reading) fn place(&self) -> Option<ClusterPlace> {
        let (at, node) = self.last?;
        let before = self.question.after.iter().flat_map(|after| &after.nodes);
        let mut nodes: BTreeMap<_, _> = before.map(|(node, place)| (*node, *place)).collect();
        nodes.extend(&self.places);
        let is_node = |node: &u64| self.nodes.iter().any(|(known, _)| known == node);
        nodes.retain(|node, _| is_node(node));
        Some(ClusterPlace { at, node: NodeId(node), nodes })
    }

    /// What could not be read, and whose rows are missing.
    pub(in crate::reading) fn outcome(&self) -> Outcome {
        let (mut passed_over, mut missing) = (SearchOutcome::default(), Vec::new());
        let mut from_store = Vec::new();
        for part in self.running.iter().flat_map(Merge::parts) {
            passed_over += match &part.rows {
                NodeRows::Own(rows) => rows.search().outcome(),
                NodeRows::Other(search) => {
                    missing.extend(search.missing());
                    from_store.extend(search.in_store());
                    search.passed_over()
                }
                NodeRows::None => SearchOutcome::default(),
            };
        }
        Outcome::gathered(passed_over, missing, from_store)
    }

    fn begin(&mut self) -> Result<Merge<(Cursor, LogRow), SearchPart>, ReadingError> {
        let Question { operator, order, after, filter, limit, .. } = &self.question;
        let (asked, removed) =
            AskedNode::all_and_removed(&self.others, operator, &self.runtime, &self.stop);
        let others = (&*asked, &*removed);
        let own = (self.others.own_node().0, self.others.own_name().to_owned());
        self.nodes = asked.iter().map(|it| (it.member.node.0, it.member.name.clone())).collect();
        let of_removed = |(node, it): &(u64, LostNode)| (*node, it.name.clone());
        self.nodes.extend(removed.iter().map(of_removed));
        self.nodes.push(own);
        self.nodes.sort_unstable();
        let has_changes = filter.kind.is_none_or(|kind| kind == Kind::Change);
        let recent = match after {
            Some(after) if *order == Order::Asc && has_changes => {
                self.changes_before(after, others)?
            }
            _ => Recent::default(),
        };
        let limit = limit.map(|limit| limit.saturating_add(limits::CLUSTER_PAGE_SPARE));
        let window = |node: u64| {
            let place = after.as_ref().and_then(|after| after.nodes.get(&node).copied());
            let (since, until) = match after {
                Some(after) if place.is_none() => behind((after.at, after.node.0), node, *order),
                _ => (None, None),
            };
            self.narrowed(since, until, place)
        };
        let parts = self.parts(others, &window, limit);
        Ok(Merge::new(parts, *order, Bounds::USUAL, recent))
    }

    /// The changes that the pages before met last: an ascending search that goes on must know of what it finds the double.
    fn changes_before(
        &self,
        after: &ClusterPlace,
        others: OtherNodes<'_>,
    ) -> Result<Recent, ReadingError> {
        let window = |node: u64| {
            let since = Some(after.at.minus(limits::CLUSTER_DOUBLES_SPAN));
            // Of the node of the last row, that row too.
            let last = after.node.0.saturating_add(1);
            let (_, until) = behind((after.at, last), node, Order::Desc);
            let mut window = self.narrowed(since, until, None)?;
            window.filter.kind = Some(Kind::Change);
            Some(window)
        };
        let parts = self.parts(others, &window, None);
        let mut merge = Merge::new(parts, Order::Asc, Bounds::USUAL, Recent::default());
        while merge.next().transpose()?.is_some() {}
        Ok(merge.into_recent())
    }

    /// What a node is asked for: the window that is asked for, without what lies outside of these bounds. None if nothing is left.
    fn narrowed(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        place: Option<Cursor>,
    ) -> Option<Window> {
        let mut filter = self.question.filter.clone();
        filter.since = filter.since.max(since);
        filter.until = filter.until.into_iter().chain(until).min();
        let is_empty = filter.since.zip(filter.until).is_some_and(|(since, until)| until <= since);
        (!is_empty).then_some(Window { filter, place })
    }

    /// The parts of all nodes, in the order of their numbers. All of them begin to read at the same time.
    fn parts(
        &self,
        (asked, removed): OtherNodes<'_>,
        window: &dyn Fn(u64) -> Option<Window>,
        limit: Option<usize>,
    ) -> Vec<SearchPart> {
        let own = self.others.own_node().0;
        let order = self.question.order;
        let search = |asked: &AskedNode| {
            let window = window(asked.member.node.0)?;
            let filter = window.filter.clone();
            let call = SearchCall::new(self.request(window, limit), filter);
            Some(NodeSearch::asked(asked.clone(), call))
        };
        let mut searches: Vec<_> = asked.iter().map(search).collect();
        let own_rows = window(own).map(|Window { filter, place }| {
            let stop = self.stop.clone();
            let search = self.reader.search(&filter, order, place).stop_when(move || stop());
            // The rows of the other nodes take memory and time, too.
            let is_alone = asked.is_empty() && removed.is_empty();
            if is_alone { search } else { search.spare_memory() }
        });
        let begun = searches.iter_mut().flatten().map(NodeSearch::begin);
        // This thread has the priority of reading.
        let (begun, runtime) = (join_all(begun), &self.runtime);
        let own_rows = thread::scope(|scope| {
            scope.spawn(move || runtime.block_on(begun));
            let nodes = 1 + asked.len() + removed.len();
            let ahead = limits::LOG_SEARCH_OWN_AHEAD;
            own_rows.map(|search| Box::new(OwnRows::begin(search, (limit, nodes), ahead)))
        });
        let other =
            |part: Option<_>| part.map_or(NodeRows::None, |part| NodeRows::Other(Box::new(part)));
        let numbers = asked.iter().map(|asked| asked.member.node.0);
        let mut parts: Vec<_> = numbers.zip(searches.into_iter().map(other)).collect();
        parts.extend(removed.iter().map(|(node, lost)| {
            let part =
                window(*node).map(|window| NodeSearch::removed(self.lost_part(lost, window)));
            (*node, other(part))
        }));
        parts.push((own, own_rows.map_or(NodeRows::None, NodeRows::Own)));
        parts.sort_unstable_by_key(|(node, _)| *node);
        let part = |(_, rows)| SearchPart { rows, keys: self.keys.clone() };
        parts.into_iter().map(part).collect()
    }

    fn lost_part(&self, lost: &LostNode, Window { filter, place }: Window) -> LostPart<LostRows> {
        let order = self.question.order;
        let read = |log: &LostLog, stop| log.search(&filter, order, place, stop);
        LostPart::new(lost.clone(), filter.until, read, &self.stop)
    }

    fn request(&self, Window { filter, place }: Window, limit: Option<usize>) -> SearchRequest {
        let page = Paging {
            order: Some(self.question.order.code().to_owned()),
            cursor: place.map(|place| place.to_string()),
            limit: limit.map(|limit| limit.to_string()),
        };
        SearchRequest { filter: self.question.request.filter.at_node(&filter), page }
    }
}

/// What one node is asked for.
struct Window {
    filter: Filter,
    place: Option<Cursor>,
}

/// The members that are asked, and the nodes that were removed, with their numbers.
type OtherNodes<'a> = (&'a [AskedNode], &'a [(u64, LostNode)]);

impl Iterator for GatheredSearch {
    type Item = Result<FoundRow, ReadingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.running.is_none() {
            match self.begin() {
                Ok(merge) => self.running = Some(merge),
                Err(error) => return Some(Err(error)),
            }
        }
        loop {
            let merged = match self.running.as_mut()?.next()? {
                Ok(merged) => merged,
                Err(error) => return Some(Err(error)),
            };
            let (node, name) = self.nodes.get(merged.part)?;
            let (place, row) = merged.item.row;
            self.last = Some((row.at, *node));
            self.places.insert(*node, place);
            if !merged.is_double {
                return Some(Ok(FoundRow::of_node(row, Some(name.as_str()))));
            }
        }
    }
}
