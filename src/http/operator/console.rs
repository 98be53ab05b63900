//! `GET /console/`: the operators' console, a static application that speaks to the calls of this listener.
//!
//! Its files are for everybody who reaches the listener: they hold nothing but code. What they show takes a token.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Redirect, Response},
};

use crate::{
    console::{self, PAGE},
    http::{
        assets::{Assets, Code},
        fallbacks,
        problem::{self, Problem},
    },
};

const PLACE: &str = "/console/";

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets::new(console::FILES, Code::Own));

/// The operators' console: pages that show why a handle is blue or green, and whether the service is well.
#[utoipa::path(
    get, path = "/console/", operation_id = "getConsole", tag = "description",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 304, description = "The page, which the client holds already"),
    ),
)]
pub(super) async fn page(asked: HeaderMap) -> Response {
    respond(PAGE, &asked)
}

/// The files that the page loads.
pub(super) async fn file(Path(name): Path<String>, asked: HeaderMap) -> Response {
    respond(&name, &asked)
}

/// The console is where a person means to go who types the listener's address into a browser, or leaves out the last slash.
pub(super) async fn redirect() -> Redirect {
    Redirect::to(PLACE)
}

/// `/`: to the console for a browser, and no path for others.
pub(super) async fn home(method: Method, asked: HeaderMap) -> Response {
    let accept = asked.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_browser = accept.is_some_and(|accept| accept.contains("text/html"));
    match [Method::GET, Method::HEAD].contains(&method) && is_browser {
        true => redirect().await.into_response(),
        false => fallbacks::no_such_path().into_response(),
    }
}

fn respond(name: &str, asked: &HeaderMap) -> Response {
    ASSETS.get(name, asked).unwrap_or_else(|| {
        Problem::new(problem::Code::NotFound, "GET /console/ is the page").into_response()
    })
}
