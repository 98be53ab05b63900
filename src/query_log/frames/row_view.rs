//! A row as it lies in a frame, for those who need each only for a moment: sealing decodes millions and keeps none.

use std::net::IpAddr;

use crate::query_log::record::{LogRow, LookupRecord, Record};
use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    vocabulary::{Cause, Change, ChangeKind, Reason, Route},
};

/// A [`LogRow`] whose address is not copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowView<'a> {
    pub(crate) at: Timestamp,
    pub(crate) handle: Option<HandleView<'a>>,
    pub(crate) account: Option<AccountId>,
    pub(crate) device: Option<DeviceId>,
    /// None of a change.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) event: Event,
}

/// What a row says besides who and which handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Lookup { request: RequestId, route: Option<Route>, reason: Reason, status: u16, took_us: u32 },
    Change { id: ChangeId, change: ChangeKind, cause: Cause },
}

/// In the order of [`Handle`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HandleView<'a> {
    Phone(PhoneKey),
    /// Canonical.
    Email(&'a str),
}

impl std::fmt::Debug for HandleView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandleView(…)")
    }
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
    fn handle(self) -> Option<Handle> {
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
        let Self { at, handle, account, device, ip, event } = *self;
        let handle = match handle {
            None => None,
            Some(view) => Some(view.handle()?),
        };
        let record = match event {
            Event::Lookup { request, route, reason, status, took_us } => {
                Record::Lookup(LookupRecord {
                    request,
                    account,
                    device,
                    ip,
                    handle,
                    route,
                    reason,
                    status,
                    took_us,
                })
            }
            Event::Change { id, change, cause } => {
                Record::Change(Change { id, kind: change, handle, device, account, cause })
            }
        };
        Some(LogRow { at, record })
    }
}

impl<'a> From<&'a LogRow> for RowView<'a> {
    fn from(row: &'a LogRow) -> Self {
        match &row.record {
            Record::Lookup(lookup) => Self {
                at: row.at,
                handle: lookup.handle.as_ref().map(HandleView::from),
                account: lookup.account,
                device: lookup.device,
                ip: lookup.ip,
                event: Event::Lookup {
                    request: lookup.request,
                    route: lookup.route,
                    reason: lookup.reason,
                    status: lookup.status,
                    took_us: lookup.took_us,
                },
            },
            Record::Change(change) => Self {
                at: row.at,
                handle: change.handle.as_ref().map(HandleView::from),
                account: change.account,
                device: change.device,
                ip: None,
                event: Event::Change { id: change.id, change: change.kind, cause: change.cause },
            },
        }
    }
}
