//! What one row of the log says.

use std::net::IpAddr;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId, RequestId},
    vocabulary::{Change, Reason, Route},
};

/// One lookup of one handle. A batch makes one for each handle, all with the same `request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupRecord {
    /// The request.
    pub request: RequestId,
    /// The asker's account; none if the token was refused.
    pub account: Option<AccountId>,
    /// The asking device; none if the token was refused.
    pub device: Option<DeviceId>,
    /// Where the request came from.
    pub ip: Option<IpAddr>,
    /// The handle asked for; none if the text was none. What was typed instead is not kept.
    pub handle: Option<Handle>,
    /// The route answered; none if refused.
    pub route: Option<Route>,
    /// Why.
    pub reason: Reason,
    /// HTTP status of the answer (of the item, in a batch).
    pub status: u16,
    /// Microseconds from the request's arrival to its decision.
    pub took_us: u32,
}

/// What is written into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A lookup.
    Lookup(LookupRecord),
    /// A registry change.
    Change(Change),
}

/// A record with its place in time, as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// When the log took it; never earlier than the row before it in the same file.
    pub at: Timestamp,
    /// What happened.
    pub record: Record,
}
