//! The rules for how many messages may be sent: to one person, and by everything that many people share. Pure functions of
//! stored counters and the time.
//!
//! Counters outlive restarts, so the time is trusted time, which a correction may set back. What lies ahead of the present
//! then counts as if it were now. So nothing is forgiven, and nobody is locked out for longer than [`SPAN`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::asker_class::AskerClass;
use crate::{clock::Timestamp, limits};

/// The span of all limits on messages.
pub(super) const SPAN: Duration = limits::CODE_SENDS_SPAN;

/// The messages of the last [`SPAN`] to one person: microseconds since the Unix epoch, and who asked. Oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PersonSends(Vec<(u64, AskerClass)>);

/// Messages to one person in any [`SPAN`], by all askers up to a class together. So no number of strangers uses up what is
/// kept for the person.
const fn person_max(class: AskerClass) -> usize {
    match class {
        AskerClass::Tokenless => limits::CODES_PER_PERSON_TOKENLESS,
        AskerClass::Unproven => limits::CODES_PER_PERSON_UNPROVEN,
        AskerClass::Proven => limits::CODES_PER_PERSON_PROVEN,
        AskerClass::Holder => limits::CODES_PER_PERSON_MAX,
    }
}

const CLASSES: [AskerClass; 4] =
    [AskerClass::Tokenless, AskerClass::Unproven, AskerClass::Proven, AskerClass::Holder];

impl PersonSends {
    /// The messages that still count. Returns true if some lay ahead of the present: then the row must be written, or they
    /// would be ahead at the next look, too.
    pub(super) fn recall(&mut self, now: Timestamp) -> bool {
        let now = now.as_micros();
        let lies_ahead = self.0.iter().any(|(at, _)| *at > now);
        for (at, _) in &mut self.0 {
            *at = now.min(*at);
        }
        let span = u64::try_from(SPAN.as_micros()).unwrap_or(u64::MAX);
        self.0.retain(|(at, _)| now - *at < span);
        lies_ahead
    }

    /// Counts a message at `now`, after [`Self::recall`]. Otherwise the span after which it would be counted.
    pub(super) fn charge(&mut self, class: AskerClass, now: Timestamp) -> Result<(), Duration> {
        let wait = CLASSES.iter().filter(|limited| **limited >= class);
        let wait = wait.filter_map(|limited| {
            let counted: Vec<_> = self.0.iter().filter(|(_, of)| of <= limited).collect();
            // The message that must stop counting before another one fits.
            let blocking = counted.len().checked_sub(person_max(*limited))?;
            Some(Timestamp::from_micros(counted[blocking].0).plus(SPAN).since(now))
        });
        match wait.max() {
            Some(wait) => Err(wait),
            None => {
                self.0.push((now.as_micros(), class));
                Ok(())
            }
        }
    }

    /// When the last message stops counting.
    pub(super) fn ends_at(&self) -> Timestamp {
        let last = self.0.last().map_or(0, |(at, _)| *at);
        Timestamp::from_micros(last).plus(SPAN)
    }
}

/// How much of a [`Bucket`] is used, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Level {
    /// When the last message was counted.
    at: u64,
    /// When all messages are available again.
    full_at: u64,
}

impl Level {
    /// Nothing is used.
    pub(super) const fn empty(now: Timestamp) -> Self {
        Self { at: now.as_micros(), full_at: now.as_micros() }
    }

    /// The same, moved to the present if the last message lies ahead of it. Then the row must be written, or it would be ahead
    /// at the next look, too.
    pub(super) fn recalled(self, now: Timestamp) -> Self {
        let back = self.at.saturating_sub(now.as_micros());
        Self { at: self.at - back, full_at: self.full_at - back }
    }

    /// When nothing of it counts any more.
    pub(super) const fn ends_at(self) -> Timestamp {
        Timestamp::from_micros(self.full_at)
    }
}

/// A limit that refills evenly: `burst` messages at once, and one more after each `period`. This is the generic cell rate
/// algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    burst: u32,
    period: Duration,
}

impl Bucket {
    /// At most `count` messages in any [`SPAN`]: half of them at once, and the other half regained over the span.
    pub(super) fn any_span(count: u32) -> Self {
        Self::regained(count / 2)
    }

    /// `burst` messages at once, all of which are regained over a [`SPAN`].
    pub(super) fn regained(burst: u32) -> Self {
        let burst = burst.max(1);
        // Whole microseconds, as instants have them: a fraction would be lost at each message.
        let period = u64::try_from(SPAN.as_micros()).unwrap_or(u64::MAX) / u64::from(burst);
        Self { burst, period: Duration::from_micros(period) }
    }

    /// What a class may use of it, as the span in which that is regained. A bucket of one or two messages has no part to keep.
    fn usable(self, class: AskerClass) -> Duration {
        self.period * (self.burst * class.quarters() / 4).max(1)
    }

    /// How much of its part a class has used, in thousandths.
    pub(super) fn used(self, level: Level, class: AskerClass, now: Timestamp) -> u32 {
        let used = level.ends_at().since(now).as_micros() * 1_000;
        let thousandths = used / self.usable(class).as_micros();
        u32::try_from(thousandths).unwrap_or(u32::MAX).min(1_000)
    }

