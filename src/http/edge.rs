//! The outermost layer of both listeners.
//!
//! It limits the connections, determines the client's address and assigns request ids. It refuses requests that are no valid HTTP,
//! are for another host, or would be answered too late. It dispatches the most frequent calls without the router, answers a panic
//! with a problem, and counts every answer.
//!
//! What hyper does not refuse by itself could be read otherwise by a proxy in front: then one of the two would see a request where
//! the other sees a body (request smuggling). Such a request is refused, and its connection is closed. A request with both
//! `Content-Length` and `Transfer-Encoding` is read as chunked, and hyper closes the connection after it (RFC 9112 section 6.3).

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    io,
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, request::Parts,
    },
    response::{IntoResponse, Response},
};
use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, CatchUnwind, Either, UnwrapOrElse},
};
use tokio::sync::Semaphore;
use tower::util::Oneshot;

use super::{
    body,
    calls::Call,
    connection::{
        admission::{Admission, TooManyConnections},
        open::{Open, ToNode, UnderWay},
        pieces::Pieces,
    },
    fence::FencedCalls,
    host::{self, Hosts},
    overload::{Load, Overload},
    problem::{Code, Problem},
    proxies::Proxies,
    traffic::Traffic,
};
use crate::{dispatch::Caller, ids::RequestId, limits};

/// The header that carries the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| Problem::new(Code::Internal, "the request has no caller"))
    }
}

/// Answers the single lookup, the most frequent call, without the router.
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
    /// The proxies that are believed about the client's address.
    pub proxies: Proxies,
    /// The hosts that the listener answers for; any if none.
    pub hosts: Option<Hosts>,
    /// Sheds lookups that would be answered too late.
    pub overload: Option<Overload>,
    /// Lets calls wait until the registry has every change. None on a machine that shares its directory with no other.
    pub fence: Option<Arc<FencedCalls>>,
    /// The listener's counts.
    pub traffic: Arc<Traffic>,
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

impl Service {
    /// Refuses a request that is no valid HTTP, or for another host.
    fn check<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let (uri, headers) = (request.uri(), request.headers());
        check_coding(headers)?;
        if *request.method() == Method::CONNECT {
            return Err(Problem::new(
                Code::RequestInvalid,
                "this server is no proxy; send no `CONNECT`",
            ));
        }
        host::check(request.version(), uri, headers)?;
        self.hosts.as_ref().map_or(Ok(()), |hosts| hosts.check(uri, headers))
    }

    fn call<B>(&self, request: &Request<B>) -> Call {
        self.traffic.calls().find(request.method(), request.uri().path())
    }

    fn shed(&self, load: Load, caller: &Caller) -> Option<Problem> {
        self.overload.as_ref()?.shed(load, caller)
    }

    /// The call that a request is, and its answer.
    fn answer<B>(&self, request: Request<B>, caller: Caller) -> (Call, Closing, Answer)
    where
        B: axum::body::HttpBody<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let closing = Closing::of(request.version());
        if let Err(problem) = self.check(&request) {
            let refused = ready(problem.into_response()).boxed();
            return (self.call(&request), closing, Either::Left(refused));
        }
        if let Some(shortcut) = &self.shortcut
            && shortcut.matches(request.method(), request.uri())
        {
            let answer = match (self.shed(Load::Single, &caller), &self.fence) {
                (Some(problem), _) => refuse(problem, request),
                (None, None) => Arc::clone(shortcut).answer(request.into_parts().0, caller),
                (None, Some(fence)) => {
                    let shortcut = Arc::clone(shortcut);
                    let answer =
                        move |request: Request<B>| shortcut.answer(request.into_parts().0, caller);
                    fence.pass(request, caller, true, answer, refuse)
                }
            };
            return (self.traffic.calls().lookup(), Closing::Never, Either::Left(answer));
        }
        let call = self.call(&request);
        let is_awaited = request.headers().contains_key(header::EXPECT);
        let closing = if is_awaited { closing } else { Closing::Never };
        let load = self.load(call);
        if let Some(problem) = load.and_then(|load| self.shed(load, &caller)) {
            return (call, closing, Either::Left(refuse(problem, request)));
        }
        let routes = self.routes.clone();
        let answer = move |request: Request<B>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(caller);
            tower::ServiceExt::oneshot(routes, request).unwrap_or_else(NEVER)
        };
        let fence = self.fence.as_ref().filter(|_| self.traffic.calls().is_fenced(call));
        let answer = match fence {
            None => Either::Right(answer(request)),
            Some(fence) => {
                let answer = move |request| answer(request).boxed();
                Either::Left(fence.pass(request, caller, load.is_some(), answer, refuse))
            }
        };
        (call, closing, answer)
    }

    /// What a call costs, if it may be shed.
    fn load(&self, call: Call) -> Option<Load> {
        let calls = self.traffic.calls();
        let loads = [(calls.lookup(), Load::Single), (calls.batch(), Load::Batch)];
        loads.into_iter().find(|(of, _)| *of == call).map(|(_, load)| load)
    }
}

