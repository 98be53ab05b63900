//! The writer: the one thread that changes the registry.
//!
//! It gathers waiting commands that touch different accounts and handles into a batch. For each batch, in this order, it
//!
//! 1. plans every command against the index and the stored accounts, which nobody else changes meanwhile;
//! 2. commits all steps in one durable transaction, with a row for each change record (see
//!    [`change_outbox`](super::change_outbox));
//! 3. takes the gate, which no lookup then holds, hands the records to the log's buffer and makes the steps visible;
//! 4. answers the callers, who then wait for the log's own commit.
//!
//! What a crash leaves: before 2 nothing; after 2 a durable change that was not acknowledged, which the restart shows and
//! records; after 3 the same, unless the log committed the record.
//!
//! A store that fails is opened again with growing pauses. What is then durable decides whether the batch in doubt took
//! effect. If the log refuses records, the batch stays invisible until the log takes them: the log's order is the order in
//! which changes became visible. Meanwhile all other changes are refused but check-ins and changes of expiring rows, which
//! need no record. These rows become visible as soon as they are durable: a later commit, which may not wait for the log,
//! must see them.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use crate::limits;

use super::{
    change_outbox::{ChangeOutbox, ChangeSink, Recorded},
    error::ChangeError,
    expiring::RowKind,
    flag_counts::FlagCounts,
    job::{Job, Touched, Touches},
    plan::Plan,
    state::RegistryState,
    store::{Mutation, Reader, Store, Unrecorded},
};

pub(super) struct Writer {
    shared: Arc<RegistryState>,
    queue: Receiver<Job>,
    store: Box<dyn Store>,
    reader: Arc<dyn Reader>,
    sink: Arc<dyn ChangeSink>,
    outbox: ChangeOutbox,
    /// It touches what a command of the last batch touched, so it opens the next batch.
    carried: Option<Job>,
    /// Durable but not visible: the log refused its records.
    held: Option<Transaction>,
    /// Perhaps durable: the store failed while committing it.
    in_doubt: Option<(u64, Transaction)>,
    reopen_at: Instant,
    reopen_pause: Duration,
    offer_at: Instant,
}

/// What a planned batch does.
#[derive(Default)]
struct Transaction {
    steps: Vec<Mutation>,
    rows: Vec<Unrecorded>,
    /// Rows that this batch removes: the log holds their records.
    removes: Vec<u64>,
}

