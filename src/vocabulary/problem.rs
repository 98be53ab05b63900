//! Problem codes: what a refused request is refused with.

use super::codes::{code_json, codes};
use crate::handle::HandleError;

code_json!(HandleError, "HandleReason", "Why a text is not a handle.", reason);

codes! {
    /// Whether the same call can succeed another time.
    Retry {
        /// It cannot.
        Never = 1 "never",
        /// Later; `Retry-After` says when.
        Later = 2 "later",
        /// Once the request is changed.
        AfterFixing = 3 "after-fixing",
    }
}

/// Declares the codes with, for each, its HTTP status, whether to try again, and its title.
macro_rules! problems {
    ($($(#[$doc:meta])* $case:ident = $number:literal $code:literal $status:literal $retry:ident $title:literal,)*) => {
        codes! {
            /// What went wrong. Each case has one code, one status, one answer to "shall I try again?".
            ProblemCode { $($(#[$doc])* $case = $number $code,)* }
        }

        impl ProblemCode {
            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$case => $status,)* }
            }

            /// What it means, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$case => $title,)* }
            }

            /// Whether to try again.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$case => Retry::$retry,)* }
            }
        }
    };
}

problems! {
    /// The request is not valid, or cannot be carried out as it is.
    RequestInvalid = 1 "request-invalid" 400 AfterFixing "The request is not valid",
    /// The text is no handle; `reason` says why.
    HandleInvalid = 2 "handle-invalid" 400 AfterFixing "This is not a phone number or e-mail address",
    /// No such device or operator token.
    TokenInvalid = 3 "token-invalid" 401 AfterFixing "The token is missing or not valid",
    /// The operator's role does not reach.
    RoleInsufficient = 4 "role-insufficient" 403 Never "The operator's role does not allow this",
    /// The link code is unknown, used or too old.
    LinkCodeInvalid = 5 "link-code-invalid" 403 AfterFixing "The link code is not valid",
    /// The code is not the one that was sent.
    CodeWrong = 6 "code-wrong" 403 AfterFixing "The code is wrong",
    /// No such path.
    NotFound = 7 "not-found" 404 Never "There is nothing at this path",
    /// The device does not back this handle.
    HandleNotBound = 8 "handle-not-bound" 404 Never "This device does not back the handle",
    /// No such verification, or it has ended.
    VerificationUnknown = 9 "verification-unknown" 404 Never "There is no such verification",
    /// No such method on this path.
    MethodNotAllowed = 10 "method-not-allowed" 405 Never "The path does not take this method",
    /// The account has as many devices as it may have.
    TooManyDevices = 11 "too-many-devices" 409 AfterFixing "The account has as many devices as it may have",
    /// The account holds as many handles as it may hold.
    TooManyHandlesHeld = 12 "too-many-handles-held" 409 AfterFixing "The account holds as many handles as it may hold",
    /// The code came too late.
    CodeExpired = 13 "code-expired" 410 Never "The code has expired",
    /// The body is longer than this call takes.
    BodyTooLarge = 14 "body-too-large" 413 AfterFixing "The body is too large",
    /// The body is not declared as JSON, or is compressed.
    ContentTypeUnsupported = 26 "content-type-unsupported" 415 AfterFixing "The body is not in a form that this call takes",
    /// The upload is no staged file, or is damaged.
    ImportInvalid = 15 "import-invalid" 422 AfterFixing "This is not a staged import",
    /// The batch has too many handles.
    TooManyHandles = 16 "too-many-handles" 422 AfterFixing "The batch has too many handles",
    /// More requests than allowed.
    RateLimited = 17 "rate-limited" 429 Later "Too many requests",
    /// More new handles than allowed.
    LookupQuota = 18 "lookup-quota" 429 Later "Too many new handles",
    /// A defect of ours.
    Internal = 19 "internal" 500 Later "The service failed",
    /// The code could not be sent.
    DeliveryFailed = 20 "delivery-failed" 502 Later "The code could not be sent",
    /// The registry is being loaded.
    RegistryLoading = 21 "registry-loading" 503 Later "The registry is being loaded",
    /// The registry's store cannot be written.
    RegistryUnwritable = 22 "registry-unwritable" 503 Later "The registry cannot be written",
    /// The log cannot be written, so nothing can be answered.
    LogUnwritable = 23 "log-unwritable" 503 Later "The query log cannot be written",
    /// Who reads cannot be noted, so nothing can be read.
    AuditUnwritable = 24 "audit-unwritable" 503 Later "The audit log cannot be written",
    /// More is asked at once than the service takes on.
    Overloaded = 25 "overloaded" 503 Later "The service is overloaded",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_later_is_429_or_5xx_and_nothing_else_is() {
        for &code in ProblemCode::ALL {
            let passing = code.status() >= 500 || code.status() == 429;
            assert_eq!(passing, code.retry() == Retry::Later, "{code}");
        }
    }
}
