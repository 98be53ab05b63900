//! [`PartRows`]: the rows that another node gives, one by one.

use serde::de::DeserializeOwned;

use super::asked_node::{AskedNode, Failure, end_of};
use crate::{
    cluster::{ClientError, PartLines},
    query_log::SearchOutcome,
};

/// The rows of another node's answer. Nothing is asked before the first row is.
pub(super) struct PartRows {
    asked: AskedNode,
    path: String,
    body: Option<String>,
    lines: Option<PartLines>,
    came: u64,
    passed_over: SearchOutcome,
}

impl PartRows {
    /// The answer to a call, whose request is `body` if it has one. It must be limited to the node.
    pub(super) fn new(asked: AskedNode, path: impl Into<String>, body: Option<String>) -> Self {
        let (path, passed_over) = (path.into(), SearchOutcome::default());
        Self { asked, path, body, lines: None, came: 0, passed_over }
    }

    /// What the node could not read, once there is no more row.
    pub(super) const fn passed_over(&self) -> SearchOutcome {
        self.passed_over
    }

    /// How many rows have come.
    pub(super) const fn came(&self) -> u64 {
        self.came
    }

    /// The next row; none if there is no more.
    pub(super) fn next<R: DeserializeOwned>(&mut self) -> Result<Option<R>, Failure> {
        let lines = match &mut self.lines {
            Some(lines) => lines,
            None => {
                let asked = self.asked.lines(&self.path, self.body.as_deref());
                self.lines.insert(self.asked.wait(asked)?)
            }
        };
        let Some(line) = self.asked.next_line(lines)? else {
            self.passed_over = end_of(lines, self.came)?;
            return Ok(None);
        };
        self.came += 1;
        let row = serde_json::from_slice(&line).map_err(|_| ClientError::Unreadable)?;
        Ok(Some(row))
    }
}