enum Next {
    Job(Job),
    Pause,
    Closed,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<RegistryState>,
        queue: Receiver<Job>,
        store: Box<dyn Store>,
        sink: Arc<dyn ChangeSink>,
        outbox: ChangeOutbox,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            queue,
            reader: store.reader(),
            store,
            sink,
            outbox,
            carried: None,
            held: None,
            in_doubt: None,
            reopen_at: now,
            reopen_pause: limits::REGISTRY_REOPEN_PAUSE,
            offer_at: now,
        }
    }

    /// Works until every sender is gone and the queue is empty.
    pub(super) fn run(mut self) {
        loop {
            let next = self.next();
            self.maintain();
            match next {
                Next::Job(job) => self.serve(job),
                Next::Pause => self.tidy(),
                Next::Closed => break,
            }
        }
        // Rows that stay because the log has not said yet are looked up there at the next start.
        self.tidy();
    }

    fn next(&mut self) -> Next {
        if let Some(job) = self.carried.take() {
            return Next::Job(job);
        }
        let is_idle = self.outbox.is_idle() && self.held.is_none() && self.in_doubt.is_none();
        if is_idle {
            return self.queue.recv().map_or(Next::Closed, Next::Job);
        }
        let pause =
            if self.in_doubt.is_some() { self.reopen_pause } else { limits::REGISTRY_RECORD_PAUSE };
        match self.queue.recv_timeout(pause) {
            Ok(job) => Next::Job(job),
            Err(RecvTimeoutError::Timeout) => Next::Pause,
            Err(RecvTimeoutError::Disconnected) => Next::Closed,
        }
    }

    fn maintain(&mut self) {
        let now = Instant::now();
        if self.reopen_at <= now
            && let Some((number, batch)) = self.in_doubt.take()
        {
            self.reopen(number, batch, now);
        }
        self.outbox.confirm();
        if self.offer_at <= now && (self.held.is_some() || !self.outbox.is_in_order()) {
            self.offer_at = now + limits::REGISTRY_RECORD_PAUSE;
            self.outbox.offer_owed(self.sink.as_ref());
            if self.outbox.is_in_order()
                && let Some(batch) = self.held.take()
            {
                self.held = self.publish(batch).err();
            }
        }
    }

    /// Whether the log takes records of changes, in their order.
    fn takes_records(&self) -> bool {
        self.held.is_none() && self.outbox.is_in_order() && self.sink.is_writable()
    }

    /// Why a command cannot be carried out now. What needs no record is carried out though the log takes none: a device must not
    /// lapse, and no attempt at a code must go uncounted, because the log's disk is full for long.
    fn refusal(&self, touches: &Touches) -> Option<ChangeError> {
        if self.in_doubt.is_some() {
            Some(ChangeError::StoreUnwritable)
        } else if !self.takes_records() && (!touches.needs_no_record || self.is_held(touches)) {
            Some(ChangeError::LogUnwritable)
        } else if self.outbox.is_full() {
            Some(ChangeError::Overloaded)
        } else {
            None
        }
    }

    /// Whether the command's account is to be changed by the batch that is durable but not visible.
    fn is_held(&self, touches: &Touches) -> bool {
        let Some(held) = &self.held else { return false };
        let account = touches.device.and_then(|device| self.shared.read().account_of(device));
        held.steps.iter().any(|step| match step {
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
        let (jobs, plan) = self.gather(first);
        let outcome = self.carry_out(plan);
        jobs.into_iter().for_each(|job| job.answer(outcome.clone()));
    }

    /// Takes waiting commands, up to the first that touches what another of them touches.
    fn gather(&mut self, first: Job) -> (Vec<Job>, Plan) {
        let mut plan = Plan::new(Arc::clone(&self.shared), Arc::clone(&self.reader));
        plan.takes_records = self.takes_records();
        let (mut touched, mut jobs) = (Touched::default(), Vec::new());
        let mut next = Some(first);
        while let Some(mut job) = next {
            let may_join = plan.takes_records || job.touches.needs_no_record;
            if !may_join || !touched.add(&job.touches, &self.shared.read()) {
                self.carried = Some(job);
                break;
            }
            job.plan(&mut plan);
            jobs.push(job);
            let has_room = jobs.len() < limits::REGISTRY_COMMIT_CHANGES_MAX
                && plan.changes.len() < limits::REGISTRY_COMMIT_CHANGES_MAX;
            next = if has_room { self.queue.try_recv().ok() } else { None };
        }
        (jobs, plan)
    }

    fn carry_out(&mut self, plan: Plan) -> Result<Recorded, ChangeError> {
        let decided_at = plan.now;
        let (mut steps, changes) = plan.into_steps();
        // A second proof within a microsecond changes no account, but has its record.
        if steps.is_empty() && changes.is_empty() {
            return Ok(None);
        }
        // Before the batch's own steps, which may put such a row anew.
        let ended = self.shared.ended_rows(decided_at, limits::REGISTRY_COMMIT_ENDED_ROWS_MAX);
        steps.splice(0..0, ended.into_iter().map(Mutation::RemoveRow));
        let rows = self.outbox.place(changes, decided_at);
        steps.extend(rows.iter().cloned().map(Mutation::PutUnrecorded));
        self.commit(Transaction { steps, rows, removes: Vec::new() })
    }

    fn commit(&mut self, mut batch: Transaction) -> Result<Recorded, ChangeError> {
        batch.removes = std::mem::take(&mut self.outbox.confirmed);
        batch.steps.extend(batch.removes.iter().copied().map(Mutation::RemoveUnrecorded));
        let number = self.store.last_batch() + 1;
        let began = Instant::now();
        let committed = self.store.commit(number, &batch.steps);
        self.shared.commits.observe(began.elapsed());
        self.shared.set_store_writable(committed.is_ok());
        if let Err(error) = committed {
            tracing::error!(%error, "the registry store failed; changes are refused until it works again");
            self.doubt(number, batch);
            return Err(ChangeError::StoreUnwritable);
        }
        self.reopen_pause = limits::REGISTRY_REOPEN_PAUSE;
        self.shared.show_rows(&mut batch.steps, |kind| kind != RowKind::Flag);
        self.publish(batch).map_err(|batch| {
            tracing::error!(
                "the log refused change records; changes are held back until it takes them"
            );
            self.held = Some(batch);
            self.offer_at = Instant::now() + limits::REGISTRY_RECORD_PAUSE;
            ChangeError::LogUnwritable
        })
    }

    /// Records and shows a durable batch while no lookup decides. Gives the batch back if the log refuses it.
    fn publish(&mut self, mut batch: Transaction) -> Result<Recorded, Transaction> {
        let is_next = batch.rows.is_empty() || self.outbox.is_in_order();
        assert!(is_next, "the log takes earlier records first");
        let of_flags = FlagCounts::causes(&batch.rows);
        let mut index = self.shared.write();
        match self.outbox.hand_over(self.sink.as_ref(), std::mem::take(&mut batch.rows)) {
            Ok(recorded) => {
                self.shared.show_rows(&mut batch.steps, |_| true);
                self.shared.flag_counts.add(&of_flags);
                batch.steps.into_iter().for_each(|step| index.apply(step));
                Ok(recorded)
            }
            Err(rows) => Err(Transaction { rows, ..batch }),
        }
    }

    fn reopen(&mut self, number: u64, mut batch: Transaction, now: Instant) {
        match self.store.reopen() {
            Ok(durable) if durable == number => {
                tracing::info!("the registry store works again; the batch in doubt is durable");
                self.shared.set_store_writable(true);
                self.shared.show_rows(&mut batch.steps, |kind| kind != RowKind::Flag);
                // One without records is shown at once, others as soon as the log has all earlier records.
                if !batch.rows.is_empty() {
                    (self.held, self.offer_at) = (Some(batch), now);
                } else if let Err(batch) = self.publish(batch) {
                    self.held = Some(batch);
                }
                return;
            }
            Ok(durable) if durable + 1 == number => {
                tracing::info!("the registry store works again; the batch in doubt is lost");
                self.outbox.confirmed.extend(batch.removes);
                return;
            }
            // Another process wrote while the file was not locked: index and store differ.
            Ok(_) => {
                tracing::error!("another process changed the registry store; restart to read it")
            }
            Err(error) => tracing::warn!(%error, "the registry store still fails"),
        }
        self.doubt(number, batch);
    }

    /// Keeps a batch in doubt until the next reopening. The pause grows until a commit succeeds: on a full disk the store opens
    /// again, and then fails again.
    fn doubt(&mut self, number: u64, batch: Transaction) {
        self.in_doubt = Some((number, batch));
        self.reopen_at = Instant::now() + self.reopen_pause;
        self.reopen_pause = (self.reopen_pause * 2).min(limits::REGISTRY_REOPEN_PAUSE_MAX);
    }

    /// Removes rows of records that the log holds, when there is nothing better to do.
    fn tidy(&mut self) {
        let has_confirmed = !self.outbox.confirmed.is_empty();
        if has_confirmed && self.in_doubt.is_none() && self.held.is_none() {
            // A failure leaves the batch in doubt like any other. No caller waits for it.
            let _ = self.commit(Transaction::default());
        }
    }
}
