//! What a client can make the server hold over HTTP/2 (RFC 9113 section 10.5).
//!
//! | flood | what bounds it |
//! | --- | --- |
//! | streams that are opened and reset (rapid reset) | [`limits::HTTP2_RESETS_PENDING_MAX`], then the connection ends |
//! | faulty streams that the server resets | [`limits::HTTP2_ERRORS_MAX`], then the connection ends |
//! | CONTINUATION without an end, large heads | the library counts the frames of a head of [`limits::HTTP2_HEAD_BYTES_MAX`] |
//! | SETTINGS, PING | the library reads no further while an acknowledgement cannot be written |
//! | empty or tiny DATA | the library counts them against the window, then the connection ends |
//! | bodies that nobody reads | [`limits::HTTP2_CONNECTION_WINDOW_BYTES`] |
//! | answers that the client does not take | [`limits::HTTP2_STREAMS_MAX`], each for [`limits::WRITE_TIMEOUT`]; on the phones' listener any answer for [`limits::HTTP2_ANSWER_TIMEOUT`] |
//! | connections without a request | [`limits::IDLE_TIMEOUT`] |

use axum_server::{Address, Server};
use hyper_util::rt::TokioTimer;

use crate::limits;

/// Bounds the HTTP/2 connections of a server.
pub(in crate::http) fn bound<A: Address, Acceptor>(server: &mut Server<A, Acceptor>) {
    server
        .http_builder()
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .max_header_list_size(limits::HTTP2_HEAD_BYTES_MAX)
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(limits::HTTP2_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(limits::HTTP2_RESETS_PENDING_MAX)
        .max_local_error_reset_streams(limits::HTTP2_ERRORS_MAX);
}
