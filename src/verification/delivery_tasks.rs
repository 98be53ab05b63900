//! Delivery tasks: a task of its own commits and delivers each code, so that neither ends with the connection of its request.
//!
//! | outcome | the session's codes | next code | answer to an asker with a token |
//! | --- | --- | --- | --- |
//! | delivered | the new one | after the pause | 202 |
//! | perhaps sent | the new one: it may arrive | after the pause | 502, retry soon |
//! | not sent | the former one | soon | 502, retry soon |
//! | paused: not sent | the former one | after the method's pause | 502, retry then |
//! | refused for good | the former one | after the pause | 422 |
//!
//! - Whatever the outcome, the message counts against the limits: a gateway that refuses must not lift them. Attempts that
//!   were used meanwhile stay used.
//! - An asker without a token gets 202 whatever the outcome, and does not wait for it: neither must reveal anything. Only a line
//!   of the outbox is written before the answer.
//! - The outcome is the same if the client has disconnected. The device that asks again gets the same session.
//! - A graceful stop waits for delivery tasks as it does for requests. After a kill the new code stays valid: it was stored
//!   before it was sent.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::FutureExt as _;
use tokio::runtime::Handle as RuntimeHandle;

use crate::{handle::Handle, limits, shutdown::Shutdown};

use super::{
    asker_class::AskerClass,
    delivery::{Delivery, DeliveryError, Message},
    error::BeginError,
};

/// Runs delivery tasks and bounds their number.
pub(super) struct DeliveryTasks {
    delivery: Arc<dyn Delivery>,
    shutdown: Shutdown,
    /// The main runtime. The runtime of the request's thread may end before the delivery does.
    runtime: RuntimeHandle,
    running: Arc<AtomicUsize>,
}

/// A permit for one delivery. Dropping it allows another one.
pub(super) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl DeliveryTasks {
    pub(super) fn new(delivery: Arc<dyn Delivery>, shutdown: Shutdown) -> Self {
        Self { delivery, shutdown, runtime: RuntimeHandle::current(), running: Arc::default() }
    }

    /// A permit for one delivery, if fewer than [`limits::DELIVERIES_MAX`] are running. Strangers use only a part of them, so
    /// that a slow gateway does not keep everybody else out.
    pub(super) fn permit(&self, class: AskerClass) -> Result<Permit, BeginError> {
        let running_max = limits::DELIVERIES_MAX * class.quarters() as usize / 4;
        let taken = self.running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |running| {
            (running < running_max).then_some(running + 1)
        });
        match taken {
            Ok(_) => Ok(Permit(Arc::clone(&self.running))),
            Err(_) => Err(BeginError::Overloaded),
        }
    }

    /// Whether nobody is kept waiting by a message to `handle`: see [`Delivery::is_local`].
    pub(super) fn is_local(&self, handle: &Handle) -> bool {
        self.delivery.is_local(handle)
    }

    /// Runs `task` on the main runtime, to its end, although its request may be dropped. Only a hard stop ends it.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shutdown.spawn_on(&self.runtime, "delivery", task);
    }

    /// Delivers `message`. Call it in a task of [`spawn`](Self::spawn).
    pub(super) async fn deliver(&self, message: Message) -> Result<(), DeliveryError> {
        let delivering = AssertUnwindSafe(async { self.delivery.deliver(message).await });
        // A panic over one message must not stop the service. It may have come after the code was sent.
        delivering.catch_unwind().await.unwrap_or(Err(DeliveryError::PerhapsSent))
    }
}
