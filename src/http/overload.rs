//! Sheds lookups while a phones' thread is late, so that what it answers is answered in time.
//!
//! More requests than a thread can answer wait in the queues of its runtime and of the kernel. If all of them were answered in
//! turn, each answer would come after its client has given up, and the work would be lost. So some are refused at once, with a
//! `Retry-After`.
//!
//! - A task on the thread measures how late the thread is: it asks to run every [`limits::SHED_MEASURED_EVERY`], and waits in the
//!   same queue as the requests.
//! - As CoDel (RFC 8289) does, it takes only a standing queue for overload: every measurement in a window must be late. A burst,
//!   or a batch that takes long, sheds nothing.
//! - From then on a controller keeps the thread late by about `server.shed_after`, as PIE (RFC 8033) does: it lowers the part of
//!   the lookups that is let in as the queue grows and while it is too long, and raises it as the queue shrinks and while it is
//!   short. A rule that only looks whether the queue is too long swings between too many lookups and an idle thread. A refusal
//!   that looks only at the queue of the moment lets in the requests that have waited longest: their clients are gone.
//! - Batches go first: one costs as much as a thousand lookups. Single lookups follow once nearly all batches are refused.
//!
//! Check-ins, changes, probes and operators' calls are never shed: they are few, and a device that cannot check in expires.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::problem::Problem;
use crate::{
    dispatch::{Caller, Dispatch, Refusal},
    limits,
};

/// How many times the part of the batches that is let in is halved before single lookups are shed, too: then it is one in 128.
const HALVINGS_OF_BATCHES: f32 = 7.0;
/// As much again for single lookups.
const HALVINGS_MAX: f32 = 2.0 * HALVINGS_OF_BATCHES;
/// How many halvings a window with a queue of twice the delay adds, and one without a queue takes away.
const INTEGRAL: f32 = 0.25;
/// How many halvings a queue as long as the delay is for itself.
const PROPORTIONAL: f32 = 1.0;
/// The longest queue that counts, in delays, and the most windows of one measurement: a stop of the machine is no load.
const QUEUE_MAX: f32 = 4.0;
const WINDOWS_MAX: f32 = 2.0;

/// What may be shed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// One handle.
    Single,
    /// Up to [`limits::BATCH_HANDLES_MAX`].
    Batch,
}

/// The shedding of one phones' thread. Its clones are of the same thread.
#[derive(Clone)]
pub struct Overload {
    dispatch: Dispatch,
    delay: Duration,
    /// How many times the part that is let in is halved, as the bits of an `f32`.
    halvings: Arc<AtomicU32>,
}

impl Overload {
    /// Sheds lookups of `dispatch` while a thread is late by more than `delay`.
    pub fn new(dispatch: Dispatch, delay: Duration) -> Self {
        Self { dispatch, delay, halvings: Arc::default() }
    }

    /// The same for another thread.
    #[must_use]
    pub fn of_other_thread(&self) -> Self {
        Self::new(self.dispatch.clone(), self.delay)
    }

    /// Measures how late its own thread is, for as long as the thread runs.
    pub async fn measure(self) {
        let mut watch = Watch::new(self.delay, Instant::now());
        loop {
            let due = Instant::now() + limits::SHED_MEASURED_EVERY;
            tokio::time::sleep_until(due.into()).await;
            watch.turn(due, Instant::now());
            self.halvings.store(watch.halvings.to_bits(), Relaxed);
        }
    }

    /// The refusal of a lookup that is shed. It is counted, not recorded.
    pub(super) fn shed(&self, load: Load, caller: &Caller) -> Option<Problem> {
        let halvings = f32::from_bits(self.halvings.load(Relaxed));
        if halvings == 0.0 {
            return None;
        }
        // The bits of a request id look random, and no two are equal.
        let bits = caller.request.bits();
        if f64::from(bits as u32) <= let_in(load, halvings) * f64::from(u32::MAX) {
            return None;
        }
        let pause = Duration::from_secs(1 + (bits >> 32) % limits::SHED_RETRY_SECONDS_MAX);
        Some(Problem::from(self.dispatch.refuse_unread(Refusal::Overloaded)).after(pause))
    }
}

/// The part of the lookups of this kind that is let in.
fn let_in(load: Load, halvings: f32) -> f64 {
    let own = match load {
        Load::Batch => halvings.min(HALVINGS_OF_BATCHES),
        Load::Single => (halvings - HALVINGS_OF_BATCHES).max(0.0),
    };
    f64::from(-own).exp2()
}

/// Tells a standing queue from a burst, and follows how much is to be shed.
struct Watch {
    delay: Duration,
    /// The last turn.
    turned: Instant,
    /// The first instant of a time in which every turn came later than `delay`.
    late_since: Option<Instant>,
    /// What former queues add to `halvings`.
    integral: f32,
    halvings: f32,
}

impl Watch {
    fn new(delay: Duration, now: Instant) -> Self {
        Self { delay, turned: now, late_since: None, integral: 0.0, halvings: 0.0 }
    }

