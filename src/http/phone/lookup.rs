//! `GET /v1/lookup/{handle}` and `POST /v1/lookup`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, Method, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use percent_encoding::percent_decode_str;

use super::{answer, device_auth::device_gone};
use crate::{
    api::{self, BatchAnswer, BatchRequest, Invalid, LookupAnswer, LookupQuery},
    dispatch::{Caller, Dispatch, Refusal},
    handle::HandleError,
    http::{
        auth::{Holder, bearer, token_invalid},
        body,
        problem::{Code, Problem},
        query,
        service::Shortcut,
    },
    limits,
    registry::Asker,
};

/// Which way does a message to this handle go?
///
/// For people and simple clients. A phone behind proxies that log URLs uses the batch: its handles are in the body.
#[utoipa::path(
    get, path = "/v1/lookup/{handle}", tag = "lookup", operation_id = "lookup",
    params(
        ("handle" = String, Path, description = "Phone number or e-mail address, percent-encoded", example = "+14155550123"),
        LookupQuery,
    ),
    responses(
        (status = 200, description = "Which way the message goes", body = LookupAnswer),
        (status = 400, description = "`handle-invalid`; `reason` says why. `request-invalid`"),
        (status = 429, description = "`lookup-quota`, `rate-limited`"),
        (status = 503, description = "`registry-loading`, `log-unwritable`, `overloaded`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn lookup(
    State(dispatch): State<Dispatch>,
    caller: Caller,
    headers: HeaderMap,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let asker = authenticate(&dispatch, &caller, &headers).await?;
    let query =
        path.map_err(|_| not_utf8()).and_then(|Path(input)| Ok((input, query::read(&uri)?)));
    let (input, LookupQuery { region }) = match query {
        Ok(query) => query,
        Err(problem) => return malformed(&dispatch, &caller, asker, problem).await,
    };
    match dispatch.lookup(&caller, asker, &input, region.as_deref()).await {
        Ok((answer, allowance)) => Ok(answer::single(&input, &answer, allowance)),
        Err(refusal) => Ok(refused(&dispatch, asker, refusal)),
    }
}

/// The single lookup of a path that ends before its handle: whoever made it has an empty field.
pub(super) async fn lookup_nothing(
    State(dispatch): State<Dispatch>,
    caller: Caller,
    headers: HeaderMap,
) -> Problem {
    match authenticate(&dispatch, &caller, &headers).await {
        Ok(asker) => {
            let refusal = Refusal::Handle(HandleError::Empty);
            dispatch.refuse(&caller, Some(asker), refusal).await.into()
        }
        Err(problem) => problem,
    }
}

/// The single lookup past the router, which costs more than the lookup itself. Takes only what needs nothing of a
/// router: `GET`, one segment, no query. What it does is what [`lookup`] does.
pub(super) struct Direct(pub(super) Dispatch);

const PATH: &str = "/v1/lookup/";

impl Shortcut for Direct {
    fn matches(&self, method: &Method, uri: &Uri) -> bool {
        let is_segment = |rest: &str| !rest.is_empty() && !rest.contains('/');
        method == Method::GET
            && uri.query().is_none()
            && uri.path().strip_prefix(PATH).is_some_and(is_segment)
    }

    fn answer(self: Arc<Self>, head: Parts, caller: Caller) -> BoxFuture<'static, Response> {
        let answer = async move {
            let dispatch = &self.0;
            let asker = authenticate(dispatch, &caller, &head.headers).await?;
            let segment = head.uri.path().strip_prefix(PATH).unwrap_or_default();
            let Ok(input) = percent_decode_str(segment).decode_utf8() else {
                return malformed(dispatch, &caller, asker, not_utf8()).await;
            };
            match dispatch.lookup(&caller, asker, &input, None).await {
                Ok((answer, allowance)) => Ok(answer::single(&input, &answer, allowance)),
                Err(refusal) => Ok(refused(dispatch, asker, refusal)),
            }
        };
        Box::pin(answer.map(IntoResponse::into_response))
    }
}

fn not_utf8() -> Problem {
    Problem::new(Code::RequestInvalid, "the handle in the path is not UTF-8")
}

