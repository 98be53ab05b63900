//! Whether an operator may still be given what it asked for: a long answer ends soon after its operator is revoked.
//!
//! A watch looks at the list of operators while an answer is sent. Once the operator is not on it as it was when the call
//! began, the watch drops the answer's body, so that nothing more is read for it, and the connection breaks. It does not
//! depend on the client: one that reads nothing would otherwise hold its answer, its place and its audit entry.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use futures_util::FutureExt as _;
use http_body::Frame;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use crate::{
    http::problem::{Code, Problem},
    limits,
    lock::lock,
    operators::{Operator, Operators},
    shutdown::Shutdown,
};

/// An operator whose token and role were enough for a call.
#[derive(Clone)]
pub(super) struct Authority {
    operators: Arc<Operators>,
    operator: Operator,
    shutdown: Shutdown,
}

impl Authority {
    pub(super) const fn new(
        operators: Arc<Operators>,
        operator: Operator,
        shutdown: Shutdown,
    ) -> Self {
        Self { operators, operator, shutdown }
    }

    /// The operator's name.
    pub(super) fn name(&self) -> &str {
        &self.operator.name
    }

    /// Waits until the operator is revoked or has another role or token.
    pub(super) async fn lost(&self) {
        while self.operators.has(&self.operator) {
            sleep(limits::AUTHORITY_CHECK_PAUSE).await;
        }
    }

    /// What `work` gives, unless the authority is lost before or at its end.
    pub(super) async fn while_held<T>(
        &self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let outcome = tokio::select! {
            biased;
            () = self.lost() => return Err(revoked()),
            outcome = work => outcome,
        };
        match self.lost().now_or_never() {
            Some(()) => Err(revoked()),
            None => outcome,
        }
    }

    /// The answer, whose body breaks off within a second after the authority is lost.
    pub(super) fn watched(self, answer: Response) -> Response {
        answer.map(|body| {
            let (held, lost, gone) = (
                Arc::new(Mutex::new(Some(body))),
                CancellationToken::new(),
                CancellationToken::new(),
            );
            let watched = Watched {
                held: Arc::clone(&held),
                lost: Box::pin(lost.clone().cancelled_owned()),
                _gone: gone.clone().drop_guard(),
            };
            let shutdown = self.shutdown.clone();
            shutdown.spawn("authority", async move {
                tokio::select! {
                    () = gone.cancelled() => {}
                    () = self.lost() => {
                        tracing::info!("an answer ended: its operator was revoked or changed");
                        drop(lock(&held).take());
                        lost.cancel();
                    }
                }
            });
            Body::new(watched)
        })
    }
}

fn revoked() -> Problem {
    let detail =
        "the token was revoked, or its operator has another role, while the call was under way";
    Problem::new(Code::TokenInvalid, detail)
}

/// A body that a watch may take away.
struct Watched {
    held: Arc<Mutex<Option<Body>>>,
    lost: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Ends the watch with the body.
    _gone: DropGuard,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Polled first, so that the watch wakes the connection.
        let is_lost = self.lost.as_mut().poll(cx).is_ready();
        let polled = {
            let mut held = lock(&self.held);
            match held.as_mut().filter(|_| !is_lost) {
                Some(body) => ready!(Pin::new(body).poll_frame(cx)),
                None => Some(Err(axum::Error::new(io::Error::other("the operator was revoked")))),
            }
        };
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.held).as_ref().is_some_and(HttpBody::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use axum::response::IntoResponse as _;
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::operators::{NewOperator, Role, tests};

    /// Says when it is dropped.
    struct Dropped(Arc<Mutex<bool>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            *lock(&self.0) = true;
        }
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_is_dropped_when_its_operator_is_revoked() {
        let data = tempfile::tempdir().unwrap();
        let operators = Arc::new(tests::running(data.path()));
        let new = NewOperator::new("ann", Role::Reader).unwrap();
        tests::add(&operators, &new).await.unwrap();
        let ann = operators.authenticate(new.token().reveal()).unwrap().unwrap();
        let authority = Authority::new(Arc::clone(&operators), ann, Shutdown::new());
        let is_dropped = Arc::new(Mutex::new(false));
        let dropped = Dropped(Arc::clone(&is_dropped));
        let endless = stream::unfold(dropped, |it| async move {
            Some((Ok::<_, Infallible>(Bytes::from_static(b"row\n")), it))
        });
        let answer = authority.clone().watched(Body::from_stream(endless).into_response());
        let mut body = answer.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        authority.while_held(async { Ok(()) }).await.unwrap();

        tests::revoke(&operators, "ann").await.unwrap();
        for _ in 0..6_000 {
            if *lock(&is_dropped) {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        assert!(*lock(&is_dropped), "the answer is still there");
        assert!(body.frame().await.unwrap().is_err(), "the client takes it for complete");
        let refused = authority.while_held(async { Ok(()) }).await.unwrap_err();
        assert_eq!(refused.code, Code::TokenInvalid);
    }
}
