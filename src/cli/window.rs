//! Says which window a command has read, where that surprises.

use crate::{
    api::{Call, Invalid},
    cli::note::note,
    clock::{Clock as _, SystemClock, Timestamp},
};

/// The window that a call asks for.
pub(super) struct AskedWindow {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Whether it begins in the future.
    is_ahead: bool,
    /// Whether it is a window of the query log, which forgets.
    of_log: bool,
}

impl AskedWindow {
    /// Reads the call, and says so if its window lies in the future.
    pub(super) fn of<C: Call>(call: &C) -> Result<Self, Invalid> {
        let now = SystemClock.now();
        call.resolve(now)?;
        let (since, until) = call.window(now)?;
        let ahead = since.filter(|since| *since > now);
        if let Some(since) = ahead {
            note!(
                "dispatchd: --since: {since} lies in the future; this machine's clock says {now}"
            );
        }
        Ok(Self { since, until, is_ahead: ahead.is_some(), of_log: C::READS_RECORDS })
    }

    /// Says that a part of the window is forgotten. `horizon` is the instant after which there are records.
    pub(super) fn print_past(&self, horizon: Option<Timestamp>) {
        if let Some(said) = self.past(horizon) {
            note!("dispatchd: {said}");
        }
    }

    fn past(&self, horizon: Option<Timestamp>) -> Option<String> {
        let horizon = horizon.filter(|_| self.of_log)?;
        let (name, bound) = match (self.since, self.until) {
            (_, Some(until)) if until <= horizon => ("--until", until),
            (Some(since), _) if since < horizon => ("--since", since),
            _ => return None,
        };
        Some(format!("{name}: {bound} lies before the retention; records go back to {horizon}"))
    }

    /// Says which window was read. An empty answer looks the same for every window.
    pub(super) fn print_empty(&self, horizon: Option<Timestamp>) {
        note!("dispatchd: {}", self.read(horizon));
    }

    fn read(&self, horizon: Option<Timestamp>) -> String {
        let horizon = horizon.filter(|_| self.of_log);
        let from = match (self.since, horizon) {
            (Some(since), Some(horizon)) if since < horizon => format!("{horizon} (the retention)"),
            (Some(since), _) => since.to_string(),
            (None, Some(horizon)) => format!("{horizon} (the retention)"),
            (None, None) => "the beginning".to_owned(),
        };
        let until = match self.until {
            Some(until) => format!("to {until}"),
            None if self.is_ahead => "on".to_owned(),
            None => "to now".to_owned(),
        };
        format!("read from {from} {until}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn window(since: Option<u32>, until: Option<u32>) -> AskedWindow {
        let ago = |days: Option<u32>| days.map(|days| NOW.minus(days * DAY));
        AskedWindow { since: ago(since), until: ago(until), is_ahead: false, of_log: true }
    }

    #[test]
    fn what_is_forgotten_of_a_window_is_said() {
        let horizon = Some(NOW.minus(30 * DAY));
        let said = |since, until| window(since, until).past(horizon).unwrap_or_default();
        assert_eq!(said(Some(30), None), "");
        assert_eq!(said(None, Some(29)), "");
        assert_eq!(
            said(Some(31), Some(1)),
            "--since: 2026-12-15T08:00:00.000000Z lies before the retention; records go back to 2026-12-16T08:00:00.000000Z"
        );
        assert!(said(Some(40), Some(35)).starts_with("--until: 2026-12-11T08"));
        assert_eq!(AskedWindow { of_log: false, ..window(Some(31), None) }.past(horizon), None);
        assert_eq!(window(Some(31), None).past(None), None);
    }

    #[test]
    fn an_empty_answer_names_its_window() {
        let horizon = Some(NOW.minus(30 * DAY));
        let read = |since, until| window(since, until).read(horizon);
        assert_eq!(
            read(None, None),
            "read from 2026-12-16T08:00:00.000000Z (the retention) to now"
        );
        assert_eq!(read(Some(31), None), read(None, None));
        assert_eq!(
            read(Some(2), Some(1)),
            "read from 2027-01-13T08:00:00.000000Z to 2027-01-14T08:00:00.000000Z"
        );
        let ahead = AskedWindow { is_ahead: true, ..window(Some(2), None) };
        assert_eq!(ahead.read(horizon), "read from 2027-01-13T08:00:00.000000Z on");
        let audit = AskedWindow { of_log: false, ..window(None, Some(1)) };
        assert_eq!(audit.read(horizon), "read from the beginning to 2027-01-14T08:00:00.000000Z");
    }
}
