//! The edge: HTTP in, HTTP out. Extract, one call into a room below, answer.
//!
//! Two listeners with routes of their own: [`phone`] for devices, [`operator`] for those who run the service. Both give
//! every answer an `X-Request-Id`, every refusal an RFC 9457 body, and neither repeats in an error what it was sent.

pub mod auth;
pub mod body;
pub mod edge;
pub mod health;
pub mod listen;
pub mod operator;
pub mod phone;
pub mod problem;
pub mod proxies;

use axum::{Router, response::IntoResponse as _};
use problem::{Code, Problem};

/// Routes with refusals for paths and methods that are not there.
fn with_fallbacks<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    let not_found = "see /openapi.json on the operators' listener for what there is";
    let method = "see /openapi.json on the operators' listener for what this path takes";
    routes
        .fallback(move || async move { Problem::new(Code::NotFound, not_found).into_response() })
        .method_not_allowed_fallback(move || async move {
            Problem::new(Code::MethodNotAllowed, method).into_response()
        })
}
