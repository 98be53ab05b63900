//! `GET /v1/quota`, `DELETE /v1/quota/flags/{account}`: flagged accounts, and what an account has left.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{
    access::Gate,
    reads::{Asked, Reads},
};
use crate::{
    api::{AccountQuota, Call as _, FlaggedAccount, QuotaReport, QuotaRequest},
    audit::{Call, Filters},
    http::{
        problem::{Code, Problem},
        query::NoParameters,
    },
    ids::AccountId,
    limits,
    quota::{Quota, Standing},
    registry::{ChangeError, Registry},
};

/// What a report is made from, and what clears flags.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) registry: Arc<Registry>,
    pub(super) quota: Arc<Quota>,
    pub(super) reads: Reads,
}

impl Sources {
    /// Blocks: the age of an account's proofs is read from the store.
    fn report(&self, account: Option<AccountId>) -> Result<QuotaReport, Problem> {
        let flagged = self.registry.flag_count();
        let Some(account) = account else {
            let flags = self.registry.newest_flags(limits::QUOTA_FLAGS_LISTED_MAX);
            let flags = flags.map_err(|_| ChangeError::Loading)?.into_iter();
            let flags = flags.map(|(id, flag)| FlaggedAccount::new(id, flag)).collect();
            return Ok(QuotaReport { flagged, flags, account: None });
        };
        if !self.registry.has_account(account)? {
            return Err(Problem::new(Code::AccountUnknown, "no account has this id now"));
        }
        let standing = Standing::of(self.registry.proven_since(account)?, self.reads.records.now());
        let flag = self.registry.flag_of(account);
        let state = self.quota.state_of(account, standing);
        Ok(QuotaReport {
            flagged,
            flags: flag.map(|flag| FlaggedAccount::new(account, flag)).into_iter().collect(),
            account: Some(AccountQuota::new(account, state)),
        })
    }
}

/// Lists the flagged accounts, or says what one account has left of its new handles.
///
/// A flagged account gets no handle that it has not asked for before: 429 `lookup-quota` with the limit `flagged`. Its other
/// lookups are answered. A fresh proof of a handle clears the flag.
#[utoipa::path(
    get, path = "/v1/quota", operation_id = "getQuota", tag = "quota", params(QuotaRequest),
    responses(
        (status = 200, description = "The flagged accounts; of a request that names an account, its flag and what it has left", body = QuotaReport),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 404, description = "`account-unknown`"),
        (status = 503, description = "`registry-loading`; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn show(
    State(sources): State<Sources>,
    asked: Asked<QuotaRequest>,
) -> Result<Json<QuotaReport>, Problem> {
    let Asked { request, authority, .. } = asked;
    let read = move || {
        let records = &sources.reads.records;
        let account = request.resolve(records.now())?;
        let filters = filters(account).in_case(request.case());
        records.noted(authority.name(), Call::QuotaShow, &filters, |audited| {
            let report = sources.report(account)?;
            let shown = report.account.map_or(report.flags.len(), |_| 1);
            audited.add(shown as u64);
            Ok(Json(report))
        })?
    };
    blocking(read).await
}

/// Clears the flag of an account: it may ask for new handles again, and its evidence begins anew. The change record says that an
/// operator did it.
#[utoipa::path(
    delete, path = "/v1/quota/flags/{account}", operation_id = "clearFlag", tag = "quota",
    params(("account" = AccountId, Path, description = "The flagged account")),
    responses(
        (status = 204, description = "The flag is cleared"),
        (status = 400, description = "`request-invalid`: the path holds no account id, or there is a parameter"),
        (status = 404, description = "`account-not-flagged`"),
        (status = 503, description = "`registry-loading`; `registry-unwritable`; `log-unwritable`; `audit-unwritable`; `overloaded`"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn clear(
    State(gate): State<Gate>,
    headers: HeaderMap,
    _: NoParameters,
    State(sources): State<Sources>,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let authority = gate.admit_admin(&headers, Call::QuotaClear).await?;
    let text = path.ok().map(|Path(text)| text);
    let account: Option<AccountId> = text.and_then(|text| text.parse().ok());
    let not_an_id = "the path takes an account id (a_…) behind `flags/`";
    let account = account.ok_or_else(|| Problem::new(Code::RequestInvalid, not_an_id))?;
    let runtime = Handle::current();
    let clear = move || {
        let filters = filters(Some(account));
        let cleared =
            sources.reads.records.noted(authority.name(), Call::QuotaClear, &filters, |_| {
                runtime.block_on(sources.registry.clear_flag(account))
            });
        match cleared?? {
            true => Ok(StatusCode::NO_CONTENT),
            false => Err(Problem::new(Code::AccountNotFlagged, "there is nothing to clear")),
        }
    };
    blocking(clear).await
}

fn filters(account: Option<AccountId>) -> Filters {
    Filters::none().personal("account", account.map(|account| account.to_string()))
}

/// Does `work` on a thread that may wait. It is done to its end although the client leaves.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = spawn_blocking(work).await;
    done.map_err(|_| Problem::new(Code::Internal, "the call failed"))?
}
