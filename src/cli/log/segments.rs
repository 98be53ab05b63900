//! `dispatchd log segments`: a table of the log's files, and a bar of the days that it still knows.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    api::{OfNode, SegmentSummary, SegmentsRequest},
    cli::note::print_lacks,
    cli::output::{Column, TableRow, Tabular, print_rows, print_text},
    cli::source::Reading,
    cli::terminal::stdout_columns,
    cli::text::{counted, minutes, seconds},
    clock::{Clock as _, SystemClock, Timestamp},
    query_log::SegmentState,
};

/// Columns of the bar, on a terminal that has as many: twelve hours each at the longest retention.
const CELLS_MAX: usize = 60;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn run(command: &Tabular<SegmentsRequest>) -> anyhow::Result<()> {
    let Reading { request, source, .. } = &command.reading;
    let mut segments = Vec::new();
    let outcome = source.rows(request, |segment| {
        segments.push(segment);
        Ok(())
    })?;
    let form = command.form();
    let now = SystemClock.now();
    let rows: Vec<_> = segments.iter().map(|segment| SegmentRow { segment, now }).collect();
    print_rows(form, &rows)?;
    if !form.json {
        let cells = stdout_columns().map_or(CELLS_MAX, |columns| columns.min(CELLS_MAX));
        let segments: Vec<_> = segments.into_iter().map(|segment| segment.row).collect();
        print_text(&bar(&segments, now, cells), 2)?;
    }
    outcome.as_ref().map_or(Ok(()), print_lacks)
}

/// A segment as it is at a time.
#[derive(Serialize)]
#[serde(transparent)]
struct SegmentRow<'a> {
    segment: &'a OfNode<SegmentSummary>,
    #[serde(skip)]
    now: Timestamp,
}

impl TableRow for SegmentRow<'_> {
    const COLUMNS: &'static [Column] = &[
        ("SEGMENT", 0),
        ("STATE", 0),
        ("FROM", 0),
        ("RECORDS", 0),
        ("BYTES", 0),
        ("EXPIRES_IN", 0),
    ];
    const WIDE: &'static [Column] = &[
        ("SEGMENT", 0),
        ("STATE", 0),
        ("FROM", 0),
        ("UNTIL", 0),
        ("RECORDS", 0),
        ("BYTES", 0),
        ("EXPIRES_AT", 0),
    ];

    fn cells(&self, wide: bool) -> Vec<String> {
        let SegmentSummary { segment, state, from, until, records, bytes, expires_at } =
            &self.segment.row;
        let (records, bytes) = (records.to_string(), bytes.to_string());
        let (segment, state) = (segment.clone(), state.to_string());
        if wide {
            let [from, until, expires_at] = [from, until, expires_at].map(ToString::to_string);
            return vec![segment, state, from, until, records, bytes, expires_at];
        }
        let left = match expires_at.since(self.now).as_secs() / 3_600 {
            _ if *expires_at <= self.now => "overdue".to_owned(),
            hours if hours >= 24 => format!("{}d{}h", hours / 24, hours % 24),
            hours => format!("{hours}h"),
        };
        vec![segment, state, minutes(*from), records, bytes, left]
    }

    fn node(&self) -> Option<&str> {
        self.segment.node.as_deref()
    }
}

const fn is_well(state: SegmentState) -> bool {
    matches!(state, SegmentState::Active | SegmentState::Closed | SegmentState::Sealed)
}

