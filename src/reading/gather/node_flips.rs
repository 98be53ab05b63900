//! [`NodeFlips`]: what another node has of each handle, for a count of flips.

use super::node_answer::{NodeAnswer, Resumable};
use crate::{
    api::{FlipPart, FlipPartsRequest},
    handle::Handle,
    limits,
};

/// The parts of another node, ascending by handle.
pub(super) type NodeFlips = NodeAnswer<FlipsCall>;

/// A call for the parts of one node.
pub(super) struct FlipsCall {
    request: FlipPartsRequest,
    /// The handle of the last part that came: the next one must lie behind it.
    last: Option<Handle>,
    came: u64,
}

impl FlipsCall {
    pub(super) const fn new(request: FlipPartsRequest) -> Self {
        Self { request, last: None, came: 0 }
    }
}

impl Resumable for FlipsCall {
    type Request = FlipPartsRequest;
    type Row = FlipPart;

    fn request(&self) -> &FlipPartsRequest {
        &self.request
    }

    fn read(&mut self, line: &[u8]) -> Option<FlipPart> {
        let part: FlipPart = serde_json::from_slice(line).ok()?;
        let is_behind = self.last.as_ref().is_none_or(|last| *last < part.handle);
        let is_bounded = part.steps.len() <= limits::LOG_FLIPS_STEPS_MAX;
        if !is_behind || !is_bounded || limits::LOG_FLIPS_PARTS_MAX <= self.came {
            return None;
        }
        self.came += 1;
        self.last = Some(part.handle.clone());
        self.request.after = Some(part.handle.canonical().into_owned());
        Some(part)
    }
}
