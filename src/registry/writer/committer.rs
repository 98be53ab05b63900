//! [`Committer`]: makes decided changes durable, recorded and visible.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{clock::Timestamp, limits, vocabulary::Change};

use crate::registry::{
    change_outbox::{ChangeOutbox, ChangeSink, Recorded},
    error::ChangeError,
    expiring::RowKind,
    flag_counts::FlagCounts,
    state::RegistryState,
    store::{Applied, Mutation, Store, Unrecorded},
};

pub(super) struct Committer {
    shared: Arc<RegistryState>,
    pub(super) store: Box<dyn Store>,
    sink: Arc<dyn ChangeSink>,
    outbox: ChangeOutbox,
    /// Durable but not visible: the query log refused its records.
    held: Option<Transaction>,
    /// Perhaps durable: the store failed while committing it.
    in_doubt: Option<(u64, Transaction)>,
    reopen_at: Instant,
    reopen_pause: Duration,
    offer_at: Instant,
}

/// What a batch does.
pub(super) struct Decided {
    pub(super) at: Timestamp,
    pub(super) steps: Vec<Mutation>,
    pub(super) changes: Vec<Change>,
}

impl Decided {
    /// A second proof within a microsecond changes no account, but has its record.
    pub(super) fn is_nothing(&self) -> bool {
        self.steps.is_empty() && self.changes.is_empty()
    }
}

