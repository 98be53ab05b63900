//! The fence: a request sees every change that was acknowledged, by any node, before the request arrived.
//!
//! It is the read index of Raft (Ongaro, "Consensus: bridging theory and practice", section 6.4) outside of Raft. A *round* reads the
//! log's head and waits until this node has applied it. A request waits for a round that *begins after the request arrived*: a round
//! under way may have read the head before the change that the request must see. All that wait share the next round, and one round
//! is under way at a time, so the engine's load does not grow with that of the phones.
//!
//! # What a wait costs
//!
//! Rounds run on one runtime, and requests on others. To wake a task of another thread takes a lock and a system call. So each serving
//! thread has a task, [`Fence::relay`], which is woken once for each round, and wakes the requests of its own thread. Requests of the
//! round that ended and of the next one wait apart from each other, so that a request wakes once.
//!
//! A timer for each request would cost as much as the rest. So a request sets its timer only when it was woken without a result: by
//! an alarm, which comes after half of the timeout of each round, and after each failed round. That is before the deadline of each
//! request that waits without a timer, since no alarm came after its arrival:
//!
//! - The round in which it arrived ends within half of the timeout: it has begun that long ago at most, or it has given its alarm and
//!   must end by its own timeout. The pause after a failed round is not longer.
//! - The next round, its own, gives its alarm within half of the timeout.
//!
//! # Order
//!
//! A request notes the number of the next round, and a round publishes its number before it reads the head. Both accesses are
//! sequentially consistent. So a request that notes round *n* did so before round *n* asked the engine.

mod failure;
mod rounds;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use self::rounds::{Rounds, Turn};
use super::follower::Followed;

pub use self::{
    failure::{NotCurrent, RoundFailure},
    rounds::FenceFigures,
};

/// The fence, as one serving thread sees it. Clones are of the same thread.
#[derive(Clone)]
pub struct Fence {
    rounds: Arc<Rounds>,
    /// Wake the requests of this thread that wait for a round: those with an even number, and those with an odd one.
    ended: Arc<[Notify; 2]>,
}

impl Fence {
    /// A fence around what is applied of a log. A request is refused `timeout` after its arrival.
    pub fn new(followed: Followed, timeout: Duration) -> Self {
        Self { rounds: Arc::new(Rounds::new(followed, timeout)), ended: Arc::default() }
    }

    /// The same for another serving thread.
    #[must_use]
    pub fn of_other_thread(&self) -> Self {
        Self { rounds: Arc::clone(&self.rounds), ended: Arc::default() }
    }

    /// Begins rounds while requests wait, and after a failed one until one is good. Ends once this node has stopped to follow. To be run once.
    pub async fn run(&self) {
        self.rounds.run().await;
    }

    /// Wakes the requests of its own thread, for as long as the thread runs. To be run once for each thread, on its runtime.
    pub async fn relay(&self) {
        let mut turns = self.rounds.turns();
        let mut seen = Turn::default();
        self.wake_all();
        while turns.changed().await.is_ok() {
            let turn = *turns.borrow_and_update();
            if turn == (Turn { good: seen.good + 1, ..seen }) {
                self.ended_by(turn.good).notify_waiters();
            } else {
                self.wake_all();
            }
            seen = turn;
        }
    }

    fn wake_all(&self) {
        self.ended.iter().for_each(Notify::notify_waiters);
    }

    /// Where those wait who wait for `round`.
    fn ended_by(&self, round: u64) -> &Notify {
        &self.ended[usize::from(round % 2 == 1)]
    }

    /// Waits until this node has applied all that the log had at `arrived`, which must not be later than this call.
    ///
    /// # Errors
    /// If that is not known in time, or the node follows the log no further.
    pub async fn pass(&self, arrived: Instant) -> Result<(), NotCurrent> {
        let passed = self.wait_for(self.rounds.ask(), arrived).await;
        self.rounds.observe(arrived.elapsed());
        passed
    }

    async fn wait_for(&self, round: u64, arrived: Instant) -> Result<(), NotCurrent> {
        let deadline = arrived + self.rounds.timeout();
        let mut has_timer = false;
        loop {
            // Before the look, so that it misses no wake that comes after it.
            let ended = self.ended_by(round).notified();
            if let Some(result) = self.rounds.result(round) {
                return result;
            }
            if !has_timer {
                ended.await;
                has_timer = true;
            } else if timeout_at(deadline, ended).await.is_err() {
                return self.rounds.result(round).unwrap_or(Err(NotCurrent::Behind));
            }
        }
    }

    /// Whether requests are let through, for a probe. If the rounds fail already, it says so at once.
    ///
    /// # Errors
    /// As [`Self::pass`].
    pub async fn probe(&self) -> Result<(), NotCurrent> {
        self.rounds.standing()?;
        self.pass(Instant::now()).await
    }

    /// What to show of it.
    pub fn figures(&self) -> FenceFigures {
        self.rounds.figures()
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fence(…)")
    }
}
