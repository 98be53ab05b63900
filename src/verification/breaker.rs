//! Backs off from a mail server or gateway that fails: a circuit breaker for each sending method.
//!
//! | state | an attempt | ends by |
//! | --- | --- | --- |
//! | closed | is made | [`limits::DELIVERY_FAILURES_MAX`] failed attempts in a row, or a pause that the server asks for |
//! | open | is not made | the end of the pause |
//! | probing | is not made, except the probe | the outcome of the probe |
//!
//! Each failed probe doubles the pause, up to [`limits::DELIVERY_PAUSE_MAX`]. Only failures of the server count. A refused
//! message proves that the server works, so nobody can pause a method with handles that it refuses.
//!
//! A wish that may be about one recipient, as 429 is, counts as a failed attempt while the server takes other messages.
//! Otherwise it pauses all messages for at most [`limits::DELIVERY_PAUSE_MAX`]. Only if the probe meets it too, the pause is as
//! long as asked.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::{ids::random_u64, limits, lock::lock};

/// Whether a sending method may be tried now. Logs when a pause begins and when it is over.
#[derive(Debug)]
pub(super) struct Breaker {
    method: &'static str,
    state: Mutex<State>,
    /// When the server took a message. None since an attempt showed that it fails.
    taken_at: Mutex<Option<Instant>>,
}

/// What an attempt showed about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// The server works, whether or not it took the message.
    Works,
    /// The server is unreachable, slow, overloaded, or does not let this program send.
    Fails,
    /// The server refuses this message, or does not let this program send: see [`Breaker::judged`].
    RefusesOneOrAll,
    /// The server was not asked.
    Unknown,
}

/// A server's wish that nothing be sent for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) span: Duration,
    /// Whether it may be about the message's recipient alone.
    pub(super) perhaps_for_one: bool,
}

impl Wish {
    /// Its span, of which a longer one than [`limits::DELIVERY_PAUSE_ASKED_MAX`] is not granted.
    pub(super) fn bounded(self) -> Duration {
        self.span.min(limits::DELIVERY_PAUSE_ASKED_MAX)
    }

    /// For how long the first such wish pauses all messages.
    fn at_first(self) -> Duration {
        let all = self.bounded();
        if self.perhaps_for_one { all.min(limits::DELIVERY_PAUSE_MAX) } else { all }
    }
}

impl Breaker {
    pub(super) fn new(method: &'static str) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self { method, state, taken_at: Mutex::new(None) }
    }

    /// Asks for one attempt, whose outcome the caller reports. The error is the span after which to ask again.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        lock(&self.state).admit(Instant::now())
    }

    /// What an answer shows that may refuse one message or all of them. A server that has taken another message lately, and
    /// has not failed since, refuses this one. Otherwise strangers could pause a method with handles that are answered so.
    pub(super) fn judged(&self, health: Health) -> Health {
        match health {
            Health::RefusesOneOrAll if self.takes_others() => Health::Works,
            Health::RefusesOneOrAll => Health::Fails,
            Health::Works | Health::Fails | Health::Unknown => health,
        }
    }

    /// Reports that the server has taken a message.
    pub(super) fn report_taken(&self) {
        *lock(&self.taken_at) = Some(Instant::now());
        self.change(State::succeed);
    }

    /// Reports the outcome of an attempt that failed.
    pub(super) fn report(&self, health: Health) {
        match self.judged(health) {
            Health::Works => self.change(State::succeed),
            Health::Fails | Health::RefusesOneOrAll => {
                *lock(&self.taken_at) = None;
                self.change(|state| state.fail(Instant::now(), random_u64()));
            }
            Health::Unknown => {}
        }
    }

    /// Pauses the method as its server wishes. `is_repeated` if it answered the same message so before: that shows nothing
    /// about other recipients.
    pub(super) fn pause(&self, wish: Wish, is_repeated: bool) {
        let is_counted = wish.perhaps_for_one && self.takes_others();
        self.change(|state| {
            if !(is_counted && state.count_wish(is_repeated)) {
                state.pause(Instant::now(), wish, is_repeated);
            }
        });
    }

    /// Whether the server has taken a message lately, and has not failed since.
    fn takes_others(&self) -> bool {
        let is_lately = |taken_at: Instant| taken_at.elapsed() <= limits::DELIVERY_TAKEN_LATELY;
        lock(&self.taken_at).is_some_and(is_lately)
    }

    /// Whether a pause lasts. After its end the next message is the probe, so the method is not paused.
    pub(super) fn is_paused(&self) -> bool {
        lock(&self.state).is_paused(Instant::now())
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let (before, after) = {
            let mut state = lock(&self.state);
            let before = *state;
            change(&mut state);
            (before, *state)
        };
        let method = self.method;
        match (before.is_closed(), after) {
            (true, State::Open { until, .. }) => {
                let pause_ms = until.duration_since(Instant::now()).as_millis();
                tracing::warn!(method, pause_ms, "the server fails: no code is sent for now");
            }
            (false, State::Closed { .. }) => {
                tracing::warn!(method, "the server works again: codes are sent");
            }
            _ => {}
        }
    }
}

