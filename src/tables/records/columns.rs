//! The columns of an export: their names, their types, and what a row has in each.

use std::fmt;

use crate::{
    query_log::{LogRow, LookupRecord, Record},
    tables::cell::{
        Cell, ColumnHead,
        ColumnKind::{self, Instant, Int32, Int64, Text},
    },
    vocabulary::{Change, Route},
};

pub(super) struct Column {
    pub(super) head: ColumnHead,
    pub(super) cell: fn(&LogRow) -> Cell<'_>,
}

/// In the order of the file. The names are those in the API.
pub(super) const COLUMNS: [Column; 14] = [
    of_every_row("at", Instant, |row| Cell::Instant(row.at)),
    of_every_row("kind", Text, |row| code(row.record.kind().code())),
    column("request", Text, |row| of_lookup(row, |lookup| Cell::Shown(&lookup.request))),
    column("account", Text, |row| match &row.record {
        Record::Lookup(lookup) => shown(lookup.account.as_ref()),
        Record::Change(change) => shown(change.account.as_ref()),
        Record::Refusals(_) => Cell::Null,
    }),
    column("device", Text, |row| match &row.record {
        Record::Lookup(lookup) => shown(lookup.device.as_ref()),
        Record::Change(change) => shown(change.device.as_ref()),
        Record::Refusals(_) => Cell::Null,
    }),
    column("ip", Text, |row| of_lookup(row, |lookup| shown(lookup.ip.as_ref()))),
    column("handle", Text, |row| {
        let handle = match &row.record {
            Record::Lookup(lookup) => lookup.handle.as_ref(),
            Record::Change(change) => change.handle.as_ref(),
            Record::Refusals(_) => None,
        };
        handle.map_or(Cell::Null, Cell::Handle)
    }),
    column("route", Text, |row| {
        of_lookup(row, |lookup| lookup.route.map(Route::code).map_or(Cell::Null, code))
    }),
    column("reason", Text, |row| match &row.record {
        Record::Lookup(lookup) => code(lookup.reason.code()),
        Record::Change(_) => Cell::Null,
        Record::Refusals(refusals) => code(refusals.code.code()),
    }),
    column("status", Int32, |row| match &row.record {
        Record::Lookup(lookup) => Cell::Number(lookup.status.into()),
        Record::Change(_) => Cell::Null,
        Record::Refusals(refusals) => Cell::Number(refusals.status.into()),
    }),
    column("took_us", Int64, |row| of_lookup(row, |lookup| Cell::Number(lookup.took_us.into()))),
    column("change", Text, |row| of_change(row, |change| code(change.kind.code()))),
    column("cause", Text, |row| of_change(row, |change| code(change.cause.code()))),
    column("count", Int64, |row| match &row.record {
        Record::Lookup(_) | Record::Change(_) => Cell::Null,
        Record::Refusals(refusals) => Cell::Number(refusals.count),
    }),
];

/// The last column of an export in a cluster: the node whose log has the record.
pub(super) const NODE: ColumnHead = ColumnHead { name: "node", kind: Text, may_be_null: false };

/// The names of the columns, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|column| column.head.name)
}

/// What a row has in each column, for people; none where it has nothing.
pub fn texts(row: &LogRow) -> impl Iterator<Item = Option<String>> {
    COLUMNS.iter().map(|column| (column.cell)(row).text())
}

const fn of_every_row(
    name: &'static str,
    kind: ColumnKind,
    cell: fn(&LogRow) -> Cell<'_>,
) -> Column {
    Column { head: ColumnHead { name, kind, may_be_null: false }, cell }
}

const fn column(name: &'static str, kind: ColumnKind, cell: fn(&LogRow) -> Cell<'_>) -> Column {
    Column { head: ColumnHead { name, kind, may_be_null: true }, cell }
}

fn of_lookup<'a>(row: &'a LogRow, cell: impl FnOnce(&'a LookupRecord) -> Cell<'a>) -> Cell<'a> {
    if let Record::Lookup(lookup) = &row.record { cell(lookup) } else { Cell::Null }
}

fn of_change<'a>(row: &'a LogRow, cell: impl FnOnce(&'a Change) -> Cell<'a>) -> Cell<'a> {
    if let Record::Change(change) = &row.record { cell(change) } else { Cell::Null }
}

fn code(code: &'static str) -> Cell<'static> {
    Cell::Text(code.into())
}

fn shown<T: fmt::Display>(value: Option<&T>) -> Cell<'_> {
    value.map_or(Cell::Null, |value| Cell::Shown(value))
}
