//! The columns of an export, and what a row has in each.

use std::fmt;

use crate::{
    handle::Handle,
    query_log::{Kind, LogRow, Record},
    tables::cell::{Cell, ColumnHead, ColumnKind},
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

    /// The column of the file. Its name is that in the API.
    pub(super) const fn head(self) -> ColumnHead {
        let (name, kind) = match self {
            Self::At => ("at", ColumnKind::Instant),
            Self::Kind => ("kind", ColumnKind::Text),
            Self::Request => ("request", ColumnKind::Text),
            Self::Account => ("account", ColumnKind::Text),
            Self::Device => ("device", ColumnKind::Text),
            Self::Ip => ("ip", ColumnKind::Text),
            Self::Handle => ("handle", ColumnKind::Text),
            Self::Route => ("route", ColumnKind::Text),
            Self::Reason => ("reason", ColumnKind::Text),
            Self::Status => ("status", ColumnKind::Int32),
            Self::TookUs => ("took_us", ColumnKind::Int64),
            Self::Change => ("change", ColumnKind::Text),
            Self::Cause => ("cause", ColumnKind::Text),
        };
        ColumnHead { name, kind, may_be_null: !matches!(self, Self::At | Self::Kind) }
    }

    /// What `row` has here.
    pub(super) fn of(self, row: &LogRow) -> Cell<'_> {
        match (self, &row.record) {
            (Self::At, _) => Cell::Instant(row.at),
            (Self::Kind, Record::Lookup(_)) => code(Kind::Lookup.code()),
            (Self::Kind, Record::Change(_)) => code(Kind::Change.code()),
            (Self::Request, Record::Lookup(lookup)) => Cell::Shown(&lookup.request),
            (Self::Account, Record::Lookup(lookup)) => shown(lookup.account.as_ref()),
            (Self::Account, Record::Change(change)) => shown(change.account.as_ref()),
            (Self::Device, Record::Lookup(lookup)) => shown(lookup.device.as_ref()),
            (Self::Device, Record::Change(change)) => shown(change.device.as_ref()),
            (Self::Ip, Record::Lookup(lookup)) => shown(lookup.ip.as_ref()),
            (Self::Handle, Record::Lookup(lookup)) => handle(lookup.handle.as_ref()),
            (Self::Handle, Record::Change(change)) => handle(change.handle.as_ref()),
            (Self::Route, Record::Lookup(lookup)) => {
                lookup.route.map_or(Cell::Null, |route: Route| code(route.code()))
            }
            (Self::Reason, Record::Lookup(lookup)) => code(lookup.reason.code()),
            (Self::Status, Record::Lookup(lookup)) => Cell::Number(lookup.status.into()),
            (Self::TookUs, Record::Lookup(lookup)) => Cell::Number(lookup.took_us),
            (Self::Change, Record::Change(change)) => code(change.kind.code()),
            (Self::Cause, Record::Change(change)) => code(change.cause.code()),
            (Self::Request | Self::Ip | Self::Route | Self::Reason, Record::Change(_))
            | (Self::Status | Self::TookUs, Record::Change(_))
            | (Self::Change | Self::Cause, Record::Lookup(_)) => Cell::Null,
        }
    }
}

fn code(code: &'static str) -> Cell<'static> {
    Cell::Text(code.into())
}

fn shown<T: fmt::Display>(value: Option<&T>) -> Cell<'_> {
    value.map_or(Cell::Null, |value| Cell::Shown(value))
}

fn handle(handle: Option<&Handle>) -> Cell<'_> {
    handle.map_or(Cell::Null, Cell::Handle)
}
