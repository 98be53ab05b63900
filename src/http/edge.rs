//! The outermost layer of both listeners: who asks, under which request id, and what a crash looks like from outside.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, Request, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tower::{Service, util::Oneshot};

use super::problem::{Code, Problem};
use crate::ids::RequestId;

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

/// Makes the service of each connection: the routes, and where the connection came from.
#[derive(Clone)]
pub struct Edge {
    routes: Router,
}

/// The routes as one connection sees them.
#[derive(Clone)]
pub struct Connection {
    routes: Router,
    ip: IpAddr,
}

impl Edge {
    /// An edge in front of `routes`.
    #[must_use]
    pub fn new(routes: Router) -> Self {
        Self { routes }
    }
}

impl Service<SocketAddr> for Edge {
    type Response = Connection;
    type Error = Infallible;
    type Future = Ready<Result<Connection, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        ready(Ok(Connection {
            routes: self.routes.clone(),
            ip: peer.ip().to_canonical(),
        }))
    }
}

impl<B> Service<Request<B>> for Connection
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
            ip: self.ip,
            arrived: Instant::now(),
        };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(origin);
        let routes = tower::ServiceExt::oneshot(self.routes.clone(), request);
        Answering {
            routes: AssertUnwindSafe(routes).catch_unwind(),
            request: origin.request,
            arrived: origin.arrived,
        }
    }
}

type Caught = futures_util::future::CatchUnwind<AssertUnwindSafe<Oneshot<Router, Request<Body>>>>;

/// An answer on its way; gets its request id when it leaves.
pub struct Answering {
    routes: Caught,
    request: RequestId,
    arrived: Instant,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = std::task::ready!(Pin::new(&mut self.routes).poll(cx));
        let mut response = match ended {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            // The panic hook has logged where; what it said may be personal and is dropped here.
            Err(_) => {
                Problem::new(Code::Internal, "the service failed on this request").into_response()
            }
        };
        if let Ok(id) = HeaderValue::from_str(&self.request.to_string()) {
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
    async fn a_panic_is_a_problem_with_a_request_id_and_tells_nothing() {
        let heard = Heard::default();
        let listening =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));
        crate::telemetry::silence_panics();
        let mut edge = Edge::new(Router::new().route("/", get(crash)));
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
        assert!(
            heard.contains("panic") && heard.contains("edge.rs"),
            "{heard}"
        );
        assert!(!heard.contains("4155550123") && !heard.contains("192.0.2.1"));
    }
}
