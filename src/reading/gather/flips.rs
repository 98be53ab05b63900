//! [`GatheredFlips`]: the flips in the lookups of all nodes.
//!
//! Each node hands over what it has of each handle, ascending by handle. This node puts the parts of one handle into one order, by the
//! changes that the logs share, and counts. It holds one part of each node.

use futures_util::future::join_all;
use tokio::runtime::Handle as Runtime;

use super::{
    asked_node::AskedNode,
    lost_part::{LostNode, LostPart},
    node_flips::FlipsCall,
    node_part::NodePart,
};
use crate::{
    api::{FlipPart, FlipReport},
    background,
    clock::Timestamp,
    cluster::Others,
    limits,
    query_log::{FlipFindings, FlipQuery, FlipStep, FlipWindow, LogReader, LostLog},
    reading::{call::Stop, records::ReadingError},
    timeline::align,
};

/// A count over all nodes.
pub(in crate::reading) struct GatheredFlips {
    pub(in crate::reading) query: FlipQuery,
    pub(in crate::reading) case: Option<String>,
    /// Who asks this node, and when.
    pub(in crate::reading) operator: String,
    pub(in crate::reading) now: Timestamp,
    pub(in crate::reading) others: Others,
    pub(in crate::reading) reader: LogReader,
    pub(in crate::reading) runtime: Runtime,
}

impl GatheredFlips {
    /// Counts, and names the nodes whose part is missing or comes from copies.
    pub(in crate::reading) fn count(&self, stop: &Stop) -> Result<FlipReport, ReadingError> {
        let (asked, removed) =
            AskedNode::all_and_removed(&self.others, &self.operator, &self.runtime, stop);
        // A node without others counts as one machine does.
        if asked.is_empty() && removed.is_empty() {
            return Ok(self.reader.flips(&self.query, &|| stop())?);
        }
        background::at_low_priority("log-flips", || self.count_over(&asked, &removed, stop))
    }

    fn count_over(
        &self,
        asked: &[AskedNode],
        removed: &[(u64, LostNode)],
        stop: &Stop,
    ) -> Result<FlipReport, ReadingError> {
        let FlipQuery { since, until, .. } = self.query;
        let window = FlipWindow { since, until, after: None };
        // Of each node, copies may have to be read.
        let bytes = bytes_of_each(asked.len() + removed.len());
        let call = || FlipsCall::new(window.clone(), self.case.clone(), bytes);
        let mut members: Vec<_> =
            asked.iter().map(|asked| NodePart::asked(asked.clone(), call())).collect();
        self.runtime.block_on(join_all(members.iter_mut().map(NodePart::begin)));
        let names = asked.iter().map(|asked| asked.member.name.clone());
        let lost = |(_, node): &(u64, LostNode)| {
            let read = |log: &LostLog, stop| log.flip_parts(window.clone(), bytes, stop);
            let part = LostPart::new(node.clone(), until, read, stop);
            (node.name.clone(), NodePart::removed(part))
        };
        let nodes = names.zip(members).chain(removed.iter().map(lost)).collect();

        let fresh = self.now.minus(limits::TIMELINE_FRESH);
        let own = self.others.own_name().to_owned();
        let mut counting = Counting::new(own, nodes, fresh, &self.query);
        let read = self.reader.flip_parts(&window, &|| stop(), &mut |part| {
            counting.upto(Some(part));
            !stop()
        })?;
        if read.stopped {
            return Err(ReadingError::Stopped);
        }
        counting.upto(None);
        if stop() {
            return Err(ReadingError::Stopped);
        }
        let Counting { findings, others, cut, .. } = counting;
        let mut report = findings.report(&read);
        let summary = &mut report.summary;
        summary.cut = cut;
        for Other { parts, .. } in others {
            let passed_over = parts.passed_over();
            summary.damaged += passed_over.damaged;
            summary.unreadable_segments += passed_over.unreadable_segments;
            summary.missing.extend(parts.missing());
            summary.from_store.extend(parts.in_store());
        }
        Ok(report)
    }
}

/// How much memory the copies of each of so many nodes may take, if all are read at once.
pub(super) fn bytes_of_each(nodes: usize) -> usize {
    (limits::LOG_FLIPS_PARTS_BYTES_MAX / nodes).max(limits::LOG_FLIPS_PARTS_BYTES_MIN)
}

/// The parts of one node, ascending by handle. It waits for the next one.
pub(super) trait Parts {
    /// The next part; none if there is no more.
    fn next(&mut self) -> Option<FlipPart>;
}

impl Parts for NodePart<FlipsCall> {
    fn next(&mut self) -> Option<FlipPart> {
        Self::next(self)
    }
}

/// A running count, handle by handle.
pub(super) struct Counting<P> {
    own: String,
    others: Vec<Other<P>>,
    fresh: Timestamp,
    pub(super) findings: FlipFindings,
    /// Handles of which a node handed over too little.
    pub(super) cut: u64,
}

/// Another node.
struct Other<P> {
    name: String,
    parts: P,
    next: Option<FlipPart>,
}

impl<P: Parts> Counting<P> {
    /// Of the node `own` and of other nodes, each with its name.
    pub(super) fn new(
        own: String,
        others: Vec<(String, P)>,
        fresh: Timestamp,
        query: &FlipQuery,
    ) -> Self {
        let other = |(name, mut parts): (String, P)| {
            let next = parts.next();
            Other { name, parts, next }
        };
        let others = others.into_iter().map(other).collect();
        Self { own, others, fresh, findings: FlipFindings::new(query), cut: 0 }
    }

    /// Counts the next handles up to that of this node's part, itself included; all that are left if it has no more.
    pub(super) fn upto(&mut self, own: Option<FlipPart>) {
        let mut own = own;
        loop {
            let heads = self.others.iter().filter_map(|other| other.next.as_ref());
            let handle = heads.chain(&own).map(|part| &part.handle).min().cloned();
            let Some(handle) = handle else { return };
            let is_next = |part: &mut FlipPart| part.handle == handle;
            let of_own = own.take_if(is_next);
            let is_last = of_own.is_some();
            let mut parts: Vec<(&str, FlipPart)> = Vec::new();
            parts.extend(of_own.map(|part| (self.own.as_str(), part)));
            for Other { name, parts: of_node, next } in &mut self.others {
                if let Some(part) = next.take_if(is_next) {
                    *next = of_node.next();
                    parts.push((name, part));
                }
            }
            // Every node that is asked counts the same.
            parts.sort_by_key(|(name, _)| *name);
            self.cut += u64::from(parts.iter().any(|(_, part)| part.is_cut));
            let steps: Vec<Vec<FlipStep>> = parts.into_iter().map(|(_, part)| part.steps).collect();
            self.findings.add_steps(handle, &align(steps, self.fresh));
            if is_last {
                return;
            }
        }
    }
}
