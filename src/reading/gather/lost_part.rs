//! [`LostPart`]: the part of a node that is lost, from its copies in the object store.

use crate::{
    api::MissingNode,
    clock::{Hour, Timestamp},
    cluster::RemovedNode,
    query_log::{FromCopies, LostLog, LostLogError, NodeFromStore, SearchOutcome},
    reading::call::Stop,
};

/// Gaps that an answer names at most: trailers are short.
const GAPS_NAMED_MAX: usize = 8;

/// A node that is lost.
#[derive(Clone)]
pub(super) struct LostNode {
    /// The name by which answers name it.
    pub(super) name: String,
    /// Why it is not asked itself.
    pub(super) why: String,
    pub(super) is_removed: bool,
    /// Its log, or why that cannot be read.
    pub(super) log: Result<LostLog, String>,
}

impl From<RemovedNode> for LostNode {
    fn from(RemovedNode { name, log, .. }: RemovedNode) -> Self {
        let why = "it was removed from the cluster".to_owned();
        Self { name, why, is_removed: true, log }
    }
}

/// The rows of a lost node.
pub(super) struct LostPart<R> {
    node: LostNode,
    /// None if it cannot be read.
    rows: Option<R>,
    /// How far the copies reach.
    until: Option<Timestamp>,
    is_ended: bool,
    /// Why rows are missing that were copied.
    failed: Option<String>,
}

impl<R: FromCopies> LostPart<R> {
    /// The rows before `until` that `read` takes from the node's log. Waits for the object store.
    pub(super) fn new(
        node: LostNode,
        until: Option<Timestamp>,
        read: impl FnOnce(&LostLog, Stop) -> R,
        stop: &Stop,
    ) -> Self {
        let mut part = Self { node, rows: None, until: None, is_ended: false, failed: None };
        match part.node.log.clone() {
            Ok(log) => {
                part.look(&log, until, stop);
                part.rows = Some(read(&log, stop.clone()));
            }
            Err(why) => part.failed = Some(why),
        }
        part
    }

    /// Looks how far the copies reach. What fails here does not keep what can be read from being read.
    fn look(&mut self, log: &LostLog, until: Option<Timestamp>, stop: &Stop) {
        let last = log.last_hour().map(Hour::start);
        self.until = match last.filter(|last| until.is_some_and(|until| until <= *last)) {
            // The window ends before: the last hour is not fetched to tell of it.
            Some(last) => Some(last),
            None => log.newest(&**stop).ok().flatten(),
        };
        // The log of a node that does not answer may go on.
        self.is_ended = self.node.is_removed && log.is_ended(&**stop).unwrap_or_default();
    }

    /// The next row; none if there is no more, or no more can be read.
    pub(super) fn next(&mut self) -> Option<R::Row> {
        match self.rows.as_mut()?.next()? {
            Ok(found) => Some(found),
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    fn fail(&mut self, error: &LostLogError) {
        if !error.is_stop() {
            self.failed.get_or_insert(format!("reading its copies: {error}"));
        }
    }

    /// The node, if copied rows of it are missing.
    pub(super) fn missing(&self) -> Option<MissingNode> {
        let why = format!("{}; {}", self.node.why, self.failed.as_ref()?);
        Some(MissingNode { node: self.node.name.clone(), why })
    }

    /// What could not be read.
    pub(super) fn passed_over(&self) -> SearchOutcome {
        self.rows.as_ref().map(R::outcome).unwrap_or_default()
    }

    /// The node, and how far its rows reach. None if they are [`Self::missing`].
    pub(super) fn in_store(&self) -> Option<NodeFromStore> {
        let rows = self.rows.as_ref().filter(|_| self.failed.is_none())?;
        let LostNode { name, why, .. } = &self.node;
        let mut gaps = rows.gaps();
        let complete =
            self.is_ended && gaps.is_empty() && rows.outcome() == SearchOutcome::default();
        gaps.truncate(GAPS_NAMED_MAX);
        let (node, why, until) = (name.clone(), why.clone(), self.until);
        Some(NodeFromStore { node, why, until, complete, gaps })
    }
}