/// Refuses transfer codings other than `chunked`. hyper takes the last one only.
fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_supported = match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(line), None) => line.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    let detail = "send `Transfer-Encoding: chunked` once, or `Content-Length`";
    is_supported.then_some(()).ok_or_else(|| Problem::new(Code::TransferCodingUnsupported, detail))
}

/// Answers `problem` once the body has been read, so that the connection can serve the next request.
fn refuse<B>(problem: Problem, request: Request<B>) -> BoxFuture<'static, Response>
where
    B: axum::body::HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let (head, body) = request.into_parts();
    let body = Body::new(body);
    let refuse = async move {
        body::discard(&head.headers, body).await;
        problem.into_response()
    };
    refuse.boxed()
}

/// The answer of the shortcut, or of the routes.
type Answer = Either<
    BoxFuture<'static, Response>,
    UnwrapOrElse<Oneshot<Router, Request<Body>>, fn(Infallible) -> Response>,
>;

/// The router cannot fail.
const NEVER: fn(Infallible) -> Response = |never| match never {};

/// Whether an answer says that the connection closes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Never,
    /// If it is a refusal, because the body was not read.
    IfRefused,
}

impl Closing {
    /// Of a request whose body is not read if it is refused. HTTP/2 resets the stream instead.
    fn of(version: Version) -> Self {
        if version < Version::HTTP_2 { Self::IfRefused } else { Self::Never }
    }
}

/// The future of the final answer: replaces a panic with a problem, adds the request id, and counts the answer. Dropped
/// before, because the client left, it counts nothing.
pub struct Answering {
    answer: CatchUnwind<AssertUnwindSafe<Answer>>,
    caller: Caller,
    call: Call,
    closing: Closing,
    is_http2: bool,
    service: Arc<Service>,
    under_way: Option<UnderWay>,
}

impl Answering {
    /// Whether the body is sent piece by piece, and watched until the client has taken it. A short body is copied at once: over
    /// HTTP/1.1 the kernel takes it. Over HTTP/2 its client may refuse it for ever, which costs less to bound for the answers of
    /// lookups together ([`limits::HTTP2_ANSWER_TIMEOUT`]).
    fn is_in_pieces(&self, body: &Body) -> bool {
        let is_watched = self.is_http2 && self.call != self.service.traffic.calls().lookup();
        let bytes_max = if is_watched { 0 } else { limits::ANSWER_PIECE_BYTES as u64 };
        body.size_hint().exact().is_none_or(|bytes| bytes > bytes_max)
    }
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = std::task::ready!(Pin::new(&mut self.answer).poll(cx));
        let response = match ended {
            Ok(response) => response,
            // The panic hook has logged the location. The panic's message may be personal data and is dropped.
            Err(_) => Problem::new(Code::Internal, "the service failed to process this request")
                .into_response(),
        };
        let Caller { arrived, .. } = self.caller;
        let mut response = self.service.traffic.answered(self.call, arrived, response);
        // Nodes ask each other over HTTP/1.1.
        let to_node = response.extensions_mut().remove::<ToNode>().filter(|_| !self.is_http2);
        let is_to_node = to_node.is_some();
        if let Some((under_way, to_node)) = self.under_way.as_ref().zip(to_node) {
            under_way.goes_to_node(to_node);
        }
        if self.is_in_pieces(response.body()) {
            let under_way = self.under_way.take();
            response = response.map(|body| Body::new(Pieces::of(body, under_way)));
        }
        if let Ok(id) = HeaderValue::from_bytes(&self.caller.request.text()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        let is_refused = response.status().is_client_error() || response.status().is_server_error();
        if is_to_node || (is_refused && self.closing == Closing::IfRefused) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        tracing::trace!(
            request = %self.caller.request,
            status = response.status().as_u16(),
            elapsed_us = arrived.elapsed().as_micros(),
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
    use crate::http::traffic::Answered;

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
