//! Codes in the air.
//!
//! A delivery is a task of its own, not a part of the request that asked for it: the request ends with its connection,
//! and what had been undone or not undone by then would be chance. A flight lands in any case, in one of three ways:
//!
//! | outcome | the session | the counts | the asker |
//! | --- | --- | --- | --- |
//! | delivered | waits for the code | stay | 202 |
//! | certainly not sent | as it was before | taken back | 502, may ask again soon |
//! | perhaps sent | as it was, with the pause | stay | 502, may ask again after the pause |
//!
//! So a code of which its asker was not told is never good, even if it arrives. If the asker has gone, the outcome is
//! the same and nobody hears it: a session that it was not told of cannot be confirmed, and one that it knew goes on
//! with the code that was delivered. While a code is in the air it is good already (whoever can read it proves just
//! that), and the former one is not. A stop of the service waits for flights as it does for requests; a kill forgets all
//! sessions, so that a code which was on its way is not good.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::FutureExt as _;
use tokio::{
    runtime::Handle as RuntimeHandle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

use crate::{limits, shutdown::Shutdown};

use super::{
    delivery::{Delivery, DeliveryError, Message},
    error::BeginError,
    send_limits::Sending,
    service::Open,
    session::Opening,
};

/// Where deliveries run.
pub(super) struct DeliveryAttempts {
    delivery: Arc<dyn Delivery>,
    shutdown: Shutdown,
    /// The main runtime: that of the request's thread may end before the delivery does.
    runtime: RuntimeHandle,
    places: Arc<Semaphore>,
}

/// What is undone if the code does not get there.
pub(super) struct Undo {
    pub(super) open: Arc<Mutex<Open>>,
    pub(super) opening: Opening,
    pub(super) sending: Sending,
}

impl DeliveryAttempts {
    pub(super) fn new(delivery: Arc<dyn Delivery>, shutdown: Shutdown) -> Self {
        let places = Arc::new(Semaphore::new(limits::CODES_IN_FLIGHT_MAX));
        Self { delivery, shutdown, runtime: RuntimeHandle::current(), places }
    }

    /// Room for one more flight.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, BeginError> {
        let places = Arc::clone(&self.places);
        places.try_acquire_owned().map_err(|_| BeginError::Overloaded)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        limits::CODES_IN_FLIGHT_MAX - self.places.available_permits()
    }

    /// Delivers `message`, or undoes; both go on if the caller does not wait.
    pub(super) async fn send(
        &self,
        place: OwnedSemaphorePermit,
        message: Message,
        undo: Undo,
    ) -> Result<(), DeliveryError> {
        let (outcome_tx, outcome_rx) = oneshot::channel();
        let delivery = Arc::clone(&self.delivery);
        self.shutdown.spawn_on(&self.runtime, "delivery", async move {
            let sending = AssertUnwindSafe(async { delivery.deliver(message).await });
            let sent = sending.catch_unwind().await;
            // A defect met by one message must not end the service for all. How far the message came is not known.
            let outcome = sent.unwrap_or(Err(DeliveryError::PerhapsSent));
            if let Err(why) = outcome {
                undo.carry_out(why);
            }
            drop(place);
            // Nobody may be waiting any more.
            let _ = outcome_tx.send(outcome);
        });
        // The task is dropped only by a hard stop, with which the session ends too.
        outcome_rx.await.unwrap_or(Err(DeliveryError::PerhapsSent))
    }
}

impl Undo {
    fn carry_out(self, why: DeliveryError) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if why == DeliveryError::NotSent {
            open.sends.take_back(&self.sending);
        }
        open.sessions.unsent(self.opening, why);
    }
}
