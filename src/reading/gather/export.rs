//! [`GatheredExport`]: the records of all nodes, in no order.
//!
//! The logs are copied one after another, each in the order of storage, but without changes. A search over all nodes gives those, each
//! once: where rows have no order, nothing would tell how long the id of a change must be remembered.

use tokio::runtime::Handle;

use super::{
    asked_node::{AskedNode, Failure},
    part_rows::PartRows,
    search::{GatheredSearch, Question},
};
use crate::{
    api::{Fields, FoundRow, Paging, Posted as _, RecordFilter, SearchRequest},
    cluster::Others,
    query_log::{Filter, Kind, LogReader, Order, SearchOutcome},
    reading::{call::Stop, outcome::Outcome, records::ReadingError},
    timeline::MissingNode,
};

/// An export of the logs of all nodes.
pub(in crate::reading) struct GatheredExport {
    pub(in crate::reading) request: RecordFilter,
    pub(in crate::reading) filter: Filter,
    /// Who asks this node.
    pub(in crate::reading) operator: String,
    pub(in crate::reading) others: Others,
    pub(in crate::reading) reader: LogReader,
    pub(in crate::reading) runtime: Handle,
}

type Take<'a> = &'a mut dyn FnMut(FoundRow) -> bool;

impl GatheredExport {
    /// Hands every row to `take`. Says what is missing; nothing if it was stopped before its end, or `take` wants no more.
    pub(in crate::reading) fn read(
        self,
        stop: &Stop,
        take: Take<'_>,
    ) -> Result<Option<Outcome>, ReadingError> {
        let (mut passed_over, mut missing) = (SearchOutcome::default(), Vec::new());
        if self.filter.kind != Some(Kind::Change) {
            let Some(own) = self.read_own(stop, take)? else { return Ok(None) };
            passed_over += own;
            for node in AskedNode::all(&self.others, &self.operator, &self.runtime, stop) {
                match self.read_node(&node, take) {
                    Ok(Some(of_node)) => passed_over += of_node,
                    Ok(None) | Err(Failure::Stopped) => return Ok(None),
                    Err(Failure::Missing(why)) => missing.push(node.missing(&why)),
                }
            }
        }
        if self.filter.kind.is_none_or(|kind| kind == Kind::Change) {
            let mut changes = self.changes(stop);
            for row in changes.by_ref() {
                if !take(row?) {
                    return Ok(None);
                }
            }
            let outcome = changes.outcome();
            // Both passes meet what is damaged in a log.
            passed_over = passed_over.max(outcome.passed_over);
            let is_new = |node: &MissingNode| missing.iter().all(|known| known.node != node.node);
            let also: Vec<_> =
                outcome.missing().iter().filter(|node| is_new(node)).cloned().collect();
            missing.extend(also);
        }
        Ok((!stop()).then_some(Outcome { passed_over, missing: Some(missing) }))
    }

    /// What this node has besides changes. None if it was stopped.
    fn read_own(&self, stop: &Stop, take: Take<'_>) -> Result<Option<SearchOutcome>, ReadingError> {
        let stopped = stop.clone();
        let mut walk = self.reader.walk(&self.filter).stop_when(move || stopped());
        for found in walk.by_ref() {
            let (_, row) = found?;
            let is_change = row.record.change_id().is_some();
            if !is_change && !take(FoundRow::of_node(row, Some(self.others.own_name()))) {
                return Ok(None);
            }
        }
        Ok((!stop()).then(|| walk.outcome()))
    }

    /// What another node has besides changes. None if `take` wants no more.
    fn read_node(
        &self,
        node: &AskedNode,
        take: Take<'_>,
    ) -> Result<Option<SearchOutcome>, Failure> {
        let request = Fields::json_of(&self.request.at_node(&self.filter));
        let mut rows = PartRows::new(node.clone(), RecordFilter::POSTED_TO, Some(request));
        while let Some(row) = rows.next()? {
            let row: FoundRow = row;
            // The node says of itself what it likes.
            let row = FoundRow::of_node(row.into_parts().0, Some(&node.member.name));
            if row.record.change_id().is_none() && !take(row) {
                return Ok(None);
            }
        }
        Ok(Some(rows.passed_over()))
    }

    fn changes(&self, stop: &Stop) -> GatheredSearch {
        let mut filter = self.request.clone();
        filter.kind = Some(Kind::Change.code().to_owned());
        let question = Question {
            request: SearchRequest { filter, page: Paging::default() },
            filter: Filter { kind: Some(Kind::Change), ..self.filter.clone() },
            order: Order::Asc,
            after: None,
            limit: None,
            operator: self.operator.clone(),
        };
        let parts = (self.others.clone(), self.reader.clone(), self.runtime.clone());
        GatheredSearch::new(question, parts, stop.clone())
    }
}