/// The state itself, which takes time and chance as arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Attempts are made. So many of them have failed in a row.
    Closed { failures: u32 },
    /// None is made before this moment. `failed_probes` have failed since the last success.
    Open { until: Instant, failed_probes: u32 },
    /// One is being made. If its outcome is not reported before this moment, another one may be made.
    Probing { until: Instant, failed_probes: u32 },
}

impl State {
    const fn is_closed(self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match *self {
            Self::Closed { .. } => Ok(()),
            Self::Open { until, .. } if now < until => Err(until.duration_since(now)),
            Self::Probing { until, .. } if now < until => Err(limits::DELIVERY_RETRY_PAUSE),
            Self::Open { failed_probes, .. } | Self::Probing { failed_probes, .. } => {
                let until = now + limits::DELIVERY_TIMEOUT_MAX;
                *self = Self::Probing { until, failed_probes };
                Ok(())
            }
        }
    }

    /// Ends a run of failures, or the pauses. A pause that has begun is kept: the server may have asked for it.
    fn succeed(&mut self) {
        if !matches!(self, Self::Open { .. }) {
            *self = Self::Closed { failures: 0 };
        }
    }

    /// Counts a failed attempt. One that began before the pause does not extend it.
    fn fail(&mut self, now: Instant, random: u64) {
        let failed_probes = match *self {
            Self::Open { .. } => return,
            Self::Closed { failures } if failures + 1 < limits::DELIVERY_FAILURES_MAX => {
                *self = Self::Closed { failures: failures + 1 };
                return;
            }
            Self::Closed { .. } => 0,
            Self::Probing { failed_probes, .. } => failed_probes + 1,
        };
        let doubled = limits::DELIVERY_PAUSE.saturating_mul(1 << failed_probes.min(16));
        let span = shortened(doubled.min(limits::DELIVERY_PAUSE_MAX), random);
        *self = Self::Open { until: now + span, failed_probes };
    }

    /// Counts a wish about one recipient as a failed attempt, once for each message. False if it must pause all: too many in a
    /// row were put off.
    fn count_wish(&mut self, is_repeated: bool) -> bool {
        match self {
            Self::Closed { .. } if is_repeated => true,
            Self::Closed { failures } if *failures + 1 < limits::DELIVERY_FAILURES_MAX => {
                *failures += 1;
                true
            }
            _ => false,
        }
    }

    /// Opens as `wish` says, or for what is left of a longer pause.
    fn pause(&mut self, now: Instant, wish: Wish, is_repeated: bool) {
        let (first, again) = (now + wish.at_first(), now + wish.bounded());
        let (until, failed_probes) = match *self {
            Self::Closed { .. } => (first, 0),
            // Attempts that began before the first failed probe show no more than the first wish did.
            Self::Open { until, failed_probes: 0 } => (until.max(first), 0),
            Self::Open { until, failed_probes } => (until.max(again), failed_probes),
            Self::Probing { failed_probes, .. } if is_repeated && wish.perhaps_for_one => {
                (first, failed_probes)
            }
            Self::Probing { failed_probes, .. } => (again, failed_probes + 1),
        };
        *self = Self::Open { until, failed_probes };
    }

    fn is_paused(self, now: Instant) -> bool {
        matches!(self, Self::Open { until, .. } if now < until)
    }
}

