//! [`FlipsCall`]: asks another node what it has of each handle, for a count of flips.

use super::node_answer::Resumable;
use crate::{
    api::{FlipPart, FlipPartsRequest},
    clock::Timestamp,
    limits,
    query_log::{FlipWindow, LostFlips, LostLog},
    reading::call::Stop,
};

/// A call for the parts of one node, ascending by handle.
pub(super) struct FlipsCall {
    request: FlipPartsRequest,
    /// What the request means: the next part must lie behind the last one that came.
    window: FlipWindow,
    came: u64,
    /// What the count keeps of the node's copies at once, should they be read.
    copies_bytes: usize,
}

impl FlipsCall {
    /// A call for the parts of a window, in this case. If the node's copies are read, as many bytes of them are kept at once.
    pub(super) fn new(window: FlipWindow, case: Option<String>, copies_bytes: usize) -> Self {
        let request = FlipPartsRequest {
            // Spans would count from another now.
            since: window.since.map(|since| since.to_string()),
            until: window.until.map(|until| until.to_string()),
            after: None,
            case,
        };
        Self { request, window, came: 0, copies_bytes }
    }
}

impl Resumable for FlipsCall {
    type Request = FlipPartsRequest;
    type Row = FlipPart;
    type Copies = LostFlips;

    fn request(&self) -> &FlipPartsRequest {
        &self.request
    }

    fn read(&mut self, line: &[u8]) -> Option<FlipPart> {
        let part: FlipPart = serde_json::from_slice(line).ok()?;
        let is_behind = self.window.after.as_ref().is_none_or(|last| *last < part.handle);
        let is_bounded = part.steps.len() <= limits::LOG_FLIPS_STEPS_MAX;
        if !is_behind || !is_bounded || limits::LOG_FLIPS_PARTS_MAX <= self.came {
            return None;
        }
        self.came += 1;
        self.window.after = Some(part.handle.clone());
        self.request.after = Some(part.handle.canonical().into_owned());
        Some(part)
    }

    fn until(&self) -> Option<Timestamp> {
        self.window.until
    }

    fn copies(&self, log: &LostLog, stop: Stop) -> LostFlips {
        log.flip_parts(self.window.clone(), self.copies_bytes, stop)
    }
}
