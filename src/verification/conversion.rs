//! How many of the codes sent to a country are answered.
//!
//! Somebody who earns money with each message to some numbers has many sent and answers none. People answer most of theirs.
//! So a country whose codes are hardly ever answered gets no more for a while.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, limits};

/// Codes to one country that askers of one kind asked for, in the last 24 hours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conversion {
    /// By hours since the Unix epoch, ascending.
    hours: Vec<Hour>,
    /// Sent codes that people may still answer, by spans of a code's lifetime since the Unix epoch: the last one and the present.
    open: [(u64, u32); 2],
    /// Microseconds since the Unix epoch.
    paused_until: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hour {
    hour: u64,
    sent: u32,
    answered: u32,
}

fn span_of(now: Timestamp) -> u64 {
    now.as_secs() / limits::CODE_LIFETIME.as_secs()
}

/// Hours that count, with the present one.
const HOURS: u64 = 24;

fn hour_of(now: Timestamp) -> u64 {
    now.as_secs() / 3600
}

impl Conversion {
    /// Counts a sent code. True if the country is paused from now on: of enough codes too few were answered. What was
    /// counted is then forgotten, so that after the pause the country is judged by what happens then.
    pub(super) fn sent(&mut self, now: Timestamp) -> bool {
        self.present(now).sent += 1;
        let open = self.open(now);
        let sum = |of: fn(&Hour) -> u32| self.hours.iter().map(of).map(u64::from).sum::<u64>();
        let (sent, answered) = (sum(|hour| hour.sent), sum(|hour| hour.answered));
        let is_low = |sent, least| {
            sent >= least && answered * 100 < sent * limits::COUNTRY_PAUSE_ANSWERED_PERCENT
        };
        let is_low = is_low(sent.saturating_sub(open), limits::COUNTRY_PAUSE_SENDS_MIN)
            || is_low(sent, limits::COUNTRY_PAUSE_SENDS_AT_ONCE);
        if is_low {
            self.hours.clear();
            self.open = Default::default();
            self.paused_until = now.plus(limits::COUNTRY_PAUSE).as_micros();
        }
        is_low
    }

    /// Takes back a sent code whose delivery failed: nobody could answer it, and nobody earned by it.
    pub(super) fn unsent(&mut self, now: Timestamp) {
        let present = hour_of(now);
        let counted = self.hours.iter_mut().rev().find(|it| it.sent > 0 && it.hour <= present);
        if let Some(hour) = counted {
            hour.sent -= 1;
        }
        if let Some((_, open)) = self.open.iter_mut().rev().find(|(_, open)| *open > 0) {
            *open -= 1;
        }
    }

    /// Counts a sent code as open, and returns how many are.
    fn open(&mut self, now: Timestamp) -> u64 {
        let span = span_of(now);
        if self.open[1].0 != span {
            let is_last = self.open[1].0 + 1 == span;
            self.open = [if is_last { self.open[1] } else { (0, 0) }, (span, 0)];
        }
        self.open[1].1 = self.open[1].1.saturating_add(1);
        u64::from(self.open[0].1) + u64::from(self.open[1].1)
    }

    /// Counts an answered code.
    pub(super) fn answered(&mut self, now: Timestamp) {
        self.present(now).answered += 1;
    }

