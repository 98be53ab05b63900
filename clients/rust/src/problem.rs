//! What a refusal of the server says.

use std::fmt;

use serde::Deserialize;

use crate::vocabulary::{HandleReason, Limit, Missing, ProblemCode, Retry};

/// Why the server refused a call (RFC 9457). Decide by [`code`](Self::code) and [`retry`](Self::retry): the texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// `urn:dispatchd:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The meaning of the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, and what to do about it. It never repeats a handle, an address, a token or a code.
    pub detail: String,
    /// The problem.
    pub code: ProblemCode,
    /// Whether the same call can succeed another time.
    pub retry: Retry,
    /// Why the text is no handle, with `handle-invalid`.
    pub reason: Option<HandleReason>,
    /// How many wrong codes the verification still accepts.
    pub attempts_left: Option<u32>,
    /// The limit that was exceeded.
    pub limit: Option<Limit>,
    /// What the request costs, in the unit of the limit.
    pub cost: Option<u64>,
    /// What is left of the limit: a request that costs no more may succeed.
    pub remaining: Option<u64>,
    /// Seconds until the call may succeed.
    pub retry_after: Option<u64>,
    /// What the server waits for.
    pub missing: Option<Vec<Missing>>,
    /// The header `X-Request-Id`, for a report to the operator.
    #[serde(skip)]
    pub request_id: Option<String>,
}

impl Problem {
    /// Whether the same call can succeed later. A `retry` of a newer server counts by the status.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self.retry {
            Retry::Later => true,
            Retry::Never | Retry::AfterFixing => false,
            Retry::Unknown(_) => is_temporary(self.status),
        }
    }
}

/// Whether a status means "later": 429, and 5xx but 501.
pub(crate) const fn is_temporary(status: u16) -> bool {
    matches!(status, 429 | 500 | 502..=599)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.code.as_str(), self.title, self.detail)
    }
}
