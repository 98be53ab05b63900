//! `GET /docs`: a page to read the description of the API and to try its calls, on both listeners.
//!
//! The page is Swagger UI (the npm package `swagger-ui-dist` 5.35.0, Apache-2.0), unchanged but compressed. A test compares it
//! with the checksums of the published files. The page loads nothing from elsewhere, so it works without the internet, and
//! its policy lets it connect to the listener that served it only.

use axum::{
    extract::Path,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::problem::{Code, Problem};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page: its name, its media type, its bytes, and whether they are compressed with gzip.
type File = (&'static str, &'static str, &'static [u8], bool);

const PAGE: File = ("", "text/html; charset=utf-8", include_bytes!("index.html"), false);
const FILES: [File; 3] = [
    (
        "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        include_bytes!("swagger-ui-bundle.js.gz"),
        true,
    ),
    ("swagger-ui.css", "text/css; charset=utf-8", include_bytes!("swagger-ui.css.gz"), true),
    ("start.js", "text/javascript; charset=utf-8", include_bytes!("start.js"), false),
];

/// Shows this description as a page, on which calls can be tried.
#[utoipa::path(
    get, path = "/docs", operation_id = "getDocs", tag = "description",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub(super) async fn page() -> Response {
    respond(PAGE)
}

/// The files that the page loads.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    match FILES.into_iter().find(|file| file.0 == name) {
        Some(file) => respond(file),
        None => Problem::new(Code::NotFound, "GET /docs is the page").into_response(),
    }
}

/// Every browser takes gzip, so nothing is kept uncompressed for a client that does not.
fn respond((_, media_type, bytes, is_compressed): File) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_TYPE, media_type);
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    // A newer server has newer files under the same names.
    set(header::CACHE_CONTROL, "no-cache");
    if is_compressed {
        set(header::CONTENT_ENCODING, "gzip");
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use aws_lc_rs::digest::{SHA256, digest};
    use flate2::read::GzDecoder;

    use super::*;

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
        let compressed: Vec<_> = FILES.iter().filter(|file| file.3).collect();
        assert_eq!(compressed.len(), PUBLISHED.len());
        for (file, (name, sha256)) in compressed.into_iter().zip(PUBLISHED) {
            assert_eq!(file.0, name);
            let mut bytes = Vec::new();
            GzDecoder::new(file.2).read_to_end(&mut bytes).unwrap();
            let found = data_encoding::HEXLOWER.encode(digest(&SHA256, &bytes).as_ref());
            assert_eq!(found, sha256, "{name}");
        }
    }

    #[test]
    fn the_page_loads_only_files_that_are_here() {
        let page = std::str::from_utf8(PAGE.2).unwrap();
        let links = page.split('"').filter(|text| text.starts_with("/docs/"));
        let loaded: Vec<_> = links.map(|link| link.trim_start_matches("/docs/")).collect();
        assert_eq!(loaded.len(), FILES.len());
        assert!(FILES.iter().all(|file| loaded.contains(&file.0)), "{loaded:?}");
        assert!(!page.contains("://"), "the page loads something from elsewhere");
    }
}