/// `whole`, shortened at random by up to half: what failed together must not retry together.
pub(super) fn shortened(whole: Duration, random: u64) -> Duration {
    whole - whole * (random % 256) as u32 / 512
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLOSED: State = State::Closed { failures: 0 };

    fn failing(now: Instant) -> State {
        let mut state = CLOSED;
        for _ in 0..limits::DELIVERY_FAILURES_MAX {
            state.fail(now, 0);
        }
        state
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn for_all(span: Duration) -> Wish {
        Wish { span, perhaps_for_one: false }
    }

    fn perhaps_for_one(span: Duration) -> Wish {
        Wish { span, perhaps_for_one: true }
    }

    #[test]
    fn only_failures_in_a_row_begin_a_pause() {
        let (now, mut state) = (Instant::now(), CLOSED);
        for _ in 1..limits::DELIVERY_FAILURES_MAX {
            state.fail(now, 0);
            assert_eq!((state.admit(now), state.is_paused(now)), (Ok(()), false));
        }
        state.succeed();
        state.fail(now, 0);
        assert_eq!(state.admit(now), Ok(()));
        assert_eq!(failing(now).admit(now), Err(limits::DELIVERY_PAUSE));
    }

    #[test]
    fn after_the_pause_one_probe_decides_and_each_failed_one_doubles_the_pause() {
        let mut now = Instant::now();
        let mut state = failing(now);
        for span in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(state.admit(now), Err(secs(span)));
            assert!(state.is_paused(now + secs(span) - Duration::from_millis(1)));
            assert!(!state.is_paused(now + secs(span)), "also if no message comes to probe");
            // Attempts that began before the pause do not extend it.
            state.fail(now, 0);
            assert!(state.admit(now + secs(span) - Duration::from_millis(1)).is_err());
            now += secs(span);
            assert_eq!(state.admit(now), Ok(()));
            assert_eq!(state.admit(now), Err(limits::DELIVERY_RETRY_PAUSE), "one probe at a time");
            assert!(!state.is_paused(now), "a probe is under way");
            state.fail(now, 0);
        }
        now += secs(60);
        assert_eq!(state.admit(now), Ok(()));
        // Nobody reported the outcome of the probe.
        now += limits::DELIVERY_TIMEOUT_MAX;
        assert_eq!(state.admit(now), Ok(()));
        assert!(state.admit(now).is_err());
    }

    #[test]
    fn a_requested_pause_is_kept_within_its_bound_and_shortens_none() {
        let now = Instant::now();
        let mut state = CLOSED;
        state.pause(now, for_all(secs(30)), false);
        assert_eq!(state.admit(now + secs(29)), Err(secs(1)));
        state.pause(now, for_all(secs(10)), false);
        assert_eq!(state.admit(now + secs(29)), Err(secs(1)), "the longer pause stays");
        // An attempt that began before the server asked.
        state.succeed();
        assert_eq!(state.admit(now + secs(29)), Err(secs(1)));
        state.pause(now, for_all(Duration::MAX), false);
        assert_eq!(state.admit(now), Err(limits::DELIVERY_PAUSE_ASKED_MAX));
        assert_eq!(state.admit(now + limits::DELIVERY_PAUSE_ASKED_MAX), Ok(()));
    }

    #[test]
    fn a_wish_that_may_be_about_one_recipient_is_granted_in_full_only_after_the_probe() {
        let (mut now, mut state) = (Instant::now(), CLOSED);
        state.pause(now, perhaps_for_one(secs(5)), false);
        assert_eq!(state.admit(now), Err(secs(5)), "a short one is granted");
        state.pause(now, perhaps_for_one(secs(3600)), false);
        assert_eq!(state.admit(now), Err(limits::DELIVERY_PAUSE_MAX), "several at once are one");
        now += limits::DELIVERY_PAUSE_MAX;
        assert_eq!(state.admit(now), Ok(()));
        let mut other_is_taken = state;
        other_is_taken.succeed();
        assert_eq!(other_is_taken, CLOSED);
        let mut same_message = state;
        same_message.pause(now, perhaps_for_one(secs(300)), true);
        assert_eq!(
            same_message.admit(now),
            Err(limits::DELIVERY_PAUSE_MAX),
            "of the same recipient"
        );
        state.pause(now, perhaps_for_one(secs(300)), false);
        assert_eq!(state.admit(now), Err(secs(300)), "the probe met it too");
        state.pause(now, perhaps_for_one(secs(3600)), false);
        assert_eq!(state.admit(now), Err(limits::DELIVERY_PAUSE_ASKED_MAX));
    }

    #[test]
    fn while_others_are_taken_only_many_wishes_in_a_row_pause_them() {
        let breaker = Breaker::new("test");
        let for_one = perhaps_for_one(secs(3600));
        for _ in 0..2 {
            breaker.report_taken();
            for _ in 1..limits::DELIVERY_FAILURES_MAX {
                breaker.pause(for_one, false);
                breaker.pause(for_one, true);
                assert_eq!(breaker.admit(), Ok(()));
            }
        }
        breaker.pause(for_one, false);
        assert!(breaker.admit().is_err(), "nothing was taken in between");
        let breaker = Breaker::new("test");
        breaker.pause(for_one, false);
        assert!(breaker.admit().is_err(), "nothing was taken yet");
        let breaker = Breaker::new("test");
        breaker.report_taken();
        breaker.pause(for_all(secs(3600)), false);
        assert!(breaker.admit().is_err(), "the wish is about all");
    }

    #[test]
    fn an_answer_about_one_or_all_is_about_one_while_others_are_taken() {
        let breaker = Breaker::new("test");
        let (doubtful, many) = (Health::RefusesOneOrAll, 2 * limits::DELIVERY_FAILURES_MAX);
        assert_eq!(breaker.judged(doubtful), Health::Fails, "nothing was taken yet");
        breaker.report_taken();
        for _ in 0..many {
            assert_eq!(breaker.judged(doubtful), Health::Works);
            breaker.report(doubtful);
            assert_eq!(breaker.admit(), Ok(()));
        }
        breaker.report(Health::Fails);
        assert_eq!(breaker.judged(doubtful), Health::Fails, "the server failed since");
        breaker.report_taken();
        let long_ago = Instant::now().checked_sub(limits::DELIVERY_TAKEN_LATELY + secs(1));
        *lock(&breaker.taken_at) = long_ago;
        assert_eq!(breaker.judged(doubtful), Health::Fails, "it was long ago");
        for _ in 0..many {
            breaker.report(doubtful);
        }
        assert!(breaker.admit().is_err(), "a server that lets nobody send is left alone");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Move(u64),
        Admit,
        Works,
        Fails(u64),
        Pause(u64, bool, bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..90_000_u64).prop_map(Step::Move),
            Just(Step::Admit),
            Just(Step::Works),
            any::<u64>().prop_map(Step::Fails),
            any::<(u16, bool, bool)>().prop_map(|(secs, one, same)| Step::Pause(
                secs.into(),
                one,
                same
            )),
        ]
    }

    proptest! {
        /// Whatever happens, a method is tried again in time, by one probe, and normally once the probe succeeds.
        #[test]
        fn no_history_stops_a_method_for_good(steps in prop::collection::vec(step(), 0..200)) {
            let (mut now, mut state) = (Instant::now(), CLOSED);
            let longest = limits::DELIVERY_PAUSE_ASKED_MAX.max(limits::DELIVERY_PAUSE_MAX);
            for step in steps {
                match step {
                    Step::Move(millis) => now += Duration::from_millis(millis),
                    Step::Admit => {
                        let (paused, was_closed) = (state.is_paused(now), state.is_closed());
                        let admitted = state.admit(now);
                        prop_assert!(!(paused && admitted.is_ok()));
                        if admitted.is_ok() && !was_closed {
                            prop_assert!(state.admit(now).is_err());
                            let mut found = state;
                            found.succeed();
                            prop_assert_eq!(found, CLOSED);
                        }
                        if let Err(span) = admitted {
                            prop_assert!(!span.is_zero() && span <= longest);
                        }
                    }
                    Step::Works => state.succeed(),
                    Step::Fails(random) => state.fail(now, random),
                    Step::Pause(secs, perhaps_for_one, same) => {
                        let span = Duration::from_secs(secs);
                        state.pause(now, Wish { span, perhaps_for_one }, same);
                    }
                }
                let later = now + longest.max(limits::DELIVERY_TIMEOUT_MAX);
                let mut waited = state;
                prop_assert_eq!(waited.admit(later), Ok(()));
            }
        }
    }
}
