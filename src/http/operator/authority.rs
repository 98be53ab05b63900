//! Whether an operator may still be given what it asked for: a long answer ends soon after its operator is revoked.
//!
//! A watch looks at the list of operators while an answer is sent. Once the operator is not on it as it was when the call
//! began, the watch drops the answer's body, so that nothing more is read for it, and the connection breaks. It does not
//! depend on the client: one that reads nothing would otherwise hold its answer, its place and its audit entry.
//!
//! A node of a cluster may be cut off, so that it does not hear of an operator whom another node revoked. So the watch also passes
//! the fence about each second. An answer ends at most a second and `cluster.fence_timeout` after the node was cut off.

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
use futures_util::future::pending;
use http_body::Frame;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use crate::{
    cluster::{Member, Others},
    dispatch::Refusal,
    http::{
        connection::open::ToNode,
        problem::{Code, Problem},
    },
    limits,
    lock::lock,
    operators::{Operator, Operators, asked_through, operator_name},
    shared_log::Fence,
    shutdown::Shutdown,
};

/// An operator whose token and role were enough for a call.
#[derive(Clone)]
pub(super) struct Authority {
    operators: Arc<Operators>,
    operator: Operator,
    through: Option<Through>,
    /// The fence of this thread, if other nodes change the list of operators, too.
    fence: Option<Fence>,
    shutdown: Shutdown,
}

/// The node that asks for an operator.
#[derive(Clone)]
struct Through {
    node: Operator,
    /// Who asks, to the audit log.
    name: String,
    /// Finds out whether the node is still there.
    asker: Option<(Others, Member)>,
}

impl Authority {
    /// The authority for a call that has passed `fence` just now.
    pub(super) const fn new(
        operators: Arc<Operators>,
        operator: Operator,
        fence: Option<Fence>,
        shutdown: Shutdown,
    ) -> Self {
        Self { operators, operator, through: None, fence, shutdown }
    }

    /// The same for a call that a node, one of `others`, makes for the operator.
    pub(super) fn through(self, node: Operator, others: Option<&Others>) -> Self {
        let name = asked_through(&self.operator.name, &node.name);
        let asker = others.and_then(|others| {
            let mut members = others.members().into_iter();
            let asker = members.find(|member| operator_name(&member.name) == node.name)?;
            Some((others.clone(), asker))
        });
        Self { through: Some(Through { node, name, asker }), ..self }
    }

    /// The operator's name; with `@` and the name of a node, if that node asks for it.
    pub(super) fn name(&self) -> &str {
        self.through.as_ref().map_or(&self.operator.name, |through| &through.name)
    }

    /// Whether a node makes the call for the operator.
    pub(super) const fn is_through_node(&self) -> bool {
        self.through.is_some()
    }

    fn is_held(&self) -> bool {
        let mut all = self.through.iter().map(|through| &through.node).chain([&self.operator]);
        all.all(|operator| self.operators.has(operator))
    }

    /// Waits until the operator is revoked or has another role or token, or this node cannot tell any more. Says which.
    pub(super) async fn lost(&self) -> Problem {
        let mut passed = Instant::now();
        while self.is_held() {
            sleep(limits::AUTHORITY_CHECK_PAUSE).await;
            if let Some(fence) = &self.fence
                && limits::AUTHORITY_FENCE_PAUSE <= passed.elapsed()
            {
                passed = Instant::now();
                if let Err(not_current) = fence.pass(passed).await {
                    return Refusal::from(not_current).into();
                }
            }
        }
        revoked()
    }

    /// Waits until the node that asks for the operator does not answer any more. It may be paused, and never take what it asked for.
    async fn asker_silent(&self) {
        match self.through.as_ref().and_then(|through| through.asker.as_ref()) {
            Some((others, asker)) => drop(others.until_silent(asker).await),
            None => pending().await,
        }
    }

    /// What `work` gives, unless the authority is lost before or at its end.
    pub(super) async fn while_held<T>(
        &self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let outcome = tokio::select! {
            biased;
            lost = self.lost() => return Err(lost),
            outcome = work => outcome,
        };
        if self.is_held() { outcome } else { Err(revoked()) }
    }

    /// As [`Self::watched`], for an answer that another node may leave unread for long.
    pub(super) fn watched_rows(self, mut answer: Response) -> Response {
        let lost = CancellationToken::new();
        if self.is_through_node() {
            answer.extensions_mut().insert(ToNode(lost.clone()));
        }
        self.watched_until(lost, answer)
    }

    /// The answer, whose body breaks off within a second after the authority is lost, or once the node that asks is silent.
    pub(super) fn watched(self, answer: Response) -> Response {
        self.watched_until(CancellationToken::new(), answer)
    }

