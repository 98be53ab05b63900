//! The hours of the logs of all nodes, one node after another.

use super::{
    asked_node::{AskedNode, Failure},
    part_rows::PartRows,
};
use crate::{
    api::{Call as _, NodeSegment, OfNode, Scope, SegmentsRequest},
    cluster::ClientError,
    limits,
    query_log::{SearchOutcome, SegmentId, SegmentSummary},
    reading::{
        call::{Take, send_rows},
        outcome::Outcome,
        records::ReadingError,
    },
};

/// Hands the segments of this node to `take`, and those of the others if they are asked, too: the nodes in the order of their names.
/// Nothing if `take` wants no more.
pub(in crate::reading) fn list_segments(
    (own, node): (Vec<SegmentSummary>, Option<&str>),
    asked: Option<Vec<AskedNode>>,
    take: Take<'_, NodeSegment>,
) -> Result<Option<Outcome>, ReadingError> {
    let mut missing = asked.is_some().then(Vec::new);
    let mut nodes: Vec<_> = asked.into_iter().flatten().map(Some).chain([None]).collect();
    let own_name = node.unwrap_or_default();
    nodes.sort_by_key(|it| it.as_ref().map_or(own_name, |it| &it.member.name).to_owned());
    let mut own = own.into_iter().map(|segment| OfNode::new(segment, node));
    for asked in nodes {
        let read = match &asked {
            None => send_rows(own.by_ref().map(Ok::<_, ReadingError>), take)?,
            Some(asked) => match read_node(asked, take) {
                Ok(wants_more) => wants_more,
                Err(Failure::Stopped) => false,
                Err(Failure::Missing(why)) => {
                    missing.get_or_insert_default().push(asked.missing(&why));
                    true
                }
            },
        };
        if !read {
            return Ok(None);
        }
    }
    let gathered = |missing| Outcome::gathered(SearchOutcome::default(), missing, Vec::new());
    Ok(Some(missing.map_or_else(Outcome::default, gathered)))
}

/// Those of another node. False if `take` wants no more.
fn read_node(asked: &AskedNode, take: Take<'_, NodeSegment>) -> Result<bool, Failure> {
    let path = format!("{}?scope={}", SegmentsRequest::PATH, Scope::Node.code());
    let mut rows = PartRows::new(asked.clone(), path, None);
    while let Some(row) = rows.next::<NodeSegment>()? {
        // One that sends for ever, or what is no name: a list is held in memory.
        let is_segment = SegmentId::parse(&row.row.segment).is_some();
        if !is_segment || limits::CLUSTER_SEGMENTS_MAX < rows.came() {
            return Err(ClientError::Unreadable.into());
        }
        // The node says of itself what it likes.
        if !take(OfNode::new(row.row, Some(&asked.member.name))) {
            return Ok(false);
        }
    }
    Ok(true)
}
