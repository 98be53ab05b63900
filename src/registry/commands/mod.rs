//! Commands: what a change asks for, evaluated into a plan.
//!
//! A command finds the accounts it concerns through the index, takes them from the store, and changes them in its
//! [`Plan`]. The writer makes plans durable, recorded and visible, in this order. A command first says what it
//! [`touches`](Operation::touches), so that the writer can put commands that do not meet into one commit.

mod devices;
mod handles;
mod import;
mod plan;
mod upkeep;

use std::collections::HashSet;

use tokio::sync::oneshot;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
};

use super::{
    account::Account,
    change_outbox::Recorded,
    config::Config,
    error::ChangeError,
    handle_state::Tombstone,
    state::RegistryState,
    store::{Reader, StoreError},
    transfer::TransferAccount,
};

pub use devices::{SignUp, SignedUp};
pub use import::Imported;
pub use upkeep::Ticked;

pub(super) use devices::{CheckIn, SignOut};
pub(super) use handles::{Deregister, Prove, Rebind, SetDiscoverable, Unbind};
pub(super) use import::Import;
pub(super) use plan::Plan;
pub(super) use upkeep::choose;

/// What a command may look at. Only the writer changes anything, so what it reads here stays true until it commits.
pub(super) struct Context<'a> {
    pub(super) shared: &'a RegistryState,
    pub(super) reader: &'a dyn Reader,
    pub(super) now: Timestamp,
}

impl Context<'_> {
    pub(super) fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The account of a device.
    pub(super) fn account_of(&self, device: DeviceId) -> Option<AccountId> {
        self.shared.read().account_of(device)
    }

    /// Who holds `handle`.
    pub(super) fn holder(&self, handle: &Handle) -> Option<AccountId> {
        self.shared.read().holder(handle)
    }

    /// How `handle` ended, if nobody holds it, however long ago.
    pub(super) fn tombstone(&self, handle: &Handle) -> Option<Tombstone> {
        self.shared.read().tombstone(handle)
    }

    /// An account as it is stored.
    pub(super) fn stored(&self, id: AccountId) -> Result<Option<Account>, ChangeError> {
        self.reader.account(id).map_err(unreadable)
    }

    /// Which of the accounts on their way in are here already.
    fn known(&self, incoming: &[TransferAccount]) -> Result<HashSet<AccountId>, ChangeError> {
        let ids: Vec<_> = incoming.iter().map(|account| account.account).collect();
        self.reader.known(&ids).map_err(unreadable)
    }

    /// What a command of `device` about `handle` touches: both, and whoever holds the handle.
    fn touches(&self, device: Option<DeviceId>, handle: Option<&Handle>) -> Vec<Touch> {
        let account = device.and_then(|id| self.account_of(id));
        let holder = handle.and_then(|handle| self.holder(handle));
        let mut touches: Vec<Touch> = account.map(Touch::Account).into_iter().collect();
        touches.extend(holder.filter(|holder| account != Some(*holder)).map(Touch::Account));
        touches.extend(handle.cloned().map(Touch::Handle));
        touches
    }
}

/// The store does not work.
pub(super) fn unreadable(error: StoreError) -> ChangeError {
    tracing::error!(%error, "an account cannot be read");
    ChangeError::StoreUnwritable
}

/// What a batch's commands have touched. Two commands that touch the same thing are never in one batch, because the
/// second must see what the first did.
#[derive(Default)]
pub(super) struct Touched {
    accounts: HashSet<AccountId>,
    handles: HashSet<Handle>,
    everything: bool,
}

/// What one command touches.
pub(super) enum Touch {
    Account(AccountId),
    Handle(Handle),
    Everything,
}

/// One kind of change.
pub(super) trait Operation: Send + 'static {
    type Done: Send + 'static;
    type Error: From<ChangeError> + Send + 'static;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch>;

    /// Adds what is to be done to `plan`, or refuses and adds nothing.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<Self::Done, Self::Error>;
}

/// What a command's caller is told once it is durable and visible, and what is left to wait for.
pub(super) type Reply<O> = Result<(<O as Operation>::Done, Recorded), <O as Operation>::Error>;

/// A command in the writer's queue, whatever its kind.
pub(super) trait Job: Send {
    fn touches(&self, context: &Context<'_>) -> Vec<Touch>;

    /// Plans the command and keeps its answer until [`Job::finish`].
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan);

    /// Tells the caller. A refusal is told as it is: whether the batch went well does not concern it.
    fn finish(self: Box<Self>, outcome: Result<Recorded, ChangeError>);
}

/// A command and its waiting caller.
pub(super) struct QueuedCommand<O: Operation> {
    operation: O,
    planned: Option<Result<O::Done, O::Error>>,
    reply: oneshot::Sender<Reply<O>>,
}

impl<O: Operation> QueuedCommand<O> {
    pub(super) fn new(operation: O) -> (Self, oneshot::Receiver<Reply<O>>) {
        let (reply, answer) = oneshot::channel();
        (Self { operation, planned: None, reply }, answer)
    }
}

impl<O: Operation> Job for QueuedCommand<O> {
    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        self.operation.touches(context)
    }

    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) {
        self.planned = Some(self.operation.plan(context, plan));
    }

    fn finish(self: Box<Self>, outcome: Result<Recorded, ChangeError>) {
        let answer = match (self.planned, outcome) {
            (Some(Err(refused)), _) => Err(refused),
            (_, Err(failed)) => Err(failed.into()),
            (Some(Ok(done)), Ok(recorded)) => Ok((done, recorded)),
            (None, Ok(_)) => Err(ChangeError::Stopped.into()),
        };
        // A caller that has gone away does not want to know.
        let _ = self.reply.send(answer);
    }
}

impl Touched {
    /// Adds `touches`, unless one of them is there already.
    pub(super) fn add(&mut self, touches: Vec<Touch>) -> bool {
        let is_empty = self.accounts.is_empty() && self.handles.is_empty();
        let meets = touches.iter().any(|touch| match touch {
            Touch::Account(account) => self.accounts.contains(account),
            Touch::Handle(handle) => self.handles.contains(handle),
            Touch::Everything => !is_empty,
        });
        if self.everything || meets {
            return false;
        }
        for touch in touches {
            match touch {
                Touch::Account(account) => drop(self.accounts.insert(account)),
                Touch::Handle(handle) => drop(self.handles.insert(handle)),
                Touch::Everything => self.everything = true,
            }
        }
        true
    }
}
