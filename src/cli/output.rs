//! What commands write: rows as they come, reports, files.

use std::{
    fmt::{Display, Write as _},
    fs,
    io::{self, IsTerminal as _, Write},
    path::Path,
};

use anyhow::bail;
use serde::Serialize;

use super::errors::UsageError;
use crate::{
    api::{LogRow, Row},
    files::parent,
    handle::Handle,
    query_log::Record,
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
pub(super) trait TableRow: Serialize {
    /// Names and least widths. Rows that are printed as they come have these; a longer cell moves the cells behind it.
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

    pub(super) fn print<R: TableRow + Row>(&mut self, row: &R) -> io::Result<()> {
        self.printed += 1;
        if self.json {
            self.line.clear();
            row.write(&mut self.line);
            self.line.push(b'\n');
            return self.out.write_all(&self.line);
        }
        if self.printed == 1 {
            writeln!(self.out, "{}", align(R::COLUMNS, &names::<R>(), false))?;
        }
        writeln!(self.out, "{}", align(R::COLUMNS, &row.cells(), self.colour))
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn names<R: TableRow>() -> Vec<String> {
    R::COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect()
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
                let (request, status) = (it.request.to_string(), it.status.to_string());
                (route, &it.handle, it.reason.code(), it.device, request, status, it.ip)
            }
            Record::Change(it) => {
                let kind = it.kind.code().to_owned();
                ("change", &it.handle, it.cause.code(), it.device, kind, none, None)
            }
            Record::Refusals(it) => {
                let (count, status) =
                    (format!("{} requests", it.count), it.code.status().to_string());
                ("refused", nobody, it.code.code(), None, count, status, None)
            }
        };
        let handle = cell(handle.as_ref().map(Handle::canonical));
        let (at, route, reason) = (self.at.to_string(), route.to_owned(), reason.to_owned());
        vec![at, route, handle, reason, cell(device), request, status, cell(ip)]
    }
}

/// A cell: `-` for what is not there.
pub(super) fn cell(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Rows in columns as wide as their widest cell, two spaces apart, under a header.
pub(super) fn table<R: TableRow>(rows: &[R]) -> String {
    let lines: Vec<_> =
        std::iter::once(names::<R>()).chain(rows.iter().map(TableRow::cells)).collect();
    let columns = R::COLUMNS.iter().enumerate().map(|(column, (name, least))| {
        let widest = lines.iter().map(|cells| cells[column].chars().count() + 1).max();
        (*name, widest.unwrap_or(0).max(*least))
    });
    let columns: Vec<_> = columns.collect();
    lines.iter().map(|cells| align(&columns, cells, false) + "\n").collect()
}

/// Prints a report of many rows: as JSON, one object a line, or as a table.
pub(super) fn print_rows<R: TableRow>(json: bool, rows: &[R]) -> anyhow::Result<()> {
    if json {
        return rows.iter().try_for_each(print_json);
    }
    let mut out = io::stdout().lock();
    write!(out, "{}", table(rows))?;
    Ok(out.flush()?)
}

/// Prints a report as one JSON object.
pub(super) fn print_json(report: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    Ok(out.flush()?)
}

/// Refuses to replace a file unless that was asked for. Refuses a path that holds something other than a file, such as
/// /dev/null, because a rename would replace it, and a directory that does not exist.
pub(super) fn may_write(path: &Path, force: bool) -> anyhow::Result<()> {
    let shown = path.display();
    let fault = match fs::metadata(path) {
        _ if path == Path::new("-") => "standard output is not taken here",
        Ok(found) if !found.is_file() => "this exists and is not a regular file",
        Ok(_) if !force => bail!("{shown} is there already; --force replaces it"),
        Err(_) if !parent(path).is_dir() => bail!("{shown}: the directory does not exist"),
        _ => return Ok(()),
    };
    Err(UsageError(format!("{shown}: {fault}; name the file to write")).into())
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
