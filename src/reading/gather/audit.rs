//! The audit logs of all nodes, by the instants of their entries.
//!
//! A node lists what it had noted when it was asked, and that it was asked. So the list has an end. An answer that broke off is asked for
//! anew, and what came already is passed over: a node numbers its entries in ascending order.

use super::{
    asked_node::{AskedNode, Failure},
    merge::{Bounds, Item, Merge, Part, Recent},
    part_rows::PartRows,
};
use crate::{
    api::{AuditRequest, Fields, MissingNode, NodeCall, OfNode, Posted as _},
    audit::Listing,
    cluster::ClientError,
    query_log::{Order, SearchOutcome},
    reading::{call::Take, outcome::Outcome, records::ReadingError},
};

type Row = NodeCall;

/// The calls that this node has noted.
pub(in crate::reading) struct OwnCalls {
    pub(in crate::reading) listing: Listing,
    /// The name of this node, in a cluster.
    pub(in crate::reading) node: Option<String>,
}

impl Iterator for OwnCalls {
    type Item = Result<Row, ReadingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let call = self.listing.next()?;
        Some(call.map(|call| OfNode::new(call, self.node.as_deref())).map_err(Into::into))
    }
}

/// Hands the calls of all nodes to `take`, oldest first. Nothing if it was stopped, or `take` wants no more.
pub(in crate::reading) fn list_calls(
    (own, own_name): (OwnCalls, &str),
    asked: Vec<AskedNode>,
    request: &AuditRequest,
    take: Take<'_, Row>,
) -> Result<Option<Outcome>, ReadingError> {
    let body = Fields::json_of(request);
    let mut parts: Vec<_> = asked
        .into_iter()
        .map(|asked| {
            (asked.member.name.clone(), Calls::Other(Box::new(NodeCalls::new(asked, &body))))
        })
        .collect();
    parts.push((own_name.to_owned(), Calls::Own(Box::new(own))));
    parts.sort_by(|(one, _), (other, _)| one.cmp(other));
    let parts = parts.into_iter().map(|(_, part)| part).collect();
    let mut merge = Merge::new(parts, Order::Asc, Bounds::USUAL, Recent::default());
    while let Some(merged) = merge.next().transpose()? {
        if !take(merged.item.row) {
            return Ok(None);
        }
    }
    let mut missing = Vec::new();
    for part in merge.parts() {
        match part {
            Calls::Other(calls) if calls.is_stopped => return Ok(None),
            Calls::Other(calls) => missing.extend(calls.missing.clone()),
            Calls::Own(_) => {}
        }
    }
    Ok(Some(Outcome::gathered(SearchOutcome::default(), missing, Vec::new())))
}

/// The calls that one node has noted.
enum Calls {
    Own(Box<OwnCalls>),
    Other(Box<NodeCalls>),
}

impl Part<Row> for Calls {
    fn next(&mut self) -> Option<Result<Item<Row>, ReadingError>> {
        let row = match self {
            Self::Own(calls) => calls.next()?,
            Self::Other(calls) => Ok(calls.next()?),
        };
        Some(row.map(|row| Item { at: row.row.at, change: None, row }))
    }
}

/// Those of another node.
struct NodeCalls {
    asked: AskedNode,
    body: String,
    rows: PartRows,
    /// The number of the last call that was given.
    last: Option<u64>,
    /// How many were given in all.
    given: u64,
    /// How many the running answer may give again.
    again: u64,
    /// Whether the running answer has given one more.
    has_new: bool,
    is_over: bool,
    is_stopped: bool,
    missing: Option<MissingNode>,
}

impl NodeCalls {
    fn new(asked: AskedNode, body: &str) -> Self {
        let rows = PartRows::new(asked.clone(), AuditRequest::POSTED_TO, Some(body.to_owned()));
        let (body, last, missing) = (body.to_owned(), None, None);
        let (given, again, has_new) = (0, 0, false);
        let (is_over, is_stopped) = (false, false);
        Self { asked, body, rows, last, given, again, has_new, is_over, is_stopped, missing }
    }

    fn next(&mut self) -> Option<Row> {
        while !self.is_over {
            match self.read() {
                Ok(Some(row)) => return Some(row),
                Ok(None) => {}
                Err(Failure::Missing(_)) if self.has_new => {
                    (self.again, self.has_new) = (self.given, false);
                    let (asked, body) = (self.asked.clone(), self.body.clone());
                    self.rows = PartRows::new(asked, AuditRequest::POSTED_TO, Some(body));
                }
                Err(failure) => {
                    self.is_over = true;
                    match failure {
                        Failure::Stopped => self.is_stopped = true,
                        Failure::Missing(why) => self.missing = Some(self.asked.missing(&why)),
                    }
                }
            }
        }
        None
    }

    /// The next call, if it is a new one.
    fn read(&mut self) -> Result<Option<Row>, Failure> {
        let Some(OfNode { row, .. }) = self.rows.next::<Row>()? else {
            self.is_over = true;
            return Ok(None);
        };
        if self.last.is_some_and(|last| row.n <= last) {
            // A node that sends the same again would never end.
            self.again = self.again.checked_sub(1).ok_or(ClientError::Unreadable)?;
            return Ok(None);
        }
        (self.last, self.has_new) = (Some(row.n), true);
        self.given += 1;
        // The node says of itself what it likes.
        Ok(Some(OfNode::new(row, Some(&self.asked.member.name))))
    }
}
