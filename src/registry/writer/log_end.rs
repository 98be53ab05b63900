//! [`LogEnd`]: this node's end of the shared log.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::{
    clock::Timestamp,
    limits,
    registry::{
        entry::{self, EntryError, NodeId, NodePublicKey},
        error::ChangeError,
        expiring::{ExpiringRows, RowKind},
        job::Job,
        member::{LogMember, LogStop, Position, is_ahead},
        store::Applied,
    },
    shared_log::{Appended, EngineError, Entry, Head},
};

use super::committer::Decided;

pub(super) struct LogEnd {
    member: LogMember,
    /// The last entry that this node has applied, or has begun to apply.
    pub(super) applied: Applied,
    /// An entry of this node that the log may have, or not.
    pub(super) doubt: Option<Doubt>,
    /// Why nothing more can be applied or appended.
    pub(super) stopped: Option<LogStop>,
    /// Since when the next entry waits for its key.
    lacks_key_since: Option<Instant>,
    poll_at: Instant,
    /// Of an engine that does not do what it is asked for.
    pub(super) complaints: Pace,
    /// Of a key that is missing.
    pub(super) key_complaints: Pace,
}

/// When to log again what goes on.
#[derive(Default)]
pub(super) struct Pace(Option<Instant>);

impl Pace {
    /// Whether it is to be logged `now`. Then it is not for a while.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|next| next <= now);
        if is_due {
            self.0 = Some(now + limits::REGISTRY_LOG_COMPLAINT_PAUSE);
        }
        is_due
    }
}

/// An entry that was sent to the log.
pub(super) struct Doubt {
    pub(super) bytes: Vec<u8>,
    pub(super) decided: Decided,
    /// Those who wait for it. None once they were told that it is not known.
    pub(super) jobs: Vec<Job>,
    since: Instant,
    pub(super) again_at: Instant,
    /// Whether a call ended without an answer.
    pub(super) is_open: bool,
}

impl Doubt {
    pub(super) fn new(bytes: Vec<u8>, decided: Decided, jobs: Vec<Job>) -> Self {
        let now = Instant::now();
        Self { bytes, decided, jobs, since: now, again_at: now, is_open: false }
    }

    /// Tells those who have waited for long that it is not known.
    pub(super) fn answer_late(&mut self) {
        if self.since.elapsed() >= limits::REGISTRY_LOG_DOUBT_PATIENCE {
            let waiting = self.jobs.drain(..);
            waiting.for_each(|job| job.answer(Err(ChangeError::StoreUnwritable)));
        }
    }
}

impl LogEnd {
    pub(super) fn new(member: LogMember, applied: Applied) -> Self {
        let poll_at = Instant::now();
        Self {
            member,
            applied,
            doubt: None,
            stopped: None,
            lacks_key_since: None,
            poll_at,
            complaints: Pace::default(),
            key_complaints: Pace::default(),
        }
    }

    /// How long commands wait, because an entry is sent again or the next one's key is looked for again soon. None if they are carried
    /// out or refused.
    pub(super) fn pause_of_commands(&self) -> Option<Duration> {
        let again_at = match &self.doubt {
            Some(doubt) => (!doubt.jobs.is_empty()).then_some(doubt.again_at),
            None => (self.stopped.is_none() && self.awaits_key()).then_some(self.poll_at),
        };
        Some(again_at?.saturating_duration_since(Instant::now()))
    }

    /// Whether the next entry's key is missing, but not for long yet: it comes by an entry before, and must be stored first.
    fn awaits_key(&self) -> bool {
        self.lacks_key_since
            .is_some_and(|since| since.elapsed() < limits::REGISTRY_LOG_DOUBT_PATIENCE)
    }

    /// Notes that the next entry's key is missing.
    pub(super) fn lacks_key(&mut self) {
        let now = Instant::now();
        self.lacks_key_since.get_or_insert(now);
        if self.awaits_key() {
            self.poll_at = now + limits::REGISTRY_LOG_RETRY_PAUSE;
        }
    }

    /// Notes which entry was applied last.
    pub(super) fn advance(&mut self, applied: Applied) {
        (self.applied, self.lacks_key_since) = (applied, None);
    }

    /// How long nothing needs to be asked of the log.
    pub(super) fn pause(&self) -> Duration {
        let at = self.doubt.as_ref().map_or(self.poll_at, |doubt| doubt.again_at);
        at.saturating_duration_since(Instant::now())
    }

    /// Whether entries of others can be applied.
    pub(super) fn can_follow(&self) -> bool {
        self.doubt.is_none() && self.stopped.is_none()
    }

    /// Whether an entry of this node may become the next one.
    pub(super) fn can_append(&self) -> bool {
        self.can_follow() && self.lacks_key_since.is_none()
    }

