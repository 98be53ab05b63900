//! `POST /v1/registry/import` and `GET` of the same: a staged file in, and how far it is applied.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream::{self, Stream};
use http_body_util::BodyExt as _;
use tokio::{
    sync::{oneshot, watch},
    task::spawn_blocking,
    time::{Duration, Instant, sleep, timeout, timeout_at},
};

use super::{access::Gate, authority::Authority, registry::LOW_SPACE};
use crate::{
    api::{ImportLine, ImportPhase, ImportState},
    audit::{Audited, Call, Filters},
    files::size::in_units,
    http::{
        body,
        problem::{Code, Problem},
    },
    import_jobs::{Applied, Ended, ImportJobs, Upload, UploadError},
    limits,
    shutdown::Shutdown,
};

const LINE_PAUSE: Duration = Duration::from_millis(200);

/// Says how far the accepted import is applied.
#[utoipa::path(
    get, path = "/v1/registry/import", operation_id = "getImport", tag = "registry",
    responses(
        (status = 200, description = "How far it is", body = ImportState),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn progress(
    State(gate): State<Gate>,
    headers: HeaderMap,
    State(intake): State<Arc<ImportJobs>>,
) -> Result<Json<ImportState>, Problem> {
    gate.admit_admin(&headers, Call::Import).await?;
    let applied = intake.applied();
    let state = if applied.is_some() { ImportPhase::Applying } else { ImportPhase::None };
    let Applied { accounts, total, .. } = applied.unwrap_or_default();
    Ok(Json(ImportState { state, accounts, total }))
}

/// Takes a staged file, as `dispatchd registry import` makes it, and applies it. Once the answer has begun the import
/// continues by itself, even if the client disconnects or the server restarts.
///
/// The audit log notes the call and how many accounts were accepted.
///
/// The answer is a line of JSON now and then, `{"accounts","total"}`, and a last one: `{"imported":{…}}` with its
/// result, or `{"problem":{…}}`.
#[utoipa::path(
    post, path = "/v1/registry/import", operation_id = "importAccounts", tag = "registry",
    request_body(content = String, content_type = "application/octet-stream", description = "The staged file"),
    responses(
        (status = 200, description = "Accepted. A line now and then says how far the import is, the last one how it ended",
         body = ImportLine, content_type = "application/x-ndjson"),
        (status = 400, description = "`request-invalid`: it broke off or took too long"),
        (status = 413, description = "`body-too-large`"),
        (status = 422, description = "`import-invalid`: `detail` says what is wrong with the file"),
        (status = 503, description = "`overloaded`: another import is under way, or the service is stopping; `registry-unwritable`; \
                                      `audit-unwritable`"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn import(
    State(gate): State<Gate>,
    State(intake): State<Arc<ImportJobs>>,
    State(shutdown): State<Shutdown>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (authority, audited) = match admit(&gate, &headers).await {
        Ok(admitted) => admitted,
        Err(refused) => {
            body::discard(&headers, body).await;
            return Err(refused);
        }
    };
    let received = tokio::select! {
        received = authority.while_held(receive(&intake, &headers, body)) => received,
        () = shutdown.stopping() => Err(Problem::new(Code::Overloaded, "the service is stopping")),
    };
    let applied = match received {
        Ok(upload) => accept(upload, audited, &shutdown).await?,
        Err(refused) => {
            audited.refuse(refused.code);
            return Err(refused);
        }
    };
    let headers =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    let answer = (StatusCode::OK, headers, Body::from_stream(lines(applied))).into_response();
    Ok(authority.watched(answer))
}

/// An admin, whose call is noted.
async fn admit(gate: &Gate, headers: &HeaderMap) -> Result<(Authority, Audited), Problem> {
    let authority = gate.admit_admin(headers, Call::Import).await?;
    let (records, by) = (gate.records.clone(), authority.name().to_owned());
    let noted = spawn_blocking(move || records.note(&by, Call::Import, &Filters::none())).await;
    let noted = noted.map_err(|_| Problem::new(Code::Internal, "the call cannot be noted"))?;
    Ok((authority, noted?))
}

/// Accepts a staged file and notes how many accounts it has, whether or not the client waits.
async fn accept(
    upload: Upload,
    mut audited: Audited,
    shutdown: &Shutdown,
) -> Result<watch::Receiver<Applied>, Problem> {
    let (tell, told) = oneshot::channel();
    shutdown.spawn("import-accept", async move {
        let accepted = upload.finish().await.map_err(Problem::from);
        match &accepted {
            Ok(applied) => {
                audited.add(applied.borrow().total);
                let _ = spawn_blocking(move || audited.finish()).await;
            }
            Err(refused) => audited.refuse(refused.code),
        }
        // The client may have left.
        let _ = tell.send(accepted);
    });
    told.await.map_err(|_| Problem::from(UploadError::Stopped))?
}

/// Takes the body in. If the disk does not take it, the rest is read all the same: a client that is still sending would
/// not hear why.
async fn receive(
    intake: &Arc<ImportJobs>,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Upload, Problem> {
    let begun = match body::check_length(&body, limits::IMPORT_UPLOAD_BYTES_MAX) {
        Ok(()) => intake.begin().await.map_err(Problem::from),
        Err(refused) => Err(refused),
    };
    let mut upload = match begun {
        Ok(upload) => upload,
        Err(refused) => {
            body::discard(headers, body).await;
            return Err(refused);
        }
    };
    let too_slow = |_| Problem::new(Code::RequestInvalid, "the body took too long to arrive");
    let until = Instant::now() + limits::IMPORT_UPLOAD_TIMEOUT;
    let mut outcome = Ok(());
    loop {
        let frame = timeout(limits::IMPORT_UPLOAD_PATIENCE, body.frame());
        let frame = timeout_at(until, frame).await.map_err(too_slow)?.map_err(too_slow)?;
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|_| Problem::new(Code::RequestInvalid, "the body broke off"))?;
        if let Ok(bytes) = frame.into_data()
            && outcome.is_ok()
        {
            outcome = upload.write(&bytes).await;
            if matches!(outcome, Err(UploadError::TooLarge)) {
                body::discard(headers, body).await;
                break;
            }
        }
    }
    outcome?;
    Ok(upload)
}

fn lines(applied: watch::Receiver<Applied>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some(applied), |watched| async move {
        let mut watched = watched?;
        let applied = *watched.borrow_and_update();
        let Some(ended) = applied.ended else {
            let Applied { accounts, total, .. } = applied;
            let line = ImportLine::Progress { accounts, total };
            let pause = async {
                sleep(LINE_PAUSE).await;
                watched.changed().await
            };
            // Without a line for the end if the service was stopped hard: a client takes that for what it is.
            let next = pause.await.is_ok().then_some(watched);
            return Some((Ok(line.to_json().into()), next));
        };
        Some((Ok(last_line(ended).to_json().into()), None))
    })
}

fn last_line(ended: Ended) -> ImportLine {
    let problem = match ended {
        Ended::Imported(imported) => return ImportLine::Imported { imported },
        Ended::Stopped => {
            let detail = "the service is stopping; the import goes on at its next start";
            Problem::new(Code::Overloaded, detail)
        }
        Ended::Unreadable => {
            let detail = "the accepted file cannot be read; the server's messages say why";
            Problem::new(Code::Internal, detail)
        }
    };
    ImportLine::Problem { problem }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Busy => {
                let detail = "another import is under way; GET this path to see how far it is";
                Self::new(Code::Overloaded, detail)
            }
            UploadError::TooLarge => {
                let most = in_units(limits::IMPORT_UPLOAD_BYTES_MAX);
                Self::new(Code::BodyTooLarge, format!("a staged file has at most {most}"))
            }
            // Its text says what is wrong and holds no content of the file.
            UploadError::Staged(error) => Self::new(Code::ImportInvalid, error.to_string()),
            UploadError::Write(error) => {
                tracing::error!(%error, "an import could not be taken in");
                let detail = "the staged file could not be written; is the disk full?";
                Self::new(Code::RegistryUnwritable, detail)
            }
            UploadError::LowSpace => Self::new(Code::RegistryUnwritable, LOW_SPACE),
            UploadError::Stopped => Self::new(Code::Overloaded, "the service is stopping"),
        }
    }
}
