//! One command, and its way through the writer's queue.

use tokio::sync::oneshot;

use super::{context::Context, plan::Plan, touched::Touch};
use crate::registry::{change_outbox::Recorded, error::ChangeError};

/// One kind of change.
pub(in crate::registry) trait Operation: Send + 'static {
    type Done: Send + 'static;
    type Error: From<ChangeError> + Send + 'static;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch>;

    /// Adds what is to be done to `plan`, or refuses and adds nothing.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<Self::Done, Self::Error>;
}

/// What a command's caller is told once it is durable and visible, and what is left to wait for.
pub(in crate::registry) type Reply<O> =
    Result<(<O as Operation>::Done, Recorded), <O as Operation>::Error>;

/// A command in the writer's queue, whatever its kind.
pub(in crate::registry) trait Job: Send {
    fn touches(&self, context: &Context<'_>) -> Vec<Touch>;

    /// Plans the command and keeps its answer until [`Job::finish`].
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan);

    /// Tells the caller. A refusal is told as it is: whether the batch went well does not concern it.
    fn finish(self: Box<Self>, outcome: Result<Recorded, ChangeError>);
}

/// A command and its waiting caller.
pub(in crate::registry) struct QueuedCommand<O: Operation> {
    operation: O,
    planned: Option<Result<O::Done, O::Error>>,
    reply: oneshot::Sender<Reply<O>>,
}

impl<O: Operation> QueuedCommand<O> {
    pub(in crate::registry) fn new(operation: O) -> (Self, oneshot::Receiver<Reply<O>>) {
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