/// A batch on its way into the store.
#[derive(Default)]
struct Transaction {
    steps: Vec<Mutation>,
    rows: Vec<Unrecorded>,
    /// Rows that this batch removes: the query log holds their records.
    removes: Vec<u64>,
    /// The entry of the shared log that this batch is.
    entry: Option<Applied>,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<RegistryState>,
        store: Box<dyn Store>,
        sink: Arc<dyn ChangeSink>,
        outbox: ChangeOutbox,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            store,
            sink,
            outbox,
            held: None,
            in_doubt: None,
            reopen_at: now,
            reopen_pause: limits::REGISTRY_REOPEN_PAUSE,
            offer_at: now,
        }
    }

    /// How long nothing needs to be looked after. None: until the next change.
    pub(super) fn pause(&self) -> Option<Duration> {
        if self.in_doubt.is_some() {
            Some(self.reopen_pause)
        } else if self.held.is_some() || !self.outbox.is_idle() {
            Some(limits::REGISTRY_RECORD_PAUSE)
        } else {
            None
        }
    }

    pub(super) fn maintain(&mut self) {
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
                let _ = self.publish(batch);
            }
        }
    }

    /// Whether the store failed and has not said yet what is durable.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt.is_some()
    }

    /// Whether a batch is durable but not visible.
    pub(super) fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Whether the query log has fallen so far behind that no more may be handed to it.
    pub(super) fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    /// Whether the query log takes records of changes, in their order.
    pub(super) fn takes_records(&self) -> bool {
        self.held.is_none() && self.outbox.is_in_order() && self.sink.is_writable()
    }

    /// The steps of the batch that is durable but not visible.
    pub(super) fn held_steps(&self) -> impl Iterator<Item = &Mutation> {
        self.held.iter().flat_map(|held| &held.steps)
    }

    /// Carries out what is decided: alone, or as the `entry` of the shared log.
    pub(super) fn carry_out(
        &mut self,
        decided: Decided,
        entry: Option<Applied>,
    ) -> Result<Recorded, ChangeError> {
        let Decided { at, mut steps, changes } = decided;
        let rows = self.outbox.place(changes, at);
        steps.extend(rows.iter().cloned().map(Mutation::PutUnrecorded));
        // What one machine changes alone is in no entry: from here on its store is not what the log says.
        let leaves_log = entry.is_none() && self.store.applied() != Applied::NONE;
        let applied = if leaves_log { Some(Applied::NONE) } else { entry };
        steps.extend(applied.map(Mutation::Applied));
        self.commit(Transaction { steps, rows, removes: Vec::new(), entry })
    }

    fn commit(&mut self, mut batch: Transaction) -> Result<Recorded, ChangeError> {
        batch.removes = std::mem::take(&mut self.outbox.confirmed);
        batch.steps.extend(batch.removes.iter().copied().map(Mutation::RemoveUnrecorded));
        let number = self.store.last_batch() + 1;
        if !self.write(number, &batch) {
            self.doubt(number, batch);
            return Err(ChangeError::StoreUnwritable);
        }
        self.reopen_pause = limits::REGISTRY_REOPEN_PAUSE;
        self.shared.show_rows(&mut batch.steps, |kind| kind != RowKind::Flag);
        self.publish(batch).inspect_err(|_| {
            tracing::error!(
                "the log refused change records; changes are held back until it takes them"
            );
            self.offer_at = Instant::now() + limits::REGISTRY_RECORD_PAUSE;
        })
    }

    /// Whether the store took the batch.
    fn write(&mut self, number: u64, batch: &Transaction) -> bool {
        let began = Instant::now();
        let committed = self.store.commit(number, &batch.steps);
        self.shared.commits.observe(began.elapsed());
        self.shared.set_store_writable(committed.is_ok());
        if let Err(error) = &committed {
            tracing::error!(%error, "the registry store failed; changes are refused until it works again");
        }
        committed.is_ok()
    }

    /// Records and shows a durable batch while no lookup decides. Holds the batch if the query log refuses it, or has not taken
    /// earlier records yet.
    fn publish(&mut self, mut batch: Transaction) -> Result<Recorded, ChangeError> {
        if !batch.rows.is_empty() && !self.outbox.is_in_order() {
            self.held = Some(batch);
            return Err(ChangeError::LogUnwritable);
        }
        let of_flags = FlagCounts::causes(&batch.rows);
        let mut index = self.shared.write();
        if let Some(entry) = batch.entry {
            self.sink.not_before(entry.decided_at);
        }
        match self.outbox.hand_over(self.sink.as_ref(), std::mem::take(&mut batch.rows)) {
            Ok(recorded) => {
                self.shared.show_rows(&mut batch.steps, |_| true);
                self.shared.flag_counts.add(&of_flags);
                batch.steps.into_iter().for_each(|step| index.apply(step));
                drop(index);
                if let Some(entry) = batch.entry {
                    self.shared.position.show(entry);
                }
                Ok(recorded)
            }
            Err(rows) => {
                self.held = Some(Transaction { rows, ..batch });
                Err(ChangeError::LogUnwritable)
            }
        }
    }

    fn reopen(&mut self, number: u64, batch: Transaction, now: Instant) {
        match self.store.reopen() {
            Ok(durable) if durable == number => {
                tracing::info!("the registry store works again; the batch in doubt is durable");
                self.shared.set_store_writable(true);
                return self.show_late(batch, now);
            }
            Ok(durable) if durable + 1 == number && batch.entry.is_some() => {
                tracing::info!(
                    "the registry store works again; the entry in doubt is committed again"
                );
                if self.write(number, &batch) {
                    return self.show_late(batch, now);
                }
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

    /// Shows a batch that proved durable: at once if it has no records, else as soon as the query log has all earlier ones.
    fn show_late(&mut self, mut batch: Transaction, now: Instant) {
        self.shared.show_rows(&mut batch.steps, |kind| kind != RowKind::Flag);
        if !batch.rows.is_empty() {
            (self.held, self.offer_at) = (Some(batch), now);
        } else {
            let _ = self.publish(batch);
        }
    }

    /// Keeps a batch in doubt until the next reopening. The pause grows until a commit succeeds: on a full disk the store opens
    /// again, and then fails again.
    fn doubt(&mut self, number: u64, batch: Transaction) {
        self.in_doubt = Some((number, batch));
        self.reopen_at = Instant::now() + self.reopen_pause;
        self.reopen_pause = (self.reopen_pause * 2).min(limits::REGISTRY_REOPEN_PAUSE_MAX);
    }

    /// Removes rows of records that the query log holds, when there is nothing better to do.
    pub(super) fn tidy(&mut self) {
        let has_confirmed = !self.outbox.confirmed.is_empty();
        if has_confirmed && self.in_doubt.is_none() && self.held.is_none() {
            // A failure leaves the batch in doubt like any other. No caller waits for it.
            let _ = self.commit(Transaction::default());
        }
    }
}
