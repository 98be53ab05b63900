//! What one row of the log says: as it is made and read back, which is also its JSON and its description in the API; and as it
//! lies in a frame.

use std::{net::IpAddr, ops::ControlFlow};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::{self, Handle, PhoneKey},
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    vocabulary::{Cause, Change, ChangeKind, ProblemCode, Reason, Route},
};

/// One lookup of one handle. A batch makes one for each handle, all with the same `request`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({
    "at": "2026-11-23T08:41:07.123456Z", "kind": "lookup", "request": "r_4c7q9m2x0v8e6",
    "account": "a_1p3k8t5w7y2d4", "device": "d_9h6s0b4n2f8ja", "ip": "192.0.2.7", "handle": "+14155550123",
    "route": "sms", "reason": "device-removed", "status": 200, "took_us": 41,
})))]
pub struct LookupRecord {
    /// The request, as in the answer's `X-Request-Id`.
    pub request: RequestId,
    /// The account that asked; null if its token was refused.
    #[schema(required)]
    pub account: Option<AccountId>,
    /// The device that asked; null if its token was refused.
    #[schema(required)]
    pub device: Option<DeviceId>,
    /// The address that the request came from.
    #[schema(required, value_type = Option<String>)]
    pub ip: Option<IpAddr>,
    /// The handle asked for, canonical; null if the text was no handle. The log does not keep that text.
    #[serde(with = "handle::canonical::optional")]
    #[schema(required, value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The route answered; null if the lookup was refused.
    #[schema(required)]
    pub route: Option<Route>,
    /// Why it got this route, or the code of the problem that it was refused with.
    pub reason: Reason,
    /// HTTP status of the answer; in a batch, of this handle's item.
    pub status: u16,
    /// Microseconds from the request's arrival to the decision.
    #[schema(format = Int64)]
    pub took_us: u32,
}

/// Refused lookups that have no record of their own, because strangers could fill the disk with refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({
    "at": "2026-11-23T08:41:09.123456Z", "kind": "refusals", "reason": "token-invalid", "status": 401, "count": 1700,
})))]
pub struct RefusalCount {
    /// The code of the problem that they were refused with.
    #[serde(rename = "reason")]
    pub code: ProblemCode,
    /// HTTP status of that problem.
    pub status: u16,
    /// Refused lookups within about the minute before `at`. A refused batch counts once for each of its handles.
    pub count: u64,
}

impl RefusalCount {
    /// `count` lookups that were refused with `code`.
    pub const fn new(code: ProblemCode, count: u64) -> Self {
        Self { code, status: code.status(), count }
    }
}

/// What is written into the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// A lookup.
    Lookup(LookupRecord),
    /// A registry change.
    Change(Change),
    /// Refused lookups that are only counted.
    Refusals(RefusalCount),
}

/// A record with its place in time, as read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// When the log took it; never earlier than the row before it in the same file.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub record: Record,
}

/// A [`LogRow`] whose address is not copied, for readers that decode millions of rows and keep none.
#[derive(Clone, Copy)]
pub(crate) struct RowView<'a> {
    pub(crate) at: Timestamp,
    pub(crate) handle: Option<HandleView<'a>>,
    pub(crate) client: Client,
    /// The bits of the request of a lookup, or of the id of a change; or the number of refusals.
    pub(crate) id: u64,
    /// Of a lookup; else 0.
    pub(crate) took_us: u32,
    pub(crate) outcome: Outcome,
}

/// Gets one row after another, until it breaks.
pub(crate) type EachRow<'a> = dyn FnMut(&RowView<'_>) -> ControlFlow<()> + 'a;

/// The sender of a lookup, or the object of a change; empty for refusals that are only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) account: Option<AccountId>,
    pub(crate) device: Option<DeviceId>,
    /// Only of a lookup.
    pub(crate) ip: Option<IpAddr>,
}

/// The answer of a lookup, what changed, or why lookups were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Lookup { route: Option<Route>, reason: Reason, status: u16 },
    Change { change: ChangeKind, cause: Cause },
    Refusals { code: ProblemCode },
}

/// In the order of [`Handle`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HandleView<'a> {
    Phone(PhoneKey),
    /// Canonical.
    Email(&'a str),
}

impl<'a> From<&'a Handle> for HandleView<'a> {
    fn from(handle: &'a Handle) -> Self {
        match handle {
            Handle::Phone(key) => Self::Phone(*key),
            Handle::Email(address) => Self::Email(address.as_str()),
        }
    }
}

impl HandleView<'_> {
    /// None for a text that is not an address.
    pub(crate) fn handle(self) -> Option<Handle> {
        match self {
            Self::Phone(key) => Some(Handle::Phone(key)),
            Self::Email(text) => {
                Handle::from_canonical(text).filter(|handle| matches!(handle, Handle::Email(_)))
            }
        }
    }
}

impl RowView<'_> {
    /// The row itself; none if its address is none.
    pub(crate) fn row(&self) -> Option<LogRow> {
        let Self { at, handle, client, id, took_us, outcome } = *self;
        let Client { account, device, ip } = client;
        let handle = match handle {
            None => None,
            Some(view) => Some(view.handle()?),
        };
        let record = match outcome {
            Outcome::Lookup { route, reason, status } => Record::Lookup(LookupRecord {
                request: RequestId::from_bits(id),
                account,
                device,
                ip,
                handle,
                route,
                reason,
                status,
                took_us,
            }),
            Outcome::Change { change: kind, cause } => {
                let id = ChangeId::from_bits(id);
                Record::Change(Change { id, kind, handle, device, account, cause })
            }
            Outcome::Refusals { code } => Record::Refusals(RefusalCount::new(code, id)),
        };
        Some(LogRow { at, record })
    }
}

impl<'a> From<&'a LogRow> for RowView<'a> {
    fn from(LogRow { at, record }: &'a LogRow) -> Self {
        match record {
            Record::Lookup(lookup) => {
                let LookupRecord { account, device, ip, route, reason, status, .. } = *lookup;
                Self {
                    at: *at,
                    handle: lookup.handle.as_ref().map(HandleView::from),
                    client: Client { account, device, ip },
                    id: lookup.request.bits(),
                    took_us: lookup.took_us,
                    outcome: Outcome::Lookup { route, reason, status },
                }
            }
            Record::Change(change) => Self {
                at: *at,
                handle: change.handle.as_ref().map(HandleView::from),
                client: Client { account: change.account, device: change.device, ip: None },
                id: change.id.bits(),
                took_us: 0,
                outcome: Outcome::Change { change: change.kind, cause: change.cause },
            },
            Record::Refusals(RefusalCount { code, count, status: _ }) => Self {
                at: *at,
                handle: None,
                client: Client::default(),
                id: *count,
                took_us: 0,
                outcome: Outcome::Refusals { code: *code },
            },
        }
    }
}
