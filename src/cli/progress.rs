//! The progress of a long operation, on standard error: a bar on a terminal, a plain line every ten seconds elsewhere.

use std::{
    cell::RefCell,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::note::note;
use crate::tables::accounts::{Phase, Progress, Unit};

const PLAIN_LINE_PAUSE: Duration = Duration::from_secs(10);
const BAR: &str = "{prefix:>11} {wide_bar} {percent:>3} %  {msg}";
/// For operations of unknown length.
const COUNT: &str = "{prefix:>11} {msg}";

/// Shows progress until it is dropped, which takes the bar away.
pub(super) struct ProgressView(RefCell<Shown>);

#[derive(Default)]
struct Shown {
    /// None: plain lines.
    bar: Option<ProgressBar>,
    /// The phase under way, and when it began.
    phase: Option<(Phase, Instant)>,
    last_line: Option<Instant>,
}

impl ProgressView {
    pub(super) fn stderr() -> Self {
        let bar = || ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let bar = io::stderr().is_terminal().then(bar);
        Self(RefCell::new(Shown { bar, ..Shown::default() }))
    }

    /// Takes the bar away, for good: before something else is printed.
    pub(super) fn end(&self) {
        self.0.borrow_mut().end();
    }

    pub(super) fn show(&self, progress: Progress) {
        if let Some(line) = self.0.borrow_mut().show(progress, Instant::now()) {
            note!("{line}");
        }
    }
}

impl Shown {
    /// Moves the bar. Without a bar, returns the plain line if one is due.
    fn show(&mut self, progress: Progress, now: Instant) -> Option<String> {
        let began = match self.phase {
            Some((phase, began)) if phase == progress.phase => began,
            _ => {
                if let Some(bar) = &self.bar {
                    let template = if progress.total == 0 { COUNT } else { BAR };
                    let style = ProgressStyle::with_template(template);
                    bar.set_style(style.expect("the template is a constant"));
                    bar.set_prefix(progress.phase.name());
                }
                self.phase = Some((progress.phase, now));
                now
            }
        };
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            bar.set_message(pace(progress, now - began));
            return None;
        }
        // The first line comes after the first pause: what is quick says nothing.
        if now - *self.last_line.get_or_insert(now) < PLAIN_LINE_PAUSE {
            return None;
        }
        self.last_line = Some(now);
        let (phase, pace) = (progress.phase.name(), pace(progress, now - began));
        let share = progress.done.saturating_mul(100).checked_div(progress.total);
        let share = share.map_or_else(String::new, |share| format!("{share} %, "));
        Some(format!("{phase}: {share}{pace}"))
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.end();
    }
}

/// How much is done, how fast, and how long it may still take.
fn pace(progress: Progress, taken: Duration) -> String {
    let done = amount(progress.done, progress.unit);
    if progress.done == 0 || taken < Duration::from_secs(1) {
        return done;
    }
    let rate = progress.done as f64 / taken.as_secs_f64();
    let left = progress.total.saturating_sub(progress.done) as f64 / rate;
    let rate = amount(rate as u64, progress.unit);
    if progress.total == 0 {
        return format!("{done}, {rate}/s");
    }
    format!("{done}, {rate}/s, {} left", span(left as u64))
}

fn amount(count: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => format!("{:.1} MB", count as f64 / 1e6),
        Unit::Rows => format!("{} rows", HumanCount(count)),
        Unit::Accounts => format!("{} accounts", HumanCount(count)),
    }
}

fn span(secs: u64) -> String {
    format!("{}:{:02}", secs / 60, secs % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rows(done: u64) -> Progress {
        Progress { phase: Phase::Writing, unit: Unit::Rows, done, total: 13_000_000 }
    }

    #[test]
    fn a_plain_line_says_phase_share_rate_and_time_left_every_ten_seconds() {
        let mut lines = Shown::default();
        let start = Instant::now();
        let after = |secs| start + Duration::from_secs(secs);
        assert_eq!(lines.show(rows(0), start), None);
        assert_eq!(lines.show(rows(4_000_000), after(9)), None);
        assert_eq!(
            lines.show(rows(5_000_000), after(10)).as_deref(),
            Some("writing: 38 %, 5,000,000 rows, 500,000 rows/s, 0:16 left")
        );
        assert_eq!(lines.show(rows(5_000_001), after(19)), None);
        assert!(lines.show(rows(6_000_000), after(20)).is_some());
    }

    #[test]
    fn a_new_phase_has_a_rate_of_its_own() {
        let mut lines = Shown::default();
        let start = Instant::now();
        let read = Progress { phase: Phase::Reading, unit: Unit::Bytes, done: 9, total: 0 };
        assert_eq!(lines.show(read, start), None);
        let line = lines.show(rows(1_234), start + Duration::from_secs(11));
        assert_eq!(line.as_deref(), Some("writing: 0 %, 1,234 rows"));
    }

    #[test]
    fn an_operation_of_unknown_length_shows_no_share_and_no_time_left() {
        let mut lines = Shown::default();
        let start = Instant::now();
        let unknown = Progress { total: 0, ..rows(20_000) };
        assert_eq!(lines.show(unknown, start), None);
        let line = lines.show(unknown, start + Duration::from_secs(10));
        assert_eq!(line.as_deref(), Some("writing: 20,000 rows, 2,000 rows/s"));
    }

    #[test]
    fn amounts_are_read_easily() {
        assert_eq!(amount(1_234_567, Unit::Bytes), "1.2 MB");
        assert_eq!(amount(999, Unit::Accounts), "999 accounts");
        assert_eq!(span(3_675), "61:15");
    }
}
