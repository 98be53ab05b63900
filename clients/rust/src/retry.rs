//! When a call is repeated, and for how long.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::{
    clock::Now,
    error::{Error, NoAnswer},
    http::{Exchange, Outgoing, Reply},
};

/// No wait between two attempts is longer, unless the server asks for more.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// How long a call goes on before it gives up with its last error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The most attempts of a call. A call for a waiting message may take more than the default.
    pub attempts: u32,
    /// The most time of a call with all its attempts and waits.
    pub deadline: Duration,
    /// The most time of one attempt.
    pub attempt: Duration,
    /// The longest wait after the first attempt without an answer. It doubles each time. A wait is a random part of it.
    pub first_wait: Duration,
}

impl Default for Patience {
    /// Three attempts of at most 10 seconds within 30 seconds, and a first wait of at most a second.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { attempts: 3, deadline: seconds(30), attempt: seconds(10), first_wait: seconds(1) }
    }
}

/// A good answer, and when the attempt that got it began.
pub(crate) struct Done {
    pub(crate) reply: Reply,
    pub(crate) asked: Now,
}

/// Sends a request until it is answered, or `patience` from `started` on ends.
pub(crate) async fn call(
    exchange: &dyn Exchange,
    patience: &Patience,
    request: &Outgoing,
    started: Instant,
) -> Result<Done, Error> {
    // Whether an attempt without a good answer may have done what was asked.
    let mut may_be_done = false;
    let mut attempts = 0;
    loop {
        let left = patience.deadline.saturating_sub(started.elapsed());
        let asked = Now::read();
        let answer = timeout(left.min(patience.attempt), exchange.send(request)).await;
        let error = match answer.unwrap_or(Err(Error::NoAnswer(NoAnswer::TimedOut))) {
            Ok(reply) => return Ok(Done { reply, asked }),
            Err(error) => error,
        };
        if let Error::Refused(problem) = &error
            && may_be_done
            && request.done_if.as_ref() == Some(&problem.code)
        {
            return Ok(Done { reply: Reply::default(), asked });
        }
        may_be_done |= error.may_be_done();
        attempts += 1;
        let wait = wait(patience, attempts, error.retry_after());
        let left = patience.deadline.saturating_sub(started.elapsed());
        if attempts >= patience.attempts || !may_repeat(request, &error) || wait >= left {
            return Err(error);
        }
        sleep(wait).await;
    }
}

/// Whether the same request can succeed, and does no harm if it was done already.
fn may_repeat(request: &Outgoing, error: &Error) -> bool {
    let is_harmless = match error {
        // The server says so of this very call.
        Error::Refused(_) | Error::NoAnswer(NoAnswer::NotSent(_)) => true,
        _ => request.is_repeatable,
    };
    error.is_temporary() && is_harmless
}

/// How long to wait after so many attempts. All phones must not come back in the same moment.
fn wait(patience: &Patience, attempts: u32, retry_after: Option<Duration>) -> Duration {
    // Zero seconds would be a repeat without a pause.
    match retry_after.filter(|least| !least.is_zero()) {
        Some(least) => least.saturating_add(least.mul_f64(fastrand::f64())),
        None => {
            let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
            let wait = patience.first_wait.saturating_mul(doubled).min(WAIT_MAX);
            wait.mul_f64(fastrand::f64())
        }
    }
}
