//! Refusals as responses. [`Problem`] is their body (RFC 9457), with one closed set of codes.
//!
//! A code is stable and says by itself whether to try again: `never`, `later` (then `Retry-After` says when) or
//! `after-fixing`.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    quota::Exceeded,
    vocabulary::{Limit, QuotaLimit},
};

pub use crate::{api::Problem, vocabulary::ProblemCode as Code};

/// What of a problem is counted. An answer that is one has it as an extension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    pub(super) code: Code,
    pub(super) limit: Option<Limit>,
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { limit, cost, remaining, most, retry_after } = exceeded;
        let detail = if cost > most {
            let unit = if limit == QuotaLimit::NewHandles { " new handles" } else { "" };
            let why = format!("costs {cost}{unit}, and at most {most} can be left");
            format!("the batch never fits: it {why}. Split it into smaller ones").into()
        } else {
            Cow::from(advice(limit))
        };
        let problem = Self::new(exceeded.problem(), detail).after(retry_after);
        let remaining = (exceeded.problem() == Code::LookupQuota).then_some(remaining);
        Self { limit: Some(Limit::Quota(limit)), cost: Some(cost), remaining, ..problem }
    }
}

/// What the asker can do about a call that fits into the limit another time.
const fn advice(limit: QuotaLimit) -> &'static str {
    match limit {
        QuotaLimit::NewHandles => {
            "wait as long as Retry-After says, or ask for fewer new handles; one asked for before is free"
        }
        QuotaLimit::NetworkNewHandles => {
            "too many new handles are asked for behind this address; wait as long as Retry-After says"
        }
        QuotaLimit::UnprovenNewHandles => {
            "wait as long as Retry-After says, or prove a handle; a handle asked for before is free"
        }
        QuotaLimit::Flagged => {
            "the account asked as a sweep does; prove a handle again, which helps once in seven days. A handle asked for before is answered"
        }
        QuotaLimit::SweptNumbers => {
            "numbers among them are being asked for one by one; ask without them, hold a handle for seven days, or try again later"
        }
        QuotaLimit::NetworkLookups => {
            "too many are asked behind this address; wait as long as Retry-After says"
        }
        QuotaLimit::UnprovenLookups => "wait as long as Retry-After says, or prove a handle",
        _ => "wait as long as Retry-After says",
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        let status = StatusCode::from_u16(self.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(Refused { code: self.code, limit: self.limit });
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.code == Code::TokenInvalid {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn the_head_of_a_refusal_says_what_its_body_says() {
        for &code in Code::ALL {
            let problem = Problem::new(code, "do this");
            let response = problem.clone().into_response();
            assert_eq!(response.status().as_u16(), problem.status);
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
            let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
            assert_eq!(retry_after, problem.retry_after.map(HeaderValue::from), "{code}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(serde_json::from_slice::<Problem>(&body).unwrap(), problem);
        }
    }
}
