//! Repeated attempts to deliver one message, within one time limit.
//!
//! A failed attempt reports two independent facts: whether the message may have been sent, and whether another attempt is
//! allowed. After a timeout, a gateway that recognises a message by its id may be tried again; a mail server may not.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

use crate::ids::{VerificationId, random_u64};

use super::delivery::DeliveryError;

/// The backoff after the first failed attempt; it doubles with each further one, up to [`BACKOFF_MAX`].
const BACKOFF: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// How often and for how long one message is attempted.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    pub(super) attempts: u32,
    pub(super) attempt_timeout: Duration,
    pub(super) timeout: Duration,
}

/// When one attempt must end, and when all attempts together must.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) attempt: Instant,
    pub(super) all: Instant,
}

/// A failed attempt. Its texts are constants of this program, since a server's answer may quote a handle.
#[derive(Debug)]
pub(super) struct AttemptError {
    pub(super) stage: &'static str,
    pub(super) kind: &'static str,
    /// The status that the server answered with, if any.
    pub(super) status: Option<u16>,
    pub(super) perhaps_sent: bool,
    pub(super) retry: Retry,
}

/// Whether another attempt is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    AfterBackoff,
    /// After the span that the server asked for, and not before the backoff.
    After(Duration),
}

impl AttemptError {
    /// The message was certainly not sent.
    pub(super) fn not_sent(stage: &'static str, kind: &'static str, retry: Retry) -> Self {
        Self { stage, kind, status: None, perhaps_sent: false, retry }
    }

    /// The message was handed over, and no answer came.
    pub(super) fn perhaps_sent(stage: &'static str, kind: &'static str, retry: Retry) -> Self {
        Self { perhaps_sent: true, ..Self::not_sent(stage, kind, retry) }
    }

    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }
}

impl RetryPolicy {
    /// Makes attempts until one succeeds, one forbids the next, or the attempts or the time run out.
    pub(super) async fn deliver<A: Future<Output = Result<(), AttemptError>> + Send>(
        &self,
        method: &'static str,
        verification: VerificationId,
        attempt: impl Fn(Deadlines) -> A + Send,
    ) -> Result<(), DeliveryError> {
        let all = Instant::now() + self.timeout;
        let (mut number, mut perhaps_sent) = (1, false);
        loop {
            let deadline = all.min(Instant::now() + self.attempt_timeout);
            let Err(error) = attempt(Deadlines { attempt: deadline, all }).await else {
                return Ok(());
            };
            perhaps_sent |= error.perhaps_sent;
            let pause = match error.retry {
                Retry::Never => None,
                Retry::AfterBackoff => Some(backoff(number)),
                Retry::After(span) => Some(span.max(backoff(number))),
            };
            let pause = pause.filter(|pause| {
                number < self.attempts && all.duration_since(Instant::now()) > *pause
            });
            let AttemptError { stage, kind, status, .. } = error;
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

/// The pause after attempt `number`, shortened at random by up to half: deliveries that failed together must not retry
/// together.
fn backoff(number: u32) -> Duration {
    let whole = (BACKOFF * (1 << (number - 1).min(8))).min(BACKOFF_MAX);
    whole - whole * (random_u64() % 256) as u32 / 512
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 3,
        attempt_timeout: Duration::from_millis(300),
        timeout: Duration::from_secs(60),
    };

    /// Attempts with these outcomes, in order: the result, the attempts made and the time they took.
    async fn run(
        outcomes: Vec<Result<(), AttemptError>>,
    ) -> (Result<(), DeliveryError>, usize, Duration) {
        let (started, given) = (Instant::now(), outcomes.len());
        let left = Mutex::new(outcomes.into_iter());
        let next = || left.lock().unwrap().next().expect("one attempt too many");
        let ended =
            POLICY.deliver("test", VerificationId::from_bits(1), |_| async { next() }).await;
        let left = left.lock().unwrap().len();
        (ended, given - left, started.elapsed())
    }

    fn failed(again: Retry) -> Result<(), AttemptError> {
        Err(AttemptError::not_sent("test", "planted", again))
    }

    fn perhaps(again: Retry) -> Result<(), AttemptError> {
        Err(AttemptError::perhaps_sent("test", "planted", again))
    }

    #[tokio::test]
    async fn attempts_repeat_with_growing_pauses_while_allowed() {
        let (ended, attempts, took) =
            run(vec![failed(Retry::AfterBackoff), failed(Retry::AfterBackoff), Ok(()), Ok(())])
                .await;
        assert_eq!((ended, attempts), (Ok(()), 3));
        // Each pause is at least half of its bound, and the second bound is twice the first.
        assert!(took >= BACKOFF * 3 / 2, "{took:?}");
        let (ended, attempts, _) = run((0..4).map(|_| failed(Retry::AfterBackoff)).collect()).await;
        assert_eq!((ended, attempts), (Err(DeliveryError::NotSent), 3));
        let (ended, attempts, _) = run(vec![failed(Retry::Never), Ok(())]).await;
        assert_eq!((ended, attempts), (Err(DeliveryError::NotSent), 1));
    }

    #[tokio::test]
    async fn one_attempt_that_perhaps_sent_makes_the_outcome_perhaps_sent() {
        let (ended, _, _) = run(vec![perhaps(Retry::AfterBackoff), failed(Retry::Never)]).await;
        assert_eq!(ended, Err(DeliveryError::PerhapsSent));
        let (ended, _, _) = run(vec![perhaps(Retry::AfterBackoff), Ok(())]).await;
        assert_eq!(ended, Ok(()));
    }

    #[tokio::test]
    async fn a_requested_pause_is_kept_if_time_allows() {
        let wait = |millis| failed(Retry::After(Duration::from_millis(millis)));
        let (ended, _, took) = run(vec![wait(500), Ok(())]).await;
        assert_eq!(ended, Ok(()));
        assert!(took >= Duration::from_millis(500), "{took:?}");
        let (ended, _, took) = run(vec![wait(60_001), Ok(())]).await;
        assert_eq!(ended, Err(DeliveryError::NotSent));
        assert!(took < POLICY.timeout, "a pause beyond the deadline is not waited for: {took:?}");
    }
}
