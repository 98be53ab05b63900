//! Several attempts at one message, within one span.
//!
//! Every attempt ends with what is known of the message and of the other side: whether the message may have got through,
//! and whether another attempt may be made. The second does not follow from the first: a gateway that knows each
//! message by its id may be asked again after a timeout, a mail server may not.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    ids::{VerificationId, random_u64},
    limits,
};

use super::delivery::DeliveryError;

/// Pause after the first failed attempt, doubled after each further one, and up to half of it taken off by chance, so
/// that those who failed together do not come again together.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 250 });
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often and how long one message is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) attempts: u32,
    pub(super) attempt_timeout: Duration,
    pub(super) timeout: Duration,
}

/// Until when.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    /// The attempt may take.
    pub(super) attempt: Instant,
    /// All of it may take.
    pub(super) all: Instant,
}

/// An attempt that failed. Made of words that the code holds, never of what the other side said: that may quote a
/// handle.
#[derive(Debug)]
pub(super) struct Failure {
    /// What was being done.
    pub(super) stage: &'static str,
    /// What happened.
    pub(super) kind: &'static str,
    /// The status that the other side gave, if any.
    pub(super) status: Option<u16>,
    /// Whether the message may have got through.
    pub(super) perhaps_sent: bool,
    pub(super) again: Again,
}

/// Whether another attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    Soon,
    After(Duration),
}

impl Failure {
    /// Certainly not sent.
    pub(super) fn not_sent(stage: &'static str, kind: &'static str, again: Again) -> Self {
        Self { stage, kind, status: None, perhaps_sent: false, again }
    }

    /// Handed over, without an answer.
    pub(super) fn perhaps_sent(stage: &'static str, kind: &'static str, again: Again) -> Self {
        Self { perhaps_sent: true, ..Self::not_sent(stage, kind, again) }
    }

    /// With the status that the other side gave.
    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }
}

impl Pace {
    /// Checks the values.
    pub(super) fn validate(&self) -> Result<(), (Key, String)> {
        let (attempts_max, max) = (limits::DELIVERY_ATTEMPTS_MAX, limits::DELIVERY_TIMEOUT_MAX);
        if !(1..=attempts_max).contains(&self.attempts) {
            return Err((Key::Attempts, format!("must be from 1 to {attempts_max}")));
        }
        if self.timeout.is_zero() || self.timeout > max {
            let why = format!("must be at most {}s and not zero: somebody waits", max.as_secs());
            return Err((Key::Timeout, why));
        }
        if self.attempt_timeout.is_zero() || self.attempt_timeout > self.timeout {
            let why = "must be at most the timeout of all attempts together and not zero";
            return Err((Key::AttemptTimeout, why.into()));
        }
        Ok(())
    }

    /// Makes attempts until one succeeds, one forbids the next, or time or number are used up.
    pub(super) async fn deliver<F, A>(
        &self,
        method: &'static str,
        verification: VerificationId,
        attempt: F,
    ) -> Result<(), DeliveryError>
    where
        F: Fn(Deadlines) -> A + Send,
        A: Future<Output = Result<(), Failure>> + Send,
    {
        let all = Instant::now() + self.timeout;
        let (mut number, mut perhaps_sent) = (1, false);
        loop {
            let deadline = all.min(Instant::now() + self.attempt_timeout);
            let Err(failure) = attempt(Deadlines { attempt: deadline, all }).await else {
                return Ok(());
            };
            perhaps_sent |= failure.perhaps_sent;
            let pause = match failure.again {
                Again::Never => None,
                Again::Soon => Some(pause(number)),
                Again::After(span) => Some(span.max(pause(number))),
            };
            let pause = pause.filter(|pause| {
                number < self.attempts && all.duration_since(Instant::now()) > *pause
            });
            let Failure { stage, kind, status, .. } = failure;
            tracing::warn!(
                %verification, method, attempt = number, stage, kind, status, perhaps_sent,
                gives_up = pause.is_none(),
                "a code was not delivered"
            );
            let Some(pause) = pause else {
                break;
            };
            sleep(pause).await;
            number += 1;
        }
        Err(if perhaps_sent { DeliveryError::PerhapsSent } else { DeliveryError::NotSent })
    }
}

/// Which value of a [`Pace`] is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Attempts,
    AttemptTimeout,
    Timeout,
}

fn pause(number: u32) -> Duration {
    let whole = (PAUSE * (1 << (number - 1).min(8))).min(PAUSE_MAX);
    // A share of 0 to 255 of 512: at most half.
    whole - whole * (random_u64() % 256) as u32 / 512
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const PACE: Pace = Pace {
        attempts: 3,
        attempt_timeout: Duration::from_millis(300),
        timeout: Duration::from_secs(60),
    };

    /// Runs the outcomes given, and says how it ended, after how many attempts and how long.
    async fn run(
        outcomes: Vec<Result<(), Failure>>,
    ) -> (Result<(), DeliveryError>, usize, Duration) {
        let (started, given) = (Instant::now(), outcomes.len());
        let left = Mutex::new(outcomes.into_iter());
        let next = || left.lock().unwrap().next().expect("one attempt too many");
        let ended = PACE.deliver("test", VerificationId::from_bits(1), |_| async { next() }).await;
        let left = left.lock().unwrap().len();
        (ended, given - left, started.elapsed())
    }

    fn failed(again: Again) -> Result<(), Failure> {
        Err(Failure::not_sent("test", "planted", again))
    }

    fn perhaps(again: Again) -> Result<(), Failure> {
        Err(Failure::perhaps_sent("test", "planted", again))
    }

    #[tokio::test]
    async fn attempts_go_on_while_they_may_and_pauses_grow() {
        let (ended, attempts, took) =
            run(vec![failed(Again::Soon), failed(Again::Soon), Ok(()), Ok(())]).await;
        assert_eq!((ended, attempts), (Ok(()), 3));
        // Each pause is at least half of what it may be, and the second one may be twice as long as the first.
        assert!(took >= PAUSE * 3 / 2, "{took:?}");
        let (ended, attempts, _) = run((0..4).map(|_| failed(Again::Soon)).collect()).await;
        assert_eq!((ended, attempts), (Err(DeliveryError::NotSent), 3));
        let (ended, attempts, _) = run(vec![failed(Again::Never), Ok(())]).await;
        assert_eq!((ended, attempts), (Err(DeliveryError::NotSent), 1));
    }

    #[tokio::test]
    async fn what_may_have_got_through_once_is_not_taken_for_unsent() {
        let (ended, _, _) = run(vec![perhaps(Again::Soon), failed(Again::Never)]).await;
        assert_eq!(ended, Err(DeliveryError::PerhapsSent));
        let (ended, _, _) = run(vec![perhaps(Again::Soon), Ok(())]).await;
        assert_eq!(ended, Ok(()));
    }

    #[tokio::test]
    async fn a_wish_for_a_pause_is_granted_if_there_is_time() {
        let wait = |millis| failed(Again::After(Duration::from_millis(millis)));
        let (ended, _, took) = run(vec![wait(500), Ok(())]).await;
        assert_eq!(ended, Ok(()));
        assert!(took >= Duration::from_millis(500), "{took:?}");
        let (ended, _, took) = run(vec![wait(60_001), Ok(())]).await;
        assert_eq!(ended, Err(DeliveryError::NotSent));
        assert!(took < PACE.timeout, "nobody waits in vain: {took:?}");
    }
}
