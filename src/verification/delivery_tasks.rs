//! Delivery tasks: a task of its own delivers each code, so that no delivery ends with the connection of its request.
//!
//! Every delivery reaches one of three outcomes:
//!
//! | outcome | session | counts of sent codes | answer |
//! | --- | --- | --- | --- |
//! | delivered | waits for the new code | stay | 202 |
//! | not sent | its former state | refunded | 502, retry soon |
//! | perhaps sent | its former state, but with the new pause | stay | 502, retry after the pause |
//!
//! - After a failed delivery the new code is invalid, even if it arrives: its request got an error.
//! - The outcome is the same if the client has disconnected. It cannot confirm a new session, whose id it never received.
//!   A session that it knows continues with the delivered code.
//! - The new code is valid while it is being delivered, and the former one is not. Whoever can read the new code proves
//!   exactly that.
//! - A graceful stop waits for delivery tasks as it does for requests. A kill loses all sessions, so every code is invalid
//!   afterwards.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use tokio::{
    runtime::Handle as RuntimeHandle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

use crate::{limits, shutdown::Shutdown};

use super::{
    delivery::{Delivery, DeliveryError, Message},
    error::BeginError,
};

/// Starts delivery tasks and bounds their number.
pub(super) struct DeliveryTasks {
    delivery: Arc<dyn Delivery>,
    shutdown: Shutdown,
    /// The main runtime. The runtime of the request's thread may end before the delivery does.
    runtime: RuntimeHandle,
    permits: Arc<Semaphore>,
}

impl DeliveryTasks {
    pub(super) fn new(delivery: Arc<dyn Delivery>, shutdown: Shutdown) -> Self {
        let permits = Arc::new(Semaphore::new(limits::DELIVERIES_MAX));
        Self { delivery, shutdown, runtime: RuntimeHandle::current(), permits }
    }

    /// A permit for one delivery, if fewer than [`limits::DELIVERIES_MAX`] are running.
    pub(super) fn permit(&self) -> Result<OwnedSemaphorePermit, BeginError> {
        let permits = Arc::clone(&self.permits);
        permits.try_acquire_owned().map_err(|_| BeginError::Overloaded)
    }

    /// Delivers `message`, and calls `undo` if that fails. Both continue if the caller stops waiting.
    pub(super) async fn deliver(
        &self,
        permit: OwnedSemaphorePermit,
        message: Message,
        undo: impl FnOnce(DeliveryError) + Send + 'static,
    ) -> Result<(), DeliveryError> {
        let (outcome_tx, outcome_rx) = oneshot::channel();
        let delivery = Arc::clone(&self.delivery);
        self.shutdown.spawn_on(&self.runtime, "delivery", async move {
            let delivering = AssertUnwindSafe(async { delivery.deliver(message).await });
            // A panic over one message must not stop the service. It may have come after the code was sent.
            let outcome =
                delivering.catch_unwind().await.unwrap_or(Err(DeliveryError::PerhapsSent));
            if let Err(error) = outcome {
                undo(error);
            }
            drop(permit);
            // The caller may have stopped waiting.
            let _ = outcome_tx.send(outcome);
        });
        // Only a hard stop drops the task, and with it all sessions.
        outcome_rx.await.unwrap_or(Err(DeliveryError::PerhapsSent))
    }
}
