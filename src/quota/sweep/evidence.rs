//! [`Evidence`]: what is remembered of one account's new handles.

use super::{
    ratio::{SAMPLE_HANDLES, ServiceRatio},
    thresholds::{
        ACTIVE_DAYS_MIN, ASKED_LATELY_MIN, HIGH_HITS_ASKED_MIN, HIGH_HITS_SUM_MAX,
        HITS_IN_ADVANCE_MAX, KEPT_PER_DAY, SWEPT_MIN, forgiven_per_day, handles_per_hit,
        hits_per_miss, is_low, low_hits_sum_max,
    },
};
use crate::{quota::standing::Standing, vocabulary::FlagReason};

/// Evidence is counted in eighths of a handle, so that its decay is not lost in rounding.
const UNIT: f32 = 8.0;
/// Days after a sample until the account begins the next one, so that no account weighs more than another.
const SAMPLE_PAUSE_DAYS: u8 = 8;
/// `Sample::asked` while the account pauses: this and the days that are left.
const PAUSED: u8 = 128;

/// The bytes of [`Evidence::to_bytes`].
pub(in crate::quota) const EVIDENCE_BYTES: usize = 20;

/// What is remembered of one account's new handles: 20 bytes of counts that decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::quota) struct Evidence {
    /// The day since the Unix epoch up to which the counts have decayed.
    day: u16,
    /// New handles.
    asked: u16,
    /// Those of them that were hits.
    hits: u16,
    /// New handles that no hit accounts for, of phone numbers and of e-mail addresses: the sums of two sequential tests. One's own
    /// addresses are hits, and must not account for numbers. Below 0: hits came in advance.
    low_hits_sums: [i16; 2],
    /// Hits that no miss accounts for: the sum of a sequential test that restarts at 0.
    high_hits_sum: u16,
    /// New handles in swept blocks.
    swept: u16,
    /// Samples for the service's ratio: of phone numbers, of e-mail addresses.
    samples: [Sample; 2],
    /// Days on which it asked for new handles, in eighths of a day.
    active_days: u8,
    /// New handles of the last days, in whole handles, at most [`ASKED_LATELY_MIN`].
    asked_lately: u8,
}

/// The first handles of an account, as a sample for the service's ratio. It does not decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sample {
    asked: u8,
    hits: u8,
}

impl Evidence {
    /// The most that [`Self::asked`] and [`Self::hits`] can count.
    pub(in crate::quota) const COUNT_MAX: u32 = u16::MAX as u32 / UNIT as u32;

    /// New handles, less those that decayed.
    pub(in crate::quota) fn asked(&self) -> u32 {
        u32::from(self.asked) / UNIT as u32
    }

    /// Those of [`Self::asked`] that were hits.
    pub(in crate::quota) fn hits(&self) -> u32 {
        u32::from(self.hits) / UNIT as u32
    }

    /// The bytes to store.
    pub(in crate::quota) fn to_bytes(self) -> [u8; EVIDENCE_BYTES] {
        let [phone, email] = self.samples;
        let [phones, emails] = self.low_hits_sums.map(i16::cast_unsigned);
        let counts =
            [self.day, self.asked, self.hits, phones, emails, self.high_hits_sum, self.swept];
        let mut bytes = [0; EVIDENCE_BYTES];
        bytes[..14].copy_from_slice(counts.map(u16::to_le_bytes).as_flattened());
        bytes[14..18].copy_from_slice(&[phone.asked, phone.hits, email.asked, email.hits]);
        bytes[18..].copy_from_slice(&[self.active_days, self.asked_lately]);
        bytes
    }

    /// From the bytes that [`Self::to_bytes`] returned. Accepts all bytes: a sample that cannot be is dropped.
    pub(in crate::quota) fn from_bytes(bytes: [u8; EVIDENCE_BYTES]) -> Self {
        let count = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let sample = |at: usize| Sample { asked: bytes[at], hits: bytes[at + 1] }.checked();
        Self {
            day: count(0),
            asked: count(2),
            hits: count(4),
            low_hits_sums: [count(6).cast_signed(), count(8).cast_signed()],
            high_hits_sum: count(10),
            swept: count(12),
            samples: [sample(14), sample(16)],
            active_days: bytes[18],
            asked_lately: bytes[19].min(ASKED_LATELY_MIN),
        }
    }

    /// The evidence after a flag was cleared: nothing, but how many days the account was in use.
    pub(in crate::quota) fn cleared(self) -> Self {
        Self { day: self.day, active_days: self.active_days, ..Self::default() }
    }

    /// Whether the account is older and in regular use.
    pub(super) fn is_regular(&self, standing: Standing) -> bool {
        standing == Standing::Older && self.active_days / UNIT as u8 >= ACTIVE_DAYS_MIN
    }

