//! What commands write: rows as they come, reports, files.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write},
    path::Path,
};

use anyhow::bail;
use serde::Serialize;
use serde_json::Value;

use crate::{
    api::Row,
    handle::Handle,
    query_log::{LogRow, Record},
    vocabulary::Route,
};

/// What begins and ends the colour of a route (blue, green; of anything else it is dim), if there is colour at all.
pub(super) fn paint(route: &str, colour: bool) -> (&'static str, &'static str) {
    let begin = match route {
        _ if !colour => return ("", ""),
        "imessage" => "\x1b[34m",
        "sms" => "\x1b[32m",
        _ => "\x1b[2m",
    };
    (begin, "\x1b[0m")
}

/// Whether standard output takes colour: a terminal that knows colours, and nobody who asked for none.
pub(super) fn is_coloured() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_refused && !is_dumb
}

/// A row with its columns for people.
pub(super) trait TableRow: Row {
    /// Names and widths. A longer cell moves the cells behind it.
    const COLUMNS: &'static [(&'static str, usize)];

    fn cells(&self) -> Vec<String>;
}

/// Prints rows as they come: as JSON, one object a line, or as a table for people.
pub(super) struct RowPrinter<W> {
    out: W,
    json: bool,
    colour: bool,
    line: Vec<u8>,
    pub(super) printed: u64,
}

impl RowPrinter<io::StdoutLock<'static>> {
    pub(super) fn stdout(json: bool) -> Self {
        Self::new(io::stdout().lock(), json, is_coloured())
    }
}

impl<W: Write> RowPrinter<W> {
    pub(super) fn new(out: W, json: bool, colour: bool) -> Self {
        Self { out, json, colour, line: Vec::new(), printed: 0 }
    }

    pub(super) fn print<R: TableRow>(&mut self, row: &R) -> io::Result<()> {
        self.printed += 1;
        if self.json {
            self.line.clear();
            row.write(&mut self.line);
            self.line.push(b'\n');
            return self.out.write_all(&self.line);
        }
        if self.printed == 1 {
            let names: Vec<_> = R::COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
            writeln!(self.out, "{}", align(R::COLUMNS, &names, false))?;
        }
        writeln!(self.out, "{}", align(R::COLUMNS, &row.cells(), self.colour))
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One line of a table. Colours the route.
fn align(columns: &[(&str, usize)], cells: &[String], colour: bool) -> String {
    let mut line = String::new();
    for ((name, width), cell) in columns.iter().zip(cells) {
        let (before, after) = paint(cell, colour && *name == "ROUTE");
        let _ = write!(line, "{before}{cell:<width$}{after} ");
    }
    line.truncate(line.trim_end().len());
    line
}

impl TableRow for LogRow {
    const COLUMNS: &'static [(&'static str, usize)] = &[
        ("AT", 27),
        ("ROUTE", 8),
        ("HANDLE", 32),
        ("REASON", 16),
        ("DEVICE", 15),
        ("REQUEST", 19),
        ("STATUS", 6),
        ("FROM", 0),
    ];

    fn cells(&self) -> Vec<String> {
        let (none, nobody) = ("-".to_owned(), &None);
        let (route, handle, reason, device, request, status, ip) = match &self.record {
            Record::Lookup(it) => {
                let route = it.route.map_or("-", Route::code);
                let (request, status) = (it.request.to_string(), cell(it.status));
                (route, &it.handle, it.reason.code(), it.device, request, status, it.ip)
            }
            Record::Change(it) => {
                let kind = it.kind.code().to_owned();
                ("change", &it.handle, it.cause.code(), it.device, kind, none, None)
            }
            Record::Refusals(it) => {
                let (count, status) = (format!("{} requests", it.count), cell(it.code.status()));
                ("refused", nobody, it.code.code(), None, count, status, None)
            }
        };
        let handle = cell(handle.as_ref().map(Handle::canonical));
        let (at, route, reason) = (self.at.to_string(), route.to_owned(), reason.to_owned());
        vec![at, route, handle, reason, cell(device), request, status, cell(ip)]
    }
}

/// A cell: a text or a code as it is, a number in digits, `-` for what is not there.
pub(super) fn cell(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) | Err(_) => "-".to_owned(),
        Ok(value) => value.to_string(),
    }
}

/// Rows in columns as wide as their widest cell, two spaces apart, under a header of words.
pub(super) fn table(header: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let header: Vec<_> = header.split(' ').map(str::to_uppercase).collect();
    let rows: Vec<_> = std::iter::once(header.clone()).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count() + 1).max();
    let names = header.iter().enumerate();
    let columns: Vec<_> = names.map(|(at, name)| (&**name, width(at).unwrap_or(0))).collect();
    rows.iter().map(|row| align(&columns, row, false) + "\n").collect()
}

/// Prints a report of many rows: as JSON, one object a line, or as a table of these fields.
pub(super) fn print_rows(json: bool, fields: &str, rows: &[impl Serialize]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        for row in rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(out.flush()?);
    }
    let rows = rows.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    let cells = |row: &Value| fields.split(' ').map(|field| cell(&row[field])).collect();
    write!(out, "{}", table(fields, rows.iter().map(cells)))?;
    Ok(out.flush()?)
}

/// Prints a report as one JSON object.
pub(super) fn print_json(report: &impl Serialize) -> anyhow::Result<()> {
    print_rows(true, "", &[report])
}

/// Refuses to write over a file unless that was asked for.
pub(super) fn may_write(path: &Path, force: bool) -> anyhow::Result<()> {
    if !force && path.exists() {
        bail!("{} is there already; --force replaces it", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUP: &[u8] = br#"{"at":"2026-11-23T08:41:07.123456Z","kind":"lookup","request":"r_0000000000002","account":"a_0000000000002","device":"d_0000000000002","ip":"192.0.2.1","handle":"+14155550123","route":"sms","reason":"device-removed","status":200,"took_us":12}"#;
    const CHANGE: &[u8] = br#"{"at":"2026-11-23T08:41:08.123456Z","kind":"change","change":"handle-bound","handle":"ann@example.com","device":"d_0000000000002","account":"a_0000000000002","cause":"proof"}"#;

    const REFUSALS: &[u8] = br#"{"at":"2026-11-23T08:41:09.123456Z","kind":"refusals","reason":"token-invalid","status":401,"count":170000}"#;

    fn printed(json: bool, colour: bool) -> String {
        let mut out = Vec::new();
        let mut rows = RowPrinter::new(&mut out, json, colour);
        for line in [LOOKUP, CHANGE, REFUSALS] {
            rows.print(&serde_json::from_slice::<LogRow>(line).unwrap()).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_one_header_and_aligned_rows() {
        let table = printed(false, false);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        let column = lines[0].find("REASON").unwrap();
        assert!(lines[1][column..].starts_with("device-removed"));
        assert!(lines[2][column..].starts_with("proof"));
        assert!(lines[3][column..].starts_with("token-invalid"));
        assert!(lines[3].contains("170000 requests") && lines[3].ends_with(" 401    -"));
        assert!(lines[2].contains("handle-bound") && !table.contains('\x1b'));
    }

    #[test]
    fn colour_and_json_are_what_was_asked_for() {
        assert!(printed(false, true).contains("\x1b[32msms"));
        let json = printed(true, true);
        assert_eq!(json.as_bytes(), [LOOKUP, CHANGE, REFUSALS, b""].join(&b"\n"[..]));
    }
}
