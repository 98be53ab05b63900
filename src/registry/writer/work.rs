//! [`Writer`]: takes commands from the queue, and plans them in batches.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
};

use crate::{clock::Timestamp, limits};

use crate::registry::{
    change_outbox::{ChangeOutbox, ChangeSink},
    error::ChangeError,
    job::{Job, Message, Touched, Touches},
    member::LogMember,
    plan::Plan,
    state::RegistryState,
    store::{Mutation, Reader, Store},
};

use super::{
    committer::{Committer, Decided},
    log_end::LogEnd,
};

pub(in crate::registry) struct Writer {
    pub(super) shared: Arc<RegistryState>,
    queue: Receiver<Message>,
    reader: Arc<dyn Reader>,
    pub(super) committer: Committer,
    /// The shared log, if the registry follows one.
    pub(super) log: Option<LogEnd>,
    /// Commands that come before those of the queue: one that touches what a command of the last batch touched, and those that
    /// are planned again.
    pub(super) ahead: VecDeque<Job>,
    /// Commands that the next batch may have.
    pub(super) batch_max: usize,
}

enum Next {
    Job(Job),
    Pause,
    Closed,
}

impl Writer {
    pub(in crate::registry) fn new(
        shared: Arc<RegistryState>,
        queue: Receiver<Message>,
        store: Box<dyn Store>,
        sink: Arc<dyn ChangeSink>,
        outbox: ChangeOutbox,
        member: Option<LogMember>,
    ) -> Self {
        let reader = store.reader();
        let log = member.map(|member| LogEnd::new(member, store.applied()));
        Self {
            committer: Committer::new(Arc::clone(&shared), store, sink, outbox),
            shared,
            queue,
            reader,
            log,
            ahead: VecDeque::new(),
            batch_max: limits::REGISTRY_COMMIT_CHANGES_MAX,
        }
    }

    /// Works until every sender is gone and the queue is empty.
    pub(in crate::registry) fn run(mut self) {
        loop {
            let next = self.next();
            self.maintain();
            match next {
                // This look at the log found that commands must wait.
                Next::Job(job) if self.must_wait() => self.ahead.push_front(job),
                Next::Job(job) => self.serve(job),
                Next::Pause => self.committer.tidy(),
                Next::Closed => break,
            }
        }
        // Rows that stay because the log has not said yet are looked up there at the next start.
        self.committer.tidy();
    }

    fn next(&mut self) -> Next {
        let log = self.log.as_ref();
        if let Some(pause) = log.and_then(LogEnd::pause_of_commands) {
            // What waits is not refused yet: nearly always the engine answers soon, or the key comes.
            thread::sleep(pause);
            return Next::Pause;
        }
        if let Some(job) = self.ahead.pop_front() {
            return Next::Job(job);
        }
        let pauses = [self.committer.pause(), log.map(LogEnd::pause)];
        let message = match pauses.into_iter().flatten().min() {
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(pause) => self.queue.recv_timeout(pause),
        };
        match message {
            Ok(Message::Job(job)) => Next::Job(job),
            Ok(Message::Nudge) | Err(RecvTimeoutError::Timeout) => Next::Pause,
            Err(RecvTimeoutError::Disconnected) => Next::Closed,
        }
    }

    fn maintain(&mut self) {
        self.committer.maintain();
        if self.log.is_some() {
            self.settle_doubt();
            self.follow();
        }
    }