    /// Whether it is time to ask the log for entries of others: each second, and at once if it `is_ahead`, unless a key is missing.
    pub(super) fn is_poll_due(&mut self, is_ahead: bool) -> bool {
        let now = Instant::now();
        let is_due = self.poll_at <= now;
        if is_due {
            self.poll_at = now + limits::REGISTRY_LOG_POLL;
        }
        is_due || is_ahead && self.lacks_key_since.is_none()
    }

    /// When the next entry is decided, at `now` by this node's clock: later than the last one. None if that is too far in the future,
    /// unless an operator said that this node's clock is right.
    pub(super) fn decides_at(&self, now: Timestamp, position: &Position) -> Option<Timestamp> {
        let Applied { head, decided_at } = self.applied;
        match is_ahead(decided_at, now) {
            false => Some(now.max(decided_at.moved(1))),
            true => position.is_distrusted(head.place).then_some(now),
        }
    }

    /// The bytes of the entry behind the last one.
    pub(super) fn seal(&self, decided: &mut Decided) -> Result<Vec<u8>, entry::EntryError> {
        let LogMember { cluster, node, key, keys, format, .. } = &self.member;
        let entry = entry::Entry {
            node: *node,
            decided_at: decided.at,
            steps: std::mem::take(&mut decided.steps),
            changes: std::mem::take(&mut decided.changes),
        };
        let sealed = entry.seal(*format, *cluster, self.applied.head, &keys.newest(), key);
        (decided.steps, decided.changes) = (entry.steps, entry.changes);
        sealed
    }

    /// Opens the entry behind the last one. `rows` are as that one left them: so every node finds the same members in them.
    pub(super) fn open(
        &self,
        bytes: &[u8],
        rows: &ExpiringRows,
    ) -> Result<entry::Entry, entry::EntryError> {
        let LogMember { cluster, keys, .. } = &self.member;
        let author = |node| self.author(node, rows);
        let opened = entry::Entry::open(bytes, *cluster, self.applied.head, keys.as_ref(), author);
        let is_of_member = !matches!(
            opened,
            Err(EntryError::Stranger
                | EntryError::OtherCluster
                | EntryError::NotNext(_)
                | EntryError::FormatUnknown(_))
        );
        // Whether this node has the key or not: all nodes must do the same.
        let void = entry::key_of(bytes).filter(|key| is_of_member && self.is_void(*key, rows));
        void.map_or(opened, |key| Err(EntryError::KeyVoid(key)))
    }

    fn is_void(&self, key: u32, rows: &ExpiringRows) -> bool {
        let mut members = rows.each(RowKind::Member).map(|(_, row)| &*row.value);
        let keys = rows.each(RowKind::EntryKey);
        self.member.keys.is_void(key, &mut members, &mut keys.map(|(key, row)| (key, &*row.value)))
    }

    fn author(&self, node: NodeId, rows: &ExpiringRows) -> Option<NodePublicKey> {
        (self.member.authors)(node, &mut rows.each(RowKind::Member).map(|(_, row)| &*row.value))
    }

    /// Whether this node is a member, by the rows as the last entry left them. The others skip its entries if it is not.
    pub(super) fn is_member(&self, rows: &ExpiringRows) -> bool {
        self.author(self.member.node, rows).is_some()
    }

    /// Whether the key with this number is missing and never comes.
    pub(super) fn is_key_gone(&self, key: u32, rows: &ExpiringRows, now: Timestamp) -> bool {
        let rows = rows.each(RowKind::EntryKey);
        self.member.keys.is_gone(key, &mut rows.map(|(key, row)| (key, &*row.value)), now)
    }

    /// Appends an entry behind the last one.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<Appended, EngineError> {
        self.wait(self.member.log.append(self.applied.head, bytes))
    }

    pub(super) fn head(&self) -> Result<Head, EngineError> {
        self.wait(self.member.log.head())
    }

    /// Entries behind the last one, as many as a page holds.
    pub(super) fn read(&self) -> Result<Vec<Entry>, EngineError> {
        let first = self.applied.head.place + 1;
        self.wait(self.member.log.read(first, limits::REGISTRY_LOG_READ_BYTES))
    }

    /// Blocks until the engine answers, but not for longer than a call may take.
    fn wait<T>(
        &self,
        call: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let timed = async { tokio::time::timeout(limits::REGISTRY_LOG_CALL_PATIENCE, call).await };
        let late = || EngineError::Unknown("the call takes too long".to_owned());
        self.member.runtime.block_on(timed).unwrap_or_else(|_| Err(late()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_logged_once_in_a_while() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let pause = limits::REGISTRY_LOG_COMPLAINT_PAUSE;
        let mut due_after = |span| pace.is_due(start + span);
        let first = [Duration::ZERO, Duration::ZERO, pause / 2].map(&mut due_after);
        assert_eq!(first, [true, false, false]);
        assert_eq!([pause, pause, pause * 3 / 2].map(&mut due_after), [true, false, false]);
    }
}
