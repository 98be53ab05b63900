//! The changes that the log does not hold yet, and the trait by which it takes them.
//!
//! A transactional outbox: the commit that makes a change durable also stores its record as an `unrecorded` row, so a
//! crash between store and log loses no record. A row goes, with some later commit, once the log has committed the
//! record. A crash in between leaves rows that the log holds already: at start their change ids are looked up there.

use std::{collections::VecDeque, thread};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use crate::{clock::Timestamp, limits, vocabulary::Change};

use super::store::Unrecorded;

/// Resolves when the log has committed what was handed to it, or has failed to.
pub type Recording = BoxFuture<'static, Result<(), SinkFailed>>;

/// The log, which records changes. The registry knows it by this trait only.
pub trait ChangeSink: Send + Sync {
    /// Whether the log takes records at the moment. A hint: changes are refused before anything is done.
    fn is_writable(&self) -> bool;

    /// Takes `changes`, all or none, in this order, after everything handed over before. Called while no lookup can
    /// decide: it must only fill a buffer.
    ///
    /// The log goes on whether or not the future is polled; it only says how it ended. If the log takes no records at the
    /// moment, the registry offers the same changes again later.
    fn record(&self, changes: &[Unrecorded]) -> Result<Recording, SinkFailed>;

    /// The registry shows what its shared log decided up to `decided_at`, by some node's clock: from now on no record may be stamped
    /// earlier. Called as [`Self::record`] is, before the changes that were decided then.
    fn not_before(&self, decided_at: Timestamp) {
        let _ = decided_at;
    }
}

/// The log takes no records at the moment, or could not commit what it had taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot record changes")]
pub struct SinkFailed;

/// Resolves when a batch's records are committed; none if there was nothing to record.
pub(super) type Recorded = Option<Shared<Recording>>;

#[derive(Default)]
pub(super) struct ChangeOutbox {
    next_place: u64,
    /// Handed to the log, which has neither committed nor failed them yet.
    in_flight: VecDeque<(Vec<Unrecorded>, Shared<Recording>)>,
    /// The log must take these before any other, in the order of their places.
    owed: Vec<Unrecorded>,
    /// Places of those that the log holds: their rows may go.
    pub(super) confirmed: Vec<u64>,
}

impl ChangeOutbox {
    /// With what a former run left: `owed` to the log, and `confirmed` because the log holds it.
    pub(super) fn new(owed: Vec<Unrecorded>, confirmed: Vec<u64>) -> Self {
        assert!(is_in_order(&owed), "the store reads unrecorded changes in their order");
        let places = owed.iter().map(|row| row.place).chain(confirmed.iter().copied());
        let next_place = places.max().map_or(0, |last| last + 1);
        Self { next_place, owed, confirmed, ..Self::default() }
    }

    /// Gives `changes` their places.
    pub(super) fn place(&mut self, changes: Vec<Change>, decided_at: Timestamp) -> Vec<Unrecorded> {
        let places = self.next_place..;
        self.next_place += changes.len() as u64;
        let rows = changes.into_iter().zip(places);
        rows.map(|(change, place)| Unrecorded { place, decided_at, change }).collect()
    }

    /// Hands `rows` to the log, or gives them back if it takes none at the moment.
    pub(super) fn hand_over(
        &mut self,
        sink: &dyn ChangeSink,
        rows: Vec<Unrecorded>,
    ) -> Result<Recorded, Vec<Unrecorded>> {
        debug_assert!(is_in_order(&rows), "the log's order is the order of changes");
        if rows.is_empty() {
            return Ok(None);
        }
        let Ok(recording) = sink.record(&rows) else { return Err(rows) };
        let recording = recording.shared();
        self.in_flight.push_back((rows, recording.clone()));
        Ok(Some(recording))
    }

    /// Notes what the log has committed, or failed to commit, since.
    pub(super) fn confirm(&mut self) {
        while let Some((_, recording)) = self.in_flight.front()
            && let Some(outcome) = recording.clone().now_or_never()
            && let Some((rows, _)) = self.in_flight.pop_front()
        {
            match outcome {
                Ok(()) => self.confirmed.extend(rows.iter().map(|row| row.place)),
                Err(SinkFailed) => {
                    self.owed.extend(rows);
                    self.owed.sort_unstable_by_key(|row| row.place);
                }
            }
        }
    }