    fn must_wait(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.pause_of_commands().is_some())
    }

    /// Why a command cannot be carried out now. What needs no record is carried out though the log takes none: a device must not
    /// lapse, and no attempt at a code must go uncounted, because the log's disk is full for long.
    fn refusal(&self, touches: &Touches) -> Option<ChangeError> {
        let committer = &self.committer;
        let is_held = || self.is_held(touches) || self.log.is_some() && committer.is_holding();
        let can_append = self.log.as_ref().is_none_or(LogEnd::can_append);
        let is_member = |log: &LogEnd| log.is_member(&self.shared.rows());
        if committer.is_in_doubt() || !can_append {
            Some(ChangeError::StoreUnwritable)
        } else if !self.log.as_ref().is_none_or(is_member) {
            Some(ChangeError::Held)
        } else if !committer.takes_records() && (!touches.needs_no_record || is_held()) {
            Some(ChangeError::LogUnwritable)
        } else if committer.is_full() {
            Some(ChangeError::Overloaded)
        } else {
            None
        }
    }

    /// When the next batch is decided. None if the last entry of the shared log is too far ahead of this node's clock.
    fn decides_at(&self, touches: &Touches) -> Option<Timestamp> {
        let now = self.shared.clock.now();
        match &self.log {
            None => Some(now),
            Some(log) if touches.is_timeless => Some(log.applied.decided_at.moved(1)),
            Some(log) => log.decides_at(now, &self.shared.position),
        }
    }

    /// Whether the command's account is to be changed by the batch that is durable but not visible.
    fn is_held(&self, touches: &Touches) -> bool {
        if !self.committer.is_holding() {
            return false;
        }
        let account = touches.device.and_then(|device| self.shared.read().account_of(device));
        self.committer.held_steps().any(|step| match step {
            Mutation::PutAccount { account: held, .. } => Some(held.id) == account,
            Mutation::RemoveAccount { id, .. } | Mutation::CheckIn { account: id, .. } => {
                Some(*id) == account
            }
            _ => false,
        })
    }

    fn serve(&mut self, first: Job) {
        if let Some(refusal) = self.refusal(&first.touches) {
            return first.refuse(refusal);
        }
        let Some(at) = self.decides_at(&first.touches) else {
            return first.refuse(ChangeError::Held);
        };
        let (jobs, plan) = self.gather(first, at);
        let decided = self.decide(plan);
        if decided.is_nothing() {
            return jobs.into_iter().for_each(|job| job.answer(Ok(None)));
        }
        if self.log.is_some() {
            return self.append(jobs, decided);
        }
        let outcome = self.committer.carry_out(decided, None);
        jobs.into_iter().for_each(|job| job.answer(outcome.clone()));
    }

    /// Takes waiting commands, up to the first that touches what another of them touches. They are decided `at` that instant.
    fn gather(&mut self, first: Job, at: Timestamp) -> (Vec<Job>, Plan) {
        let mut plan = Plan::new(Arc::clone(&self.shared), Arc::clone(&self.reader));
        plan.takes_records = self.committer.takes_records();
        plan.now = at;
        let jobs_max = std::mem::replace(&mut self.batch_max, limits::REGISTRY_COMMIT_CHANGES_MAX);
        let (mut touched, mut jobs) = (Touched::default(), Vec::new());
        let mut next = Some(first);
        while let Some(mut job) = next {
            let may_join = plan.takes_records || job.touches.needs_no_record;
            if !may_join || !touched.add(&job.touches, &self.shared.read()) {
                self.ahead.push_front(job);
                break;
            }
            job.plan(&mut plan);
            jobs.push(job);
            let has_room =
                jobs.len() < jobs_max && plan.changes.len() < limits::REGISTRY_COMMIT_CHANGES_MAX;
            next = if has_room { self.waiting() } else { None };
        }
        (jobs, plan)
    }

    fn waiting(&mut self) -> Option<Job> {
        if let Some(job) = self.ahead.pop_front() {
            return Some(job);
        }
        loop {
            match self.queue.try_recv() {
                Ok(Message::Job(job)) => return Some(job),
                Ok(Message::Nudge) => {}
                Err(_) => return None,
            }
        }
    }

    fn decide(&self, plan: Plan) -> Decided {
        let at = plan.now;
        let (mut steps, changes) = plan.into_steps();
        if !steps.is_empty() || !changes.is_empty() {
            // Before the batch's own steps, which may put such a row anew.
            let ended = self.shared.ended_rows(at, limits::REGISTRY_COMMIT_ENDED_ROWS_MAX);
            steps.splice(0..0, ended.into_iter().map(Mutation::RemoveRow));
        }
        Decided { at, steps, changes }
    }
}
