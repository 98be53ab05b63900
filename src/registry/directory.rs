//! [`Registry`]: its life from open to close.

use std::{
    collections::HashSet,
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::Ordering,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use tokio::time::{Instant, timeout_at};

use crate::{
    clock::SharedClock,
    ids::{AccountId, ChangeId},
    limits,
    metrics::Histogram,
    shared_log::Head,
};

use super::{
    change_outbox::{ChangeOutbox, ChangeSink},
    config::Config,
    error::{ChangeError, OpenError},
    expiring::RowKind,
    job::{Job, Message, Touches},
    lease_offset::LeaseOffsets,
    member::LogMember,
    plan::Plan,
    state::RegistryState,
    store::{CopyFor, Mutation, Reader, RedbStore, Store, StoreError, Unrecorded},
    subject::{Subject, SubjectKey},
    totals::Totals,
    writer::Writer,
};

/// The directory: which account holds which handle, on which devices, and until when.
///
/// Opened, then loaded, then started; readable once loaded, changeable once started. Dropping it closes it.
pub struct Registry {
    pub(super) shared: Arc<RegistryState>,
    pub(super) reader: Arc<dyn Reader>,
    subject_key: SubjectKey,
    pub(super) lease_offsets: LeaseOffsets,
    pub(super) stage: Mutex<Stage>,
    pub(super) member: Option<LogMember>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

pub(super) enum Stage {
    Opened(Box<dyn Store>),
    Loading,
    Loaded(Box<dyn Store>, Vec<Unrecorded>),
    Started(SyncSender<Message>),
    Closed,
}

impl Registry {
    /// Opens the store in `dir` and makes it if there is none. Nothing is loaded yet.
    ///
    /// Operators and members are visible at once: somebody must be able to see how the service does while it loads.
    pub fn open(dir: &Path, config: Config, clock: SharedClock) -> Result<Self, StoreError> {
        let store = RedbStore::open(dir, clock.now())?;
        let mut rows = store.rows_of(RowKind::Operator)?;
        rows.extend(store.rows_of(RowKind::Member)?);
        // A node that was away finds out by these that a key is gone.
        rows.extend(store.rows_of(RowKind::EntryKey)?);
        let registry = Self::with_store(Box::new(store), config, clock);
        let mut steps = rows.into_iter().map(|(key, row)| Mutation::PutRow(key, row)).collect();
        registry.shared.show_rows(&mut steps, |_| true);
        Ok(registry)
    }

    pub(super) fn with_store(store: Box<dyn Store>, config: Config, clock: SharedClock) -> Self {
        let identity = store.identity();
        let shared = RegistryState::new(config, clock, identity.founded_at);
        shared.position.show(store.applied());
        Self {
            subject_key: SubjectKey::new(&identity.subject_key),
            lease_offsets: LeaseOffsets::new(&identity.subject_key),
            shared: Arc::new(shared),
            reader: store.reader(),
            stage: Mutex::new(Stage::Opened(store)),
            member: None,
            writer: Mutex::default(),
        }
    }

    /// Has the registry follow a shared log: once it is started, each change is an entry of the log before it is durable or
    /// visible here, and what other nodes append is applied. A registry that does not follow the log that its store followed
    /// leaves it with its first change.
    ///
    /// # Errors
    /// If the store has left the log, or never followed one: it may hold what the log does not say. See
    /// [`StoppedRegistry::follow_log`](super::StoppedRegistry::follow_log).
    pub fn following(mut self, member: LogMember) -> Result<Self, OpenError> {
        if self.log_position().applied == Head::EMPTY {
            return Err(OpenError::OutsideLog);
        }
        self.member = Some(member);
        Ok(self)
    }

    /// Builds the index from the store. Blocks: seconds for ten million handles.
    pub fn load(&self) -> Result<(), OpenError> {
        let Stage::Opened(mut store) = self.next_stage(Stage::Loading) else {
            return Err(OpenError::OutOfOrder);
        };
        let unrecorded = self.shared.load(store.as_mut())?;
        self.next_stage(Stage::Loaded(store, unrecorded));
        Ok(())
    }

    /// Starts the writer. Hands `sink` every change of a former run but those of which
    /// `needs_no_record` says that the log needs no record. Start before the first lookup is served: the changes that it sees are recorded
    /// first.
    pub fn start(
        &self,
        sink: Arc<dyn ChangeSink>,
        needs_no_record: &dyn Fn(&[Unrecorded]) -> HashSet<ChangeId>,
    ) -> Result<(), OpenError> {
        let Stage::Loaded(store, unrecorded) = self.next_stage(Stage::Loading) else {
            return Err(OpenError::OutOfOrder);
        };
        let recorded =
            if unrecorded.is_empty() { HashSet::new() } else { needs_no_record(&unrecorded) };
        let (confirmed, owed): (Vec<_>, Vec<_>) =
            unrecorded.into_iter().partition(|row| recorded.contains(&row.change.id));
        if !owed.is_empty() {
            tracing::info!(
                changes = owed.len(),
                "recording changes that the log does not hold yet"
            );
        }
        let confirmed = confirmed.iter().map(|row| row.place).collect();
        let mut outbox = ChangeOutbox::new(owed, confirmed);
        // Also of what another node's store had that this node took over.
        if self.member.is_some() {
            sink.not_before(store.applied().decided_at);
        }
        outbox.offer_all(sink.as_ref());
        // Lookups are answered from here on. The log was handed every change that they see.
        self.shared.show();
        let (sender, queue) = sync_channel(limits::REGISTRY_QUEUE_CHANGES_MAX);
        let writer =
            Writer::new(Arc::clone(&self.shared), queue, store, sink, outbox, self.member.clone());
        let thread = thread::Builder::new().name("registry-writer".to_owned());
        let thread = thread.spawn(|| writer.run()).map_err(OpenError::Thread)?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        self.next_stage(Stage::Started(sender));
        Ok(())
    }

    /// Whether lookups are answered and changes taken.
    pub fn is_ready(&self) -> bool {
        matches!(&*self.stage(), Stage::Started(_)) && !self.has_crashed()
    }

    /// Whether the writer ended by a panic; then every change hears [`ChangeError::Stopped`].
    pub fn has_crashed(&self) -> bool {
        let is_started = matches!(&*self.stage(), Stage::Started(_));
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        is_started && writer.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Executes the waiting commands, stops the writer and closes the store. Blocks. Reads go on.
    pub fn close(&self) {
        self.shared.close();
        // Without a sender the writer ends once its queue is empty.
        drop(self.next_stage(Stage::Closed));
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!("the registry's writer crashed");
        }
    }

    /// How much there is.
    pub fn totals(&self) -> Totals {
        self.shared.read().totals()
    }

    /// How long commits of the store took so far.
    pub fn commit_durations(&self) -> &Histogram {
        &self.shared.commits
    }

    /// Whether the store took the last change that was to be made durable.
    pub fn is_store_writable(&self) -> bool {
        self.shared.is_store_writable()
    }

    /// Whether sign-ups, proofs and imports are refused, because the disk has too little space.
    pub fn is_low_on_space(&self) -> bool {
        self.shared.is_low_on_space.load(Ordering::Relaxed)
    }

    /// Refuses changes that make the store grow, or takes them again. All others go on: devices check in, sign out and give
    /// handles up, and what ended is forgotten.
    pub fn set_low_on_space(&self, is_low: bool) {
        self.shared.is_low_on_space.store(is_low, Ordering::Relaxed);
    }

    /// Whether the store may grow.
    pub(super) fn check_space(&self) -> Result<(), ChangeError> {
        if self.is_low_on_space() { Err(ChangeError::StoreUnwritable) } else { Ok(()) }
    }

    /// What the account `asking` may know of the account `found`. The same after a restart.
    pub fn subject(&self, asking: AccountId, found: AccountId) -> Subject {
        self.subject_key.subject(asking, found)
    }

    /// Writes the store as it is at one moment into a new file at `path`, which can take the place of a stopped server's
    /// `registry.redb`. Changes go on meanwhile. Blocks: seconds for ten million handles.
    pub fn snapshot(&self, path: &Path, copy_for: CopyFor) -> Result<(), StoreError> {
        self.reader.copy(path, copy_for)
    }

    /// Queues the command that `plan` plans, and waits until it is durable, visible and recorded; but not longer than a
    /// hanging disk may hold a request.
    pub(super) async fn submit<D, E>(
        &self,
        touches: Touches,
        plan: impl FnMut(&mut Plan) -> Result<D, E> + Send + 'static,
    ) -> Result<D, E>
    where
        D: Send + 'static,
        E: From<ChangeError> + Send + 'static,
    {
        // No request waits for imports and upkeep, which must know what was done.
        let patience = match touches.everything && !touches.is_timeless {
            true => limits::REGISTRY_UPKEEP_PATIENCE,
            false => limits::REGISTRY_CHANGE_PATIENCE,
        };
        let (job, answer) = Job::new(touches, plan);
        self.enqueue(job)?;
        let deadline = Instant::now() + patience;
        let answer = timeout_at(deadline, answer).await;
        let answer = answer.map_err(|_| ChangeError::StoreUnwritable)?;
        let (done, recorded) = answer.map_err(|_| ChangeError::Stopped)??;
        if let Some(recorded) = recorded {
            let recorded = timeout_at(deadline, recorded).await;
            recorded.ok().and_then(Result::ok).ok_or(ChangeError::LogUnwritable)?;
        }
        Ok(done)
    }

    fn enqueue(&self, job: Job) -> Result<(), ChangeError> {
        if self.held().is_some_and(|hold| !job.touches.is_timeless || !hold.is_of_times()) {
            return Err(ChangeError::Held);
        }
        match &*self.stage() {
            Stage::Started(sender) => {
                sender.try_send(Message::Job(job)).map_err(|error| match error {
                    TrySendError::Full(_) => ChangeError::Overloaded,
                    TrySendError::Disconnected(_) => ChangeError::Stopped,
                })
            }
            Stage::Opened(_) | Stage::Loading | Stage::Loaded(..) => Err(ChangeError::Loading),
            Stage::Closed => Err(ChangeError::Stopped),
        }
    }

    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_stage(&self, next: Stage) -> Stage {
        std::mem::replace(&mut *self.stage(), next)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry(…)")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.close();
    }
}
