//! The columns of an export, and what a row has in each. See the table in [`crate::tables::records`].

use std::fmt;

use crate::{
    handle::Handle,
    query_log::{Kind, LogRow, Record},
    tables::cell::{
        Cell, ColumnHead,
        ColumnKind::{self, Instant, Int32, Int64, Text},
    },
};

/// In the order of the file. The names are those in the API.
pub(super) const COLUMNS: [ColumnHead; 14] = [
    ColumnHead { name: "at", kind: Instant, may_be_null: false },
    ColumnHead { name: "kind", kind: Text, may_be_null: false },
    column("request", Text),
    column("account", Text),
    column("device", Text),
    column("ip", Text),
    column("handle", Text),
    column("route", Text),
    column("reason", Text),
    column("status", Int32),
    column("took_us", Int64),
    column("change", Text),
    column("cause", Text),
    column("count", Int64),
];

const fn column(name: &'static str, kind: ColumnKind) -> ColumnHead {
    ColumnHead { name, kind, may_be_null: true }
}

/// The cells of `row`, in the order of [`COLUMNS`].
pub(super) fn cells(row: &LogRow) -> [Cell<'_>; COLUMNS.len()] {
    let at = Cell::Instant(row.at);
    match &row.record {
        Record::Lookup(lookup) => [
            at,
            code(Kind::Lookup.code()),
            Cell::Shown(&lookup.request),
            shown(lookup.account.as_ref()),
            shown(lookup.device.as_ref()),
            shown(lookup.ip.as_ref()),
            handle(lookup.handle.as_ref()),
            lookup.route.map_or(Cell::Null, |route| code(route.code())),
            code(lookup.reason.code()),
            Cell::Number(lookup.status.into()),
            Cell::Number(lookup.took_us.into()),
            Cell::Null,
            Cell::Null,
            Cell::Null,
        ],
        Record::Change(change) => [
            at,
            code(Kind::Change.code()),
            Cell::Null,
            shown(change.account.as_ref()),
            shown(change.device.as_ref()),
            Cell::Null,
            handle(change.handle.as_ref()),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            code(change.kind.code()),
            code(change.cause.code()),
            Cell::Null,
        ],
        Record::Refusals(refusals) => [
            at,
            code(Kind::Refusals.code()),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            code(refusals.code.code()),
            Cell::Number(refusals.code.status().into()),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Number(refusals.count),
        ],
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