    /// Lets the counts decay until `day`. Samples that were complete on an earlier day count for `ratios` once the account is
    /// an older one: accounts that are flagged on the day of their first handles never count.
    pub(super) fn age(&mut self, day: u16, standing: Standing, ratios: &[ServiceRatio; 2]) {
        // A clock that was set back ages nothing, and the days count from there.
        let days = day.saturating_sub(self.day);
        self.day = day;
        if days == 0 {
            return;
        }
        for count in [&mut self.asked, &mut self.hits, &mut self.high_hits_sum, &mut self.swept] {
            *count = decayed(*count, days);
        }
        // Today is a day on which it asks.
        let active_days = decayed(self.active_days.into(), days) as u8;
        self.active_days = active_days.saturating_add(UNIT as u8);
        let forgiven = forgiven_per_day(self.is_regular(standing)).saturating_mul(days).min(1_000);
        self.asked_lately = u16::from(self.asked_lately).saturating_sub(forgiven) as u8;
        let forgiven = forgiven as i16 * UNIT as i16;
        for sum in &mut self.low_hits_sums {
            *sum -= (*sum).clamp(-forgiven, forgiven);
        }
        for (sample, ratio) in self.samples.iter_mut().zip(ratios) {
            sample.age(days, standing == Standing::Older, ratio, day);
        }
    }

    /// Counts one new handle of a kind: 0 for phone numbers, 1 for e-mail addresses. `ratio` is the service's, once known.
    pub(super) fn count(&mut self, kind: usize, is_hit: bool, ratio: Option<f32>) {
        self.asked = sum(self.asked, 1.0);
        self.asked_lately = (self.asked_lately + 1).min(ASKED_LATELY_MIN);
        self.samples[kind].count(is_hit);
        if is_hit {
            self.hits = sum(self.hits, 1.0);
        }
        let Some(ratio) = ratio else { return };
        self.high_hits_sum =
            sum(self.high_hits_sum, if is_hit { 1.0 } else { -hits_per_miss(ratio) });
        if let Some(handles_per_hit) = handles_per_hit(ratio) {
            let sum = &mut self.low_hits_sums[kind];
            let added = if is_hit { 1.0 - handles_per_hit } else { 1.0 };
            let new = f32::from(*sum) / UNIT + added;
            *sum = (new.max(-HITS_IN_ADVANCE_MAX) * UNIT).round() as i16;
        }
    }

    /// Counts a new handle that [`Self::count`] has counted as one in a swept block.
    pub(super) fn count_swept(&mut self) {
        self.swept = sum(self.swept, 1.0);
    }

    /// Why the account is flagged now, if it is. `ratio` is the service's for phone numbers, once known.
    pub(super) fn verdict(&self, standing: Standing, ratio: Option<f32>) -> Option<FlagReason> {
        let handles = |count: u16| f32::from(count) / UNIT;
        let (asked, swept) = (handles(self.asked), handles(self.swept));
        let most = low_hits_sum_max(self.is_regular(standing));
        let is_exceeded = self.low_hits_sums.iter().any(|sum| f32::from(*sum) / UNIT >= most);
        if is_exceeded && self.asked_lately == ASKED_LATELY_MIN {
            return Some(FlagReason::TooFewHits);
        }
        if asked >= HIGH_HITS_ASKED_MIN && handles(self.high_hits_sum) >= HIGH_HITS_SUM_MAX {
            return Some(FlagReason::TooManyHits);
        }
        let is_low = ratio.is_some_and(|ratio| is_low(handles(self.hits), asked, ratio));
        let is_swept = swept >= SWEPT_MIN && 2.0 * swept >= asked && is_low;
        is_swept.then_some(FlagReason::SweptNumbers)
    }
}

impl Sample {
    fn checked(self) -> Self {
        let is_sample = self.asked <= SAMPLE_HANDLES && self.hits <= self.asked;
        let is_pause =
            (PAUSED..=PAUSED + SAMPLE_PAUSE_DAYS).contains(&self.asked) && self.hits == 0;
        if is_sample || is_pause { self } else { Self::default() }
    }

    fn count(&mut self, is_hit: bool) {
        if self.asked < SAMPLE_HANDLES {
            self.asked += 1;
            self.hits += u8::from(is_hit);
        }
    }

    fn age(&mut self, days: u16, is_older: bool, ratio: &ServiceRatio, day: u16) {
        if self.asked >= PAUSED {
            let left = u16::from(self.asked - PAUSED).saturating_sub(days);
            self.asked = if left == 0 { 0 } else { PAUSED + left as u8 };
        } else if self.asked == SAMPLE_HANDLES && is_older {
            ratio.add(self.hits, day);
            *self = Self { asked: PAUSED + SAMPLE_PAUSE_DAYS, hits: 0 };
        }
    }
}

/// A count and `handles` more, which may be negative. The cast keeps it between 0 and the greatest number.
fn sum(count: u16, handles: f32) -> u16 {
    (f32::from(count) + (handles * UNIT).round()) as u16
}

/// What is left of a count after some days.
fn decayed(count: u16, days: u16) -> u16 {
    // After 400 days nothing is left of the largest count.
    (0..days.min(400)).fold(count, |count, _| (u32::from(count) * KEPT_PER_DAY / 32) as u16)
}
