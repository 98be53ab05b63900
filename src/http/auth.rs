//! Bearer tokens (RFC 6750 section 2.1).

use axum::http::{HeaderMap, header};

use super::problem::{Code, Problem};
use crate::{limits, operators::OperatorToken, registry::DeviceToken};

/// The token of an `Authorization: Bearer` header. None if it is missing, empty or longer than
/// [`limits::TOKEN_BYTES_MAX`].
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    let token = token.trim_start_matches(' ');
    (is_bearer && !token.is_empty() && token.len() <= limits::TOKEN_BYTES_MAX).then_some(token)
}

/// Whose tokens a listener takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A device, on the phones' listener.
    Device,
    /// An operator, on the operators' listener.
    Operator,
}

/// The refusal of a request whose token is missing or not valid. It says what is wrong where the header shows it.
pub fn token_invalid(headers: &HeaderMap, takes: Holder) -> Problem {
    let begins_with = |prefix| bearer(headers).is_some_and(|token| token.starts_with(prefix));
    let has_token = bearer(headers).is_some();
    let detail = match takes {
        Holder::Device if begins_with(OperatorToken::PREFIX) => {
            "this is an operator's token, for the operators' listener (server.operators, port 8081 by default); the phones' \
             listener takes a device's token, which `POST /v1/devices` returns"
        }
        Holder::Operator if begins_with(DeviceToken::PREFIX) => {
            "this is a device's token, for the phones' listener (server.phones, port 8080 by default); the operators' \
             listener takes a token that `dispatchd operator add` made"
        }
        Holder::Device if has_token => {
            "no device has this token, or it signed out; send `Authorization: Bearer` and the token that `POST /v1/devices` \
             returned"
        }
        Holder::Device => "send `Authorization: Bearer` and the device's token",
        Holder::Operator if has_token => {
            "no operator of this server has this token, or it was revoked; send `Authorization: Bearer` and a token that \
             `dispatchd operator add` made in this server's data directory"
        }
        Holder::Operator => {
            "send `Authorization: Bearer` and a token that `dispatchd operator add` made in this server's data directory"
        }
    };
    Problem::new(Code::TokenInvalid, detail)
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

    #[test]
    fn a_token_of_the_other_listener_is_named_as_such() {
        for (takes, token, says) in [
            (Holder::Device, Some("do_x"), "this is an operator's token"),
            (Holder::Device, Some("dd_x"), "no device has this token"),
            (Holder::Device, None, "send `Authorization: Bearer`"),
            (Holder::Operator, Some("dd_x"), "this is a device's token"),
            (Holder::Operator, Some("do_x"), "no operator of this server has this token"),
            (Holder::Operator, None, "send `Authorization: Bearer`"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(token) = token {
                headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
            }
            let problem = token_invalid(&headers, takes);
            assert_eq!(problem.code, Code::TokenInvalid);
            assert!(problem.detail.starts_with(says), "{token:?}: {}", problem.detail);
        }
    }
}
