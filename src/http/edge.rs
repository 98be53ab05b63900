//! The outermost layer of both listeners: who asks, under which request id, the way past the router for the calls that
//! come most, and what a crash looks like from outside.

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
    FutureExt,
    future::{BoxFuture, CatchUnwind},
};
use tower::util::Oneshot;

use super::{
    problem::{Code, Problem},
    proxies::Proxies,
};
use crate::{ids::RequestId, limits};

/// The header that carries the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request before it is read.
#[derive(Clone, Copy)]
pub struct Origin {
    /// Its id: in the answer's header and in every record it makes.
    pub request: RequestId,
    /// Where it came from.
    pub ip: IpAddr,
    /// When it arrived.
    pub arrived: Instant,
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let origin = parts.extensions.get::<Self>().copied();
        origin.ok_or_else(|| Problem::new(Code::Internal, "the request has no origin"))
    }
}

/// A way past the router for the calls that come most.
pub trait Shortcut: Send + Sync {
    /// Whether this request is one of them.
    fn takes(&self, method: &Method, uri: &Uri) -> bool;

    /// Answers it. Its body, if any, was not read.
    fn answer(self: Arc<Self>, head: Parts, origin: Origin) -> BoxFuture<'static, Response>;
}

/// What answers the requests of one listener.
#[derive(Clone)]
pub struct Service {
    /// All calls.
    pub routes: Router,
    /// The way past them for some.
    pub shortcut: Option<Arc<dyn Shortcut>>,
    /// Who may speak for others.
    pub proxies: Proxies,
}

/// Makes the service of each connection: who answers, and where the connection came from.
#[derive(Clone)]
pub struct Edge {
    service: Arc<Service>,
    /// Held once by this and once by each connection.
    open: Arc<()>,
}

/// More connections than [`limits::CONNECTIONS_MAX`]: this one is closed at once.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many connections")]
pub struct TooManyConnections;

/// One open connection, however often its service is cloned for a request.
struct Open(#[expect(dead_code, reason = "held to be counted")] Arc<()>);

/// The service as one connection sees it.
#[derive(Clone)]
pub struct Connection {
    service: Arc<Service>,
    ip: IpAddr,
    _open: Arc<Open>,
}

impl Edge {
    /// An edge in front of `service`.
    #[must_use]
    pub fn new(service: Service) -> Self {
        Self { service: Arc::new(service), open: Arc::new(()) }
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
        if Arc::strong_count(&self.open) > limits::CONNECTIONS_MAX {
            return ready(Err(TooManyConnections));
        }
        ready(Ok(Connection {
            service: Arc::clone(&self.service),
            ip: peer.ip().to_canonical(),
            _open: Arc::new(Open(Arc::clone(&self.open))),
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
        let origin = Origin {
            request: RequestId::next(),
            ip: self.service.proxies.origin(self.ip, request.headers()),
            arrived: Instant::now(),
        };
        let answer = match &self.service.shortcut {
            Some(shortcut) if shortcut.takes(request.method(), request.uri()) => {
                let head = request.into_parts().0;
                ResponseFuture::Short(Arc::clone(shortcut).answer(head, origin))
            }
            _ => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(origin);
                let routes = self.service.routes.clone();
                ResponseFuture::Routed(tower::ServiceExt::oneshot(routes, request))
            }
        };
        Answering {
            answer: AssertUnwindSafe(answer).catch_unwind(),
            request: origin.request,
            arrived: origin.arrived,
        }
    }
}

/// How a request is answered.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for one request, in a future that hyper boxes; a box of its own would cost an allocation"
)]
enum ResponseFuture {
    Short(BoxFuture<'static, Response>),
    Routed(Oneshot<Router, Request<Body>>),
}

impl Future for ResponseFuture {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        match self.get_mut() {
            Self::Short(answer) => answer.as_mut().poll(cx),
            Self::Routed(routes) => {
                let Ok(response) = std::task::ready!(Pin::new(routes).poll(cx));
                Poll::Ready(response)
            }
        }
    }
}

/// An answer on its way; gets its request id when it leaves.
pub struct Answering {
    answer: CatchUnwind<AssertUnwindSafe<ResponseFuture>>,
    request: RequestId,
    arrived: Instant,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = std::task::ready!(Pin::new(&mut self.answer).poll(cx));
        let mut response = match ended {
            Ok(response) => response,
            // The panic hook has logged where; what it said may be personal and is dropped here.
            Err(_) => {
                Problem::new(Code::Internal, "the service failed on this request").into_response()
            }
        };
        if let Ok(id) = HeaderValue::from_bytes(&self.request.text()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        tracing::trace!(
            request = %self.request,
            status = response.status().as_u16(),
            took_us = self.arrived.elapsed().as_micros(),
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

    /// Keeps what is logged, as text.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let text = format!("{event:?}");
            self.0.lock().unwrap().push_str(&text);
        }
    }

    async fn crash() -> StatusCode {
        panic!("no room for +14155550123");
    }

    #[tokio::test]
    async fn one_connection_too_many_is_refused_until_another_ends() {
        let mut edge = Edge::new(Service {
            routes: Router::new(),
            shortcut: None,
            proxies: Proxies::default(),
        });
        let peer: SocketAddr = ([192, 0, 2, 1], 1234).into();
        let mut open = Vec::new();
        for _ in 0..limits::CONNECTIONS_MAX {
            open.push(edge.call(peer).await.unwrap());
        }
        assert!(edge.call(peer).await.is_err());
        let clone = open[0].clone();
        open.truncate(limits::CONNECTIONS_MAX - 1);
        drop(clone);
        assert!(edge.call(peer).await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_with_a_request_id_and_tells_nothing() {
        let heard = Heard::default();
        let listening =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));
        crate::telemetry::silence_panics();
        let mut edge = Edge::new(Service {
            routes: Router::new().route("/", get(crash)),
            shortcut: None,
            proxies: Proxies::default(),
        });
        let mut connection = edge.call(([192, 0, 2, 1], 1234).into()).await.unwrap();
        let response = connection.call(Request::new(Body::empty())).await.unwrap();
        drop(listening);
        // Other tests' panics are told in full again.
        let _ = std::panic::take_hook();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key(REQUEST_ID));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"{\"type\":\"urn:dispatchd:problem:internal\""));
        let heard = heard.0.lock().unwrap();
        assert!(heard.contains("panic") && heard.contains("edge.rs"), "{heard}");
        assert!(!heard.contains("4155550123") && !heard.contains("192.0.2.1"));
    }
}
