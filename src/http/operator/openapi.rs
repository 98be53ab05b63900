//! `GET /openapi.json`: both listeners, made from the handlers.

use std::sync::LazyLock;

use axum::{
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

use crate::http::phone;

/// What the derive needs; everything else comes from the handlers.
#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "dispatchd",
    description = "The dispatch directory: is this handle on the messaging service, and which way does the message go?"
))]
struct Description;

static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    // Strings, maps and numbers: this cannot fail to serialize.
    let mut whole = serde_json::to_value(describe()).unwrap_or_default();
    let items = whole.get_mut("paths").and_then(Value::as_object_mut);
    for item in items.into_iter().flat_map(Map::values_mut) {
        let operations = item.as_object_mut().into_iter().flat_map(Map::values_mut);
        operations.for_each(name_responses);
    }
    whole.to_string()
});

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

/// The description of both listeners. A path that both have (`/livez`, `/readyz`) appears once.
fn describe() -> OpenApi {
    let mut whole = Description::openapi();
    for (part, port, listener) in [
        (phone::described().split_for_parts().1, 8080, "phones"),
        (super::described().split_for_parts().1, 8081, "operators"),
    ] {
        let mut part = part;
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
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_listeners_are_described_in_3_1() {
        let described: serde_json::Value = serde_json::from_str(&DESCRIPTION).unwrap();
        assert!(described["openapi"].as_str().unwrap().starts_with("3.1"));
        for (path, method) in [
            ("/v1/lookup/{handle}", "get"),
            ("/v1/lookup", "post"),
            ("/v1/devices", "post"),
            ("/v1/devices/me", "delete"),
            ("/v1/verifications/{verification}", "post"),
            ("/v1/log", "get"),
            ("/v1/log/tail", "get"),
            ("/v1/log/flips", "get"),
            ("/v1/log/segments", "get"),
            ("/v1/handles/{handle}/timeline", "get"),
            ("/v1/registry", "get"),
            ("/readyz", "get"),
        ] {
            assert!(described["paths"][path][method].is_object(), "{method} {path}");
        }
        let schemes = &described["components"]["securitySchemes"];
        assert_eq!(schemes["device"]["scheme"], "bearer");
        assert_eq!(schemes["operator"]["scheme"], "bearer");
    }
}
