//! [`Slot`]: the numbers of one block that were asked in a day.

/// Bits of the sketch. Numbers set them by their hash (linear counting): 2,000 numbers are counted within 2 %, and the whole
/// block sets 99 % of them.
pub(super) const BITS: usize = 2_048;
/// Hours after which the block is counted anew.
const COUNTED_HOURS: u32 = 24;
/// How long a block that was swept stays closed. Each round gives a sweeper another fifth of it.
pub(super) const CLOSED_HOURS: u32 = 72;
/// The bits that 2,000 different numbers set, a fifth of the block: 2,048 (1 - e^(-2,000/2,048)).
const COVERED_BITS: u16 = 1_277;

/// What is known of one block: a sketch of the numbers that were asked, and how many of them were hits.
pub(super) struct Slot {
    block: u64,
    began: u32,
    closed_until: u32,
    bits: u16,
    hits: u16,
    older: u16,
    sketch: [u64; BITS / 64],
}

impl Slot {
    /// Nothing was asked of `block` yet. `hour` is since the Unix epoch.
    pub(super) fn new(block: u64, hour: u32) -> Self {
        let sketch = [0; BITS / 64];
        Self { block, began: hour, closed_until: 0, bits: 0, hits: 0, older: 0, sketch }
    }

    /// The block: its numbers without their last four digits.
    pub(super) fn block(&self) -> u64 {
        self.block
    }

    /// Bits set: each stands for one number, or few.
    pub(super) fn bits(&self) -> u16 {
        self.bits
    }

    /// Bits that a hit set. A number that is asked again counts no more, so a known hit cannot hide a sweep.
    pub(super) fn hits(&self) -> u16 {
        self.hits
    }

    /// Bits that older accounts set.
    pub(super) fn older(&self) -> u16 {
        self.older
    }

    /// The hour in which the block opens again.
    pub(super) fn closed_until(&self) -> u32 {
        self.closed_until
    }

    /// Whether the block is closed. An end further ahead comes from a clock that was set back, and does not count.
    pub(super) fn is_closed(&self, hour: u32) -> bool {
        (1..=CLOSED_HOURS).contains(&self.closed_until.saturating_sub(hour))
    }

    /// Closes the block until an hour since the Unix epoch.
    pub(super) fn close(&mut self, until: u32) {
        self.closed_until = until;
    }

    /// What was counted in hours after `hour`, while the clock was ahead, counts as of this hour.
    pub(super) fn correct(&mut self, hour: u32) {
        self.began = self.began.min(hour);
    }

    /// Whether the day of the counts is over.
    pub(super) fn is_over(&self, hour: u32) -> bool {
        hour.saturating_sub(self.began) >= COUNTED_HOURS
    }

    /// Counts anew from `hour`. A closed block stays closed.
    pub(super) fn renew(&mut self, hour: u32) {
        *self = Self { closed_until: self.closed_until, ..Self::new(self.block, hour) };
    }

    /// Counts a number by its bit, once.
    pub(super) fn count(&mut self, bit: usize, is_hit: bool, is_older: bool) {
        let (word, mask) = (&mut self.sketch[bit / 64], 1 << (bit % 64));
        if *word & mask == 0 {
            *word |= mask;
            self.bits += 1;
            self.hits += u16::from(is_hit);
            self.older += u16::from(is_older);
        }
    }

    /// Whether a fifth of the block was asked.
    pub(super) fn is_covered(&self) -> bool {
        self.bits >= COVERED_BITS
    }

    /// How many different numbers were asked, estimated.
    pub(super) fn distinct(&self) -> f32 {
        let empty = BITS as f32 - f32::from(self.bits);
        -(BITS as f32) * (empty.max(0.5) / BITS as f32).ln()
    }
}
