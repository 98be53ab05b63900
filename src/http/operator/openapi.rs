//! `GET /openapi.json`: both listeners, made from the handlers.

use std::sync::Arc;

use axum::{
    Extension,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{Http, HttpAuthScheme, SecurityScheme},
        server::Server,
    },
};

use crate::{
    api::Problem,
    query_log::Kind,
    vocabulary::{Reason, Route},
};

/// What the derive needs, with the types that only parameters name; everything else comes from the handlers.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "dispatchd",
        description = "The dispatch directory: is this handle on the messaging service, and which way does the message go?"
    ),
    components(schemas(Problem, Kind, Reason, Route))
)]
struct Title;

/// The description of both listeners, as JSON.
pub(super) fn describe(phones: OpenApi, operators: OpenApi) -> Arc<str> {
    // Strings, maps and numbers: this cannot fail to serialize.
    let mut whole = serde_json::to_value(merge(phones, operators)).unwrap_or_default();
    let items = whole.get_mut("paths").and_then(Value::as_object_mut);
    for item in items.into_iter().flat_map(Map::values_mut) {
        let operations = item.as_object_mut().into_iter().flat_map(Map::values_mut);
        operations.for_each(complete_responses);
    }
    whole.to_string().into()
}

/// Adds what operations have in common: the refusals that follow from their token, their body and their tag, and the body of
/// a refusal. OpenAPI demands a description of each response; one that has none gets the name of its status.
fn complete_responses(operation: &mut Value) {
    let has = |pointer| operation.pointer(pointer).is_some();
    let (takes_token, takes_body) = (has("/security"), has("/requestBody"));
    let reads_log = operation.pointer("/tags/0").is_some_and(|tag| tag == "log" || tag == "audit");
    let common = [
        (takes_token || takes_body, "400", "`request-invalid`"),
        (takes_token, "401", "`token-invalid`"),
        (has("/security/0/operator/0"), "403", "`role-insufficient`"),
        (reads_log, "503", "`overloaded`, `audit-unwritable`"),
        (
            has("/security/0/device"),
            "503",
            "`registry-loading`, `registry-unwritable`, `log-unwritable`, `overloaded`",
        ),
    ];
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (_, status, codes) in common.into_iter().filter(|(applies, ..)| *applies) {
        responses.entry(status).or_insert_with(|| json!({"description": codes}));
    }
    for (status, response) in responses.iter_mut() {
        let Ok(status) = status.parse::<StatusCode>() else { continue };
        let Some(response) = response.as_object_mut() else { continue };
        if response.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            let name = status.canonical_reason().unwrap_or("Answered");
            response.insert("description".to_owned(), name.into());
        }
        if status.is_client_error() || status.is_server_error() {
            let body = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
            response.insert("content".to_owned(), json!({"application/problem+json": body}));
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
pub(super) async fn openapi(Extension(description): Extension<Arc<str>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], description.to_string()).into_response()
}