    fn watched_until(self, lost: CancellationToken, answer: Response) -> Response {
        answer.map(|body| {
            let (held, gone) = (Arc::new(Mutex::new(Some(body))), CancellationToken::new());
            let watched = Watched {
                held: Arc::clone(&held),
                lost: Box::pin(lost.clone().cancelled_owned()),
                _gone: gone.clone().drop_guard(),
            };
            let shutdown = self.shutdown.clone();
            shutdown.spawn("authority", async move {
                tokio::select! {
                    () = gone.cancelled() => return,
                    why = self.lost() => {
                        tracing::info!(why = why.code.code(), "an answer ended: its operator lost the right to it");
                    }
                    () = self.asker_silent() => {
                        tracing::info!("an answer ended: the node that asked for it is silent");
                    }
                }
                drop(lock(&held).take());
                lost.cancel();
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
                None => Some(Err(axum::Error::new(io::Error::other(
                    "the operator lost the right to it",
                )))),
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
    use futures_util::{
        FutureExt as _,
        future::{self, BoxFuture},
        stream,
    };
    use http_body_util::BodyExt as _;
    use tokio::{runtime::Handle, time::timeout};
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::{
        cluster::peers_tests::{member, peers},
        operators::{NewOperator, Role, tests},
        shared_log::{Followed, Follower, Head, MemoryLog, Stopped},
    };

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
        let authority = Authority::new(Arc::clone(&operators), ann, None, Shutdown::new());
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

    async fn added(operators: &Operators, name: &str) -> Operator {
        let new = NewOperator::new(name, Role::Reader).unwrap();
        tests::add(operators, &new).await.unwrap();
        operators.authenticate(new.token().reveal()).unwrap().unwrap()
    }

    /// Nobody answers as the node that asks, as when its process is paused.
    #[tokio::test]
    async fn an_answer_to_a_node_that_is_silent_ends() {
        let [data, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let operators = Arc::new(tests::running(data.path()));
        let (ann, b) =
            (added(&operators, "ann").await, added(&operators, &operator_name("b")).await);
        let nobody = member("b", 2, "http://127.0.0.1:1".to_owned());
        let peers = peers(folder.path(), vec![nobody]).await;
        let _asking = AbortOnDropHandle::new(Handle::current().spawn(peers.clone().run()));
        let others = Others::new(peers);
        let authority =
            Authority::new(operators, ann, None, Shutdown::new()).through(b, Some(&others));
        let answer = authority.watched_rows(
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()).into_response(),
        );
        let ToNode(over) = answer.extensions().get().cloned().expect("it is one to a node");
        let begun = Instant::now();
        let broken = timeout(Duration::from_secs(60), answer.into_body().frame()).await;
        assert!(broken.expect("it breaks off").unwrap().is_err() && over.is_cancelled());
        assert!(begun.elapsed() >= limits::CLUSTER_PART_PATIENCE, "it may be slow");
    }

    /// A node that has applied all of a log without entries.
    struct Nothing;

    impl Follower for Nothing {
        fn applied(&self) -> Head {
            Head::EMPTY
        }

        fn nudge(&self, _: u64) {}

        fn reached(&self, _: u64) -> BoxFuture<'_, Result<Head, Stopped>> {
            future::ready(Ok(Head::EMPTY)).boxed()
        }
    }

    #[tokio::test]
    async fn an_answer_of_a_node_that_is_cut_off_ends_though_nobody_was_revoked() {
        const TIMEOUT: Duration = Duration::from_millis(200);
        let data = tempfile::tempdir().unwrap();
        let operators = Arc::new(tests::running(data.path()));
        let new = NewOperator::new("ann", Role::Reader).unwrap();
        tests::add(&operators, &new).await.unwrap();
        let ann = operators.authenticate(new.token().reveal()).unwrap().unwrap();
        let log = Arc::new(MemoryLog::new().handle());
        let followed = Followed { log: Arc::clone(&log) as _, follower: Arc::new(Nothing) };
        let fence = Fence::new(followed, TIMEOUT);
        let (running, relaying) = (fence.clone(), fence.clone());
        let rounds = async move { tokio::join!(running.run(), relaying.relay()) };
        let _rounds = AbortOnDropHandle::new(Handle::current().spawn(rounds));

        let authority = Authority::new(operators, ann, Some(fence), Shutdown::new());
        let waiting = authority.while_held(future::pending::<Result<(), Problem>>());
        tokio::pin!(waiting);
        let looks = limits::AUTHORITY_FENCE_PAUSE * 2;
        let current = timeout(looks, &mut waiting).await;
        assert!(current.is_err(), "it ended although the node is current");
        log.set_away(true);
        let ended = timeout(Duration::from_secs(60), waiting).await.expect("it ends");
        assert_eq!(ended.unwrap_err().code, Code::RegistryBehind);
        let answer = authority.clone().watched(
            Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()).into_response(),
        );
        let broken = timeout(Duration::from_secs(60), answer.into_body().frame()).await;
        assert!(broken.expect("it breaks off").unwrap().is_err());
    }
}
