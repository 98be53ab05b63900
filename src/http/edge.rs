//! The outermost layer of both listeners.
//!
//! It limits the connections, determines the client's address and assigns request ids. [`Service`] refuses requests that are no valid
//! HTTP, are for another host, or would be answered too late, and dispatches the most frequent calls without the router.
//! [`Answering`] answers a panic with a problem, and counts every answer.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    extract::FromRequestParts,
    http::{Request, Version, request::Parts},
    response::Response,
};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::{
    answering::Answering,
    connection::{
        admission::{Admission, TooManyConnections},
        open::Open,
    },
    problem::{Code, Problem},
    service::Service,
};
use crate::{dispatch::Caller, ids::RequestId};

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| Problem::new(Code::Internal, "the request has no caller"))
    }
}

/// Makes a [`Connection`] for each connection of a listener, and limits their number.
#[derive(Clone)]
pub struct Edge {
    service: Arc<Service>,
    /// A permit for each connection.
    permits: Arc<Semaphore>,
    admission: Admission,
}

/// The service of one connection.
#[derive(Clone)]
pub struct Connection {
    service: Arc<Service>,
    ip: IpAddr,
    open: Arc<Open>,
}

impl Edge {
    /// An edge that passes requests to `service`, from as many connections as `admission` allows.
    pub fn new(service: Service, admission: Admission) -> Self {
        let permits = Arc::new(Semaphore::new(admission.connections_max));
        Self { service: Arc::new(service), permits, admission }
    }

    fn admit(&self, ip: IpAddr) -> Result<Connection, TooManyConnections> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let permit = permit.map_err(|_| TooManyConnections)?;
        let open = Open::new(permit, self.service.traffic.connected());
        if !self.service.proxies.contain(ip) && !self.admission.is_balancer(ip) {
            open.count_for(self.admission.count(ip)?);
        }
        Ok(Connection { service: Arc::clone(&self.service), ip, open: Arc::new(open) })
    }
}

impl Connection {
    /// The peer, or the client that a load balancer has named.
    pub(super) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// What the connection's stream shares with its service.
    pub(super) fn open(&self) -> Arc<Open> {
        Arc::clone(&self.open)
    }

    /// Takes `client` for the client of this connection, as the load balancer says that opened it.
    ///
    /// # Errors
    /// If the client's network has as many connections as it may have.
    pub(super) fn announce(&mut self, client: IpAddr, admission: &Admission) -> io::Result<()> {
        if !self.service.proxies.contain(client) {
            self.open.count_for(admission.count(client).map_err(io::Error::other)?);
        }
        self.ip = client;
        Ok(())
    }

    /// Counts that the connection is closed before its first request.
    pub(super) fn refused(&self) {
        self.service.traffic.connection_refused();
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
        let admitted = self.admit(peer.ip().to_canonical());
        if admitted.is_err() {
            self.service.traffic.connection_refused();
        }
        ready(admitted)
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
        if self.open.requests() == 0 {
            self.service.proxies.notice_unnamed(self.ip, request.headers());
        }
        let caller = Caller {
            request: RequestId::next(),
            ip: self.service.proxies.origin(self.ip, request.headers()),
            arrived: Instant::now(),
        };
        let is_http2 = request.version() == Version::HTTP_2;
        let (call, closing, answer) = self.service.answer(request, caller);
        // Of this thread's socket, so that its count of owners is in no other processor's cache.
        let service = Arc::clone(&self.service);
        let answer = AssertUnwindSafe(answer).catch_unwind();
        let under_way = Some(self.open.begin());
        Answering { answer, caller, call, closing, is_http2, service, under_way }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{
        Router,
        body::{Body, HttpBody as _},
        http::{HeaderName, StatusCode, header},
        routing::get,
    };
    use http_body_util::BodyExt as _;
    use tower::Service as _;
    use tracing::{Event, Subscriber};
    use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _};

    use super::*;
    use crate::http::{answering::REQUEST_ID, proxies::Proxies, traffic::Answered};

    /// Collects log events as text.
    #[derive(Clone, Default)]
    struct CapturedLog(Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for CapturedLog {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let text = format!("{event:?}");
            self.0.lock().unwrap().push_str(&text);
        }
    }