    /// When the pause ends; none if there is none. One that lies further ahead than a pause can is of a clock that was set
    /// back, and has ended.
    pub(super) fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = Timestamp::from_micros(self.paused_until);
        (now < until && until <= now.plus(limits::COUNTRY_PAUSE)).then_some(until)
    }

    /// When nothing of it counts any more.
    pub(super) fn ends_at(&self) -> Timestamp {
        let last = self.hours.last().map_or(0, |hour| (hour.hour + HOURS) * 3600);
        Timestamp::from_secs(last).max(Timestamp::from_micros(self.paused_until))
    }

    /// The present hour. Forgets those that do not count any more, and those that lie ahead because the clock was set back.
    fn present(&mut self, now: Timestamp) -> &mut Hour {
        let present = hour_of(now);
        self.hours.retain(|hour| hour.hour <= present && present - hour.hour < HOURS);
        if self.hours.last().is_none_or(|last| last.hour != present) {
            self.hours.push(Hour { hour: present, sent: 0, answered: 0 });
        }
        let last = self.hours.len() - 1;
        &mut self.hours[last]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn unanswered_codes_pause_the_country_for_an_hour() {
        let (mut conversion, mut now) = (Conversion::default(), START);
        let unanswered = |conversion: &mut Conversion, now: &mut Timestamp, pause: u64| {
            let sent = |_: &u64| {
                *now = now.plus(Duration::from_secs(pause));
                conversion.sent(*now)
            };
            (1..=10_000).find(sent).expect("it is paused")
        };
        // Those of the last ten to twenty minutes may still be answered.
        let one_a_second = unanswered(&mut conversion, &mut now, 1);
        assert!((801..=1_401).contains(&one_a_second), "{one_a_second}");
        let until = now.plus(Duration::from_secs(3600));
        assert_eq!(conversion.paused_until(now), Some(until));
        assert_eq!(conversion.ends_at(), until);
        assert_eq!(conversion.paused_until(until), None);
        now = until;
        assert_eq!(unanswered(&mut conversion, &mut now, 0), 2_000, "judged by what happens then");
        let back = START.minus(Duration::from_secs(24 * 3600));
        assert_eq!(conversion.paused_until(back), None, "a clock that was set back ends a pause");
    }

    #[test]
    fn a_country_whose_codes_are_answered_is_not_paused() {
        let (mut conversion, mut now) = (Conversion::default(), START);
        for number in 0..20_000_u64 {
            assert!(!conversion.sent(now), "{number}");
            if number % 16 == 0 {
                conversion.answered(now);
            }
            now = now.plus(Duration::from_secs(60));
        }
        assert!(conversion.hours.len() <= 24);
        // Answers of yesterday do not count.
        now = now.plus(Duration::from_secs(24 * 3600));
        assert_eq!((1..=10_000).find(|_| conversion.sent(now)), Some(2_000));
    }

    #[test]
    fn a_launch_is_no_fraud() {
        let (mut conversion, mut now) = (Conversion::default(), START);
        for number in 0..50_000_u64 {
            assert!(!conversion.sent(now), "{number}");
            // A second later the people of a minute ago answer.
            if number % 4 == 0 && number >= 1_500 {
                conversion.answered(now);
            }
            now = now.plus(Duration::from_millis(40));
        }
    }

    #[test]
    fn codes_that_were_not_sent_pause_nothing() {
        let (mut conversion, mut now) = (Conversion::default(), START);
        for number in 0..1_000_u64 {
            assert!(!conversion.sent(now), "{number}");
            // The delivery may end in the next hour.
            now = now.plus(Duration::from_secs(7));
            conversion.unsent(now);
        }
        assert_eq!((1..=10_000).find(|_| conversion.sent(now)), Some(2_000));
        // What the pause forgot is not taken back twice.
        conversion.unsent(now);
        assert!(conversion.hours.iter().all(|hour| hour.sent == 0));
        assert!(conversion.open.iter().all(|(_, open)| *open == 0));
    }

    #[test]
    fn a_full_day_of_many_codes_fits_a_row() {
        let mut conversion = Conversion {
            open: [(u64::MAX, u32::MAX); 2],
            paused_until: u64::MAX,
            ..Conversion::default()
        };
        for hour in 0..HOURS {
            let hour = u64::MAX - hour;
            conversion.hours.push(Hour { hour, sent: u32::MAX, answered: u32::MAX });
        }
        assert!(postcard::to_stdvec(&conversion).expect("it has a form").len() <= 1_024);
    }
}
