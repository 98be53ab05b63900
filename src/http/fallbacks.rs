//! Answers for paths and methods that a listener does not have: what it takes, or which listener has the path.

use std::sync::Arc;

use axum::{
    Router,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use utoipa::openapi::{OpenApi, PathItem};

use super::{
    calls::fits,
    problem::{Code, Problem},
};

/// The paths of one listener, with the methods of each.
#[derive(Clone, Debug)]
pub struct Paths {
    /// For people: the listener, its configuration key and default port.
    listener: &'static str,
    /// Templates such as `/v1/lookup/{handle}`, and methods such as `GET, DELETE`.
    methods: Arc<[(String, String)]>,
}

impl Paths {
    /// The paths of the phones' listener.
    pub(super) fn of_phones(description: &OpenApi) -> Self {
        Self::of("the phones' listener (server.phones, port 8080 by default)", description)
    }

    /// The paths of the operators' listener.
    pub(super) fn of_operators(description: &OpenApi) -> Self {
        Self::of("the operators' listener (server.operators, port 8081 by default)", description)
    }

    fn of(listener: &'static str, description: &OpenApi) -> Self {
        let paths = description.paths.paths.iter();
        let methods = paths.map(|(path, item)| (path.clone(), methods_of(item)));
        Self { listener, methods: methods.collect() }
    }

    /// The methods of the path, if the listener has it.
    fn methods(&self, path: &str) -> Option<&str> {
        let found = self.methods.iter().find(|(template, _)| fits(template, path));
        found.map(|(_, methods)| methods.as_str())
    }
}

fn methods_of(item: &PathItem) -> String {
    let methods = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    let present = methods.iter().filter(|(_, operation)| operation.is_some());
    present.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Adds the answers `not-found` and `method-not-allowed` to the routes of a listener with the paths `own`. The router itself
/// adds the header `Allow`.
pub(super) fn with_fallbacks<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    own: Paths,
    other: Paths,
) -> Router<S> {
    routes
        .fallback(move |uri: Uri| async move { not_found(&other, uri.path()) })
        .method_not_allowed_fallback(move |uri: Uri| async move { wrong_method(&own, uri.path()) })
}

fn not_found(other: &Paths, path: &str) -> Response {
    let detail = match other.methods(path) {
        Some(_) => format!("{} has this path", other.listener),
        None => return no_such_path().into_response(),
    };
    Problem::new(Code::NotFound, detail).into_response()
}

/// The refusal of a path that no listener has.
pub(super) fn no_such_path() -> Problem {
    let detail = "GET /openapi.json lists the paths; a `/` within a handle is written `%2F`";
    Problem::new(Code::NotFound, detail)
}

fn wrong_method(own: &Paths, path: &str) -> Response {
    let methods = own.methods(path).unwrap_or("GET");
    Problem::new(Code::MethodNotAllowed, format!("this path takes {methods}")).into_response()
}
