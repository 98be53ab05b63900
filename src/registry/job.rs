//! A command's way through the writer's queue, and which commands can share a commit.

use std::collections::HashSet;

use tokio::sync::oneshot;

use super::{change_outbox::Recorded, error::ChangeError, index::Index, plan::Plan};
use crate::{
    handle::Handle,
    ids::{AccountId, DeviceId},
};

/// A command in the writer's queue.
pub(super) struct Job {
    pub(super) touches: Touches,
    run: Run,
}

/// Plans the command, unless its batch is refused.
type Run = Box<dyn FnOnce(Option<&mut Plan>) -> Answer + Send>;

/// Answers the caller of a planned command, once it is known how its batch went.
pub(super) type Answer = Box<dyn FnOnce(Result<Recorded, ChangeError>) + Send>;

/// What a caller receives once its command is durable and visible: the result, and what is left to wait for.
pub(super) type Reply<D, E> = Result<(D, Recorded), E>;

impl Job {
    /// A command that `plan` adds to a batch. `plan` refuses and adds nothing, or adds all of it.
    pub(super) fn new<D: Send + 'static, E: From<ChangeError> + Send + 'static>(
        touches: Touches,
        plan: impl FnOnce(&mut Plan) -> Result<D, E> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Reply<D, E>>) {
        let (reply, receiver) = oneshot::channel();
        let run = |batch: Option<&mut Plan>| -> Answer {
            // A caller that has waited for too long was refused: a change that is not begun is not made.
            let planned = batch.filter(|_| !reply.is_closed()).map(plan);
            Box::new(|outcome| {
                let answer = match (planned, outcome) {
                    // A refusal is final: whether the batch went well does not concern it.
                    (Some(Err(refused)), _) => Err(refused),
                    (_, Err(failed)) => Err(failed.into()),
                    (Some(Ok(done)), Ok(recorded)) => Ok((done, recorded)),
                    // Nobody waits for this answer.
                    (None, Ok(_)) => Err(ChangeError::Stopped.into()),
                };
                // The caller may have gone away.
                let _ = reply.send(answer);
            })
        };
        (Self { touches, run: Box::new(run) }, receiver)
    }

    pub(super) fn plan(self, batch: &mut Plan) -> Answer {
        (self.run)(Some(batch))
    }

    /// Answers the caller without planning the command.
    pub(super) fn refuse(self, error: ChangeError) {
        (self.run)(None)(Err(error));
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
