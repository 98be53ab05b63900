//! The outermost layer of both listeners.
//!
//! It limits the connections, determines the client's address and assigns request ids. It dispatches the most frequent calls
//! without the router, and answers a panic with a problem.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, Method, Request, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, CatchUnwind, Either, UnwrapOrElse},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::util::Oneshot;

use super::{
    problem::{Code, Problem},
    proxies::Proxies,
};
use crate::{dispatch::Caller, ids::RequestId};

/// The header that carries the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| Problem::new(Code::Internal, "the request has no caller"))
    }
}

/// Answers the most frequent calls without the router.
pub trait Shortcut: Send + Sync {
    /// Whether the shortcut answers this request.
    fn matches(&self, method: &Method, uri: &Uri) -> bool;

    /// Answers a request that matches. Ignores its body, if any.
    fn answer(self: Arc<Self>, head: Parts, caller: Caller) -> BoxFuture<'static, Response>;
}

/// The service of one listener.
#[derive(Clone)]
pub struct Service {
    /// The routes of all calls.
    pub routes: Router,
    /// Answers some of the calls without the router.
    pub shortcut: Option<Arc<dyn Shortcut>>,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub proxies: Proxies,
}

/// Makes a [`Connection`] for each connection of a listener, and limits their number.
#[derive(Clone)]
pub struct Edge {
    service: Arc<Service>,
    /// A permit for each connection.
    permits: Arc<Semaphore>,
}

/// The listener has as many connections as it may hold, and closes the new one.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many connections")]
pub struct TooManyConnections;

/// The service of one connection.
#[derive(Clone)]
pub struct Connection {
    service: Arc<Service>,
    ip: IpAddr,
    /// One permit, however often the connection's service is cloned.
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Edge {
    /// An edge that passes requests to `service`, from at most `connections_max` connections at once.
    pub fn new(service: Service, connections_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(connections_max));
        Self { service: Arc::new(service), permits }
    }
}

impl tower::Service<SocketAddr> for Edge {
    type Response = Connection;
    type Error = TooManyConnections;
    type Future = Ready<Result<Connection, TooManyConnections>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TooManyConnections>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| TooManyConnections);
        ready(permit.map(|permit| Connection {
            service: Arc::clone(&self.service),
            ip: peer.ip().to_canonical(),
            _permit: Arc::new(permit),
        }))
    }
}

impl<B> tower::Service<Request<B>> for Connection
where
    B: axum::body::HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        let caller = Caller {
            request: RequestId::next(),
            ip: self.service.proxies.origin(self.ip, request.headers()),
            arrived: Instant::now(),
        };
        let answer = match &self.service.shortcut {
            Some(shortcut) if shortcut.matches(request.method(), request.uri()) => {
                let head = request.into_parts().0;
                Either::Left(Arc::clone(shortcut).answer(head, caller))
            }
            _ => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(caller);
                let routed = tower::ServiceExt::oneshot(self.service.routes.clone(), request);
                Either::Right(routed.unwrap_or_else(NEVER))
            }
        };
        Answering { answer: AssertUnwindSafe(answer).catch_unwind(), caller }
    }
}

/// The answer of the shortcut, or of the routes.
type Answer = Either<
    BoxFuture<'static, Response>,
    UnwrapOrElse<Oneshot<Router, Request<Body>>, fn(Infallible) -> Response>,
>;

/// The router cannot fail.
const NEVER: fn(Infallible) -> Response = |never| match never {};

/// The future of the final answer: adds the request id, and replaces a panic with a problem.
pub struct Answering {
    answer: CatchUnwind<AssertUnwindSafe<Answer>>,
    caller: Caller,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = std::task::ready!(Pin::new(&mut self.answer).poll(cx));
        let mut response = match ended {
            Ok(response) => response,
            // The panic hook has logged the location. The panic's message may be personal data and is dropped.
            Err(_) => Problem::new(Code::Internal, "the service failed to process this request")
                .into_response(),
        };
        if let Ok(id) = HeaderValue::from_bytes(&self.caller.request.text()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        tracing::trace!(
            request = %self.caller.request,
            status = response.status().as_u16(),
            elapsed_us = self.caller.arrived.elapsed().as_micros(),
            "answered"
        );
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{http::StatusCode, routing::get};
    use http_body_util::BodyExt as _;
    use tower::Service as _;
    use tracing::{Event, Subscriber};
    use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

    use super::*;

    /// Collects log events as text.
    #[derive(Clone, Default)]
    struct CapturedLog(Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for CapturedLog {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let text = format!("{event:?}");
            self.0.lock().unwrap().push_str(&text);
        }
    }

    async fn crash() -> StatusCode {
        panic!("planted with +14155550123");
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_refused_until_another_ends() {
        const CONNECTIONS: usize = 8;
        let (routes, shortcut, proxies) = (Router::new(), None, Proxies::default());
        let mut edge = Edge::new(Service { routes, shortcut, proxies }, CONNECTIONS);
        let peer: SocketAddr = ([192, 0, 2, 1], 1234).into();
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(edge.call(peer).await.unwrap());
        }
        assert!(edge.call(peer).await.is_err());
        let clone = open[0].clone();
        open.truncate(CONNECTIONS - 1);
        drop(clone);
        assert!(edge.call(peer).await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_a_request_id_and_without_its_message() {
        let log = CapturedLog::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        let guard = tracing::subscriber::set_default(subscriber);
        crate::telemetry::silence_panics();
        let (routes, proxies) = (Router::new().route("/", get(crash)), Proxies::default());
        let mut edge = Edge::new(Service { routes, shortcut: None, proxies }, 1);
        let mut connection = edge.call(([192, 0, 2, 1], 1234).into()).await.unwrap();
        let response = connection.call(Request::new(Body::empty())).await.unwrap();
        drop(guard);
        // Restores the full messages of other tests' panics.
        let _ = std::panic::take_hook();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key(REQUEST_ID));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"{\"type\":\"urn:dispatchd:problem:internal\""));
        let log = log.0.lock().unwrap();
        assert!(log.contains("panic") && log.contains("edge.rs"), "{log}");
        assert!(!log.contains("4155550123") && !log.contains("192.0.2.1"));
    }
}
