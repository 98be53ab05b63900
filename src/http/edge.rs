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
        }
    }
}

type Caught = futures_util::future::CatchUnwind<AssertUnwindSafe<Oneshot<Router, Request<Body>>>>;

/// An answer on its way; gets its request id when it leaves.
pub struct Answering {
    routes: Caught,
    request: RequestId,
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
        Poll::Ready(Ok(response))
    }
}
