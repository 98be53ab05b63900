//! What accounts have left of their quota, and which are flagged: `GET /v1/quota`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    call::{Call, Invalid},
    case::Case,
    parse::value,
};
use crate::{
    clock::Timestamp,
    ids::AccountId,
    operators::Role,
    quota::{Left, QuotaState, Standing},
    registry::AccountFlag,
    vocabulary::FlagReason,
};

/// Which account.
#[derive(Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QuotaRequest {
    /// Account id. Without it, all flagged accounts are listed
    #[param(value_type = Option<AccountId>)]
    pub account: Option<String>,
    /// The case that the call belongs to, kept in the audit log as it is: 1 to 64 characters that name no person
    #[param(value_type = Option<Case>, example = "INC-4711")]
    pub case: Option<String>,
}

impl Call for QuotaRequest {
    const PATH: &'static str = "/v1/quota";
    const ROLE: Role = Role::Reader;
    const READS_RECORDS: bool = false;
    const NEEDS_CASE: bool = true;
    type Meaning = Option<AccountId>;

    fn resolve(&self, _: Timestamp) -> Result<Option<AccountId>, Invalid> {
        value::<Case>("case", Case::TAKES, &self.case)?;
        value("account", "an account id (a_…)", &self.account)
    }

    fn case(&self) -> Option<&str> {
        self.case.as_deref()
    }
}

/// Flagged accounts, and what one account has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaReport {
    /// How many accounts are flagged.
    pub flagged: usize,
    /// The flags, newest first, 1,000 at most. Of a request that names an account: the flag of that account, if it has one.
    pub flags: Vec<FlaggedAccount>,
    /// What the account has left. Null unless the request names an account.
    #[schema(required)]
    pub account: Option<AccountQuota>,
}

/// An account that gets no new handles until it proves a handle again, or an operator clears its flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlaggedAccount {
    /// The account.
    pub account: AccountId,
    /// Why it is flagged.
    pub reason: FlagReason,
    /// Since when.
    #[schema(value_type = String, format = DateTime, example = "2026-11-25T10:00:00.000000Z")]
    pub since: Timestamp,
}

/// What one account has left of its quota of new handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountQuota {
    /// The account.
    pub account: AccountId,
    /// Its class.
    pub standing: Standing,
    /// New handles of a day, which are used up first.
    pub daily: NewHandlesLeft,
    /// New handles of an address book, which are regained slowly. Null for an account that has proved no handle.
    #[schema(required)]
    pub import: Option<NewHandlesLeft>,
    /// New handles of the account that the sweep detector counts now. Older ones count less. It counts no further than 8191, which
    /// means that or more.
    pub asked: u32,
    /// Those of them that were on the messaging service.
    pub hits: u32,
}

/// What is left of a limit on new handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewHandlesLeft {
    /// New handles of the whole limit.
    pub limit: u32,
    /// Seconds over which the whole limit is regained.
    pub window_seconds: u64,
    /// New handles that are left.
    pub remaining: u32,
    /// Seconds until the whole limit is left again; 0 if it is.
    pub reset_seconds: u64,
}

impl FlaggedAccount {
    /// The flag of `account`.
    pub fn new(account: AccountId, flag: AccountFlag) -> Self {
        Self { account, reason: flag.reason, since: flag.at }
    }
}

impl AccountQuota {
    /// The value of `asked` that means that or more.
    pub const ASKED_MAX: u32 = QuotaState::ASKED_MAX;

    /// The quota of `account`.
    pub fn new(account: AccountId, state: QuotaState) -> Self {
        let QuotaState { standing, allowance, asked, hits } = state;
        let (daily, import) = (allowance.daily.into(), allowance.import.map(Into::into));
        Self { account, standing, daily, import, asked, hits }
    }
}

impl From<Left> for NewHandlesLeft {
    fn from(Left { limit, remaining, reset, window }: Left) -> Self {
        let reset_seconds = reset.as_secs() + u64::from(reset.subsec_nanos() > 0);
        Self { limit, window_seconds: window.as_secs(), remaining, reset_seconds }
    }
}