    /// Counts a message. Otherwise the span after which it would be counted. `need` is what the asker's network has used of
    /// its own limit, in thousandths: networks that use much leave half of the class's part to those that use little.
    pub(super) fn charge(
        self,
        level: Level,
        class: AskerClass,
        need: u32,
        now: Timestamp,
    ) -> Result<Level, Duration> {
        let after = level.ends_at().max(now).plus(self.period);
        let usable = self.usable(class);
        let usable = (usable - usable * need / 2_000).max(self.period);
        let wait = after.since(now).saturating_sub(usable);
        match wait.is_zero() {
            true => Ok(Level { at: now.as_micros(), full_at: after.as_micros() }),
            false => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn class() -> impl Strategy<Value = AskerClass> {
        proptest::sample::select(CLASSES.to_vec())
    }

    /// Whether a message fits, by the rules as they are written in the documents.
    fn fits(sent: &[(Timestamp, AskerClass)], class: AskerClass, now: Timestamp) -> bool {
        let recent: Vec<_> = sent.iter().filter(|(at, _)| now.since(*at) < SPAN).collect();
        let of =
            |classes: &[AskerClass]| recent.iter().filter(|one| classes.contains(&one.1)).count();
        use AskerClass::{Proven, Tokenless, Unproven};
        let strangers = of(&[Tokenless]) < 3;
        let nothing_held = of(&[Tokenless, Unproven]) < 6;
        let others = of(&[Tokenless, Unproven, Proven]) < 8;
        let all = recent.len() < 10;
        match class {
            Tokenless => strangers && nothing_held && others && all,
            Unproven => nothing_held && others && all,
            Proven => others && all,
            AskerClass::Holder => all,
        }
    }

    proptest! {
        #[test]
        fn a_person_gets_what_the_rules_say(
            steps in proptest::collection::vec((0..20_000_u64, class()), 1..120),
        ) {
            let (mut now, mut sends, mut sent) = (START, PersonSends::default(), Vec::new());
            for (secs, class) in steps {
                now = now.plus(Duration::from_secs(secs));
                prop_assert!(!sends.recall(now));
                let expected = fits(&sent, class, now);
                match sends.clone().charge(class, now) {
                    Ok(()) => prop_assert!(expected),
                    Err(wait) => {
                        prop_assert!(!expected);
                        prop_assert!(wait <= SPAN);
                        // Not one microsecond earlier than the answer says, and then it fits.
                        let then = now.plus(wait);
                        prop_assert!(fits(&sent, class, then));
                        prop_assert!(!fits(&sent, class, then.minus(Duration::from_micros(1))));
                    }
                }
                if sends.charge(class, now).is_ok() {
                    sent.push((now, class));
                }
            }
        }

        #[test]
        fn a_clock_that_is_set_back_neither_forgives_nor_locks_out(
            count in 0..12_usize, back_days in 1..400_u64,
        ) {
            let mut sends = PersonSends::default();
            let counted = (0..count).filter(|_| sends.charge(AskerClass::Holder, START).is_ok()).count();
            let back = START.minus(Duration::from_secs(back_days * 24 * 3600));
            prop_assert_eq!(sends.recall(back), counted > 0);
            prop_assert!(!sends.recall(back));
            let left = (0..12).filter(|_| sends.clone().charge(AskerClass::Holder, back).is_ok()).count();
            prop_assert_eq!(left > 0, counted < 10);
            sends.recall(back.plus(SPAN));
            prop_assert!(sends.charge(AskerClass::Tokenless, back.plus(SPAN)).is_ok());
        }

        #[test]
        fn a_bucket_gives_at_most_its_count_in_any_span(
            count in 8..60_u32,
            steps in proptest::collection::vec((0..9_000_u64, class()), 1..300),
        ) {
            let bucket = Bucket::any_span(count);
            let (mut now, mut level, mut sent) = (START, Level::empty(START), Vec::new());
            for (secs, class) in steps {
                now = now.plus(Duration::from_secs(secs));
                prop_assert_eq!(level.recalled(now), level);
                match bucket.charge(level, class, 0, now) {
                    Ok(after) => {
                        level = after;
                        sent.push(now);
                    }
                    Err(wait) => {
                        prop_assert!(bucket.charge(level, class, 0, now.plus(wait)).is_ok());
                        let early = now.plus(wait).minus(Duration::from_micros(1));
                        prop_assert!(bucket.charge(level, class, 0, early).is_err());
                    }
                }
                let recent = sent.iter().filter(|at| now.since(**at) < SPAN).count();
                prop_assert!(recent <= count as usize, "{} of {}", recent, count);
            }
        }

        #[test]
        fn lesser_known_askers_leave_a_part_of_a_bucket(
            count in 16..2_000_u32, back_days in 0..400_u64,
        ) {
            let bucket = Bucket::any_span(count);
            let (mut level, mut now) = (Level::empty(START), START);
            let mut given = |class, now| {
                level = level.recalled(now);
                let mut given = 0;
                while let Ok(after) = bucket.charge(level, class, 0, now) {
                    (level, given) = (after, given + 1);
                }
                given
            };
            let tokenless = given(AskerClass::Tokenless, now);
            let unproven = given(AskerClass::Unproven, now);
            // A clock that is set back changes nothing.
            now = now.minus(Duration::from_secs(back_days * 24 * 3600));
            prop_assert_eq!(given(AskerClass::Unproven, now), 0);
            let proven = given(AskerClass::Proven, now);
            let burst = count / 2;
            prop_assert_eq!(tokenless + unproven + proven, burst);
            prop_assert!(tokenless <= burst / 2 && tokenless + unproven <= burst * 3 / 4);
            prop_assert_eq!(given(AskerClass::Proven, now.plus(SPAN)), burst);
        }
    }
}