    /// Offers the first changes that are owed, once the log has answered for all it was handed: so they stay in order.
    /// True if it took them.
    pub(super) fn offer_owed(&mut self, sink: &dyn ChangeSink) -> bool {
        if self.owed.is_empty() || !self.in_flight.is_empty() {
            return false;
        }
        let count = self.owed.len().min(limits::REGISTRY_OFFER_CHANGES_MAX);
        let rows = self.owed.drain(..count).collect();
        let taken = self.hand_over(sink, rows);
        taken.map_err(|rows| drop(self.owed.splice(0..0, rows))).is_ok()
    }

    /// Offers all changes that are owed, as long as the log takes them. Blocks while it commits all but the last of them.
    pub(super) fn offer_all(&mut self, sink: &dyn ChangeSink) {
        while self.offer_owed(sink) && !self.owed.is_empty() {
            while !self.in_flight.is_empty() {
                thread::sleep(limits::REGISTRY_OFFER_PAUSE);
                self.confirm();
            }
        }
    }

    /// Whether new changes may follow those handed over so far.
    pub(super) fn is_in_order(&self) -> bool {
        self.owed.is_empty()
    }

    /// Whether the log has fallen so far behind that no more may be handed to it.
    pub(super) fn is_full(&self) -> bool {
        let waiting: usize = self.in_flight.iter().map(|(rows, _)| rows.len()).sum();
        waiting >= limits::REGISTRY_QUEUE_CHANGES_MAX
    }

    /// Whether there is anything to look after.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.owed.is_empty() && self.confirmed.is_empty()
    }
}

fn is_in_order(rows: &[Unrecorded]) -> bool {
    rows.is_sorted_by(|one, next| one.place < next.place)
}

#[cfg(test)]
mod tests {
    use futures_util::future;

    use super::*;
    use crate::{
        ids::ChangeId,
        registry::Recording,
        vocabulary::{Cause, ChangeKind},
    };

    fn change() -> Change {
        let (kind, cause) = (ChangeKind::DeviceRegistered, Cause::SignUp);
        let id = ChangeId::random();
        Change { id, kind, handle: None, device: None, account: None, cause }
    }

    fn row(place: u64) -> Unrecorded {
        Unrecorded { place, decided_at: Timestamp::EPOCH, change: change() }
    }

    fn places(rows: &[Unrecorded]) -> Vec<u64> {
        rows.iter().map(|row| row.place).collect()
    }

    /// A log that notes how many records came at once, and fails to commit the first.
    #[derive(Default)]
    struct Sink(std::sync::Mutex<Vec<Vec<u64>>>);

    impl ChangeSink for Sink {
        fn is_writable(&self) -> bool {
            true
        }

        fn record(&self, changes: &[Unrecorded]) -> Result<Recording, SinkFailed> {
            let mut taken = self.0.lock().unwrap();
            taken.push(places(changes));
            let outcome = if taken.len() == 1 { Err(SinkFailed) } else { Ok(()) };
            Ok(future::ready(outcome).boxed())
        }
    }

    #[test]
    fn new_rows_come_after_those_of_a_former_run() {
        let mut outbox = ChangeOutbox::new(vec![row(3), row(7)], vec![4, 8]);
        let now = Timestamp::EPOCH;
        assert_eq!(places(&outbox.place(vec![change(), change()], now)), [9, 10]);
        assert_eq!(places(&outbox.place(vec![change()], now)), [11]);
        let mut first = ChangeOutbox::new(Vec::new(), Vec::new());
        assert_eq!(places(&first.place(vec![change()], now)), [0]);
    }

    #[test]
    fn more_than_the_log_takes_at_once_is_offered_in_pieces_and_in_order() {
        let piece = limits::REGISTRY_OFFER_CHANGES_MAX as u64;
        let mut outbox = ChangeOutbox::new((0..piece * 2 + 1).map(row).collect(), Vec::new());
        let sink = Sink::default();
        outbox.offer_all(&sink);
        let taken = sink.0.lock().unwrap().clone();
        let first: Vec<_> = (0..piece).collect();
        // The first piece was not committed: it comes again, before the others.
        assert_eq!((&taken[0], &taken[1]), (&first, &first));
        assert_eq!(taken[1..].concat(), (0..piece * 2 + 1).collect::<Vec<_>>());
        assert!(outbox.is_in_order());
    }
}
