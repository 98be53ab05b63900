//! Rows of the log on a terminal or in a pipe.

use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;

/// Prints records: as they are with `--json`, as a table for people otherwise.
pub(super) struct RecordPrinter<W> {
    out: W,
    json: bool,
    colour: bool,
    has_header: bool,
    pub(super) printed: u64,
}

pub(super) const BLUE: &str = "\x1b[34m";
pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const DIM: &str = "\x1b[2m";
pub(super) const PLAIN: &str = "\x1b[0m";

/// Whether standard output takes colour: a terminal, and nobody who asked for none.
pub(super) fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

impl RecordPrinter<io::StdoutLock<'static>> {
    pub(super) fn stdout(json: bool) -> Self {
        Self::new(io::stdout().lock(), json, is_coloured())
    }
}

impl<W: Write> RecordPrinter<W> {
    pub(super) fn new(out: W, json: bool, colour: bool) -> Self {
        Self { out, json, colour, has_header: false, printed: 0 }
    }

    /// Prints one record, given as its JSON.
    pub(super) fn print(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.printed += 1;
        if self.json {
            self.out.write_all(line)?;
            self.out.write_all(b"\n")?;
            return Ok(());
        }
        if !self.has_header {
            self.has_header = true;
            self.header()?;
        }
        let row: Value = serde_json::from_slice(line)?;
        self.row(&row)
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

    fn row(&mut self, row: &Value) -> anyhow::Result<()> {
        let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or("-");
        let is_change = text("kind") == "change";
        let (route, reason, request) = if is_change {
            ("change", text("cause"), text("change"))
        } else {
            (text("route"), text("reason"), text("request"))
        };
        let status =
            row.get("status").and_then(Value::as_u64).map_or("-".into(), |s| s.to_string());
        let paint = match route {
            _ if !self.colour => "",
            "imessage" => BLUE,
            "sms" => GREEN,
            _ => DIM,
        };
        let plain = if paint.is_empty() { "" } else { PLAIN };
        writeln!(
            self.out,
            "{:<27} {paint}{route:<8}{plain} {:<32} {reason:<16} {:<15} {request:<19} {status:<6} {}",
            text("at"),
            text("handle"),
            text("device"),
            text("ip"),
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUP: &[u8] = br#"{"at":"2026-11-23T08:41:07.123456Z","kind":"lookup","request":"r_0000000000001","account":"a_0","device":"d_0000000000002","ip":"192.0.2.1","handle":"+14155550123","route":"sms","reason":"device-removed","status":200,"took_us":12}"#;
    const CHANGE: &[u8] = br#"{"at":"2026-11-23T08:41:08.123456Z","kind":"change","change":"handle-bound","handle":"ann@example.com","device":"d_0000000000002","account":"a_0","cause":"proof"}"#;

    fn printed(json: bool, colour: bool) -> String {
        let mut out = Vec::new();
        let mut rows = RecordPrinter::new(&mut out, json, colour);
        rows.print(LOOKUP).unwrap();
        rows.print(CHANGE).unwrap();
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
