//! [`Rounds`]: reads the log's head and waits until it is applied, over and over.

use std::{
    sync::{
        Mutex,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use tokio::{
    pin,
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout_at},
};

use super::failure::{Fault, NotCurrent, RoundFailure};
use crate::{
    limits,
    lock::lock,
    metrics::{Histogram, HistogramValues},
    shared_log::{
        follower::{Followed, Stopped},
        interface::Head,
    },
};

/// What happened last. Each change wakes each serving thread once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// The last good round.
    pub(super) good: u64,
    /// How often all that wait were woken without a good round.
    pub(super) alarms: u64,
}

/// What to show of the fence.
#[derive(Clone, Debug)]
pub struct FenceFigures {
    /// How long requests waited, let through or not.
    pub waits: HistogramValues,
    /// Rounds that began.
    pub rounds: u64,
    /// Rounds that failed, by cause.
    pub failed: [(RoundFailure, u64); RoundFailure::ALL.len()],
    /// The place of the last entry that is applied here.
    pub applied: u64,
    /// How many entries the last head that was read is ahead of it.
    pub lag: u64,
    /// Whether requests are let through, as far as the last rounds tell.
    pub is_current: bool,
}

/// The rounds. Their numbers begin at 1.
pub(super) struct Rounds {
    followed: Followed,
    timeout: Duration,
    /// The last round that began.
    begun: AtomicU64,
    /// The last round that somebody asked for.
    wanted: AtomicU64,
    /// Wakes what begins rounds.
    asked: Notify,
    /// The last good round.
    good: AtomicU64,
    has_stopped: AtomicBool,
    turns: watch::Sender<Turn>,
    /// When the first round began that was slow or failed since the last good one.
    failing_since: Mutex<Option<Instant>>,
    /// The place of the last head that was read.
    head: AtomicU64,
    failed: [AtomicU64; RoundFailure::ALL.len()],
    waits: Histogram,
}

impl Rounds {
    pub(super) fn new(followed: Followed, timeout: Duration) -> Self {
        Self {
            followed,
            timeout,
            begun: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            asked: Notify::new(),
            good: AtomicU64::new(0),
            has_stopped: AtomicBool::new(false),
            turns: watch::Sender::default(),
            failing_since: Mutex::default(),
            head: AtomicU64::new(0),
            failed: Default::default(),
            waits: Histogram::default(),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn turns(&self) -> watch::Receiver<Turn> {
        self.turns.subscribe()
    }

    /// Asks for a round that begins after this call, and returns its number.
    pub(super) fn ask(&self) -> u64 {
        let round = self.begun.load(SeqCst) + 1;
        // Most find that another has asked for it, and write nothing.
        if self.wanted.load(SeqCst) < round {
            self.wanted.fetch_max(round, SeqCst);
            self.asked.notify_one();
        }
        round
    }

    /// The result for those who wait for `round`, if it is known.
    pub(super) fn result(&self, round: u64) -> Option<Result<(), NotCurrent>> {
        if self.has_stopped.load(SeqCst) {
            return Some(Err(NotCurrent::Stopped));
        }
        (self.good.load(SeqCst) >= round).then_some(Ok(()))
    }

    /// Whether the last rounds were good, or bad for less than the timeout.
    pub(super) fn standing(&self) -> Result<(), NotCurrent> {
        if self.has_stopped.load(SeqCst) {
            return Err(NotCurrent::Stopped);
        }
        let failing_since = *lock(&self.failing_since);
        let is_behind = failing_since.is_some_and(|since| since.elapsed() >= self.timeout);
        if is_behind { Err(NotCurrent::Behind) } else { Ok(()) }
    }

    /// Counts how long a request has waited.
    pub(super) fn observe(&self, wait: Duration) {
        self.waits.observe(wait);
    }

    pub(super) fn figures(&self) -> FenceFigures {
        let applied = self.followed.follower.applied().place;
        let failed = |failure: RoundFailure| self.failed[failure as usize].load(Relaxed);
        FenceFigures {
            waits: self.waits.values(),
            rounds: self.begun.load(SeqCst),
            failed: RoundFailure::ALL.map(|failure| (failure, failed(failure))),
            applied,
            lag: self.head.load(Relaxed).saturating_sub(applied),
            is_current: self.standing().is_ok(),
        }
    }

    pub(super) async fn run(&self) {
        loop {
            // A waiter that asks between the look and the wait has left a permit.
            while self.wanted.load(SeqCst) <= self.begun.load(SeqCst) {
                self.asked.notified().await;
            }
            if !self.until_good().await {
                return;
            }
        }
    }

    /// Makes rounds until one is good. False if this node has stopped.
    async fn until_good(&self) -> bool {
        let pause = limits::FENCE_RETRY_PAUSE.min(self.timeout / 2);
        let mut failures = 0;
        loop {
            let began = Instant::now();
            match self.round(began).await {
                Ok(()) if failures > 0 => {
                    tracing::info!(failures, "requests pass the fence again");
                    return true;
                }
                Ok(()) => return true,
                Err(Fault::Stopped(error)) => {
                    tracing::error!(%error, "every request is refused until this process starts again");
                    return false;
                }
                // Once, and not five times a second.
                Err(error) if failures == 0 => {
                    tracing::warn!(%error, "requests wait for the fence, and are refused if that takes long");
                }
                Err(_) => {}
            }
            failures += 1;
            sleep_until(began + pause).await;
        }
    }

    async fn round(&self, began: Instant) -> Result<(), Fault> {
        let round = self.begun.load(SeqCst) + 1;
        let before = self.followed.follower.applied();
        // Whoever arrives from here on waits for the next round.
        self.begun.store(round, SeqCst);
        let under_way = self.read_and_follow(before, began + self.timeout);
        pin!(under_way);
        let ended = match timeout_at(began + self.timeout / 2, &mut under_way).await {
            Ok(ended) => ended,
            Err(_) => {
                self.alarm(began);
                under_way.await
            }
        };
        match &ended {
            Ok(()) => {
                self.good.store(round, SeqCst);
                *lock(&self.failing_since) = None;
                self.turns.send_modify(|turn| turn.good = round);
            }
            Err(fault) => {
                let failure = RoundFailure::from(fault);
                self.failed[failure as usize].fetch_add(1, Relaxed);
                self.has_stopped.store(matches!(fault, Fault::Stopped(_)), SeqCst);
                self.alarm(began);
            }
        }
        ended
    }

    /// Wakes all that wait, because the round that began then is slow or has failed.
    fn alarm(&self, began: Instant) {
        lock(&self.failing_since).get_or_insert(began);
        self.turns.send_modify(|turn| turn.alarms += 1);
    }

    /// Reads the head and waits until it is applied. `before` was applied when the round began.
    async fn read_and_follow(&self, before: Head, until: Instant) -> Result<(), Fault> {
        let head =
            timeout_at(until, self.followed.log.head()).await.map_err(|_| Fault::Silent)??;
        self.head.store(head.place, Relaxed);
        if head.place > before.place {
            self.followed.follower.nudge(head.place);
        }
        // Also if it is applied: a follower that has stopped lets nobody pass.
        let reached = timeout_at(until, self.followed.follower.reached(head.place)).await;
        let applied = reached.map_err(|_| Fault::NotApplied)??;
        let is_older = head.place < before.place;
        let is_another =
            [before, applied].iter().any(|it| head.place == it.place && head.hash != it.hash);
        if is_older || is_another { Err(Stopped::Diverged.into()) } else { Ok(()) }
    }
}
