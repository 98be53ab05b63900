//! Answers to paths and methods that no route has.

use axum::{Router, response::IntoResponse as _};

use super::problem::{Code, Problem};

/// Adds the answers `not-found` and `method-not-allowed` to `routes`.
pub(super) fn with_fallbacks<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    let not_found = "GET /openapi.json on the operators' listener lists the paths";
    let method = "GET /openapi.json on the operators' listener lists the methods of this path";
    routes
        .fallback(move || async move { Problem::new(Code::NotFound, not_found).into_response() })
        .method_not_allowed_fallback(move || async move {
            Problem::new(Code::MethodNotAllowed, method).into_response()
        })
}
