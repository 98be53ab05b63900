//! `GET /docs`: a page to read the description of the API and to try its calls, on both listeners.
//!
//! The page is Swagger UI (the npm package `swagger-ui-dist` 5.35.0, Apache-2.0), unchanged but compressed. A test compares it
//! with the checksums of the published files.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use super::{
    assets::{Assets, Code},
    problem::{self, Problem},
};

const PAGE: &str = "index.html";
const FILES: [(&str, &[u8]); 4] = [
    (PAGE, include_bytes!("index.html")),
    ("swagger-ui-bundle.js.gz", include_bytes!("swagger-ui-bundle.js.gz")),
    ("swagger-ui.css.gz", include_bytes!("swagger-ui.css.gz")),
    ("start.js", include_bytes!("start.js")),
];

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets::new(&FILES, Code::Library));

/// Shows this description as a page, on which calls can be tried.
#[utoipa::path(
    get, path = "/docs", operation_id = "getDocs", tag = "description",
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

fn respond(name: &str, asked: &HeaderMap) -> Response {
    ASSETS.get(name, asked).unwrap_or_else(|| {
        Problem::new(problem::Code::NotFound, "GET /docs is the page").into_response()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::assets::tests::are_as_published;

    /// SHA-256 of the files of `swagger-ui-dist` 5.35.0 as npm publishes them.
    const PUBLISHED: [(&str, &str); 2] = [
        (
            "swagger-ui-bundle.js",
            "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
        ),
        ("swagger-ui.css", "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d"),
    ];

    #[test]
    fn the_files_of_others_are_as_they_were_published() {
        are_as_published(&FILES, &PUBLISHED);
    }

    #[test]
    fn the_page_loads_only_files_that_are_here() {
        let page = std::str::from_utf8(FILES[0].1).unwrap();
        let links = page.split('"').filter(|text| text.starts_with("/docs/"));
        let loaded: Vec<_> = links.map(|link| link.trim_start_matches("/docs/")).collect();
        assert_eq!(loaded.len(), FILES.len() - 1);
        let asked = HeaderMap::new();
        assert!(loaded.iter().all(|name| ASSETS.get(name, &asked).is_some()), "{loaded:?}");
        assert!(!page.contains("://"), "the page loads something from elsewhere");
    }
}
