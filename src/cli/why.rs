//! `dispatchd why HANDLE`.

use std::{
    io::{self, Write, stdout},
    process::ExitCode,
};

use anyhow::bail;
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{
    UsageError,
    filter::{instant, take},
    lines::Lines,
    output::{BLUE, DIM, GREEN, PLAIN, is_coloured},
    source::Source,
};
use crate::{
    audit::{Call, Filters},
    clock::{Clock as _, SystemClock, Timestamp},
    handle::Handle,
    query_log::Filter,
    timeline::{self, Detail, Question, Reuse},
};

/// Entries shown to people who name no number.
const ENTRIES_SHOWN: usize = 20;
/// Askers listed for people.
const HOLDERS_SHOWN: usize = 20;

#[derive(Args)]
pub(super) struct Why {
    /// Phone number in E.164 or e-mail address
    handle: String,
    /// Explain this moment instead of the present: RFC 3339, or a span back from now (90m, 7d)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// History from then on: RFC 3339, or a span back from now
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// History before then: RFC 3339, or a span back from now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Each lookup by itself, instead of runs of like ones
    #[arg(long)]
    all: bool,
    /// Lines of history at most, the latest [default: 20; all with --json]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// One JSON object a line: history, then a summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Why {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let question = self.question(SystemClock.now())?;
        if self.source.data.is_some() {
            return self.files(&question);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.server(&question))
    }

    fn question(&self, now: Timestamp) -> Result<Question, UsageError> {
        let instant = |text: &str| instant(text, now);
        let handle = Handle::parse(&self.handle, None);
        let limit = self.limit.or(if self.json { None } else { Some(ENTRIES_SHOWN) });
        if limit == Some(0) {
            return Err(UsageError("--limit takes a number from 1 on".to_owned()));
        }
        Ok(Question {
            handle: handle.map_err(|error| UsageError(format!("HANDLE: {error}")))?,
            at: take("--at", self.at.as_deref(), instant)?,
            since: take("--since", self.since.as_deref(), instant)?,
            until: take("--until", self.until.as_deref(), instant)?,
            detail: if self.all { Detail::All } else { Detail::Folded },
            limit,
        })
    }

    async fn server(&self, question: &Question) -> anyhow::Result<ExitCode> {
        // As they were given: a span counts back from the server's present.
        let given = [("at", &self.at), ("since", &self.since), ("until", &self.until)];
        let given = given.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
        let mut query: Vec<_> = given.collect();
        if self.all {
            query.push(("detail", "all".to_owned()));
        }
        query.extend(question.limit.map(|limit| ("limit", limit.to_string())));
        let canonical = question.handle.canonical();
        let segment = utf8_percent_encode(&canonical, NON_ALPHANUMERIC);
        let path = format!("/v1/handles/{segment}/timeline");
        let response = self.source.api()?.get(&path, &query, "application/x-ndjson").await?;
        let mut story = Output::stdout(self.json);
        let mut lines = Lines::of(response);
        while let Some(line) = lines.next().await? {
            story.tell(&line)?;
        }
        story.end()
    }

    fn files(&self, question: &Question) -> anyhow::Result<ExitCode> {
        let config = self.source.config()?.dispatch;
        let reuse = Reuse { live: config.reuse_live, other: config.reuse_other };
        let Question { handle, since, until, .. } = question;
        let filter = Filter {
            handle: Some(handle.clone()),
            since: *since,
            until: *until,
            ..Filter::default()
        };
        let filters = Filters::of(&filter).plain("at", question.at).plain("limit", question.limit);
        let (reader, mut audited) = self.source.read(Call::Timeline, &filters)?;
        let mut story = Output::stdout(self.json);
        let mut failed = None;
        let mut tell = |entry| {
            audited.add(1);
            failed = serde_json::to_vec(&entry)
                .map_err(anyhow::Error::from)
                .and_then(|line| story.tell(&line))
                .err();
            failed.is_none()
        };
        let asked = (reuse, SystemClock.now());
        // The registry's store cannot be opened without writing to it, so here the log has to do.
        let read = timeline::read(&reader, question, asked, || false, |_| None, &mut tell)?;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(summary) = read {
            story.tell(&serde_json::to_vec(&summary)?)?;
        }
        let code = story.end()?;
        audited.finish();
        Ok(code)
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
