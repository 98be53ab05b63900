//! The body of every refused request (RFC 9457).

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    handle::HandleError,
    quota::whole_seconds,
    vocabulary::{Limit, ProblemCode, Retry},
};

/// Seconds to wait when nothing better is known.
const RETRY_AFTER_DEFAULT: u32 = 1;

/// Why a request was refused, and what to do. No text repeats a handle, an address, a token or a code that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:dispatchd:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(value_type = String, format = "uri", example = "urn:dispatchd:problem:handle-invalid")]
    pub kind: Cow<'static, str>,
    /// The meaning of the code.
    #[schema(value_type = String, example = "This is not a phone number or e-mail address")]
    pub title: Cow<'static, str>,
    /// The HTTP status.
    #[schema(example = 400)]
    pub status: u16,
    /// What is wrong with this request, and what to do about it. For people: the wording may change.
    #[schema(value_type = String, example = "a phone number without a country calling code needs a region")]
    pub detail: Cow<'static, str>,
    /// The problem. Stable.
    #[schema(example = "handle-invalid")]
    pub code: ProblemCode,
    /// Whether the same request can succeed another time.
    #[schema(example = "after-fixing")]
    pub retry: Retry,
    /// Why the text is no handle. Only with `handle-invalid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "needs-region")]
    pub reason: Option<HandleError>,
    /// How many wrong codes the verification still accepts. With `code-wrong`, and when a verification has used them up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 4)]
    pub attempts_left: Option<u8>,
    /// The limit that was exceeded. Only with `lookup-quota` and `rate-limited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "new-handles")]
    pub limit: Option<Limit>,
    /// What the request costs, in the unit of the limit. Only with `limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 1)]
    pub cost: Option<u32>,
    /// What is left of the limit: a request that costs no more may succeed. Only with `lookup-quota`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 0)]
    pub remaining: Option<u32>,
    /// Seconds until the request may succeed, as in `Retry-After`. Present if `retry` is `later`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 60)]
    pub retry_after: Option<u32>,
    /// What the service waits for. Only in answers of `/readyz`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Missing>>, nullable = false, example = json!(["log"]))]
    pub missing: Option<Box<[Missing]>>,
}

/// What a service needs to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The registry: it is being loaded, or may lack changes of other nodes.
    Registry,
    /// The query log cannot be written.
    Log,
}

impl Problem {
    /// A problem with the fields that every problem has.
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: format!("urn:dispatchd:problem:{code}").into(),
            title: code.title().into(),
            status: code.status(),
            detail: detail.into(),
            code,
            retry: code.retry(),
            reason: None,
            attempts_left: None,
            limit: None,
            cost: None,
            remaining: None,
            retry_after: (code.retry() == Retry::Later).then_some(RETRY_AFTER_DEFAULT),
            missing: None,
        }
    }

    /// A text that is no handle.
    pub fn handle(error: HandleError, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Some(error), ..Self::new(ProblemCode::HandleInvalid, detail) }
    }

    /// `rate-limited`, by a limit that counts requests.
    pub fn limited(limit: Limit, detail: &'static str, retry_after: Duration) -> Self {
        let problem = Self::new(ProblemCode::RateLimited, detail).after(retry_after);
        Self { limit: Some(limit), cost: Some(1), ..problem }
    }

    /// The same, which can succeed after `span`.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let seconds = u32::try_from(whole_seconds(span)).unwrap_or(u32::MAX);
        Self { retry_after: Some(seconds), ..self }
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // A struct of texts and numbers always has a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_read_back_and_has_only_the_fields_that_apply() {
        for &code in ProblemCode::ALL {
            let problem = Problem::new(code, "do this");
            let json = problem.to_json();
            let fields: serde_json::Map<_, _> = serde_json::from_slice(&json).unwrap();
            let is_later = code.retry() == Retry::Later;
            assert_eq!(fields.len(), 6 + usize::from(is_later), "{fields:?}");
            assert_eq!(fields.contains_key("retry_after"), is_later);
            assert_eq!(fields["type"], format!("urn:dispatchd:problem:{code}"));
            assert_eq!(serde_json::from_slice::<Problem>(&json).unwrap(), problem);
        }
        for &error in HandleError::ALL {
            let problem = Problem::handle(error, "do this");
            assert_eq!(serde_json::from_slice::<Problem>(&problem.to_json()).unwrap(), problem);
        }
        let limited = Problem::limited(Limit::LinkCodes, "do this", Duration::from_millis(1_500));
        assert_eq!((limited.retry_after, limited.cost), (Some(2), Some(1)));
        assert_eq!(serde_json::from_slice::<Problem>(&limited.to_json()).unwrap(), limited);
    }

    #[test]
    fn a_field_of_a_later_version_is_ignored() {
        let json = Problem::new(ProblemCode::NotFound, "do this").to_json();
        let newer = String::from_utf8(json).unwrap().replace("{\"type\"", "{\"new\":[1],\"type\"");
        assert_eq!(serde_json::from_str::<Problem>(&newer).unwrap().code, ProblemCode::NotFound);
    }
}
