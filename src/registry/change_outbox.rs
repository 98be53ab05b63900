//! Which changes the log still has to be told, or to commit.
//!
//! A transactional outbox: the commit that makes a change durable also stores its record as an `unrecorded` row, so a
//! crash between store and log loses no record. A row goes, with some later commit, once the log has committed the
//! record. A crash in between leaves rows that the log holds already: at start their change ids are looked up there.

use std::collections::VecDeque;

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use crate::limits;

use super::{
    changes::{Change, ChangeSink, SinkFailed, SinkRefused},
    store::Mutation,
};

/// Resolves when a batch's records are committed; none if there was nothing to record.
pub(super) type Recorded = Option<Shared<BoxFuture<'static, Result<(), SinkFailed>>>>;

/// Changes with their place in the order of all changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OutboxRows {
    pub(super) places: Vec<u64>,
    pub(super) changes: Vec<Change>,
}

#[derive(Default)]
pub(super) struct ChangeOutbox {
    next_place: u64,
    /// Handed to the log, which has not said yet.
    in_flight: VecDeque<(OutboxRows, Recorded)>,
    /// The log failed to commit these.
    failed: OutboxRows,
    /// The log holds these: their rows may go.
    settled: Vec<u64>,
}

impl OutboxRows {
    pub(super) fn push(&mut self, place: u64, change: Change) {
        self.places.push(place);
        self.changes.push(change);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn append(&mut self, other: Self) {
        self.places.extend(other.places);
        self.changes.extend(other.changes);
    }

    /// These rows as steps of a commit.
    pub(super) fn puts(&self) -> impl Iterator<Item = Mutation> {
        let rows = self.places.iter().zip(&self.changes);
        rows.map(|(place, change)| Mutation::PutUnrecorded(*place, change.clone()))
    }
}

impl ChangeOutbox {
    /// With what a former run left: `owed` to the log, and `settled` because the log holds it.
    pub(super) fn new(owed: OutboxRows, settled: Vec<u64>) -> Self {
        let last = owed.places.iter().chain(&settled).max();
        let next_place = last.map_or(0, |last| last + 1);
        Self { next_place, in_flight: VecDeque::new(), failed: owed, settled }
    }

    /// Gives `changes` their places.
    pub(super) fn place(&mut self, changes: Vec<Change>) -> OutboxRows {
        let first = self.next_place;
        self.next_place += changes.len() as u64;
        OutboxRows { places: (first..self.next_place).collect(), changes }
    }

    /// Hands `rows` to the log.
    pub(super) fn hand_over(
        &mut self,
        sink: &dyn ChangeSink,
        rows: &OutboxRows,
    ) -> Result<Recorded, SinkRefused> {
        if rows.is_empty() {
            return Ok(None);
        }
        let recorded = Some(sink.record(&rows.changes)?.shared());
        self.in_flight.push_back((rows.clone(), recorded.clone()));
        Ok(recorded)
    }

    /// Learns what the log has committed since.
    pub(super) fn settle(&mut self) {
        while let Some((_, recorded)) = self.in_flight.front() {
            let outcome = recorded.clone().map_or(Some(Ok(())), FutureExt::now_or_never);
            let Some(outcome) = outcome else { break };
            let Some((rows, _)) = self.in_flight.pop_front() else {
                break;
            };
            match outcome {
                Ok(()) => self.settled.extend(rows.places),
                Err(SinkFailed) => self.failed.append(rows),
            }
        }
    }

    /// Offers again what the log failed to commit, once it has said so of everything that followed: in order.
    pub(super) fn offer_again(&mut self, sink: &dyn ChangeSink) {
        if !self.failed.is_empty() && self.in_flight.is_empty() {
            let failed = std::mem::take(&mut self.failed);
            if self.hand_over(sink, &failed).is_err() {
                self.failed = failed;
            }
        }
    }

    /// Whether everything handed over so far can still be followed by more: the log's order is the order of changes.
    pub(super) fn is_in_order(&self) -> bool {
        self.failed.is_empty()
    }

    /// Whether the log has fallen so far behind that no more may be handed to it.
    pub(super) fn is_full(&self) -> bool {
        let waiting: usize = self.in_flight.iter().map(|(rows, _)| rows.places.len()).sum();
        waiting >= limits::REGISTRY_QUEUE_CHANGES_MAX
    }

    /// Whether there is anything to look after.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.failed.is_empty() && self.settled.is_empty()
    }

    /// Whether there are rows to remove.
    pub(super) fn has_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    /// Settled rows, to be removed by the next commit.
    pub(super) fn take_settled(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.settled)
    }

    /// That commit was lost.
    pub(super) fn put_back(&mut self, settled: Vec<u64>) {
        self.settled.extend(settled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::ChangeId,
        registry::{Cause, ChangeKind},
    };

    fn change() -> Change {
        let (kind, cause) = (ChangeKind::DeviceRegistered, Cause::SignUp);
        Change {
            id: ChangeId::random(),
            at: crate::clock::Timestamp::EPOCH,
            kind,
            handle: None,
            device: None,
            account: None,
            cause,
        }
    }

    #[test]
    fn new_rows_come_after_those_of_a_former_run() {
        let owed = OutboxRows { places: vec![3, 7], changes: vec![change(), change()] };
        let mut outbox = ChangeOutbox::new(owed, vec![4, 8]);
        assert_eq!(outbox.place(vec![change(), change()]).places, [9, 10]);
        assert_eq!(outbox.place(vec![change()]).places, [11]);
        assert_eq!(
            ChangeOutbox::new(OutboxRows::default(), Vec::new()).place(vec![change()]).places,
            [0]
        );
    }
}
