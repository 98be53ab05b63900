//! `dispatchd why HANDLE`.

use std::io::{self, Write, stdout};

use anyhow::bail;
use clap::Args;

use super::{
    note::{print_gone, print_passed_over},
    output::{Style, paint},
    source::Reading,
    text::{counted, wrap},
};
use crate::{
    api::{
        MissingNode, NodeFromStore, Row as _, TimelineEntry as Entry, TimelineLine as Line,
        TimelineSummary as Summary, WhyRequest,
    },
    query_log::SearchOutcome,
    timeline::Detail,
    vocabulary::Route,
};

/// Entries shown to people who name no number.
const ENTRIES_SHOWN: usize = 20;
/// Askers listed for people.
const HOLDERS_SHOWN: usize = 20;
/// Spaces before the second line of a sentence, beyond those before the first.
const HANGING: usize = 4;

#[derive(Args)]
pub(super) struct Why {
    /// Show each lookup by itself, instead of runs of like ones
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    reading: Reading<WhyRequest>,
}

impl Why {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { all, reading: Reading { mut request, json, source } } = self;
        if all {
            request.detail = Some(Detail::All.to_string());
        }
        if !json {
            request.limit.get_or_insert(ENTRIES_SHOWN.to_string());
        }
        let mut printer = LinePrinter::new(stdout().lock(), json, Style::stdout(false));
        source.rows(&request, |line| Ok(printer.print(&line)?))?;
        printer.finish()
    }
}

/// What colours an answer: its route, if it has one.
fn code(route: Option<Route>) -> &'static str {
    route.map_or("refused", Route::code)
}

/// Prints each line's sentence to people, or each line as JSON.
struct LinePrinter<W> {
    out: W,
    json: bool,
    style: Style,
    has_entries: bool,
    has_summary: bool,
    missing: Vec<MissingNode>,
    from_store: Vec<NodeFromStore>,
}

impl<W: Write> LinePrinter<W> {
    fn new(out: W, json: bool, style: Style) -> Self {
        let (missing, from_store) = (Vec::new(), Vec::new());
        Self { out, json, style, has_entries: false, has_summary: false, missing, from_store }
    }

    fn print(&mut self, line: &Line) -> io::Result<()> {
        if let Line::Summary(summary) = line {
            self.has_summary = true;
            self.missing.clone_from(&summary.missing);
            self.from_store.clone_from(&summary.from_store);
        }
        match line {
            _ if self.json => {
                let mut text = Vec::new();
                line.write(&mut text);
                text.push(b'\n');
                self.out.write_all(&text)
            }
            Line::Summary(summary) => self.summary(summary),
            Line::Entry(entry) => {
                self.has_entries = true;
                let route = match entry {
                    Entry::Change(_) => "change",
                    Entry::Lookups(lookups) => code(lookups.route),
                };
                self.sentence("  ", entry.sentence(), route)
            }
        }
    }

    /// Everything was printed, or the answer broke off, or nodes are missing.
    fn finish(mut self) -> anyhow::Result<()> {
        self.out.flush()?;
        if !self.has_summary {
            bail!("the answer broke off: what was printed is not all");
        }
        print_gone(&self.missing, &self.from_store)
    }

    fn sentence(&mut self, indent: &str, text: &str, route: &str) -> io::Result<()> {
        let (before, after) = paint(route, self.style.colour);
        let text = wrap(&format!("{indent}{text}"), self.style.columns, HANGING);
        writeln!(self.out, "{before}{text}{after}")
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let Summary { omitted, damaged, unreadable_segments, holders_count, .. } = *summary;
        if omitted > 0 {
            let lines = counted(omitted, "earlier line");
            writeln!(self.out, "  ({lines} left out; --limit N shows more)")?;
        }
        if self.has_entries {
            writeln!(self.out)?;
        }
        self.sentence("", &summary.sentence, code(summary.route))?;
        if holders_count > 0 {
            let most = if summary.holders_at_least { "at least " } else { "" };
            let askers = counted(holders_count, "asker");
            writeln!(self.out, "{most}{askers} may still go by another answer:")?;
        }
        for holder in summary.holders.iter().take(HOLDERS_SHOWN) {
            self.sentence("  ", &holder.sentence, code(Some(holder.route)))?;
        }
        if holders_count > HOLDERS_SHOWN as u64 {
            writeln!(self.out, "  … --json lists more")?;
        }
        writeln!(self.out, "Times are UTC; without a date, of today.")?;
        print_passed_over(SearchOutcome { damaged, unreadable_segments });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines() -> [Line; 2] {
        let (at, handle) = ("2026-11-23T13:40:00.000000Z", "+14155550123");
        let (device, request) = ("d_0000000000000", "r_0000000000000");
        let entry = json!({
            "kind": "lookups", "at": at, "last": at, "count": 1, "askers": 1, "devices": [device],
            "handle": handle, "route": "imessage", "reason": "live-device", "status": 200,
            "request": request, "sentence": "blue at 13:40:00: so it is",
        });
        let holder = json!({
            "device": device, "account": null, "handle": handle, "route": "imessage", "told_at": at,
            "until_at_most": at, "request": request, "sentence": "device d was told blue",
        });
        let summary = json!({
            "kind": "summary", "handle": handle, "other_spellings": [], "at": at, "route": "sms",
            "reason": "device-removed", "from": "log", "since": null,
            "sentence": "green since 14:02:11: so", "holders": [holder], "holders_count": 1,
            "changes": 0, "lookups": 1, "omitted": 2,
        });
        [entry, summary].map(|line| serde_json::from_value(line).unwrap())
    }

    fn printed(json: bool, style: Style, lines: &[Line]) -> (String, bool) {
        let mut out = Vec::new();
        let mut printer = LinePrinter::new(&mut out, json, style);
        for line in lines {
            printer.print(line).unwrap();
        }
        let is_whole = printer.finish().is_ok();
        (String::from_utf8(out).unwrap(), is_whole)
    }

    const PIPE: Style = Style { columns: None, colour: false };

    #[test]
    fn people_get_sentences() {
        let expected = "  blue at 13:40:00: so it is\n  (2 earlier lines left out; --limit N shows more)\n\n\
                        green since 14:02:11: so\n1 asker may still go by another answer:\n  \
                        device d was told blue\nTimes are UTC; without a date, of today.\n";
        assert_eq!(printed(false, PIPE, &lines()), (expected.to_owned(), true));
        let narrow = Style { columns: Some(24), colour: true };
        let (narrow, _) = printed(false, narrow, &lines());
        assert!(narrow.contains("\x1b[34m  blue at 13:40:00: so\n      it is\x1b[0m"), "{narrow}");
        assert!(narrow.contains("\x1b[32mgreen since"), "{narrow}");
    }

    #[test]
    fn json_is_one_object_a_line_and_half_an_answer_is_no_answer() {
        let (text, is_whole) = printed(true, Style { columns: Some(20), colour: true }, &lines());
        let read: Vec<Line> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(is_whole && read == lines());
        assert!(!printed(true, PIPE, &lines()[..1]).1);
    }

    #[test]
    fn an_answer_without_a_node_is_printed_and_fails() {
        let [entry, mut summary] = lines();
        let Line::Summary(last) = &mut summary else { unreachable!("the last line") };
        last.missing = vec![MissingNode { node: "b".to_owned(), why: "no answer".to_owned() }];
        for json in [true, false] {
            let (text, is_whole) = printed(json, PIPE, &[entry.clone(), summary.clone()]);
            assert!(!is_whole && text.contains("green since 14:02:11: so"), "{text}");
        }
    }
}
