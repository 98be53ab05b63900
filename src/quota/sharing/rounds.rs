//! [`Rounds`]: when this node tells the others what it charged, and who waits for it.
//!
//! A call that puts something into the outbox waits for a round that *begins after that*: a round under way has taken the outbox before. The
//! numbers work as those of the fence.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::limits;

/// The rounds. Their numbers begin at 1.
#[derive(Default)]
pub(super) struct Rounds {
    /// The last round that began.
    begun: AtomicU64,
    /// The last round that ended.
    ended: watch::Sender<u64>,
    asked: Notify,
    waits: AtomicU64,
}

impl Rounds {
    /// Asks for a round that begins after this call, and returns its number.
    pub(super) fn ask(&self) -> u64 {
        let round = self.begun.load(SeqCst) + 1;
        self.hurry();
        round
    }

    /// Lets the next round begin at once.
    pub(super) fn hurry(&self) {
        self.asked.notify_one();
    }

    /// Waits until somebody asked, or until `pause` is over.
    pub(super) async fn until_asked(&self, pause: Duration) {
        // A round is due either way.
        let _ = timeout(pause, self.asked.notified()).await;
    }

    /// Begins the next round. One at a time.
    pub(super) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, SeqCst) + 1
    }

    /// A round has ended.
    pub(super) fn end(&self, round: u64) {
        self.ended.send_replace(round);
    }

    /// Waits until a round has ended, for [`limits::QUOTA_ROUND_PATIENCE`] at most.
    pub(super) async fn until_ended(&self, round: u64) {
        self.waits.fetch_add(1, Relaxed);
        let mut ended = self.ended.subscribe();
        // After that, the call goes on with what this node knows.
        let _ = timeout(limits::QUOTA_ROUND_PATIENCE, ended.wait_for(|last| *last >= round)).await;
    }

    /// How often somebody waited.
    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Relaxed)
    }
}
