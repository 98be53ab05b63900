//! Sweep detection: which accounts, and which blocks of numbers, are asked as nobody asks who has an address book.
//!
//! Only new handles come here: those that an account has not asked for in 30 days. Three tests watch them:
//!
//! * **too few hits** ([`evidence`]): a sequential test of each account's hits against the service's own ratio;
//! * **too many hits**: the same test upwards, for leaked lists, beyond what an address book holds;
//! * **swept blocks** ([`blocks`]): how much of each block of 10,000 numbers was asked in a day, by all accounts together. It
//!   catches a sweep of which each account does one number. Unproven and young accounts get no new handles in a swept
//!   block, and an account most of whose handles lie in such blocks is flagged.
//!
//! The service's ratio is learnt from its older accounts ([`ratio`]). While it is not known there is no verdict, and a young
//! service with few hits draws no conclusion from misses ([`thresholds`]). Phone numbers and e-mail addresses have a ratio
//! each. Addresses have no blocks: a domain is no range that can be counted through, and the large ones hold everybody.
//!
//! Pure: no clock, no disk. An account's evidence is kept by its caller.

mod blocks;
mod evidence;
mod ratio;
mod slot;
#[cfg(test)]
mod tests;
mod thresholds;

pub(super) use evidence::{EVIDENCE_BYTES, Evidence};

use crate::{clock::Timestamp, handle::Handle, limits, vocabulary::FlagReason};

use crate::quota::standing::Standing;
use blocks::{Asked, Blocks};
use ratio::{RATIO_BYTES, ServiceRatio};

/// The first byte of [`Detector::state`].
const STATE_VERSION: u8 = 1;
/// A swept block in [`Detector::state`]: 8 bytes of its number, 4 of the hour in which it opens again.
const MARK_BYTES: usize = 12;
/// The bytes of [`Detector::state`] at most.
pub(super) const STATE_BYTES_MAX: usize =
    1 + 2 * RATIO_BYTES + MARK_BYTES * limits::SWEEP_BLOCKS_MAX;

/// Watches the new handles of all accounts. Threads share it: its locks are held for some hundred nanoseconds.
pub(super) struct Detector {
    /// Of phone numbers, of e-mail addresses.
    ratios: [ServiceRatio; 2],
    blocks: Blocks,
}

impl Detector {
    /// Nothing is known. `seed` decides where blocks lie in the table; take a random one.
    pub(super) fn new(seed: u64) -> Self {
        let ratios = [ServiceRatio::unknown(), ServiceRatio::unknown()];
        Self { ratios, blocks: Blocks::new(seed) }
    }

    /// Takes in new handles of one account, each with whether the answer was a hit. Returns why the account is to be flagged,
    /// if it is. Later calls return it as well until the caller resets the evidence.
    pub(super) fn observe<'h>(
        &self,
        evidence: &mut Evidence,
        standing: Standing,
        items: impl Iterator<Item = (&'h Handle, bool)>,
        now: Timestamp,
    ) -> Option<FlagReason> {
        let is_older = standing == Standing::Older;
        let ratios = [self.ratios[0].get(), self.ratios[1].get()];
        evidence.age(day(now), standing, &self.ratios);
        let mut reason = None;
        for (handle, is_hit) in items {
            match handle {
                Handle::Phone(number) => {
                    evidence.count(0, is_hit, ratios[0]);
                    let (number, ratio, hour) = (*number, ratios[0], hour(now));
                    if self.blocks.observe(&Asked { number, is_hit, is_older, ratio, hour }) {
                        evidence.count_swept();
                    }
                }
                Handle::Email(_) => evidence.count(1, is_hit, ratios[1]),
            }
            // The test is sequential: a later hit of the same batch takes nothing back.
            reason = reason.or_else(|| evidence.verdict(standing, ratios[0]));
        }
        reason
    }

    /// Whether the handle lies in a block that was swept lately.
    pub(super) fn is_swept(&self, handle: &Handle, now: Timestamp) -> bool {
        matches!(handle, Handle::Phone(number) if self.blocks.is_swept(*number, hour(now)))
    }

    /// The service's hit ratio for phone numbers, from 0 to 1. None until enough older accounts have asked.
    pub(super) fn hit_ratio(&self) -> Option<f32> {
        self.ratios[0].get()
    }

    /// How many blocks are closed as swept. Reads the whole table if there are any.
    pub(super) fn swept_blocks(&self, now: Timestamp) -> usize {
        self.blocks.closed(hour(now)).len()
    }

    /// What a restart must not lose: the service's ratios and the swept blocks. It holds beginnings of phone numbers, so
    /// store it encrypted. How much of the other blocks was asked is lost: at most a day.
    pub(super) fn state(&self, now: Timestamp) -> Vec<u8> {
        let mut state = vec![STATE_VERSION];
        for ratio in &self.ratios {
            state.extend(ratio.to_bytes());
        }
        for (block, until) in self.blocks.closed(hour(now)) {
            state.extend(block.to_le_bytes());
            state.extend(until.to_le_bytes());
        }
        state
    }

    /// Takes the state that [`Self::state`] returned. Returns false, and changes nothing, if it is none.
    pub(super) fn restore(&self, state: &[u8]) -> bool {
        let Some((&STATE_VERSION, state)) = state.split_first() else { return false };
        let Some((ratios, marks)) = state.split_at_checked(2 * RATIO_BYTES) else { return false };
        let (marks, rest) = marks.as_chunks::<MARK_BYTES>();
        if !rest.is_empty() {
            return false;
        }
        for (ratio, bytes) in self.ratios.iter().zip(ratios.as_chunks().0) {
            ratio.restore(bytes);
        }
        for mark in marks {
            let [block @ .., a, b, c, d] = *mark;
            self.blocks.restore(u64::from_le_bytes(block), u32::from_le_bytes([a, b, c, d]));
        }
        true
    }
}

fn day(now: Timestamp) -> u16 {
    u16::try_from(now.as_secs() / 86_400).unwrap_or(u16::MAX)
}

fn hour(now: Timestamp) -> u32 {
    u32::try_from(now.as_secs() / 3_600).unwrap_or(u32::MAX)
}
