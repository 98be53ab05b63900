//! [`Service`]: what one listener answers, and with which call.
//!
//! A proxy in front could read otherwise what hyper does not refuse by itself. Then one of the two would see a request where the other
//! sees a body (request smuggling). Such a request is refused, and its connection is closed. A request with both `Content-Length` and
//! `Transfer-Encoding` is read as chunked, and hyper closes the connection after it (RFC 9112 section 6.3).

use std::{convert::Infallible, future::ready, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, Uri, Version, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, Either, UnwrapOrElse},
};
use tower::util::Oneshot;

use super::{
    body,
    calls::Call,
    fence::FencedCalls,
    host::{self, Hosts},
    overload::{Load, Overload},
    problem::{Code, Problem},
    proxies::Proxies,
    traffic::Traffic,
};
use crate::dispatch::Caller;

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

/// The answer of the shortcut, or of the routes.
pub(super) type Answer = Either<
    BoxFuture<'static, Response>,
    UnwrapOrElse<Oneshot<Router, Request<Body>>, fn(Infallible) -> Response>,
>;

/// The router cannot fail.
const NEVER: fn(Infallible) -> Response = |never| match never {};

/// Whether an answer says that the connection closes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
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
    pub(super) fn answer<B>(&self, request: Request<B>, caller: Caller) -> (Call, Closing, Answer)
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
