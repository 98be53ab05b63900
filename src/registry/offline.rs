//! The registry of a stopped server: filled and read as a whole.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use zeroize::Zeroizing;

use crate::{
    clock::{SharedClock, Timestamp},
    ids::AccountId,
    shared_log::Head,
};

use super::{
    account::Account,
    change_outbox::ChangeOutbox,
    commands::{ImportRecords, Imported, import},
    config::Config,
    counts::{self, Counts},
    entry::{ClusterId, genesis},
    error::OpenError,
    expiring::{ExpiringRows, RowKind},
    plan::Plan,
    row_changes::{RowChanges, Rows},
    state::RegistryState,
    store::{
        Applied, CopyFor, FillStep, Identity, Mutation, RedbStore, Store as _, StoreError,
        Unrecorded,
    },
    transfer::TransferAccount,
};

/// Accounts planned at once: enough to occupy both threads.
const PIECE_ACCOUNTS: usize = 4_096;
/// Pieces planned ahead of the one that is being written.
const PIECES_AHEAD: usize = 4;

/// The registry of a stopped server.
pub struct StoppedRegistry {
    store: RedbStore,
    config: Config,
    clock: SharedClock,
    /// Accounts planned at once.
    pub(super) piece_accounts: usize,
}

impl StoppedRegistry {
    /// Opens the store in `dir` and makes it if there is none.
    pub fn open(dir: &Path, config: Config, clock: SharedClock) -> Result<Self, StoreError> {
        let store = RedbStore::open(dir, clock.now())?;
        Ok(Self { store, config, clock, piece_accounts: PIECE_ACCOUNTS })
    }

    /// The key by which askers' subjects are made. Its owner can find out which subjects belong to one account.
    pub fn subject_key(&self) -> Zeroizing<[u8; 32]> {
        self.store.identity().subject_key
    }

    /// Takes another registry's subject key over, so that askers see the subjects they saw there. False if there are
    /// accounts already: their subjects must not change.
    pub fn adopt_subject_key(&mut self, key: Zeroizing<[u8; 32]>) -> Result<bool, StoreError> {
        let is_empty = self.store.accounts()? == 0;
        if is_empty {
            let founded_at = self.store.identity().founded_at;
            self.store.set_identity(&Identity { subject_key: key, founded_at })?;
        }
        Ok(is_empty)
    }