/// The asking device. A refusal is recorded.
async fn authenticate(
    dispatch: &Dispatch,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Asker, Problem> {
    dispatch.asker(caller, bearer(headers)).await.map_err(|refusal| match refusal {
        Refusal::TokenInvalid => token_invalid(headers, Holder::Device),
        refusal => refusal.into(),
    })
}

/// Which way do messages to these handles go, alone and together?
#[utoipa::path(
    post, path = "/v1/lookup", tag = "lookup", operation_id = "lookUpBatch",
    request_body = BatchRequest,
    responses(
        (status = 200, description = "Which way each message goes", body = BatchAnswer),
        (status = 422, description = "`too-many-handles`"),
        (status = 429, description = "`lookup-quota`, `rate-limited`"),
        (status = 503, description = "`registry-loading`, `log-unwritable`, `overloaded`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn lookup_batch(
    State(dispatch): State<Dispatch>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (Parts { headers, .. }, body): (Parts, Body) = request.into_parts();
    let asker = match authenticate(&dispatch, &caller, &headers).await {
        Ok(asker) => asker,
        Err(problem) => {
            body::discard(&headers, body).await;
            return Err(problem);
        }
    };
    let body = body::read_json_text(&headers, body, limits::BATCH_BODY_BYTES_MAX).await;
    let BatchRequest { handles, region } = match body.and_then(|body| read_batch(&body)) {
        Ok(batch) => batch,
        Err(problem) => return malformed(&dispatch, &caller, asker, problem).await,
    };
    match dispatch.lookup_batch(&caller, asker, &handles, region.as_deref()).await {
        Ok((answers, allowance)) => Ok(answer::batch(&handles, &answers, allowance)),
        Err(refusal) => Ok(refused(&dispatch, asker, refusal)),
    }
}

fn read_batch(body: &[u8]) -> Result<BatchRequest, Problem> {
    let batch: BatchRequest = api::read_json(body)?;
    let most = limits::BATCH_HANDLES_MAX;
    match batch.handles.len() {
        0 => Err(Problem::new(Code::RequestInvalid, "`handles` takes at least one text")),
        count if count > most => {
            let detail = format!("`handles` takes at most {most} texts; send several batches");
            Err(Problem::new(Code::TooManyHandles, detail))
        }
        _ => Ok(batch),
    }
}

/// Answers `problem`, once it is in the log.
async fn malformed(
    dispatch: &Dispatch,
    caller: &Caller,
    asker: Asker,
    problem: Problem,
) -> Result<Response, Problem> {
    match dispatch.refuse(caller, Some(asker), Refusal::Malformed(problem.code)).await {
        Refusal::Malformed(_) => Err(problem),
        refusal => Err(refusal.into()),
    }
}

/// The answer to a lookup that was refused. If a limit on new handles is the cause, its headers say what is left.
fn refused(dispatch: &Dispatch, asker: Asker, refusal: Refusal) -> Response {
    let mut response = Problem::from(refusal).into_response();
    let is_quota = matches!(refusal, Refusal::Exceeded(it) if it.problem() == Code::LookupQuota);
    if let Some(allowance) = is_quota.then(|| dispatch.allowance(asker)).flatten() {
        answer::limit_headers(response.headers_mut(), allowance);
    }
    response
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = match refusal {
            Refusal::Exceeded(exceeded) => return exceeded.into(),
            Refusal::Handle(error) => return Invalid::handle(error).into(),
            Refusal::Malformed(_) => "the request is malformed",
            // Of a token that the request began with: it is no more.
            Refusal::TokenInvalid => return device_gone(),
            Refusal::RegistryLoading => "nothing can be said about any handle yet",
            Refusal::RegistryBehind => {
                "this server cannot tell whether it has every change of the directory; another server may answer at once"
            }
            Refusal::RegistryDiverged => {
                "this server has stopped following the cluster's log; another server may answer at once"
            }
            Refusal::LogUnwritable => "no answer is given that could not be recorded",
            Refusal::Overloaded => "slow down and try again",
        };
        Self::new(refusal.code(), detail)
    }
}
