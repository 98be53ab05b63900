//! Repeated attempts to deliver one message, within one time limit.
//!
//! A failed attempt reports three independent facts: whether the message may have been sent, whether another attempt is
//! allowed, and what it showed about the server. After a timeout, a gateway that recognises a message by its id may be tried
//! again; a mail server may not.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::ids::{VerificationId, random_u64};

use super::{
    breaker::{Breaker, Health, Wish, shortened},
    delivery::DeliveryError,
};

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

/// The retries of one sending method, and its breaker.
pub(super) struct Retries {
    method: &'static str,
    policy: RetryPolicy,
    breaker: Arc<Breaker>,
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
    /// What the attempt showed about the server. A server that works and forbids another attempt has refused the message.
    pub(super) health: Health,
}

/// Whether another attempt is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    AfterBackoff,
    /// After the span that the server asked for, and not before the backoff. Other messages wait as well.
    After(Wish),
}

impl AttemptError {
    /// The message was certainly not sent, because the server fails.
    pub(super) fn not_sent(stage: &'static str, kind: &'static str, retry: Retry) -> Self {
        let health = Health::Fails;
        Self { stage, kind, status: None, perhaps_sent: false, retry, health }
    }

    /// The message was handed over, and no answer came.
    pub(super) fn perhaps_sent(stage: &'static str, kind: &'static str, retry: Retry) -> Self {
        Self { perhaps_sent: true, ..Self::not_sent(stage, kind, retry) }
    }

    /// The server works, and will never take this message.
    pub(super) fn refused(stage: &'static str, kind: &'static str) -> Self {
        Self::not_sent(stage, kind, Retry::Never).with_health(Health::Works)
    }

    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    pub(super) fn with_health(self, health: Health) -> Self {
        Self { health, ..self }
    }

    /// The pause before attempt `number` + 1. None: that attempt is forbidden.
    fn pause_after(&self, number: u32) -> Option<Duration> {
        match self.retry {
            Retry::Never => None,
            Retry::AfterBackoff => Some(backoff(number)),
            Retry::After(wish) => Some(wish.span.max(backoff(number))),
        }
    }
}

impl Retries {
    /// Retries of `method`, named as in messages and metrics.
    pub(super) fn new(method: &'static str, policy: RetryPolicy) -> Self {
        Self { method, policy, breaker: Arc::new(Breaker::new(method)) }
    }

    pub(super) fn breaker(&self) -> Arc<Breaker> {
        Arc::clone(&self.breaker)
    }

    /// Makes attempts until one succeeds, one forbids the next, the attempts or the time run out, or the method is paused.
    pub(super) async fn deliver<A: Future<Output = Result<(), AttemptError>> + Send>(
        &self,
        verification: VerificationId,
        attempt: impl Fn(Deadlines) -> A + Send,
    ) -> Result<(), DeliveryError> {
        let all = Instant::now() + self.policy.timeout;
        let (mut number, mut perhaps_sent) = (1, false);
        self.breaker.admit().map_err(|retry_after| DeliveryError::Paused { retry_after })?;
        loop {
            let deadline = all.min(Instant::now() + self.policy.attempt_timeout);
            let Err(error) = attempt(Deadlines { attempt: deadline, all }).await else {
                self.breaker.report_taken();
                return Ok(());
            };
            perhaps_sent |= error.perhaps_sent;
            let failed = match self.reported(&error, number) {
                _ if perhaps_sent => DeliveryError::PerhapsSent,
                failed => failed,
            };
            let pause = error.pause_after(number).filter(|pause| {
                number < self.policy.attempts && all.duration_since(Instant::now()) > *pause
            });
            let AttemptError { stage, kind, status, .. } = error;
            tracing::warn!(
                %verification, method = self.method, attempt = number, stage, kind, status, perhaps_sent,
                gives_up = pause.is_none(),
                "a code was not delivered"
            );
            sleep(pause.ok_or(failed)?).await;
            self.admit_again(error.retry, all).await.map_err(|retry_after| match failed {
                DeliveryError::PerhapsSent => failed,
                _ => DeliveryError::Paused { retry_after },
            })?;
            number += 1;
        }
    }

