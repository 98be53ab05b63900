//! Bearer tokens (RFC 6750 section 2.1).

use axum::http::{HeaderMap, header};

use crate::limits;

/// The token of an `Authorization: Bearer` header. None if it is missing, empty or longer than
/// [`limits::TOKEN_BYTES_MAX`].
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    let token = token.trim_start_matches(' ');
    (is_bearer && !token.is_empty() && token.len() <= limits::TOKEN_BYTES_MAX).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_of_plausible_length_is_accepted() {
        let long = format!("Bearer {}", "x".repeat(limits::TOKEN_BYTES_MAX + 1));
        let cases = [
            ("Bearer abc", Some("abc")),
            ("bearer  abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            (&long, None),
        ];
        for (value, token) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers), token, "{value:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
