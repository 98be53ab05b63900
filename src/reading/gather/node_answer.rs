//! [`NodeAnswer`]: the rows of another node's answer.

use serde::Serialize;

use super::{
    asked_node::{AskedNode, Failure, end_of},
    lost_part::LostPart,
};
use crate::{
    api::{MissingNode, Posted},
    clock::Timestamp,
    cluster::{ClientError, PartLines},
    query_log::{FromCopies, LostLog, SearchOutcome},
    reading::call::Stop,
};

/// A call to another node, whose answer can be continued behind each row.
pub(super) trait Resumable {
    type Request: Posted + Serialize;
    type Row;
    type Copies: FromCopies<Row = Self::Row>;

    /// What is asked for next.
    fn request(&self) -> &Self::Request;

    /// Rows that the answer had at most; none for all. What is asked for next has no limit.
    fn lift_limit(&mut self) -> Option<u64> {
        None
    }

    /// Reads a line, and continues behind its row from now on. None if it is no row, or not behind the row before it: a node that sends the
    /// same again would never end.
    fn read(&mut self, line: &[u8]) -> Option<Self::Row>;

    /// Before which instant it asks for rows.
    fn until(&self) -> Option<Timestamp>;

    /// The rows behind the last one that came, from the copies of the node's log.
    fn copies(&self, log: &LostLog, stop: Stop) -> Self::Copies;
}

/// An answer of another node. One that breaks off is continued: the node may have been restarted. This node reads none of it while it waits
/// for a third one, or reads its own log. The other one allows that for
/// [`CLUSTER_UNREAD_PATIENCE`](crate::limits::CLUSTER_UNREAD_PATIENCE): to continue an answer, a node may have to read its window anew.
pub(super) struct NodeAnswer<C> {
    asked: AskedNode,
    call: C,
    /// None before it begins, and once it is over.
    lines: Option<PartLines>,
    /// Rows of this answer that have come.
    came: u64,
    /// Whether it was continued since the last row.
    is_again: bool,
    passed_over: SearchOutcome,
    missing: Option<MissingNode>,
    /// Why the node is gone.
    gone: Option<String>,
}

impl<C: Resumable> NodeAnswer<C> {
    /// The answer of this node. Nothing is asked yet, and without [`Self::begin`] there are no rows.
    pub(super) fn new(asked: AskedNode, call: C) -> Self {
        let (lines, missing, gone) = (None, None, None);
        let passed_over = SearchOutcome::default();
        Self { asked, call, lines, came: 0, is_again: false, passed_over, missing, gone }
    }

    /// Takes the node for gone, for this reason: it is not asked.
    pub(super) fn take_for_gone(&mut self, why: &str) {
        self.gone = Some(why.to_owned());
        let (node, why) = (self.asked.member.name.clone(), why.to_owned());
        self.missing = Some(MissingNode { node, why });
    }

    /// Asks the node.
    pub(super) async fn begin(&mut self) {
        if self.gone.is_none()
            && let Err(failure) = self.open().await
        {
            self.fail(failure);
        }
    }

    /// Why the node is gone; none if it is there, as far as it was asked.
    pub(super) fn gone(&self) -> Option<&str> {
        self.gone.as_deref()
    }

    /// The node, if rows of it are missing.
    pub(super) fn missing(&self) -> Option<MissingNode> {
        self.missing.clone()
    }

    /// What the node could not read.
    pub(super) fn passed_over(&self) -> SearchOutcome {
        self.passed_over
    }

    /// The next row; none if there is no more, or the node gives none.
    pub(super) fn next(&mut self) -> Option<C::Row> {
        loop {
            let lines = self.lines.as_mut()?;
            let next = match self.asked.next_line(lines) {
                Ok(Some(line)) => self.read(&line),
                Ok(None) => self.end(),
                Err(Failure::Missing(_)) if !self.is_again => {
                    self.is_again = true;
                    self.reopen()
                }
                Err(failure) => Err(failure),
            };
            match next {
                Ok(Some(row)) => return Some(row),
                Ok(None) => {}
                Err(failure) => self.fail(failure),
            }
        }
    }

    /// The rows behind the last one that came, from the node's copies. None if it is not gone or has none.
    pub(super) fn begin_copies(&self) -> Option<LostPart<C::Copies>> {
        let node = self.asked.lost(self.gone()?)?;
        let read = |log: &_, stop| self.call.copies(log, stop);
        Some(LostPart::new(node, self.call.until(), read, self.asked.stop()))
    }

    fn read(&mut self, line: &[u8]) -> Result<Option<C::Row>, Failure> {
        let row = self.call.read(line).ok_or(ClientError::Unreadable)?;
        self.came += 1;
        self.is_again = false;
        Ok(Some(row))
    }

    /// The answer is complete. It may have had as many rows as it may have.
    fn end(&mut self) -> Result<Option<C::Row>, Failure> {
        let Some(lines) = self.lines.take() else { return Ok(None) };
        self.passed_over += end_of(&lines, self.came)?;
        if self.call.lift_limit().is_some_and(|limit| limit <= self.came) {
            self.reopen()
        } else {
            Ok(None)
        }
    }

    fn reopen(&mut self) -> Result<Option<C::Row>, Failure> {
        let asked = self.asked.clone();
        asked.wait(self.open()).map(|()| None)
    }

    async fn open(&mut self) -> Result<(), Failure> {
        self.lines = None;
        let lines = self.asked.lines_posted(self.call.request()).await?;
        (self.lines, self.came) = (Some(lines), 0);
        Ok(())
    }

    fn fail(&mut self, failure: Failure) {
        self.lines = None;
        if let Failure::Missing(why) = failure {
            self.missing = Some(self.asked.missing(&why));
            self.gone = why.is_gone().then(|| why.to_string());
        }
    }
}