    /// Tells the breaker what failed attempt `number` showed. Returns what the delivery failed of, if no other attempt follows.
    fn reported(&self, error: &AttemptError, number: u32) -> DeliveryError {
        if let Retry::After(wish) = error.retry {
            self.breaker.pause(wish, number > 1);
            return DeliveryError::Paused { retry_after: wish.bounded() };
        }
        let health = self.breaker.judged(error.health);
        self.breaker.report(health);
        match (error.retry, health) {
            (Retry::Never, Health::Works) => DeliveryError::Refused,
            _ => DeliveryError::NotSent,
        }
    }

    /// Asks for another attempt, since other deliveries may have paused the method meanwhile. A message that the server has
    /// only put off waits for the others' pause or probe too, before `all`. The error is the span after which to ask again.
    async fn admit_again(&self, retry: Retry, all: Instant) -> Result<(), Duration> {
        loop {
            let Err(span) = self.breaker.admit() else { return Ok(()) };
            let fits = all.duration_since(Instant::now()) > span;
            if !(fits && matches!(retry, Retry::After(_))) {
                return Err(span);
            }
            sleep(span).await;
        }
    }
}

/// The pause after attempt `number`.
fn backoff(number: u32) -> Duration {
    shortened((BACKOFF * (1 << (number - 1).min(8))).min(BACKOFF_MAX), random_u64())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::limits;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 3,
        attempt_timeout: Duration::from_millis(300),
        timeout: Duration::from_secs(60),
    };

    /// Attempts with these outcomes, in order: the result, the attempts made and the time they took.
    async fn run(
        outcomes: Vec<Result<(), AttemptError>>,
    ) -> (Result<(), DeliveryError>, usize, Duration) {
        run_with(&Retries::new("test", POLICY), outcomes).await
    }

    async fn run_with(
        retries: &Retries,
        outcomes: Vec<Result<(), AttemptError>>,
    ) -> (Result<(), DeliveryError>, usize, Duration) {
        let (started, given) = (Instant::now(), outcomes.len());
        let left = Mutex::new(outcomes.into_iter());
        let next = || left.lock().unwrap().next().expect("one attempt too many");
        let ended = retries.deliver(VerificationId::from_bits(1), |_| async { next() }).await;
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
    async fn only_a_server_that_works_and_answers_for_good_refuses() {
        let refused = || Err(AttemptError::refused("test", "planted").with_status(400));
        let (ended, attempts, _) = run(vec![refused(), Ok(())]).await;
        assert_eq!((ended, attempts), (Err(DeliveryError::Refused), 1));
        let forbidden =
            || Err(AttemptError::not_sent("test", "planted", Retry::Never).with_status(401));
        let (ended, attempts, _) = run(vec![forbidden(), Ok(())]).await;
        assert_eq!((ended, attempts), (Err(DeliveryError::NotSent), 1));
        let later = || failed(Retry::AfterBackoff).map_err(|it| it.with_health(Health::Works));
        let (ended, attempts, _) = run((0..4).map(|_| later()).collect()).await;
        assert_eq!((ended, attempts), (Err(DeliveryError::NotSent), 3));
        let (ended, attempts, _) = run(vec![perhaps(Retry::AfterBackoff), refused()]).await;
        assert_eq!((ended, attempts), (Err(DeliveryError::PerhapsSent), 2));
    }

    #[tokio::test]
    async fn a_server_that_fails_is_left_alone_and_one_that_refuses_is_not() {
        let retries = Retries::new("test", POLICY);
        let refused = || Err(AttemptError::refused("test", "planted"));
        for _ in 0..2 * limits::DELIVERY_FAILURES_MAX {
            let (ended, ..) = run_with(&retries, vec![refused()]).await;
            assert_eq!(ended, Err(DeliveryError::Refused));
        }
        let forbidden = || failed(Retry::Never);
        for _ in 0..limits::DELIVERY_FAILURES_MAX {
            let (ended, ..) = run_with(&retries, vec![forbidden()]).await;
            assert_eq!(ended, Err(DeliveryError::NotSent));
        }
        let (ended, attempts, _) = run_with(&retries, vec![Ok(())]).await;
        assert!(matches!(ended, Err(DeliveryError::Paused { retry_after })
            if retry_after <= limits::DELIVERY_PAUSE && !retry_after.is_zero()));
        assert_eq!(attempts, 0);
    }

    #[tokio::test]
    async fn an_attempt_ends_early_if_others_pause_the_method() {
        let retries = Retries::new("test", POLICY);
        let breaker = retries.breaker();
        let attempts = Mutex::new(0);
        let attempt = |_| {
            *attempts.lock().unwrap() += 1;
            breaker.pause(Wish { span: Duration::from_secs(60), perhaps_for_one: false }, false);
            async { perhaps(Retry::AfterBackoff) }
        };
        let ended = retries.deliver(VerificationId::from_bits(1), attempt).await;
        let attempts = *attempts.lock().unwrap();
        assert_eq!((ended, attempts), (Err(DeliveryError::PerhapsSent), 1));
    }

    #[tokio::test]
    async fn one_attempt_that_perhaps_sent_makes_the_outcome_perhaps_sent() {
        let (ended, _, _) = run(vec![perhaps(Retry::AfterBackoff), failed(Retry::Never)]).await;
        assert_eq!(ended, Err(DeliveryError::PerhapsSent));
        let (ended, _, _) = run(vec![perhaps(Retry::AfterBackoff), Ok(())]).await;
        assert_eq!(ended, Ok(()));
    }

    fn later(millis: u64) -> Result<(), AttemptError> {
        let span = Duration::from_millis(millis);
        failed(Retry::After(Wish { span, perhaps_for_one: false }))
    }

    #[tokio::test]
    async fn a_requested_pause_is_kept_if_time_allows_and_named_if_not() {
        let (ended, _, took) = run(vec![later(500), Ok(())]).await;
        assert_eq!(ended, Ok(()));
        assert!(took >= Duration::from_millis(500), "{took:?}");
        let retries = Retries::new("test", POLICY);
        let (ended, _, took) = run_with(&retries, vec![later(60_001), Ok(())]).await;
        let asked = Duration::from_millis(60_001);
        assert_eq!(ended, Err(DeliveryError::Paused { retry_after: asked }));
        assert!(took < POLICY.timeout, "a pause beyond the deadline is not waited for: {took:?}");
        let (ended, attempts, _) = run_with(&retries, vec![Ok(())]).await;
        assert!(matches!(ended, Err(DeliveryError::Paused { retry_after })
            if retry_after > Duration::from_secs(50)));
        assert_eq!(attempts, 0, "the next delivery keeps the pause");
        let (ended, ..) = run(vec![later(100_000_000)]).await;
        let retry_after = limits::DELIVERY_PAUSE_ASKED_MAX;
        assert_eq!(ended, Err(DeliveryError::Paused { retry_after }));
        let (ended, ..) = run(vec![perhaps(Retry::AfterBackoff), later(60_001)]).await;
        assert_eq!(ended, Err(DeliveryError::PerhapsSent));
    }

    #[tokio::test]
    async fn a_short_requested_pause_holds_back_all_messages_and_the_one_that_met_it_goes_on() {
        let retries = Retries::new("test", POLICY);
        let others = async {
            sleep(Duration::from_millis(200)).await;
            run_with(&retries, vec![Ok(())]).await
        };
        let first = run_with(&retries, vec![later(900), Ok(())]);
        let ((ended, _, took), (other, attempts, _)) = tokio::join!(first, others);
        assert_eq!(ended, Ok(()));
        assert!(took >= Duration::from_millis(900), "{took:?}");
        assert!(matches!(other, Err(DeliveryError::Paused { retry_after })
            if retry_after > Duration::from_millis(500) && retry_after <= Duration::from_secs(1)));
        assert_eq!(attempts, 0);
    }

    #[tokio::test]
    async fn an_answer_about_one_message_or_all_refuses_one_while_others_are_taken() {
        let retries = Retries::new("test", POLICY);
        let doubtful =
            || failed(Retry::Never).map_err(|it| it.with_health(Health::RefusesOneOrAll));
        let (ended, ..) = run_with(&retries, vec![doubtful()]).await;
        assert_eq!(ended, Err(DeliveryError::NotSent));
        assert_eq!(run_with(&retries, vec![Ok(())]).await.0, Ok(()));
        for _ in 0..2 * limits::DELIVERY_FAILURES_MAX {
            let (ended, ..) = run_with(&retries, vec![doubtful()]).await;
            assert_eq!(ended, Err(DeliveryError::Refused));
        }
        assert_eq!(run_with(&retries, vec![Ok(())]).await.0, Ok(()), "nobody is kept from a code");
        assert_eq!(
            run_with(&retries, vec![failed(Retry::Never)]).await.0,
            Err(DeliveryError::NotSent)
        );
        assert_eq!(run_with(&retries, vec![doubtful()]).await.0, Err(DeliveryError::NotSent));
    }
}
