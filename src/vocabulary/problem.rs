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
    ($($(#[doc = $doc:literal])* $case:ident = $number:literal $code:literal $status:literal $retry:ident $title:literal,)*) => {
        codes! {
            /// What went wrong. Each case has one code, one status, one answer to "shall I try again?".
            ProblemCode { $($(#[doc = $doc])* $case = $number $code,)* }
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
    /// The request is not valid, or cannot be carried out as it is. To do: read `detail`, which names the field.
    RequestInvalid = 1 "request-invalid" 400 AfterFixing "The request is not valid",
    /// The text is no handle; `reason` says why. To do: ask the person for the number or address again.
    HandleInvalid = 2 "handle-invalid" 400 AfterFixing "This is not a phone number or e-mail address",
    /// There is no such token. A device may have signed out, or was silent for too long; an operator may be revoked. To do: sign
    /// up again, or add the operator again.
    TokenInvalid = 3 "token-invalid" 401 AfterFixing "The token is missing or not valid",
    /// The operator's role does not allow this call. To do: use the token of an operator with the role that `detail` names.
    RoleInsufficient = 4 "role-insufficient" 403 Never "The operator's role does not allow this",
    /// The server asks readers to name a case (`operators.require_case`), and this call names none. To do: send the parameter `case`,
    /// `--case` on the command line.
    CaseRequired = 35 "case-required" 400 AfterFixing "The call names no case",
    /// The link code is unknown, used or too old. To do: let the first device make a new one.
    LinkCodeInvalid = 5 "link-code-invalid" 403 AfterFixing "The link code is not valid",
    /// The code is not the one that was sent. To do: ask the person again; `attempts_left` says how often.
    CodeWrong = 6 "code-wrong" 403 AfterFixing "The code is wrong",
    /// The code was sent, but a later one of the same verification replaced it. To do: enter the newest code. It costs no attempt.
    CodeOvertaken = 28 "code-overtaken" 403 AfterFixing "A newer code has replaced this one",
    /// There is no such path on this listener. To do: check the address and the port.
    NotFound = 7 "not-found" 404 Never "There is nothing at this path",
    /// The device does not back this handle. To do: read `GET /v1/devices/me` for the handles that it backs.
    HandleNotBound = 8 "handle-not-bound" 404 Never "This device does not back the handle",
    /// There is no such verification, or it has ended. To do: claim the handle again.
    VerificationUnknown = 9 "verification-unknown" 404 Never "There is no such verification",
    /// There is no such account. To do: check the id; a record of the log names it.
    AccountUnknown = 29 "account-unknown" 404 Never "There is no such account",
    /// The account is not flagged. To do: nothing; a proof or another operator has cleared the flag, or there was none.
    AccountNotFlagged = 30 "account-not-flagged" 404 Never "The account is not flagged",
    /// The path has no such method. To do: use a method that `Allow` names.
    MethodNotAllowed = 10 "method-not-allowed" 405 Never "The path does not take this method",
    /// The account has as many devices as it may have. To do: sign a device out first.
    TooManyDevices = 11 "too-many-devices" 409 AfterFixing "The account has as many devices as it may have",
    /// The account holds as many handles as it may hold. To do: give a handle up first.
    TooManyHandlesHeld = 12 "too-many-handles-held" 409 AfterFixing "The account holds as many handles as it may hold",
    /// The code came too late. To do: claim the handle again.
    CodeExpired = 13 "code-expired" 410 Never "The code has expired",
    /// The request names a host that the operators' listener does not answer for, or a page of another site sent it. To do: ask
    /// the listener's own address, or let the operator add the name to `server.hosts`.
    HostUnknown = 33 "host-unknown" 421 AfterFixing "The listener does not answer for this host",
    /// The body is longer than this call takes. To do: send less, such as a smaller batch.
    BodyTooLarge = 14 "body-too-large" 413 AfterFixing "The body is too large",
    /// The request line is longer than a whole head may be. To do: send less in the path; a batch takes handles in its body.
    UriTooLong = 31 "uri-too-long" 414 AfterFixing "The request line is too long",
    /// The head of the request has too many bytes or headers. To do: send fewer or shorter headers, such as cookies.
    HeadTooLarge = 32 "head-too-large" 431 AfterFixing "The head of the request is too large",
    /// The body is not declared as JSON, or is compressed. To do: send `Content-Type: application/json`, uncompressed.
    ContentTypeUnsupported = 26 "content-type-unsupported" 415 AfterFixing "The body is not in a form that this call takes",
    /// The upload is no staged file, or is damaged. To do: run `dispatchd registry import` again.
    ImportInvalid = 15 "import-invalid" 422 AfterFixing "This is not a staged import",
    /// The batch has too many handles. To do: send several batches.
    TooManyHandles = 16 "too-many-handles" 422 AfterFixing "The batch has too many handles",
    /// No code can be sent to this handle: the mail server or the gateway refuses it for good, or the operator allows no
    /// messages to its country. To do: let the person check the handle, or take another one.
    DeliveryRefused = 27 "delivery-refused" 422 Never "No code can be sent to this handle",
    /// A limit is exceeded; `limit` names it. To do: wait as long as `Retry-After` says.
    RateLimited = 17 "rate-limited" 429 Later "Too many requests",
    /// The account asked for too many handles that it had not asked for before. To do: wait as long as `Retry-After` says.
    LookupQuota = 18 "lookup-quota" 429 Later "Too many new handles",
    /// The service has a defect. To do: retry; tell the operator, with `X-Request-Id`.
    Internal = 19 "internal" 500 Later "The service failed",
    /// The body has a transfer coding other than `chunked`. To do: send `Transfer-Encoding: chunked` or `Content-Length`.
    TransferCodingUnsupported = 34 "transfer-coding-unsupported" 501 AfterFixing "The transfer coding is not supported",
    /// The mail server or the gateway did not take the code. To do: ask for a new code after `Retry-After`.
    DeliveryFailed = 20 "delivery-failed" 502 Later "The code could not be sent",
    /// The registry is being loaded, shortly after a start. To do: retry after `Retry-After`.
    RegistryLoading = 21 "registry-loading" 503 Later "The registry is being loaded",
    /// This node of a cluster may lack changes that another node acknowledged, so it answers nothing that depends on the registry. To
    /// do: retry; as operator, look whether the etcd members run and this node reaches them.
    RegistryBehind = 36 "registry-behind" 503 Later "The registry may not be up to date",
    /// This node has stopped following the cluster's log: the log contradicts its registry, is damaged, lacks the next entry, or has one
    /// that this node cannot apply. It stays so until the node starts again. To do: retry, and another node may answer; as operator, act
    /// by the cause that the label `reason` of `dispatchd_fence_rounds_failed_total` names.
    RegistryDiverged = 37 "registry-diverged" 503 Later "This node has stopped following the cluster's log",
    /// The registry's disk is full, fails or hangs. To do: retry; as operator, free or replace the disk.
    RegistryUnwritable = 22 "registry-unwritable" 503 Later "The registry cannot be written",
    /// The log's disk is full, fails or hangs, so no lookup is answered. To do: retry; as operator, free or replace the disk.
    LogUnwritable = 23 "log-unwritable" 503 Later "The query log cannot be written",
    /// The audit log cannot be written, so nothing is read. To do: as operator, free or replace the disk.
    AuditUnwritable = 24 "audit-unwritable" 503 Later "The audit log cannot be written",
    /// More is asked at once than the service takes on. To do: retry after `Retry-After`, with fewer requests at once.
    Overloaded = 25 "overloaded" 503 Later "The service is overloaded",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_later_is_429_or_5xx_and_nothing_else_is() {
        for &code in ProblemCode::ALL {
            // 501 says that the server lacks what the request needs.
            let passing = code.status() >= 500 && code.status() != 501 || code.status() == 429;
            assert_eq!(passing, code.retry() == Retry::Later, "{code}");
        }
    }
}
