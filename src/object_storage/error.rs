//! Why a call of the store failed, in words that hold no credentials.

use std::{error::Error, io, time::Duration};

use object_store::client::{HttpError, HttpErrorKind};

/// Begins the text of an answer with a bad status. The type behind it is private to the library.
const BAD_STATUS: &str = "Server returned non-2xx status code: ";

/// Why a call of the store failed. Its texts hold no credentials: a store may repeat the key's id in its answer, so answers are not
/// quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no object of this name.
    #[error("there is no such object")]
    Missing,
    /// There is an object of this name. It was not changed.
    #[error("an object of this name exists")]
    Exists,
    /// The store refuses the credentials.
    #[error("the store refuses the credentials, or does not allow them to do this")]
    Denied,
    /// The store did not answer in time. What was asked for may happen.
    #[error("no answer in {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Nobody waited for the answer any more. What was asked for may happen.
    #[error("the call was ended")]
    Stopped,
    /// The store overwrites objects, so it cannot be used.
    #[error(
        "the store overwrites an object that exists: it ignores the header If-None-Match of S3. Nothing is copied to it; use another \
         store, or a newer version of it"
    )]
    Overwrites,
    /// Anything else. What was asked for may have happened.
    #[error("{0}")]
    Failed(String),
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as Of;
        match &error {
            Of::NotFound { .. } => Self::Missing,
            Of::AlreadyExists { .. } | Of::Precondition { .. } | Of::NotModified { .. } => {
                Self::Exists
            }
            Of::PermissionDenied { .. } | Of::Unauthenticated { .. } => Self::Denied,
            Of::NotSupported { .. } | Of::NotImplemented { .. } => {
                Self::Failed("the store does not support this".to_owned())
            }
            _ => Self::Failed(described(&error)),
        }
    }
}

/// What is known of a failure besides the store's own text.
fn described(error: &object_store::Error) -> String {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return of_kind(error.kind()).to_owned();
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind().to_string();
        }
        let text = error.to_string();
        if let Some(status) = text.strip_prefix(BAD_STATUS).and_then(|rest| rest.get(..3)) {
            return format!("the store answered with status {status}");
        }
        next = error.source();
    }
    "the store failed, or its answer is not understood".to_owned()
}

const fn of_kind(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "the store cannot be reached",
        HttpErrorKind::Timeout => "the store did not answer in time",
        HttpErrorKind::Request | HttpErrorKind::Interrupted => "the store ended the connection",
        HttpErrorKind::Decode => "the store's answer is not understood",
        _ => "the call of the store failed",
    }
}
