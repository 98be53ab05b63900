//! Runs the calls that read, on threads that may wait, and no more of them than the server can bear.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRef, FromRequestParts},
    http::{HeaderName, HeaderValue, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::{access::authorize, lines};
use crate::{
    api::Call,
    clock::Timestamp,
    http::{
        problem::{Code, Problem},
        query,
    },
    limits,
    operators::Operators,
    reading::{Answer, ReadingError, Records, Rows, Stop},
};

const HIDDEN_UNTIL: HeaderName = HeaderName::from_static("dispatchd-hidden-until");

/// The records, with permits for those who read them.
#[derive(Clone)]
pub struct Reads {
    pub(super) records: Records,
    /// Few: each search reads on a thread of its own.
    searches: Arc<Semaphore>,
    tails: Arc<Semaphore>,
}

impl Reads {
    /// No call is under way.
    pub fn new(records: Records) -> Self {
        Self {
            records,
            searches: Arc::new(Semaphore::new(limits::LOG_SEARCHES_MAX)),
            tails: Arc::new(Semaphore::new(limits::LOG_TAILS_MAX)),
        }
    }

    /// Up to when the clocks hide records that the call would read.
    fn hidden_until<C: Call>(&self) -> Option<Timestamp> {
        C::READS_RECORDS.then(|| self.records.hidden_until()).flatten()
    }

    fn search(&self) -> Result<OwnedSemaphorePermit, Problem> {
        permit(&self.searches, "the server runs as many searches as it can; try again soon")
    }

    /// Leave to follow the log.
    pub(super) fn tail(&self) -> Result<OwnedSemaphorePermit, Problem> {
        permit(&self.tails, "the server follows the log for as many clients as it can")
    }
}

/// A call of an operator whose role is enough for it.
pub(super) struct Asked<C> {
    pub(super) request: C,
    /// The operator's name.
    pub(super) by: String,
    pub(super) reads: Reads,
    /// Whether the client takes rows one by one.
    takes_lines: bool,
}

impl<C: Call + DeserializeOwned + IntoParams, S: Sync> FromRequestParts<S> for Asked<C>
where
    Arc<Operators>: FromRef<S>,
    Reads: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let by = authorize(&parts.headers, &Arc::from_ref(state), C::ROLE)?.name;
        let (request, takes_lines) =
            (query::read(&parts.uri)?, lines::are_accepted(&parts.headers));
        Ok(Self { request, by, reads: Reads::from_ref(state), takes_lines })
    }
}

impl<C: Answer> Asked<C> {
    /// Answers the call as a whole. Reading stops when the client goes away.
    pub(super) async fn answer(self) -> Result<Response, Problem> {
        let Self { request, by, reads, .. } = self;
        let permit = C::IS_COSTLY.then(|| reads.search()).transpose()?;
        // Dropped with this future when the client goes away.
        let client = CancellationToken::new();
        let _here = client.clone().drop_guard();
        let stop: Stop = Arc::new(move || client.is_cancelled());
        let hidden_until = reads.hidden_until::<C>();
        let read = spawn_blocking(move || {
            let answer = request.answer(&reads.records, &by, &stop);
            drop(permit);
            answer
        });
        let answer = read.await.map_err(|_| Problem::new(Code::Internal, "reading failed"))?;
        Ok(with_hidden_until(hidden_until, Json(answer?)))
    }
}

impl<C: Rows> Asked<C> {
    /// Streams the rows of the call as NDJSON.
    pub(super) async fn rows(self) -> Result<Response, Problem> {
        let Self { request, by, reads, .. } = self;
        let permit = reads.search()?;
        let hidden_until = reads.hidden_until::<C>();
        let begun = spawn_blocking(move || request.begin(&reads.records, &by)).await;
        let reading = begun.map_err(|_| Problem::new(Code::Internal, "reading failed"))??;
        Ok(with_hidden_until(hidden_until, lines::stream(reading, permit)))
    }
}

impl<C: Rows + Answer> Asked<C> {
    /// Streams the rows of the call, or answers it as a whole: as the client accepts it.
    pub(super) async fn rows_or_answer(self) -> Result<Response, Problem> {
        if self.takes_lines { self.rows().await } else { self.answer().await }
    }
}

/// The answer, with the header `dispatchd-hidden-until` while the clocks hide records. Without it an answer looks as if there were
/// no such records.
pub(super) fn with_hidden_until(until: Option<Timestamp>, answer: impl IntoResponse) -> Response {
    let value = until.and_then(|until| HeaderValue::from_str(&until.to_string()).ok());
    let headers = value.map(|value| [(HIDDEN_UNTIL, value)]);
    let mut response = answer.into_response();
    response.headers_mut().extend(headers.into_iter().flatten());
    response
}

pub(super) fn permit(
    of: &Arc<Semaphore>,
    detail: &'static str,
) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(of).try_acquire_owned().map_err(|_| Problem::new(Code::Overloaded, detail))
}

impl From<ReadingError> for Problem {
    fn from(error: ReadingError) -> Self {
        let (code, detail) = match error {
            ReadingError::Invalid(invalid) => return invalid.into(),
            ReadingError::NotNoted(_) => (
                Code::AuditUnwritable,
                "the audit log must note who reads, and it cannot be written; is the disk full? The server's \
                 messages say more",
            ),
            ReadingError::Segment(_) | ReadingError::Open(_) | ReadingError::Forgotten(_) => {
                (Code::Internal, "the query log cannot be read; the server's messages say why")
            }
            ReadingError::AuditLog(_) => {
                (Code::Internal, "the audit log cannot be read; the server's messages say why")
            }
            ReadingError::Stopped => (Code::Internal, "the client went away"),
        };
        if !matches!(error, ReadingError::Stopped) {
            tracing::error!(%error, "an operator's call failed");
        }
        Self::new(code, detail)
    }
}
