//! Rows of the log on a terminal or in a pipe.

use std::io::{self, IsTerminal as _, Write};

use crate::{
    handle::Handle,
    query_log::{LogRow, Record},
    vocabulary::Route,
};

/// Prints records: as JSON, or as a table for people.
pub(super) struct RecordPrinter<W> {
    out: W,
    json: bool,
    colour: bool,
    line: Vec<u8>,
    pub(super) printed: u64,
}

const BLUE: &str = "\x1b[34m";
const GREEN: &str = "\x1b[32m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// What begins and ends the colour of a route; of anything else it is dim.
pub(super) fn paint(route: &str) -> (&'static str, &'static str) {
    match route {
        "imessage" => (BLUE, PLAIN),
        "sms" => (GREEN, PLAIN),
        _ => (DIM, PLAIN),
    }
}

/// Whether standard output takes colour: a terminal that knows colours, and nobody who asked for none.
pub(super) fn is_coloured() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !is_refused && !is_dumb
}

impl RecordPrinter<io::StdoutLock<'static>> {
    pub(super) fn stdout(json: bool) -> Self {
        Self::new(io::stdout().lock(), json, is_coloured())
    }
}

impl<W: Write> RecordPrinter<W> {
    pub(super) fn new(out: W, json: bool, colour: bool) -> Self {
        Self { out, json, colour, line: Vec::new(), printed: 0 }
    }

    /// Prints one record.
    pub(super) fn print(&mut self, row: &LogRow) -> anyhow::Result<()> {
        self.printed += 1;
        if self.json {
            self.line.clear();
            row.write_json(&mut self.line);
            self.line.push(b'\n');
            return Ok(self.out.write_all(&self.line)?);
        }
        if self.printed == 1 {
            self.header()?;
        }
        Ok(self.row(row)?)
    }

    /// Makes what was printed visible.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn header(&mut self) -> io::Result<()> {
        writeln!(
            self.out,
            "{:<27} {:<8} {:<32} {:<16} {:<15} {:<19} {:<6} FROM",
            "AT", "ROUTE", "HANDLE", "REASON", "DEVICE", "REQUEST", "STATUS"
        )
    }

    fn row(&mut self, row: &LogRow) -> io::Result<()> {
        let (route, reason, request, status) = match &row.record {
            Record::Lookup(it) => {
                let route = it.route.map_or("-", Route::code);
                (route, it.reason.code(), it.request.to_string(), it.status.to_string())
            }
            Record::Change(it) => {
                ("change", it.cause.code(), it.kind.code().to_owned(), "-".to_owned())
            }
        };
        let (handle, device, ip) = match &row.record {
            Record::Lookup(it) => (&it.handle, it.device, it.ip),
            Record::Change(it) => (&it.handle, it.device, None),
        };
        let handle = handle.as_ref().map_or("-".into(), Handle::canonical);
        let device = device.map_or("-".to_owned(), |id| id.to_string());
        let (paint, plain) = if self.colour { paint(route) } else { ("", "") };
        writeln!(
            self.out,
            "{:<27} {paint}{route:<8}{plain} {handle:<32} {reason:<16} {device:<15} {request:<19} {status:<6} {}",
            row.at.to_string(),
            ip.map_or("-".to_owned(), |ip| ip.to_string()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUP: &[u8] = br#"{"at":"2026-11-23T08:41:07.123456Z","kind":"lookup","request":"r_0000000000002","account":"a_0000000000002","device":"d_0000000000002","ip":"192.0.2.1","handle":"+14155550123","route":"sms","reason":"device-removed","status":200,"took_us":12}"#;
    const CHANGE: &[u8] = br#"{"at":"2026-11-23T08:41:08.123456Z","kind":"change","change":"handle-bound","handle":"ann@example.com","device":"d_0000000000002","account":"a_0000000000002","cause":"proof"}"#;

    fn printed(json: bool, colour: bool) -> String {
        let mut out = Vec::new();
        let mut rows = RecordPrinter::new(&mut out, json, colour);
        for line in [LOOKUP, CHANGE] {
            rows.print(&serde_json::from_slice(line).unwrap()).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_one_header_and_aligned_rows() {
        let table = printed(false, false);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        let column = lines[0].find("REASON").unwrap();
        assert!(lines[1][column..].starts_with("device-removed"));
        assert!(lines[2][column..].starts_with("proof"));
        assert!(lines[2].contains("handle-bound") && !table.contains('\x1b'));
    }

    #[test]
    fn colour_and_json_are_what_was_asked_for() {
        assert!(printed(false, true).contains("\x1b[32msms"));
        let json = printed(true, true);
        assert_eq!(json.as_bytes(), [LOOKUP, b"\n", CHANGE, b"\n"].concat());
    }
}
