//! Embedded pages: the files of [`docs`](super::docs) and of the [`console`](crate::console), as they lie in the program.
//!
//! A page loads nothing from elsewhere, so it works without the internet. Its policy lets it connect to the listener that served it
//! only. A browser keeps the files and asks each time whether they changed: a newer server has newer files under the same names.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Makes a browser refuse text where a page's code hands it over as HTML or as a script.
const TRUSTED_TYPES: &str = "; require-trusted-types-for 'script'; trusted-types 'none'";
/// The ending of a file that is compressed with gzip. Every browser takes gzip, so it is kept in no other form.
const COMPRESSED: &str = ".gz";
/// Bytes of a file's digest that its entity tag shows: enough to tell versions apart.
const TAG_BYTES: usize = 16;

/// Whether a page's code is held to Trusted Types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// Its own code, which builds no HTML from text.
    Own,
    /// A library that does.
    Library,
}

/// The files of one page.
pub(super) struct Assets {
    files: Vec<Asset>,
    policy: HeaderValue,
}

struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    is_compressed: bool,
    /// The digest of its bytes, in quotes.
    tag: HeaderValue,
}

impl Assets {
    /// The files with these names and bytes. A name that ends in `.gz` is served without the ending.
    pub(super) fn new(files: &[(&'static str, &'static [u8])], code: Code) -> Self {
        let strictness = if code == Code::Own { TRUSTED_TYPES } else { "" };
        let policy = header_value(&format!("{POLICY}{strictness}"));
        Self { files: files.iter().map(|(name, bytes)| Asset::new(name, bytes)).collect(), policy }
    }

    /// The answer to a `GET` of a file, if there is one with this name.
    pub(super) fn get(&self, name: &str, asked: &HeaderMap) -> Option<Response> {
        let file = self.files.iter().find(|file| file.name == name)?;
        let mut response = match file.is_held(asked) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => file.bytes.into_response(),
        };
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: HeaderValue| headers.insert(name, value);
        set(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
        set(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        set(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        set(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        set(header::ETAG, file.tag.clone());
        if file.is_compressed {
            set(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Some(response)
    }
}

impl Asset {
    fn new(name: &'static str, bytes: &'static [u8]) -> Self {
        let hash = data_encoding::HEXLOWER.encode(&digest(&SHA256, bytes).as_ref()[..TAG_BYTES]);
        let shown = name.strip_suffix(COMPRESSED);
        Self {
            name: shown.unwrap_or(name),
            media_type: media_type(shown.unwrap_or(name)),
            bytes,
            is_compressed: shown.is_some(),
            tag: header_value(&format!("\"{hash}\"")),
        }
    }

    /// Whether the client holds this file already (RFC 9110 section 13.1.2).
    fn is_held(&self, asked: &HeaderMap) -> bool {
        let lines = asked.get_all(header::IF_NONE_MATCH).iter();
        let mut tags = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        tags.any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.trim_start_matches("W/") == self.tag
        })
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// The text is made of the constants above, which are all visible ASCII.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(POLICY))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    /// Panics unless the compressed files are exactly these, with the SHA-256 of what their authors published.
    #[track_caller]
    pub(in crate::http) fn are_as_published(
        files: &[(&'static str, &'static [u8])],
        published: &[(&str, &str)],
    ) {
        let compressed = || files.iter().filter(|file| file.0.ends_with(COMPRESSED));
        assert_eq!(compressed().count(), published.len());
        for ((name, bytes), (published, sha256)) in compressed().zip(published) {
            assert_eq!(name.trim_end_matches(COMPRESSED), *published);
            let mut whole = Vec::new();
            GzDecoder::new(*bytes).read_to_end(&mut whole).unwrap();
            let found = data_encoding::HEXLOWER.encode(digest(&SHA256, &whole).as_ref());
            assert_eq!(found, *sha256, "{name}");
        }
    }

    #[test]
    fn a_file_that_the_client_holds_is_not_sent_again() {
        let assets = Assets::new(&[("a.js", b"1"), ("b.css.gz", b"2")], Code::Own);
        let get = |name: &str, held: Option<&str>| {
            let held = held.map(|held| (header::IF_NONE_MATCH, held.parse().unwrap()));
            assets.get(name, &held.into_iter().collect())
        };
        let first = get("a.js", None).unwrap();
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(first.status(), StatusCode::OK);
        for (held, status) in [
            (tag.clone(), StatusCode::NOT_MODIFIED),
            (format!("\"x\", W/{tag}"), StatusCode::NOT_MODIFIED),
            ("*".to_owned(), StatusCode::NOT_MODIFIED),
            (tag.replace('"', ""), StatusCode::OK),
            ("\"x\"".to_owned(), StatusCode::OK),
        ] {
            let again = get("a.js", Some(&held)).unwrap();
            assert_eq!(again.status(), status, "{held}");
            assert_eq!(again.headers()[header::ETAG], tag);
        }
        let other = get("b.css", Some(&tag)).unwrap();
        assert_eq!(other.status(), StatusCode::OK);
        assert_eq!(other.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(get("b.css.gz", None).is_none() && get("", None).is_none());
    }

    #[test]
    fn the_policy_of_a_page_says_whether_its_code_is_held_to_trusted_types() {
        for (code, is_held) in [(Code::Own, true), (Code::Library, false)] {
            let page = Assets::new(&[("", b"")], code).get("", &HeaderMap::new()).unwrap();
            let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with(POLICY));
            assert_eq!(policy.contains("require-trusted-types-for 'script'"), is_held);
        }
    }
}
