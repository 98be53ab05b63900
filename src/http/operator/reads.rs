//! Runs the calls that read, on threads that may wait, and no more of them than the server can bear.

use std::sync::Arc;

use axum::{Json, response::Response};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use super::lines;
use crate::{
    api::Invalid,
    http::problem::{Code, Problem},
    limits,
    operators::Operator,
    reading::{Answer, ReadingError, Records, Rows, Stop},
};

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
    #[must_use]
    pub fn new(records: Records) -> Self {
        Self {
            records,
            searches: Arc::new(Semaphore::new(limits::LOG_SEARCHES_MAX)),
            tails: Arc::new(Semaphore::new(limits::LOG_TAILS_MAX)),
        }
    }

    /// Answers a call. Reading stops when the client goes away.
    pub(super) async fn answer<C: Answer>(
        &self,
        by: Operator,
        call: C,
    ) -> Result<Json<C::Answer>, Problem> {
        let permit = self.search()?;
        self.run(by, call, Some(permit)).await
    }

    /// Answers a call that reads no records, however many searches run.
    pub(super) async fn answer_cheap<C: Answer>(
        &self,
        by: Operator,
        call: C,
    ) -> Result<Json<C::Answer>, Problem> {
        self.run(by, call, None).await
    }

    async fn run<C: Answer>(
        &self,
        by: Operator,
        call: C,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Json<C::Answer>, Problem> {
        // Dropped with this future when the client goes away.
        let client = CancellationToken::new();
        let _here = client.clone().drop_guard();
        let stop: Stop = Arc::new(move || client.is_cancelled());
        let records = self.records.clone();
        let read = spawn_blocking(move || {
            let answer = call.answer(&records, &by.name, &stop);
            drop(permit);
            answer
        });
        let answer = read.await.map_err(|_| Problem::new(Code::Internal, "reading failed"))?;
        Ok(Json(answer?))
    }

    /// Streams the rows of a call as NDJSON.
    pub(super) async fn rows<C: Rows>(&self, by: Operator, call: C) -> Result<Response, Problem> {
        let permit = self.search()?;
        let records = self.records.clone();
        let begun = spawn_blocking(move || call.begin(&records, &by.name)).await;
        let reading = begun.map_err(|_| Problem::new(Code::Internal, "reading failed"))??;
        Ok(lines::stream(reading, permit))
    }

    fn search(&self) -> Result<OwnedSemaphorePermit, Problem> {
        permit(&self.searches, "the server runs as many searches as it can; try again soon")
    }

    /// Leave to follow the log.
    pub(super) fn tail(&self) -> Result<OwnedSemaphorePermit, Problem> {
        permit(&self.tails, "the server follows the log for as many clients as it can")
    }
}

pub(super) fn permit(
    of: &Arc<Semaphore>,
    detail: &'static str,
) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(of).try_acquire_owned().map_err(|_| Problem::new(Code::Overloaded, detail))
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        match invalid.handle {
            Some(error) => {
                Self::new(Code::HandleInvalid, invalid.to_string()).with("reason", error.reason())
            }
            None => Self::new(Code::RequestInvalid, invalid.to_string()),
        }
    }
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
