//! The columns of an export, and what a row has in each.

use std::fmt;

use crate::{
    clock::Timestamp,
    handle::Handle,
    query_log::{Kind, LogRow, Record},
    vocabulary::Route,
};

/// A column. See the table in [`crate::tables::records`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    At,
    Kind,
    Request,
    Account,
    Device,
    Ip,
    Handle,
    Route,
    Reason,
    Status,
    TookUs,
    Change,
    Cause,
}

/// What a row has in a column.
pub(super) enum Cell<'a> {
    /// The record has no such field, or nobody knows it.
    Null,
    Time(Timestamp),
    Number(u32),
    Code(&'static str),
    Handle(&'a Handle),
    /// Ids and addresses: letters, digits, and punctuation that no program takes for a formula.
    Shown(&'a dyn fmt::Display),
}

impl Column {
    /// In the order of the file.
    pub(super) const ALL: [Self; 13] = [
        Self::At,
        Self::Kind,
        Self::Request,
        Self::Account,
        Self::Device,
        Self::Ip,
        Self::Handle,
        Self::Route,
        Self::Reason,
        Self::Status,
        Self::TookUs,
        Self::Change,
        Self::Cause,
    ];

    /// As the API calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::At => "at",
            Self::Kind => "kind",
            Self::Request => "request",
            Self::Account => "account",
            Self::Device => "device",
            Self::Ip => "ip",
            Self::Handle => "handle",
            Self::Route => "route",
            Self::Reason => "reason",
            Self::Status => "status",
            Self::TookUs => "took_us",
            Self::Change => "change",
            Self::Cause => "cause",
        }
    }

    /// What `row` has here.
    pub(super) fn of(self, row: &LogRow) -> Cell<'_> {
        match (self, &row.record) {
            (Self::At, _) => Cell::Time(row.at),
            (Self::Kind, Record::Lookup(_)) => Cell::Code(Kind::Lookup.code()),
            (Self::Kind, Record::Change(_)) => Cell::Code(Kind::Change.code()),
            (Self::Request, Record::Lookup(lookup)) => Cell::Shown(&lookup.request),
            (Self::Account, Record::Lookup(lookup)) => shown(lookup.account.as_ref()),
            (Self::Account, Record::Change(change)) => shown(change.account.as_ref()),
            (Self::Device, Record::Lookup(lookup)) => shown(lookup.device.as_ref()),
            (Self::Device, Record::Change(change)) => shown(change.device.as_ref()),
            (Self::Ip, Record::Lookup(lookup)) => shown(lookup.ip.as_ref()),
            (Self::Handle, Record::Lookup(lookup)) => handle(lookup.handle.as_ref()),
            (Self::Handle, Record::Change(change)) => handle(change.handle.as_ref()),
            (Self::Route, Record::Lookup(lookup)) => {
                lookup.route.map_or(Cell::Null, |route: Route| Cell::Code(route.code()))
            }
            (Self::Reason, Record::Lookup(lookup)) => Cell::Code(lookup.reason.code()),
            (Self::Status, Record::Lookup(lookup)) => Cell::Number(lookup.status.into()),
            (Self::TookUs, Record::Lookup(lookup)) => Cell::Number(lookup.took_us),
            (Self::Change, Record::Change(change)) => Cell::Code(change.kind.code()),
            (Self::Cause, Record::Change(change)) => Cell::Code(change.cause.code()),
            (Self::Request | Self::Ip | Self::Route | Self::Reason, Record::Change(_))
            | (Self::Status | Self::TookUs, Record::Change(_))
            | (Self::Change | Self::Cause, Record::Lookup(_)) => Cell::Null,
        }
    }
}

fn shown<T: fmt::Display>(value: Option<&T>) -> Cell<'_> {
    value.map_or(Cell::Null, |value| Cell::Shown(value))
}

fn handle(handle: Option<&Handle>) -> Cell<'_> {
    handle.map_or(Cell::Null, Cell::Handle)
}
