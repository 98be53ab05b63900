//! `dispatchd why HANDLE`.

use std::{
    io::{self, Write, stdout},
    process::ExitCode,
};

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use super::{
    client::block_on,
    lines::Lines,
    output::{BLUE, DIM, GREEN, PLAIN, is_coloured},
    reading::Reading,
};
use crate::{
    api::{Call as _, WhyRequest},
    clock::{Clock as _, SystemClock},
    reading::{Rows as _, Stop},
};

/// Entries shown to people who name no number.
const ENTRIES_SHOWN: usize = 20;
/// Askers listed for people.
const HOLDERS_SHOWN: usize = 20;

#[derive(Args)]
pub(super) struct Why {
    /// Each lookup by itself, instead of runs of like ones
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    reading: Reading<WhyRequest>,
}

impl Why {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { all, reading: Reading { mut request, json, source } } = self;
        if all {
            request.detail = Some("all".to_owned());
        }
        if !json {
            request.limit.get_or_insert(ENTRIES_SHOWN.to_string());
        }
        request.resolve(SystemClock.now())?;
        let mut story = Output::stdout(json);
        match source.records()? {
            Some(records) => {
                let reading = request.begin(&records, &crate::audit::local_user())?;
                let mut failed = None;
                reading.each(&(std::sync::Arc::new(|| false) as Stop), |line| {
                    failed = serde_json::to_vec(&line)
                        .map_err(anyhow::Error::from)
                        .and_then(|line| story.tell(&line))
                        .err();
                    failed.is_none()
                })?;
            }
            None => {
                let client = source.client()?;
                let request = client.get(&request.path()).query(&request);
                let request = request.header("accept", "application/x-ndjson");
                block_on(async {
                    let mut lines = Lines::of(client.send(request).await?);
                    while let Some(line) = lines.next().await? {
                        story.tell(&line)?;
                    }
                    Ok(())
                })?;
            }
        }
        story.end()
    }
}

/// What is printed: each line's sentence to people, each line as it is with `--json`.
struct Output<W> {
    out: W,
    json: bool,
    colour: bool,
    has_entries: bool,
    has_summary: bool,
}

impl Output<io::StdoutLock<'static>> {
    fn stdout(json: bool) -> Self {
        Self::new(stdout().lock(), json, is_coloured())
    }
}

impl<W: Write> Output<W> {
    fn new(out: W, json: bool, colour: bool) -> Self {
        Self { out, json, colour, has_entries: false, has_summary: false }
    }

    /// Tells one line, given as its JSON.
    fn tell(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let told: Value = serde_json::from_slice(line)?;
        let is_summary = told.get("kind").and_then(Value::as_str) == Some("summary");
        self.has_summary |= is_summary;
        if self.json {
            self.out.write_all(line)?;
            self.out.write_all(b"\n")?;
        } else if is_summary {
            self.summary(&told)?;
        } else {
            self.has_entries = true;
            self.sentence("  ", &told)?;
        }
        Ok(())
    }

    /// All was told, or the stream broke off.
    fn end(mut self) -> anyhow::Result<ExitCode> {
        self.out.flush()?;
        if !self.has_summary {
            bail!("the answer broke off: what was printed is not all");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn sentence(&mut self, indent: &str, told: &Value) -> io::Result<()> {
        let text = told.get("sentence").and_then(Value::as_str).unwrap_or_default();
        let route = told.get("route").map(|route| route.as_str().unwrap_or_default());
        let paint = match route {
            _ if !self.colour => "",
            Some("imessage") => BLUE,
            Some("sms") => GREEN,
            Some(_) => "",
            None => DIM,
        };
        let plain = if paint.is_empty() { "" } else { PLAIN };
        writeln!(self.out, "{indent}{paint}{text}{plain}")
    }

    fn summary(&mut self, told: &Value) -> io::Result<()> {
        let number = |field: &str| told.get(field).and_then(Value::as_u64).unwrap_or(0);
        let (omitted, damaged) = (number("omitted"), number("damaged"));
        let unreadable = number("unreadable_segments");
        if omitted > 0 {
            writeln!(self.out, "  ({omitted} earlier lines: --limit, --since)")?;
        }
        if self.has_entries {
            writeln!(self.out)?;
        }
        self.sentence("", told)?;
        let holders = told.get("holders").and_then(Value::as_array).map(Vec::as_slice);
        let (holders, count) = (holders.unwrap_or_default(), number("holders_count"));
        if count > 0 {
            let at_least = told.get("holders_at_least").and_then(Value::as_bool) == Some(true);
            let most = if at_least { "at least " } else { "" };
            let askers = if count == 1 { "asker" } else { "askers" };
            writeln!(self.out, "{most}{count} {askers} may still go by another answer:")?;
        }
        for holder in holders.iter().take(HOLDERS_SHOWN) {
            self.sentence("  ", holder)?;
        }
        if count > HOLDERS_SHOWN as u64 {
            writeln!(self.out, "  … --json lists more")?;
        }
        writeln!(self.out, "Times are UTC.")?;
        if damaged > 0 || unreadable > 0 {
            eprintln!(
                "dispatchd: {damaged} damaged frames and {unreadable} unreadable segments were \
                 passed over; `dispatchd log verify` says which"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &[u8] =
        br#"{"kind":"lookups","route":"imessage","sentence":"blue at 13:40:00: so"}"#;
    const SUMMARY: &[u8] = br#"{"kind":"summary","route":"sms","sentence":"green at 14:02:11: so","holders":[{"route":"imessage","sentence":"device d was told blue"}],"holders_count":1,"omitted":2}"#;

    fn told(json: bool, colour: bool, lines: &[&[u8]]) -> (String, bool) {
        let mut out = Vec::new();
        let mut story = Output::new(&mut out, json, colour);
        for line in lines {
            story.tell(line).unwrap();
        }
        let is_whole = story.end().is_ok();
        (String::from_utf8(out).unwrap(), is_whole)
    }

    #[test]
    fn people_get_sentences() {
        let expected = "  blue at 13:40:00: so\n  (2 earlier lines: --limit, --since)\n\n\
                        green at 14:02:11: so\n1 asker may still go by another answer:\n  \
                        device d was told blue\nTimes are UTC.\n";
        assert_eq!(told(false, false, &[ENTRY, SUMMARY]), (expected.to_owned(), true));
        let (coloured, _) = told(false, true, &[ENTRY, SUMMARY]);
        assert!(coloured.contains("\x1b[34mblue at") && coloured.contains("\x1b[32mgreen at"));
    }

    #[test]
    fn json_is_passed_on_and_half_an_answer_is_no_answer() {
        let (text, is_whole) = told(true, true, &[ENTRY, SUMMARY]);
        assert!(is_whole && text.as_bytes() == [ENTRY, b"\n", SUMMARY, b"\n"].concat());
        assert!(!told(true, false, &[ENTRY]).1);
    }
}