    /// Takes a turn of the measuring task, which should have run at `due` and ran at `now`.
    fn turn(&mut self, due: Instant, now: Instant) {
        let late = now.saturating_duration_since(due);
        let of_window = |span: Duration| span.as_secs_f32() / limits::SHED_WINDOW.as_secs_f32();
        let windows = of_window(now.saturating_duration_since(self.turned)).min(WINDOWS_MAX);
        self.turned = now;
        self.late_since = (late > self.delay).then(|| self.late_since.unwrap_or(now));
        let stands = |since: Instant| now.saturating_duration_since(since) >= limits::SHED_WINDOW;
        if self.halvings == 0.0 && !self.late_since.is_some_and(stands) {
            self.integral = 0.0;
            return;
        }
        // One turn of many seconds sheds the batches that made it so long, and no single lookups.
        let is_of_batches = self.halvings < HALVINGS_OF_BATCHES;
        let most = if is_of_batches { HALVINGS_OF_BATCHES } else { HALVINGS_MAX };
        let queue = (late.as_secs_f32() / self.delay.as_secs_f32()).min(QUEUE_MAX);
        self.integral += INTEGRAL * (queue - 1.0) * windows;
        self.integral = self.integral.clamp(-PROPORTIONAL, most);
        self.halvings = (self.integral + PROPORTIONAL * queue).clamp(0.0, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(100);

    /// Turns of one thread, each late by some time.
    struct Turns(Watch);

    impl Turns {
        fn new() -> Self {
            Self(Watch::new(DELAY, Instant::now()))
        }

        fn take(&mut self, late: Duration) -> f32 {
            let due = self.0.turned + limits::SHED_MEASURED_EVERY;
            self.0.turn(due, due + late);
            self.0.halvings
        }
    }

    #[test]
    fn only_a_queue_that_stands_for_a_window_is_overload() {
        let late = Duration::from_millis(101);
        let mut turns = Turns::new();
        assert_eq!(
            turns.take(Duration::from_secs(5)),
            0.0,
            "a machine that slept is not overloaded"
        );
        assert_eq!(turns.take(Duration::ZERO), 0.0);
        assert_eq!(turns.take(late), 0.0);
        let shed = turns.take(late);
        assert!(shed > 0.0, "two turns a window apart");
        let shed_of_longer = turns.take(2 * late);
        assert!(shed_of_longer > shed, "a longer queue sheds more");
        assert!(turns.take(2 * late) > shed_of_longer, "so does one that stays long");
        assert!(turns.take(DELAY / 2) < shed_of_longer, "a shorter one sheds less");
        while turns.take(Duration::ZERO) > 0.0 {}
        assert_eq!(turns.take(late), 0.0, "the queue must stand for a window again");
    }

    #[test]
    fn what_is_shed_has_a_bound_and_ends() {
        let mut turns = Turns::new();
        let mut rising = std::iter::repeat_with(|| turns.take(Duration::from_millis(270)));
        let all_batches = rising.find(|shed| *shed >= HALVINGS_OF_BATCHES);
        assert_eq!(all_batches, Some(HALVINGS_OF_BATCHES), "single lookups come after all batches");
        for _ in 0..10 {
            turns.take(Duration::from_secs(1));
        }
        assert_eq!(turns.0.halvings, HALVINGS_MAX);
        let calm = (1..).take_while(|_| turns.take(Duration::ZERO) > 0.0).count();
        let seconds = (limits::SHED_MEASURED_EVERY * calm as u32).as_secs();
        assert!((5..10).contains(&seconds), "{seconds} s");
    }

    /// A thread answers a tenth of what is offered. A refusal costs a hundredth of a batch, so nine tenths of the time are left for
    /// answers: the thread must hardly ever be idle.
    #[test]
    fn a_thread_at_ten_times_its_peak_goes_on_answering() {
        const BATCH: f64 = 1.3e-3;
        let (mut turns, mut queue) = (Turns::new(), 0.0f64);
        let (mut answering, mut all) = (0.0, 0.0);
        for turn in 0..3_000 {
            // The measuring task sleeps, and then waits for what is queued.
            let span = limits::SHED_MEASURED_EVERY.as_secs_f64() + queue;
            let came = 10.0 / BATCH * span;
            let part = let_in(Load::Batch, turns.0.halvings);
            let (let_in, refused) = (came * part * BATCH, came * (1.0 - part) * BATCH / 100.0);
            turns.take(Duration::from_secs_f64(queue));
            let worked = span.min(queue + let_in + refused);
            queue += let_in + refused - worked;
            if turn >= 500 {
                assert!(queue < 0.8, "late by {queue} s");
                answering += worked * let_in / (let_in + refused);
                all += span;
            }
        }
        println!("{:.2} of the time was for answers", answering / all);
        assert!(answering / all > 0.85);
    }

    #[test]
    fn batches_are_shed_before_single_lookups() {
        for (halvings, batch, single) in
            [(0.0, 1.0, 1.0), (1.0, 0.5, 1.0), (7.0, 0.0078125, 1.0), (8.0, 0.0078125, 0.5)]
        {
            let parts = [Load::Batch, Load::Single].map(|load| let_in(load, halvings));
            assert_eq!(parts, [batch, single], "{halvings}");
        }
    }
}
