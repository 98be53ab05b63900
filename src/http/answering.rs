//! [`Answering`]: what is done last to every answer.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures_util::future::CatchUnwind;

use super::{
    calls::Call,
    connection::{
        open::{ToNode, UnderWay},
        pieces::Pieces,
    },
    problem::{Code, Problem},
    service::{Answer, Closing, Service},
};
use crate::{dispatch::Caller, limits};

/// The header that carries the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The future of the final answer: replaces a panic with a problem, adds the request id, and counts the answer. Dropped
/// before, because the client left, it counts nothing.
pub struct Answering {
    pub(super) answer: CatchUnwind<AssertUnwindSafe<Answer>>,
    pub(super) caller: Caller,
    pub(super) call: Call,
    pub(super) closing: Closing,
    pub(super) is_http2: bool,
    pub(super) service: Arc<Service>,
    pub(super) under_way: Option<UnderWay>,
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
