//! `GET /v1/lookup/{handle}` and `POST /v1/lookup`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, Method, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use percent_encoding::percent_decode_str;

use super::answer;
use crate::{
    api::{BatchAnswer, BatchRequest, LookupAnswer, LookupQuery},
    dispatch::{Caller, Dispatch, Refusal},
    handle::Region,
    http::{
        auth::bearer,
        body,
        edge::Shortcut,
        problem::{Code, Problem},
    },
    limits,
    registry::Asker,
};

/// Which way does a message to this handle go?
///
/// For people and simple clients. A phone behind proxies that log URLs uses the batch: its handles are in the body.
#[utoipa::path(
    get, path = "/v1/lookup/{handle}", tag = "lookup",
    params(("handle" = String, Path, description = "Phone number or e-mail address, percent-encoded"), LookupQuery),
    responses(
        (status = 200, body = LookupAnswer),
        (status = 400, description = "`handle-invalid`; `reason` says why"),
        (status = 429, description = "`lookup-quota`, `rate-limited`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn lookup(
    State(dispatch): State<Dispatch>,
    caller: Caller,
    headers: HeaderMap,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    query: Result<Query<LookupQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let asker = dispatch.asker(&caller, bearer(&headers)).await?;
    let (Ok(Path(input)), Ok(Query(query))) = (path, query) else {
        return malformed(&dispatch, &caller, asker, unreadable()).await;
    };
    let region = match query.region.as_deref().map(Region::parse).transpose() {
        Ok(region) => region,
        Err(error) => {
            return Err(dispatch.refuse(&caller, Some(asker), Refusal::Handle(error)).await.into());
        }
    };
    let (answer, allowance) = dispatch.lookup(&caller, asker, &input, region).await?;
    Ok(answer::single(&input, &answer, allowance))
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
            let asker = dispatch.asker(&caller, bearer(&head.headers)).await?;
            let segment = head.uri.path().strip_prefix(PATH).unwrap_or_default();
            let Ok(input) = percent_decode_str(segment).decode_utf8() else {
                return malformed(dispatch, &caller, asker, unreadable()).await;
            };
            let (answer, allowance) = dispatch.lookup(&caller, asker, &input, None).await?;
            Ok(answer::single(&input, &answer, allowance))
        };
        Box::pin(answer.map(IntoResponse::into_response))
    }
}

fn unreadable() -> Problem {
    Problem::new(
        Code::RequestInvalid,
        "the path or the query is not UTF-8, or has a parameter twice",
    )
}

/// Which way do messages to these handles go, alone and together?
#[utoipa::path(
    post, path = "/v1/lookup", tag = "lookup",
    request_body = BatchRequest,
    responses(
        (status = 200, body = BatchAnswer),
        (status = 413, description = "`body-too-large`"),
        (status = 422, description = "`too-many-handles`"),
        (status = 429, description = "`lookup-quota`, `rate-limited`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn lookup_batch(
    State(dispatch): State<Dispatch>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (Parts { headers, .. }, body): (Parts, Body) = request.into_parts();
    let asker = match dispatch.asker(&caller, bearer(&headers)).await {
        Ok(asker) => asker,
        Err(refusal) => {
            body::discard(body).await;
            return Err(refusal.into());
        }
    };
    let body = match body::read(body, limits::BATCH_BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(problem) => return malformed(&dispatch, &caller, asker, problem).await,
    };
    let (inputs, region) = match read_batch(&body) {
        Ok(batch) => batch,
        Err(problem) => return malformed(&dispatch, &caller, asker, problem).await,
    };
    let (answers, allowance) = dispatch.lookup_batch(&caller, asker, &inputs, region).await?;
    Ok(answer::batch(&inputs, &answers, allowance))
}

fn read_batch(body: &[u8]) -> Result<(Vec<String>, Option<Region>), Problem> {
    let batch: BatchRequest = body::parse(body)?;
    if batch.handles.is_empty() {
        return Err(Problem::new(Code::RequestInvalid, "a batch asks for at least one handle"));
    }
    if batch.handles.len() > limits::BATCH_HANDLES_MAX {
        let detail = format!("a batch asks for at most {} handles", limits::BATCH_HANDLES_MAX);
        return Err(Problem::new(Code::TooManyHandles, detail));
    }
    let region = batch.region.as_deref().map(Region::parse).transpose();
    let region = region.map_err(|error| Problem::from(Refusal::Handle(error)))?;
    Ok((batch.handles, region))
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

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = match refusal {
            Refusal::Exceeded(exceeded) => return exceeded.into(),
            Refusal::Handle(error) => {
                return Self::handle(error, error.to_string());
            }
            Refusal::Malformed(_) => "the request is malformed",
            Refusal::TokenInvalid => "send `Authorization: Bearer` and the device's token",
            Refusal::RegistryLoading => "nothing can be said about any handle yet",
            Refusal::LogUnwritable => "no answer is given that could not be recorded",
            Refusal::Overloaded => "slow down and try again",
        };
        Self::new(refusal.code(), detail)
    }
}
