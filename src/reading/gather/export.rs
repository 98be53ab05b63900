//! [`GatheredExport`]: the records of all nodes, in no order.
//!
//! The logs are copied one after another, each in the order of storage, but without changes. A search over all nodes gives those, each
//! once: where rows have no order, nothing would tell how long the id of a change must be remembered.

use tokio::runtime::Handle;

use super::{
    asked_node::{AskedNode, Failure},
    lost_part::{LostNode, LostPart},
    part_rows::PartRows,
    search::{GatheredSearch, Question},
};
use crate::{
    api::{
        Fields, FoundRow, MissingNode, NodeFromStore, Paging, Posted as _, RecordFilter,
        SearchRequest,
    },
    cluster::Others,
    query_log::{Filter, Kind, LogReader, LostLog, Order, SearchOutcome},
    reading::{call::Stop, outcome::Outcome, records::ReadingError},
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
        let mut found = Found::default();
        if self.filter.kind != Some(Kind::Change) {
            let Some(own) = self.read_own(stop, take)? else { return Ok(None) };
            found.passed_over += own;
            let (asked, removed) =
                AskedNode::all_and_removed(&self.others, &self.operator, &self.runtime, stop);
            for node in asked {
                let mut came = 0;
                let failed = match self.read_node(&node, &mut came, take) {
                    Ok(Some(of_node)) => {
                        found.passed_over += of_node;
                        continue;
                    }
                    Ok(None) | Err(Failure::Stopped) => return Ok(None),
                    Err(Failure::Missing(why)) => why,
                };
                // The rows that came have another order than those of its copies may have.
                let lost = (came == 0 && failed.is_gone()).then(|| node.lost(&failed.to_string()));
                let Some(lost) = lost.flatten() else {
                    found.missing.push(node.missing(&failed));
                    continue;
                };
                if !self.read_copies(lost, stop, &mut found, take) {
                    return Ok(None);
                }
            }
            for (_, removed) in removed {
                if !self.read_copies(removed, stop, &mut found, take) {
                    return Ok(None);
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
            found.add_changes(changes.outcome());
        }
        let Found { passed_over, missing, from_store } = found;
        Ok((!stop()).then(|| Outcome::gathered(passed_over, missing, from_store)))
    }

    /// Reads what was copied of a lost node besides changes. False if `take` wants no more, or it was stopped.
    fn read_copies(&self, node: LostNode, stop: &Stop, found: &mut Found, take: Take<'_>) -> bool {
        let name = node.name.clone();
        let read = |log: &LostLog, stop| log.walk(&self.filter, stop);
        let mut part = LostPart::new(node, self.filter.until, read, stop);
        while let Some((_, row)) = part.next() {
            let is_change = row.record.change_id().is_some();
            if !is_change && !take(FoundRow::of_node(row, Some(&name))) {
                return false;
            }
        }
        found.passed_over += part.passed_over();
        found.missing.extend(part.missing());
        found.from_store.extend(part.in_store());
        !stop()
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

    /// What another node has besides changes. None if `take` wants no more. Counts the rows in `came`.
    fn read_node(
        &self,
        node: &AskedNode,
        came: &mut u64,
        take: Take<'_>,
    ) -> Result<Option<SearchOutcome>, Failure> {
        let request = Fields::json_of(&self.request.at_node(&self.filter));
        let mut rows = PartRows::new(node.clone(), RecordFilter::POSTED_TO, Some(request));
        while let Some(row) = rows.next()? {
            *came += 1;
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

/// What an export came to, so far.
#[derive(Default)]
struct Found {
    passed_over: SearchOutcome,
    missing: Vec<MissingNode>,
    from_store: Vec<NodeFromStore>,
}

impl Found {
    /// Adds what the pass over the changes came to. Both passes meet what is damaged in a log.
    fn add_changes(&mut self, outcome: Outcome) {
        let Self { passed_over, missing, from_store } = self;
        *passed_over = passed_over.max(outcome.passed_over);
        for node in outcome.missing.unwrap_or_default() {
            if missing.iter().all(|known| known.node != node.node) {
                missing.push(node);
            }
        }
        for node in outcome.from_store {
            match from_store.iter_mut().find(|known| known.node == node.node) {
                Some(known) => known.add(node),
                None => from_store.push(node),
            }
        }
    }
}
