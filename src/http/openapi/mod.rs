//! The description of the API (OpenAPI 3.1), made from the handlers, and `GET /openapi.json`, which serves it. The phones'
//! listener describes itself; the operators' listener describes both.
//!
//! A handler declares its own problems: a response's description names their codes in backticks. What every call has in
//! common is added here.

mod headers;
mod problems;
mod schemas;

use std::collections::BTreeSet;

use axum::{
    Extension,
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa::openapi::{
    Components, Info, InfoBuilder, LicenseBuilder, OpenApi, PathItem, Paths, RefOr,
    path::Operation,
    security::{Http, HttpAuthScheme, SecurityScheme},
    server::{Server, ServerBuilder},
    tag::{Tag, TagBuilder},
};

const ABOUT: &str = "The dispatch directory: is this handle on the messaging service, and which way does the message go?\n\n\
    Phones and operators have a listener each. Phones send the token of a device, operators the token of an operator, as \
    `Authorization: Bearer`.\n\n\
    A refused request is answered with problem details (RFC 9457). Its `code` is stable; its `retry` says whether to try \
    again.\n\n\
    The servers named here are the default addresses of the listeners. A request whose head is malformed or too large is \
    answered with `request-invalid`, `uri-too-long` or `head-too-large`, and its connection is closed.";

/// Each tag, and what its calls are for.
const TAGS: &[(&str, &str)] = &[
    ("lookup", "Phones: which way a message goes."),
    ("devices", "Phones: sign up, check in, sign out, link another device."),
    ("handles", "Phones: prove a handle, hide it, give it up."),
    ("log", "Operators: the query log, and why a handle is blue or green."),
    ("audit", "Operators: who read the query log."),
    ("registry", "Operators: figures, imports and snapshots of the registry."),
    ("quota", "Operators: flagged accounts, and what an account has left of its quota."),
    ("clock", "Operators: trusted time."),
    ("cluster", "Operators and nodes: the nodes of the cluster."),
    ("joining", "Nodes: join the cluster, and take its state over."),
    ("doctor", "Operators: what is wrong with the deployment."),
    ("health", "Whether the server works, and its metrics."),
    ("description", "This description, for programs and as a page."),
];

/// One of the two listeners.
#[derive(Clone, Copy)]
enum Listener {
    Phones,
    Operators,
}

impl Listener {
    fn server(self) -> Server {
        let (url, description) = match self {
            Self::Phones => ("http://127.0.0.1:8080", "The phones' listener (`server.phones`)"),
            Self::Operators => {
                ("http://127.0.0.1:8081", "The operators' listener (`server.operators`)")
            }
        };
        ServerBuilder::new().url(url).description(Some(description)).build()
    }
}

/// What `GET /openapi.json` of a listener answers.
#[derive(Clone, Default)]
pub(super) struct Description(Bytes);

impl Description {
    /// The phones' half.
    pub(super) fn of_phones(phones: OpenApi) -> Self {
        Self::of(vec![(Listener::Phones, phones)])
    }

    /// Both halves.
    pub(super) fn of_both(phones: OpenApi, operators: OpenApi) -> Self {
        Self::of(vec![(Listener::Phones, phones), (Listener::Operators, operators)])
    }

    fn of(parts: Vec<(Listener, OpenApi)>) -> Self {
        // Strings, maps and numbers: this cannot fail to serialize.
        let mut text = assemble(parts).to_pretty_json().unwrap_or_default();
        text.push('\n');
        Self(text.into())
    }
}

/// Describes this listener's API; the operators' listener describes both.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getOpenApi", tag = "description",
    responses((status = 200, description = "The description in OpenAPI 3.1", body = Object, content_type = "application/json")),
)]
pub(super) async fn openapi(Extension(description): Extension<Description>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], description.0).into_response()
}

fn assemble(parts: Vec<(Listener, OpenApi)>) -> OpenApi {
    let mut whole = OpenApi::new(info(), Paths::new());
    whole.servers = Some(parts.iter().map(|(listener, _)| listener.server()).collect());
    let mut components = Components::default();
    for (listener, part) in parts {
        components.schemas.extend(part.components.unwrap_or_default().schemas);
        for (path, item) in part.paths.paths {
            let item = whole.paths.paths.entry(path).or_insert(item);
            item.servers.get_or_insert_default().push(listener.server());
        }
        let schemes: &[_] = match listener {
            Listener::Phones => &[("device", "The token of a device, from `POST /v1/devices`")],
            Listener::Operators => &[
                (
                    "operator",
                    "A token from `dispatchd operator add`; of the role `member`, one that a node made when it joined",
                ),
                ("invite", "A token from `dispatchd cluster invite`, which is good once"),
            ],
        };
        for (name, description) in schemes {
            let mut bearer = Http::new(HttpAuthScheme::Bearer);
            bearer.description = Some((*description).to_owned());
            components.add_security_scheme(*name, SecurityScheme::Http(bearer));
        }
    }
    let schemas = &mut components.schemas;
    let mut used = BTreeSet::new();
    for operation in whole.paths.paths.values_mut().flat_map(operations) {
        problems::declare(operation, schemas);
        complete(operation);
        used.extend(operation.tags.iter().flatten().cloned());
    }
    schemas::tidy(schemas);
    components.headers = headers::shared();
    whole.components = Some(components);
    let is_used = |(name, _): &&(&str, &str)| used.contains(*name);
    whole.tags = Some(TAGS.iter().filter(is_used).map(tag).collect());
    schemas::prune(&mut whole);
    whole
}

fn info() -> Info {
    let license = env!("CARGO_PKG_LICENSE");
    let license = LicenseBuilder::new().name(license).identifier(Some(license)).build();
    InfoBuilder::new()
        .title("dispatchd")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build()
}

fn tag((name, description): &(&str, &str)) -> Tag {
    TagBuilder::new().name(*name).description(Some(*description)).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Adds what all operations and all of their responses have. OpenAPI takes an operation without `security` for one that is not
/// described, and demands a description of each response.
fn complete(operation: &mut Operation) {
    operation.security.get_or_insert_default();
    let texts = [&mut operation.summary, &mut operation.description];
    texts.into_iter().flatten().for_each(schemas::unwrap_lines);
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        parameter.description.iter_mut().for_each(schemas::unwrap_lines);
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.iter_mut().for_each(schemas::describe_bytes);
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            let name = status.parse().ok().and_then(|code: StatusCode| code.canonical_reason());
            response.description = name.unwrap_or("Answered").to_owned();
        }
        response.headers.insert("X-Request-Id".to_owned(), headers::reference("RequestId"));
        let is_lookup = operation.tags.iter().flatten().any(|tag| tag == "lookup");
        for (name, shared) in headers::of_lookup(status).iter().filter(|_| is_lookup) {
            response.headers.insert((*name).to_owned(), headers::reference(shared));
        }
        response.content.iter_mut().for_each(schemas::describe_bytes);
    }
}
