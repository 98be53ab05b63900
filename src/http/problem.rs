//! Refusals as responses. [`Problem`] is their body (RFC 9457), with one closed set of codes.
//!
//! A code is stable and says by itself whether to try again: `never`, `later` (then `Retry-After` says when) or
//! `after-fixing`.

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

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let detail = match exceeded.limit {
            QuotaLimit::NewHandles => {
                "wait as long as Retry-After says; a handle asked for before is free"
            }
            QuotaLimit::NetworkLookups => {
                "too many are asked behind this address; wait as long as Retry-After says"
            }
            QuotaLimit::UnprovenLookups => "wait as long as Retry-After says, or prove a handle",
            _ => "wait as long as Retry-After says",
        };
        let (limit, cost) = (Some(Limit::Quota(exceeded.limit)), Some(exceeded.cost));
        let problem = Self::new(exceeded.problem(), detail).after(exceeded.retry_after);
        Self { limit, cost, ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        let status = StatusCode::from_u16(self.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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
