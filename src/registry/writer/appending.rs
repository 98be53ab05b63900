//! Appending to the shared log.
//!
//! A batch is planned on what this node has applied, and appended as the entry behind that. Nothing is shown or stored before the
//! log answers:
//!
//! - *Mine*: the entry is carried out.
//! - *Taken*: if the entry at that place is this one, an earlier call had appended it, and it is carried out. Else the winner's
//!   entry is applied, and all commands are planned again, those that were refused, too.
//! - No answer: the entry is in doubt. Nothing else is planned, and the same bytes are sent until it is known. The place can be given
//!   only once, so a late arrival of the same bytes changes nothing. A node that dies meanwhile applies the entry after its
//!   restart, if the log has it.

use std::time::Instant;

use crate::{
    limits,
    registry::{error::ChangeError, job::Job, member::LogStop, store::Applied},
    shared_log::{Appended, EngineError, Entry, Head},
};

use super::{committer::Decided, log_end::Doubt, work::Writer};

impl Writer {
    /// Appends what is decided, and answers the commands once it is known what became of it.
    pub(super) fn append(&mut self, jobs: Vec<Job>, mut decided: Decided) {
        let Some(log) = &self.log else { return };
        match log.seal(&mut decided) {
            Ok(bytes) => self.send(Doubt::new(bytes, decided, jobs)),
            Err(_) => self.split(jobs),
        }
    }

    /// Sends an entry that got no answer again.
    pub(super) fn settle_doubt(&mut self) {
        let Some(log) = &mut self.log else { return };
        let Some(mut doubt) = log.doubt.take() else { return };
        // The store may have failed since, at some other commit.
        let is_free = !self.committer.is_in_doubt() && !self.committer.is_holding();
        let now = Instant::now();
        if doubt.again_at <= now && is_free {
            return self.send(doubt);
        }
        if doubt.again_at <= now {
            doubt.again_at = now + limits::REGISTRY_LOG_RETRY_PAUSE;
        }
        doubt.answer_late();
        log.doubt = Some(doubt);
    }

    fn send(&mut self, doubt: Doubt) {
        let Some(log) = &self.log else { return };
        match log.append(&doubt.bytes) {
            Ok(Appended::Mine) => self.win(doubt),
            Ok(Appended::Taken(head)) => self.lose(doubt, head),
            Err(error) => self.unanswered(doubt, &error),
        }
    }

    fn unanswered(&mut self, doubt: Doubt, error: &EngineError) {
        match (LogStop::of(error), error) {
            (Some(why), _) => self.stop_with(doubt, why),
            (None, EngineError::Refused(_)) if !doubt.is_open => {
                tracing::error!(%error, "the shared log refused an entry");
                refuse(doubt.jobs, ChangeError::StoreUnwritable);
            }
            _ => self.keep(doubt, error),
        }
    }

    /// The log has the entry.
    fn win(&mut self, doubt: Doubt) {
        let Some(log) = &mut self.log else { return };
        let head = log.applied.head.after(&doubt.bytes);
        let entry = Applied { head, decided_at: doubt.decided.at };
        log.advance(entry);
        let outcome = self.committer.carry_out(doubt.decided, Some(entry));
        doubt.jobs.into_iter().for_each(|job| job.answer(outcome.clone()));
    }

    /// The log's head is another than expected.
    fn lose(&mut self, doubt: Doubt, head: Head) {
        let Some(log) = &self.log else { return };
        if head.place <= log.applied.head.place {
            return self.stop_with(doubt, LogStop::Diverged);
        }
        // Perhaps the first of them is this one.
        match log.read().as_deref() {
            Ok([]) => self.keep(doubt, &too_old()),
            Ok([Entry { bytes, .. }, ..]) if *bytes == doubt.bytes => self.win(doubt),
            Ok(entries) => {
                self.apply_all(entries);
                self.plan_again(doubt.jobs);
            }
            Err(error) => match LogStop::of(error) {
                Some(why) => self.stop_with(doubt, why),
                None => self.keep(doubt, error),
            },
        }
    }

    /// Commands that lost the race for a place come before all others.
    fn plan_again(&mut self, jobs: Vec<Job>) {
        self.shared.position.count_lost_race();
        for mut job in jobs.into_iter().rev() {
            job.lost_races += 1;
            if job.lost_races >= limits::REGISTRY_LOST_RACES_MAX {
                job.refuse(ChangeError::Overloaded);
            } else {
                self.ahead.push_front(job);
            }
        }
    }

    /// Halves a batch that is too large for one entry.
    fn split(&mut self, mut jobs: Vec<Job>) {
        match jobs.pop() {
            Some(job) if jobs.is_empty() => job.answer(Err(ChangeError::TooLarge)),
            Some(job) => {
                self.batch_max = jobs.len().div_ceil(2);
                self.ahead.push_front(job);
                jobs.into_iter().rev().for_each(|job| self.ahead.push_front(job));
            }
            None => {}
        }
    }

    fn keep(&mut self, mut doubt: Doubt, error: &EngineError) {
        let Some(log) = &mut self.log else { return };
        if log.complaints.is_due(Instant::now()) {
            tracing::warn!(%error, "the shared log does not say whether it has an entry; changes are refused until it does");
        }
        doubt.is_open = true;
        doubt.again_at = Instant::now() + limits::REGISTRY_LOG_RETRY_PAUSE;
        // An engine that refuses this node does so for long.
        if matches!(error, EngineError::Refused(_)) {
            refuse(std::mem::take(&mut doubt.jobs), ChangeError::StoreUnwritable);
        }
        doubt.answer_late();
        log.doubt = Some(doubt);
    }

    /// Nothing more can be appended. The log may have the entry or not; nobody is told that it has.
    fn stop_with(&mut self, doubt: Doubt, why: LogStop) {
        refuse(doubt.jobs, ChangeError::StoreUnwritable);
        self.stop(why);
    }
}

/// A read of the engine may be as it was a moment ago.
fn too_old() -> EngineError {
    EngineError::Unknown("its entries are older than its head".to_owned())
}

fn refuse(jobs: Vec<Job>, error: ChangeError) {
    jobs.into_iter().for_each(|job| job.answer(Err(error)));
}
