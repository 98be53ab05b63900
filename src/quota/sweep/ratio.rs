//! [`ServiceRatio`]: how many of the handles that honest accounts ask for are hits.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use crate::lock::lock;

/// New handles of one account that are one sample.
pub(super) const SAMPLE_HANDLES: u8 = 50;
/// Samples before which the ratio is not known, and no account and no block is judged by it.
const SAMPLES_MIN: u32 = 200;
/// At this number of samples all are halved, so that new ones replace old ones.
const SAMPLES_MAX: u32 = 32_768;
/// After this many days samples are halved, too.
const HALVED_AFTER_DAYS: u16 = 30;
/// A small service keeps this many samples however old they are. Otherwise it would never know its ratio.
const SAMPLES_KEPT: u32 = 4 * SAMPLES_MIN;

/// The bytes of [`ServiceRatio::to_bytes`].
pub(super) const RATIO_BYTES: usize = 2 + 2 * BINS;
const BINS: usize = SAMPLE_HANDLES as usize + 1;

/// The hit ratio of the service: the mean of the middle half of its accounts' samples.
///
/// Each account weighs the same, however much it asks, and a quarter of the samples at either end has no weight: a few
/// sweepers among the trusted accounts hardly move it.
pub(super) struct ServiceRatio {
    samples: Mutex<Samples>,
    /// The bits of the ratio, or of NaN while it is not known.
    current: AtomicU32,
}

struct Samples {
    /// The day since the Unix epoch when all were last halved.
    halved: u16,
    /// How many samples had this number of hits.
    by_hits: [u16; BINS],
}

impl ServiceRatio {
    /// Not known yet.
    pub(super) fn unknown() -> Self {
        let samples = Samples { halved: 0, by_hits: [0; BINS] };
        Self { samples: Mutex::new(samples), current: AtomicU32::new(f32::NAN.to_bits()) }
    }

    /// The ratio, from 0 to 1, once there are enough samples.
    pub(super) fn get(&self) -> Option<f32> {
        let ratio = f32::from_bits(self.current.load(Ordering::Relaxed));
        (!ratio.is_nan()).then_some(ratio)
    }

    /// Adds the sample of one account: its hits among [`SAMPLE_HANDLES`] new handles.
    pub(super) fn add(&self, hits: u8, day: u16) {
        let mut samples = lock(&self.samples);
        samples.add(hits, day);
        self.publish(&samples);
    }

    /// The bytes to store.
    pub(super) fn to_bytes(&self) -> [u8; RATIO_BYTES] {
        let samples = lock(&self.samples);
        let mut bytes = [0; RATIO_BYTES];
        let numbers = [samples.halved].into_iter().chain(samples.by_hits);
        for (place, number) in bytes.as_chunks_mut().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        bytes
    }

    /// Takes the place of what is known, from the bytes that [`Self::to_bytes`] returned.
    pub(super) fn restore(&self, bytes: &[u8; RATIO_BYTES]) {
        let mut numbers = bytes.as_chunks().0.iter().map(|number| u16::from_le_bytes(*number));
        let mut samples = lock(&self.samples);
        samples.halved = numbers.next().unwrap_or_default();
        samples.by_hits = std::array::from_fn(|_| numbers.next().unwrap_or_default());
        self.publish(&samples);
    }

    fn publish(&self, samples: &Samples) {
        let ratio = samples.middle_mean().unwrap_or(f32::NAN);
        self.current.store(ratio.to_bits(), Ordering::Relaxed);
    }
}

impl Samples {
    fn add(&mut self, hits: u8, day: u16) {
        let total = self.total();
        // After the clock was set back.
        self.halved = self.halved.min(day);
        let is_old = day.saturating_sub(self.halved) >= HALVED_AFTER_DAYS && total >= SAMPLES_KEPT;
        if total >= SAMPLES_MAX || is_old {
            self.by_hits = self.by_hits.map(|samples| samples / 2);
            self.halved = day;
        }
        let bin = &mut self.by_hits[usize::from(hits.min(SAMPLE_HANDLES))];
        *bin = bin.saturating_add(1);
    }

    fn total(&self) -> u32 {
        self.by_hits.iter().copied().map(u32::from).sum()
    }

    /// The mean without the lowest and the highest quarter.
    fn middle_mean(&self) -> Option<f32> {
        let total = self.total();
        if total < SAMPLES_MIN {
            return None;
        }
        let (mut skipped, mut left) = (total / 4, total - 2 * (total / 4));
        let (middle, mut hits) = (left, 0);
        for (number, &samples) in (0u32..).zip(&self.by_hits) {
            let low = skipped.min(u32::from(samples));
            let counted = (u32::from(samples) - low).min(left);
            skipped -= low;
            left -= counted;
            hits += number * counted;
        }
        Some(hits as f32 / (middle * u32::from(SAMPLE_HANDLES)) as f32)
    }
}