    /// A service with these routes and the calls of the operators' listener.
    fn service(routes: Router) -> Service {
        let traffic = crate::http::operator::traffic();
        let proxies = Proxies::default();
        Service {
            routes,
            shortcut: None,
            proxies,
            hosts: None,
            overload: None,
            fence: None,
            traffic,
        }
    }

    fn get_with(path: &str, name: HeaderName, value: &str) -> Request<Body> {
        Request::get(path).header(name, value).body(Body::empty()).unwrap()
    }

    async fn crash() -> StatusCode {
        panic!("planted with +14155550123");
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_refused_until_another_ends() {
        const CONNECTIONS: usize = 8;
        let service = service(Router::new());
        let traffic = Arc::clone(&service.traffic);
        let mut edge = Edge::new(service, Admission::of_socket(CONNECTIONS));
        let peer: SocketAddr = ([192, 0, 2, 1], 1234).into();
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(edge.call(peer).await.unwrap());
        }
        assert!(edge.call(peer).await.is_err());
        assert_eq!((traffic.connections(), traffic.connections_refused()), (CONNECTIONS, 1));
        let clone = open[0].clone();
        open.truncate(CONNECTIONS - 1);
        assert_eq!(traffic.connections(), CONNECTIONS - 1);
        drop(clone);
        assert_eq!(traffic.connections(), CONNECTIONS - 1);
        assert!(edge.call(peer).await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_a_request_id_and_without_its_message() {
        let log = CapturedLog::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        let guard = tracing::subscriber::set_default(subscriber);
        crate::telemetry::silence_panics();
        let service = service(Router::new().route("/livez", get(crash)));
        let traffic = Arc::clone(&service.traffic);
        let mut edge = Edge::new(service, Admission::of_socket(1));
        let mut connection = edge.call(([192, 0, 2, 1], 1234).into()).await.unwrap();
        let request = get_with("/livez", header::HOST, "a");
        let response = connection.call(request).await.unwrap();
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
        let (call, problem) = ("livez", Some(Code::Internal));
        assert_eq!(traffic.requests(), [Answered { call, status: 500, problem, requests: 1 }]);
    }

    #[tokio::test]
    async fn a_forwarded_request_is_reported_if_it_is_the_first_of_its_connection() {
        let log = CapturedLog::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let reports = || log.0.lock().unwrap().matches("X-Forwarded-For is ignored").count();
        let proxies = Proxies::from(&[][..]);
        let mut edge =
            Edge::new(Service { proxies, ..service(Router::new()) }, Admission::of_socket(2));
        let mut connect = || edge.call(([192, 0, 2, 1], 1234).into()).into_inner().unwrap();
        let request = |name| get_with("/", HeaderName::from_static(name), "::1");
        let mut direct = connect();
        drop(direct.call(request("x-other")));
        drop(direct.clone().call(request("x-forwarded-for")));
        assert_eq!(reports(), 0);
        drop(connect().call(request("x-forwarded-for")));
        assert_eq!(reports(), 1);
    }

    #[tokio::test]
    async fn an_answer_whose_client_left_is_not_counted() {
        let service = service(Router::new().route("/livez", get(std::future::pending::<()>)));
        let traffic = Arc::clone(&service.traffic);
        let mut connection = Edge::new(service, Admission::of_socket(1))
            .call(([192, 0, 2, 1], 1234).into())
            .await
            .unwrap();
        let request = || get_with("/livez", header::HOST, "a");
        assert!(connection.call(request()).now_or_never().is_none());
        assert!(traffic.requests().is_empty());
    }

    #[tokio::test]
    async fn a_reading_call_is_timed_when_its_body_ends_or_is_dropped() {
        let routes = Router::new().route("/v1/log", get(async || "a record"));
        let service = service(routes);
        let traffic = Arc::clone(&service.traffic);
        let mut edge = Edge::new(service, Admission::of_socket(1));
        let mut connection = edge.call(([192, 0, 2, 1], 1234).into()).await.unwrap();
        let request = || get_with("/v1/log", header::HOST, "a");
        let timed = || {
            let search = traffic.reads().find(|(call, _)| *call == "searchLog");
            search.unwrap().1.values().count()
        };
        let response = connection.call(request()).await.unwrap();
        assert_eq!(timed(), 0);
        assert_eq!(response.body().size_hint().exact(), Some(8));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "a record");
        assert_eq!(timed(), 1);
        drop(connection.call(request()).await.unwrap());
        assert_eq!(timed(), 2);
    }
}
