//! A command's way through the writer's queue, and which commands can share a commit.

use std::collections::HashSet;

use tokio::sync::oneshot;

use super::{change_outbox::Recorded, error::ChangeError, index::Index, plan::Plan};
use crate::{
    handle::Handle,
    ids::{AccountId, DeviceId},
};

/// What the writer's queue holds.
pub(super) enum Message {
    Job(Job),
    /// The shared log has something to read.
    Nudge,
}

/// A command in the writer's queue.
pub(super) struct Job {
    pub(super) touches: Touches,
    /// How often another node got the place that its entry was to have.
    pub(super) lost_races: u32,
    command: Box<dyn Command>,
}

/// A command that can be planned again: what an earlier plan found may not be true any more.
trait Command: Send {
    /// Adds the command to `batch`, and keeps what it tells its caller.
    fn plan(&mut self, batch: &mut Plan);

    /// Tells the caller what the last plan found, if its batch went well.
    fn answer(self: Box<Self>, outcome: Result<Recorded, ChangeError>);
}

struct Planned<D, E, P> {
    plan: P,
    /// What the last plan found. None if there was no plan, or nobody waits for the answer.
    found: Option<Result<D, E>>,
    reply: oneshot::Sender<Reply<D, E>>,
}

/// What a caller receives once its command is durable and visible: the result, and what is left to wait for.
pub(super) type Reply<D, E> = Result<(D, Recorded), E>;

impl<D, E, P> Command for Planned<D, E, P>
where
    D: Send + 'static,
    E: From<ChangeError> + Send + 'static,
    P: FnMut(&mut Plan) -> Result<D, E> + Send + 'static,
{
    fn plan(&mut self, batch: &mut Plan) {
        // A caller that has waited for too long was refused: a change that is not begun is not made.
        self.found = if self.reply.is_closed() { None } else { Some((self.plan)(batch)) };
    }

    fn answer(self: Box<Self>, outcome: Result<Recorded, ChangeError>) {
        let answer = match (self.found, outcome) {
            // A refusal is final: whether the batch went well does not concern it.
            (Some(Err(refused)), _) => Err(refused),
            (_, Err(failed)) => Err(failed.into()),
            (Some(Ok(done)), Ok(recorded)) => Ok((done, recorded)),
            // Nobody waits for this answer.
            (None, Ok(_)) => Err(ChangeError::Stopped.into()),
        };
        // The caller may have gone away.
        let _ = self.reply.send(answer);
    }
}

impl Job {
    /// A command that `plan` adds to a batch. `plan` refuses and adds nothing, or adds all of it. It may run more than once, each
    /// time on a batch that knows nothing of the times before.
    pub(super) fn new<D: Send + 'static, E: From<ChangeError> + Send + 'static>(
        touches: Touches,
        plan: impl FnMut(&mut Plan) -> Result<D, E> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Reply<D, E>>) {
        let (reply, receiver) = oneshot::channel();
        let command = Box::new(Planned { plan, found: None, reply });
        (Self { touches, lost_races: 0, command }, receiver)
    }

    pub(super) fn plan(&mut self, batch: &mut Plan) {
        self.command.plan(batch);
    }

    /// Answers the caller of a planned command, once it is known how its batch went.
    pub(super) fn answer(self, outcome: Result<Recorded, ChangeError>) {
        self.command.answer(outcome);
    }

    /// Answers the caller of a command that was not planned.
    pub(super) fn refuse(self, error: ChangeError) {
        self.command.answer(Err(error));
    }
}

/// What one command touches: these, the device's account, and whoever holds the handle.
#[derive(Default)]
pub(super) struct Touches {
    pub(super) account: Option<AccountId>,
    pub(super) device: Option<DeviceId>,
    pub(super) handle: Option<Handle>,
    pub(super) everything: bool,
    /// Whether it can be carried out while the log takes no records: it changes rows only, or is a check-in, which needs no
    /// record unless the device had lapsed.
    pub(super) needs_no_record: bool,
    /// Whether it depends on no time. Then it is decided right behind the last entry of the shared log, whatever the clock shows, and alone.
    pub(super) is_timeless: bool,
}

/// What a batch's commands have touched. Two commands that touch the same thing are never in one batch, because the
/// second must see what the first did.
#[derive(Default)]
pub(super) struct Touched {
    accounts: HashSet<AccountId>,
    handles: HashSet<Handle>,
    everything: bool,
}

impl Touched {
    /// Adds `touches`, unless one of them is there already.
    pub(super) fn add(&mut self, touches: &Touches, index: &Index) -> bool {
        let device = touches.device.and_then(|device| index.account_of(device));
        let holder = touches.handle.as_ref().and_then(|handle| index.holder(handle));
        let accounts = [touches.account, device, holder].into_iter().flatten();
        let is_empty = self.accounts.is_empty() && self.handles.is_empty();
        if self.everything
            || touches.everything && !is_empty
            || accounts.clone().any(|account| self.accounts.contains(&account))
            || touches.handle.as_ref().is_some_and(|handle| self.handles.contains(handle))
        {
            return false;
        }
        self.accounts.extend(accounts);
        self.handles.extend(touches.handle.clone());
        self.everything = touches.everything;
        true
    }
}
