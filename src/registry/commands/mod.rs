//! Commands: what a change asks for, evaluated against the index into mutations and change records.
//!
//! A command is pure: it reads the index and writes a [`Plan`]. The writer makes plans durable, recorded and visible,
//! in this order. A command first says what it [`touches`](Operation::touches), so that the writer can put commands
//! that do not meet into one commit.

mod devices;
mod handles;
mod upkeep;

use std::collections::HashSet;

use tokio::sync::oneshot;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId},
};

use super::{
    changes::{Cause, Change, ChangeKind},
    config::Config,
    entry::{Claim, Ended, EndedHow},
    error::ChangeError,
    index::Index,
    recorder::Recorded,
    store::{Key, Mutation, Row},
};

pub use devices::{SignUp, SignedUp};
pub use upkeep::Ticked;

pub(super) use devices::{CheckIn, SignOut};
pub(super) use handles::{Deregister, Prove, Rebind, SetDiscoverable, Unbind};
pub(super) use upkeep::choose;

/// What a command may look at.
pub(super) struct Context<'a> {
    pub(super) index: &'a Index,
    pub(super) config: &'a Config,
    pub(super) now: Timestamp,
}

/// What a batch of commands does: the same steps for the store and for the index, and what the log is told.
pub(super) struct Plan {
    now: Timestamp,
    pub(super) mutations: Vec<Mutation>,
    pub(super) changes: Vec<Change>,
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

    fn touches(&self, index: &Index) -> Vec<Touch>;

    /// Adds what is to be done to `plan`, or refuses and adds nothing.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<Self::Done, Self::Error>;
}

/// What a command's caller is told once it is durable and visible, and what is left to wait for.
pub(super) type Reply<O> = Result<(<O as Operation>::Done, Recorded), <O as Operation>::Error>;

/// A command in the writer's queue, whatever its kind.
pub(super) trait Job: Send {
    fn touches(&self, index: &Index) -> Vec<Touch>;

    /// Plans the command and keeps its answer until [`Job::finish`].
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan);

    /// Tells the caller. A refusal is told as it is: whether the batch went well does not concern it.
    fn finish(self: Box<Self>, outcome: Result<Recorded, ChangeError>);
}

/// A command and its waiting caller.
pub(super) struct Waiting<O: Operation> {
    operation: O,
    planned: Option<Result<O::Done, O::Error>>,
    reply: oneshot::Sender<Reply<O>>,
}

impl<O: Operation> Waiting<O> {
    pub(super) fn new(operation: O) -> (Self, oneshot::Receiver<Reply<O>>) {
        let (reply, answer) = oneshot::channel();
        (Self { operation, planned: None, reply }, answer)
    }
}

impl<O: Operation> Job for Waiting<O> {
    fn touches(&self, index: &Index) -> Vec<Touch> {
        self.operation.touches(index)
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

impl Plan {
    /// Nothing yet, decided at `now`.
    pub(super) fn at(now: Timestamp) -> Self {
        Self { now, mutations: Vec::new(), changes: Vec::new() }
    }

    fn put(&mut self, row: Row) {
        self.mutations.push(Mutation::Put(row));
    }

    fn remove(&mut self, key: Key) {
        self.mutations.push(Mutation::Remove(key));
    }

    /// Lets `claim` hold `handle`, which perhaps ended before.
    fn hold(&mut self, context: &Context<'_>, handle: &Handle, claim: Claim) {
        if context.index.ended(handle).is_some() {
            self.remove(Key::Ended(handle.clone()));
        }
        self.put(Row::Claim(handle.clone(), claim));
    }

    /// Ends the claim on `handle`.
    fn end(&mut self, context: &Context<'_>, handle: &Handle, how: EndedHow) {
        self.remove(Key::Claim(handle.clone()));
        self.put(Row::Ended(handle.clone(), Ended { how, at: context.now }));
    }

    /// Takes `device` out of `claim`, and ends it if that was the last one.
    fn release(
        &mut self,
        context: &Context<'_>,
        handle: &Handle,
        claim: Claim,
        device: DeviceId,
        how: EndedHow,
    ) {
        let devices = claim.devices.without(&device);
        if devices.is_empty() {
            self.end(context, handle, how);
        } else {
            self.put(Row::Claim(handle.clone(), Claim { devices, ..claim }));
        }
    }

    fn tell(
        &mut self,
        kind: ChangeKind,
        cause: Cause,
        handle: Option<&Handle>,
        device: Option<DeviceId>,
        account: Option<AccountId>,
    ) {
        let handle = handle.cloned();
        self.changes.push(Change {
            id: ChangeId::random(),
            at: self.now,
            kind,
            handle,
            device,
            account,
            cause,
        });
    }
}

/// What a command of `device` about `handle` touches: both, and whoever holds the handle.
fn touches(index: &Index, device: Option<DeviceId>, handle: Option<&Handle>) -> Vec<Touch> {
    let account = device.and_then(|id| Some(index.devices.get(&id)?.account));
    let holder = handle.and_then(|handle| Some(index.claim(handle)?.account));
    let mut touches: Vec<Touch> = account.map(Touch::Account).into_iter().collect();
    touches.extend(holder.filter(|holder| account != Some(*holder)).map(Touch::Account));
    touches.extend(handle.cloned().map(Touch::Handle));
    touches
}