    /// Shows every account, in the order of their ids, as long as `visit` says to go on.
    pub fn export(&self, visit: &mut dyn FnMut(TransferAccount) -> bool) -> Result<(), StoreError> {
        self.store.reader().accounts(&mut |account| visit(account.into()))
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> Result<u64, StoreError> {
        self.store.accounts()
    }

    /// Changes rows of one kind. All changes that `plan` makes become durable, or none if it returns an error. It sees the rows of
    /// this kind only.
    pub fn change_rows<D, E: From<StoreError>>(
        &mut self,
        kind: RowKind,
        plan: impl FnOnce(&mut Rows<'_>) -> Result<D, E>,
    ) -> Result<D, E> {
        let (done, mut steps) = self.planned(&[kind], plan)?;
        if !steps.is_empty() {
            // The entries of the shared log do not have it.
            if self.store.applied() != Applied::NONE {
                steps.push(Mutation::Applied(Applied::NONE));
            }
            self.store.commit(self.store.last_batch() + 1, &steps)?;
        }
        Ok(done)
    }

    /// Has the store follow the shared log of `cluster` from its [`genesis`] on, and changes rows of `kinds` in the same
    /// transaction. What it holds now is what the log begins with.
    pub fn follow_log<D, E: From<StoreError>>(
        &mut self,
        cluster: ClusterId,
        kinds: &[RowKind],
        plan: impl FnOnce(&mut Rows<'_>) -> Result<D, E>,
    ) -> Result<D, E> {
        let (done, mut steps) = self.planned(kinds, plan)?;
        let head = Head::EMPTY.after(&genesis(cluster));
        steps.push(Mutation::Applied(Applied { head, decided_at: self.clock.now() }));
        self.store.commit(self.store.last_batch() + 1, &steps)?;
        Ok(done)
    }

    /// Has the store follow no shared log any more, and changes rows of `kinds` in the same transaction.
    pub fn leave_log<D, E: From<StoreError>>(
        &mut self,
        kinds: &[RowKind],
        plan: impl FnOnce(&mut Rows<'_>) -> Result<D, E>,
    ) -> Result<D, E> {
        let (done, mut steps) = self.planned(kinds, plan)?;
        steps.push(Mutation::Applied(Applied::NONE));
        self.store.commit(self.store.last_batch() + 1, &steps)?;
        Ok(done)
    }

    /// The last entry of the shared log that the store holds. None if it follows none.
    pub fn log_head(&self) -> Option<Head> {
        let applied = self.store.applied();
        (applied != Applied::NONE).then_some(applied.head)
    }

    /// What `plan` returns, and the steps that make rows of these kinds what it leaves.
    fn planned<D, E: From<StoreError>>(
        &self,
        kinds: &[RowKind],
        plan: impl FnOnce(&mut Rows<'_>) -> Result<D, E>,
    ) -> Result<(D, Vec<Mutation>), E> {
        let (mut stored, before) = (ExpiringRows::default(), RowChanges::default());
        for kind in kinds {
            self.store.rows_of(*kind)?.into_iter().for_each(|(key, row)| stored.put(key, row));
        }
        let mut rows = Rows::new(&stored, &before, self.clock.now());
        let done = plan(&mut rows)?;
        let step = |(key, row)| match row {
            Some(row) => Mutation::PutRow(key, row),
            None => Mutation::RemoveRow(key),
        };
        Ok((done, rows.into_changes().into_items().map(step).collect()))
    }

    /// Shows key and value of each row of a kind, in the order of the keys, also of those that have ended.
    pub fn each_row(
        &self,
        kind: RowKind,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        self.store.rows_of(kind)?.iter().for_each(|(key, row)| visit(&key.key, &row.value));
        Ok(())
    }

    /// Writes the store into a new file at `path`, as [`Registry::snapshot`](super::Registry::snapshot) does.
    pub fn snapshot(&self, path: &Path, copy_for: CopyFor) -> Result<(), StoreError> {
        self.store.reader().copy(path, copy_for)
    }

    /// Figures at `now`, with the memory that a server would take.
    pub fn counts(&mut self, now: Timestamp) -> Result<Counts, OpenError> {
        let (shared, _) = self.loaded()?;
        Ok(counts::counts(&shared, now))
    }

    fn loaded(&mut self) -> Result<(Arc<RegistryState>, Vec<Unrecorded>), OpenError> {
        let (config, founded_at) = (self.config.clone(), self.store.identity().founded_at);
        let shared = RegistryState::new(config, Arc::clone(&self.clock), founded_at);
        let unrecorded = shared.load(&mut self.store)?;
        Ok((Arc::new(shared), unrecorded))
    }

    /// Takes `accounts` in, all or none: they are one transaction, so a crash at any moment leaves the registry as it
    /// was. Faster than a running server does it, since nobody waits for anything else meanwhile. They must come in the
    /// order of their ids, each handle and device in one of them. `progress` hears how many came in.
    ///
    /// # Errors
    /// If the store cannot be read or written, or `accounts` ends with an error: its text is passed on.
    pub fn import(
        &mut self,
        accounts: impl Iterator<Item = Result<TransferAccount, String>> + Send,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Imported, OpenError> {
        let (shared, unrecorded) = self.loaded()?;
        let (reader, batch) = (self.store.reader(), self.store.last_batch() + 1);
        let mut outbox = ChangeOutbox::new(unrecorded, Vec::new());
        // What comes in here alone is in no entry of a log that the store followed.
        let mut leaves_log = self.store.applied() != Applied::NONE;
        let (mut earlier, mut records) = (HashMap::new(), ImportRecords::default());
        let mut imported = Imported::default();
        thread::scope(|scope| {
            let (ahead, pieces) = sync_channel(PIECES_AHEAD);
            // One thread reads, one plans, this one writes.
            let read = read_ahead(scope, accounts, self.piece_accounts);
            scope.spawn(move || {
                for piece in read {
                    let planned = piece.and_then(|accounts| {
                        let mut plan = Plan::new(Arc::clone(&shared), Arc::clone(&reader));
                        plan.earlier = std::mem::take(&mut earlier);
                        let part = import(&mut plan, accounts.into(), &mut records)
                            .map_err(|error| StoreError::Source(error.to_string()))?;
                        earlier = std::mem::take(&mut plan.earlier);
                        Ok((steps(plan, &mut outbox, &mut earlier), part))
                    });
                    // The receiver is gone only if writing failed; that error says why.
                    if ahead.send(planned).is_err() {
                        break;
                    }
                }
            });
            self.store.fill(batch, &mut || {
                loop {
                    let Ok(planned) = pieces.recv() else {
                        return Ok(Vec::new());
                    };
                    let (mut steps, part) = planned?;
                    if std::mem::take(&mut leaves_log) {
                        steps.push(FillStep::of(Mutation::Applied(Applied::NONE)));
                    }
                    imported.add(part);
                    progress(imported.accounts + imported.accounts_kept);
                    // A piece of which nothing came in is not the end.
                    if !steps.is_empty() {
                        return Ok(steps);
                    }
                }
            })
        })?;
        Ok(imported)
    }
}

/// Accounts in pieces, read by a thread of their own; the first error is the last piece.
fn read_ahead<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    mut accounts: impl Iterator<Item = Result<TransferAccount, String>> + Send + 'scope,
    piece_accounts: usize,
) -> Receiver<Result<Vec<TransferAccount>, StoreError>> {
    let (ahead, pieces) = sync_channel(PIECES_AHEAD);
    scope.spawn(move || {
        loop {
            let piece = accounts.by_ref().take(piece_accounts).collect::<Result<Vec<_>, _>>();
            let is_last = !matches!(&piece, Ok(piece) if !piece.is_empty());
            if ahead.send(piece.map_err(StoreError::Source)).is_err() || is_last {
                break;
            }
        }
    });
    pieces
}

/// The steps of a plan. Adds the stored accounts that it changed to `earlier`.
fn steps(
    plan: Plan,
    outbox: &mut ChangeOutbox,
    earlier: &mut HashMap<AccountId, Account>,
) -> Vec<FillStep> {
    let now = plan.now;
    let (steps, changes) = plan.into_steps();
    for step in &steps {
        if let Mutation::PutAccount { account, known_by: Some(_) } = step {
            earlier.insert(account.id, account.clone());
        }
    }
    let rows = outbox.place(changes, now).into_iter().map(Mutation::PutUnrecorded);
    steps.into_iter().chain(rows).map(FillStep::of).collect()
}
