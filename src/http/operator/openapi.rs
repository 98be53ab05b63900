//! `GET /openapi.json`: both listeners, made from the handlers.

use std::sync::Arc;

use axum::{
    Extension,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{Http, HttpAuthScheme, SecurityScheme},
        server::Server,
    },
};

/// What the derive needs; everything else comes from the handlers.
#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "dispatchd",
    description = "The dispatch directory: is this handle on the messaging service, and which way does the message go?"
))]
struct Title;

/// The description of both listeners, as JSON.
#[derive(Clone)]
pub(super) struct Description(Arc<str>);

impl Description {
    /// Of the two listeners.
    pub(super) fn of(phones: OpenApi, operators: OpenApi) -> Self {
        // Strings, maps and numbers: this cannot fail to serialize.
        let mut whole = serde_json::to_value(merge(phones, operators)).unwrap_or_default();
        let items = whole.get_mut("paths").and_then(Value::as_object_mut);
        for item in items.into_iter().flat_map(Map::values_mut) {
            let operations = item.as_object_mut().into_iter().flat_map(Map::values_mut);
            operations.for_each(name_responses);
        }
        Self(whole.to_string().into())
    }

    /// The JSON.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// Gives each response of an operation that has no description the name of its status: OpenAPI demands one.
fn name_responses(operation: &mut Value) {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        let status = status.parse::<StatusCode>().ok();
        let name = status.and_then(|status| status.canonical_reason());
        if let Some(response) = response.as_object_mut() {
            let description = response.entry("description");
            description.or_insert_with(|| name.unwrap_or("Answered").into());
        }
    }
}

/// A path that both have (`/livez`, `/readyz`) appears once.
fn merge(phones: OpenApi, operators: OpenApi) -> OpenApi {
    let mut whole = Title::openapi();
    for (mut part, port, listener) in [(phones, 8080, "phones"), (operators, 8081, "operators")] {
        let server = Server::builder()
            .url(format!("http://127.0.0.1:{port}"))
            .description(Some(format!("the {listener}' listener")))
            .build();
        for path in part.paths.paths.values_mut() {
            path.servers.get_or_insert_default().push(server.clone());
        }
        whole.merge(part);
    }
    let components = whole.components.get_or_insert_default();
    for (name, holder) in [("device", "device"), ("operator", "operator")] {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(format!("the token of a {holder}"));
        components.add_security_scheme(name, SecurityScheme::Http(scheme));
    }
    whole
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "description",
    responses((status = 200, description = "OpenAPI 3.1 of both listeners", content_type = "application/json")),
)]
pub(super) async fn openapi(Extension(description): Extension<Description>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], description.text().to_owned()).into_response()
}