/// The bar with its legend; empty if there is no segment. One column is so many hours of records: the taller, the more;
/// `·` none, `!` something in it cannot be read.
fn bar(segments: &[SegmentSummary], now: Timestamp, width: usize) -> String {
    // Every hour lives as long as the retention says; one from a wrong clock may not.
    let Some(span) = segments.iter().map(|part| part.expires_at.since(part.from)).max() else {
        return String::new();
    };
    let (start, span_us) = (now.minus(span), span.as_micros().max(1));
    let (mut records, mut broken) = (vec![0u64; width], vec![false; width]);
    for part in segments {
        let at = part.from.since(start).as_micros() * width as u128 / span_us;
        let cell = usize::try_from(at).unwrap_or(width).min(width - 1);
        records[cell] += part.records;
        broken[cell] |= !is_well(part.state);
    }
    let most = records.iter().max().copied().unwrap_or(0).max(1);
    let cells = records.iter().zip(broken).map(|(records, broken)| match records {
        _ if broken => '!',
        0 => '·',
        records => level(*records, most),
    });
    let mut out = String::from("\n");
    let hours = span.as_secs_f64() / 3600.0;
    let _ = writeln!(out, "{}", cells.collect::<String>());
    let _ = writeln!(
        out,
        "{:<half$}{:>half$}",
        format!("{} ago", days(hours)),
        "now",
        half = width / 2
    );
    let each = days(hours / width as f64);
    let most = counted(most, "record");
    let _ = writeln!(out, "a column is {each}, the tallest {most}; · none, ! cannot be read");
    let sum = |of: fn(&SegmentSummary) -> u64| segments.iter().map(of).sum::<u64>();
    let (all, bytes) = (sum(|part| part.records), sum(|part| part.bytes));
    let next = segments.iter().map(|part| part.expires_at).min();
    let next =
        next.map_or_else(String::new, |next| format!("\nnext key destroyed at {}", seconds(next)));
    let (all, count) = (counted(all, "record"), counted(segments.len() as u64, "segment"));
    let _ = writeln!(out, "{all} in {count}, {bytes} bytes{next}");
    out
}

fn level(records: u64, most: u64) -> char {
    let step = u128::from(records) * LEVELS.len() as u128 / (u128::from(most) + 1);
    LEVELS[usize::try_from(step).unwrap_or(0).min(LEVELS.len() - 1)]
}

fn days(hours: f64) -> String {
    if hours >= 48.0 { format!("{:.0}d", hours / 24.0) } else { format!("{hours:.1}h") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn segment(from: Timestamp, records: u64, state: SegmentState) -> SegmentSummary {
        let (segment, until, expires_at) = (String::new(), from.plus(HOUR), from.plus(720 * HOUR));
        SegmentSummary { segment, state, from, until, records, bytes: 10, expires_at }
    }

    #[test]
    fn columns_stand_where_their_hours_are() {
        let now = Timestamp::from_secs(1_795_420_800);
        let segments = [
            segment(now.minus(719 * HOUR), 1, SegmentState::Sealed),
            segment(now.minus(360 * HOUR), 80, SegmentState::Sealed),
            segment(now.minus(HOUR), 40, SegmentState::Active),
            segment(now.minus(100 * HOUR), 40, SegmentState::KeyMissing),
        ];
        let bar = bar(&segments, now, CELLS_MAX);
        let cells: Vec<char> = bar.lines().nth(1).unwrap().chars().collect();
        assert_eq!(cells.len(), CELLS_MAX);
        assert_eq!((cells[0], cells[30], cells[59], cells[51]), ('▁', '█', '▄', '!'));
        assert_eq!(cells.iter().filter(|cell| **cell == '·').count(), 56);
        assert!(bar.contains("30d ago") && bar.contains("a column is 12.0h"), "{bar}");
        assert!(bar.contains("161 records in 4 segments, 40 bytes"), "{bar}");
    }

    #[test]
    fn what_is_left_of_an_hour_is_said_in_days_and_hours() {
        let now = Timestamp::from_secs(1_795_420_800);
        let left = |ago: u32| {
            let segment = segment(now.minus(HOUR * ago), 0, SegmentState::Sealed);
            SegmentRow { segment: &OfNode::new(segment, None), now }.cells(false).pop()
        };
        let told = [0, 1, 697, 720, 721].map(|ago| left(ago).unwrap());
        assert_eq!(told, ["30d0h", "29d23h", "23h", "overdue", "overdue"]);
    }

    #[test]
    fn an_empty_log_has_no_bar() {
        assert_eq!(bar(&[], Timestamp::EPOCH, CELLS_MAX), "");
    }
}
