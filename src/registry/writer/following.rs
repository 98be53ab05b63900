//! Applying what other nodes appended to the shared log, entry by entry in their order.
//!
//! A nudge says that there is something to read. A poll each second stands behind nudges. Each entry must follow the last one by
//! place and hash, and must fit the index: what does not stops the node, which repairs nothing itself.
//!
//! One that no member wrote counts as a place and changes nothing, and so does one under a key that no member uses any more, or that was never
//! made. A node that was removed may reach etcd still, and must neither change the registry nor end the others. A member that names a key
//! which the others have destroyed must not end them either: they would take the state of whoever has it. Both are found in the rows as the
//! entry before left them, so all nodes skip the same entries.

use std::time::Instant;

use crate::{
    registry::{
        entry::{self, EntryError},
        index::Index,
        member::LogStop,
        store::{Applied, Mutation},
    },
    shared_log::{Entry, Head},
};

use super::{committer::Decided, work::Writer};

impl Writer {
    /// Applies what the log has, if it is time to ask.
    pub(super) fn follow(&mut self) {
        let is_free = self.committer_is_free();
        let Some(log) = &mut self.log else { return };
        // Also if nothing is read now: the writer waits until the next poll.
        let is_ahead = self.shared.position.is_nudged_beyond(log.applied.head.place);
        if log.is_poll_due(is_ahead) && is_free && log.can_follow() {
            // A stop does not wait until this node has caught up: another one may append without end.
            while self.follow_page() && !self.shared.is_closing() {}
        }
    }

    /// Applies a page of entries. True if there are more.
    fn follow_page(&mut self) -> bool {
        let Some(log) = &mut self.log else { return false };
        let read = log.head().and_then(|head| match head == log.applied.head {
            true => Ok((head, Vec::new())),
            false => Ok((head, log.read()?)),
        });
        match read {
            Ok((head, _)) if head == log.applied.head => false,
            Ok((head, _)) if head.place <= log.applied.head.place => {
                self.stop(LogStop::Diverged);
                false
            }
            Ok((head, entries)) => {
                self.apply_all(&entries) && self.is_before(head) && !entries.is_empty()
            }
            Err(error) => {
                match LogStop::of(&error) {
                    Some(why) => self.stop(why),
                    None if log.complaints.is_due(Instant::now()) => {
                        tracing::warn!(%error, "the shared log cannot be read");
                    }
                    None => {}
                }
                false
            }
        }
    }

    fn is_before(&self, head: Head) -> bool {
        self.log.as_ref().is_some_and(|log| log.applied.head.place < head.place)
    }

    /// Whether another entry can be carried out.
    fn committer_is_free(&self) -> bool {
        let committer = &self.committer;
        !committer.is_in_doubt() && !committer.is_holding() && !committer.is_full()
    }

    /// Applies the entries behind the last one. False if it did not come to the last of them.
    pub(super) fn apply_all(&mut self, entries: &[Entry]) -> bool {
        for entry in entries {
            if !self.committer_is_free() {
                return false;
            }
            match self.apply(&entry.bytes) {
                Ok(()) => {}
                Err(error @ EntryError::KeyMissing(key)) if !self.is_key_gone(key) => {
                    self.wait_for_key(error);
                    return false;
                }
                Err(error) => {
                    self.stop(error.into());
                    return false;
                }
            }
        }
        true
    }

    fn is_key_gone(&self, key: u32) -> bool {
        let now = self.shared.clock.now();
        self.log.as_ref().is_some_and(|log| log.is_key_gone(key, &self.shared.rows(), now))
    }

    fn wait_for_key(&mut self, error: EntryError) {
        let Some(log) = &mut self.log else { return };
        log.lacks_key();
        if log.key_complaints.is_due(Instant::now()) {
            tracing::warn!(%error, "it is looked for again, and changes wait for it");
        }
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<(), EntryError> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let opened = log.open(bytes, &self.shared.rows());
        if let Err(error @ (EntryError::Stranger | EntryError::KeyVoid(_))) = opened {
            self.skip(bytes, error);
            return Ok(());
        }
        let entry::Entry { decided_at, steps, changes, .. } = opened?;
        let index = self.shared.read();
        if !steps.iter().all(|step| fits(&index, step)) {
            return Err(EntryError::Misfit);
        }
        drop(index);
        self.carry_out(bytes, Decided { at: decided_at, steps, changes });
        Ok(())
    }

    /// Takes an entry for one without steps. Its time is not believed either: it may be far ahead.
    fn skip(&mut self, bytes: &[u8], why: EntryError) {
        let Some(log) = &mut self.log else { return };
        if log.complaints.is_due(Instant::now()) {
            let place = log.applied.head.place + 1;
            tracing::error!(error = %why, place, "it changes nothing. Who else reaches etcd?");
        }
        let at = log.applied.decided_at;
        self.carry_out(bytes, Decided { at, steps: Vec::new(), changes: Vec::new() });
    }

    fn carry_out(&mut self, bytes: &[u8], decided: Decided) {
        let Some(log) = &mut self.log else { return };
        let entry = Applied { head: log.applied.head.after(bytes), decided_at: decided.at };
        log.advance(entry);
        // A failure is the committer's: it carries the entry out as soon as it can.
        let _ = self.committer.carry_out(decided, Some(entry));
    }

    /// From here on the node neither applies nor appends entries.
    pub(super) fn stop(&mut self, why: LogStop) {
        let Some(log) = &mut self.log else { return };
        tracing::error!(error = %why, place = log.applied.head.place, "the registry follows the shared log no further");
        log.stopped = Some(why);
        self.shared.position.stop(why);
    }
}

/// Whether the index has what the step changes.
fn fits(index: &Index, step: &Mutation) -> bool {
    match step {
        Mutation::PutAccount { account, known_by: Some(device) } => {
            index.account_of(*device) == Some(account.id)
        }
        Mutation::PutAccount { account, known_by: None } => {
            account.devices.iter().all(|device| index.account_of(device.id).is_none())
        }
        Mutation::RemoveAccount { id, known_by } => index.account_of(*known_by) == Some(*id),
        Mutation::CheckIn { account, device, .. } => index.account_of(*device) == Some(*account),
        _ => true,
    }
}
