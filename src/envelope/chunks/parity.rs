//! Parity: what a chunk is rebuilt from when it does not open.
//!
//! Every other chunk, up to [`STRIPE_CHUNKS`] of them, makes a *stripe*; the parity of a stripe is the exclusive or of its
//! chunks as they lie on disk, tags included, each continued with zeros to the longest of them. So one chunk of a stripe is
//! the exclusive or of all the others with the parity, and its tag says whether that is right: nothing is ever guessed.
//!
//! Two chunks side by side are of different stripes, since damage does not keep to chunks: a sector that cannot be read may
//! lie across two. Reed-Solomon codes would stand more; what this is for is a flipped bit and a bad sector in a file that
//! cannot be had from anywhere else, at a 64th of its size. A file of one or two chunks is twice as large by it.
//!
//! Parity is computed from ciphertext: it needs no key and reveals no more than ciphertext does.

use std::ops::Range;

/// Chunks of a stripe, at most. Part of the format.
pub(super) const STRIPE_CHUNKS: u32 = if cfg!(test) { 4 } else { 64 };
/// Stripes whose chunks take turns.
const LANES: u32 = 2;

pub(super) const fn stripe_of(counter: u32) -> u32 {
    counter / (LANES * STRIPE_CHUNKS) * LANES + counter % LANES
}

/// How many stripes so many chunks make. The last two may be short.
pub(super) const fn stripes(chunks: u32) -> u32 {
    let rest = chunks % (LANES * STRIPE_CHUNKS);
    let last = if rest < LANES { rest } else { LANES };
    chunks / (LANES * STRIPE_CHUNKS) * LANES + last
}

/// The counts of the chunks of a stripe, in a file of so many.
pub(super) fn members(stripe: u32, chunks: u32) -> impl Iterator<Item = u32> {
    let first = stripe / LANES * (LANES * STRIPE_CHUNKS) + stripe % LANES;
    let end = first.saturating_add(LANES * STRIPE_CHUNKS).min(chunks);
    (first..end).step_by(LANES as usize)
}

/// Adds bytes to a sum, which becomes as long as the longest of what was added.
pub(super) fn add(sum: &mut Vec<u8>, bytes: &[u8]) {
    if sum.len() < bytes.len() {
        sum.resize(bytes.len(), 0);
    }
    for (sum, byte) in sum.iter_mut().zip(bytes) {
        *sum ^= byte;
    }
}

/// The parity of the chunks that a writer has sealed.
#[derive(Debug, Default)]
pub(super) struct Parity {
    /// Stripes that are whole, one after another.
    whole: Vec<u8>,
    ends: Vec<usize>,
    /// Stripes under way.
    open: [Vec<u8>; LANES as usize],
    chunks: u32,
}

impl Parity {
    /// Takes the next chunk, as it goes to the disk.
    pub(super) fn push(&mut self, sealed: &[u8]) {
        add(&mut self.open[(self.chunks % LANES) as usize], sealed);
        self.chunks += 1;
        if self.chunks.is_multiple_of(LANES * STRIPE_CHUNKS) {
            self.close();
        }
    }

    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<Range<usize>>) {
        self.close();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(&self.ends).map(|(start, end)| start..*end).collect();
        (self.whole, ranges)
    }

    fn close(&mut self) {
        // A chunk is never empty: a stripe without bytes has no chunk.
        for stripe in self.open.iter_mut().filter(|stripe| !stripe.is_empty()) {
            self.whole.append(stripe);
            self.ends.push(self.whole.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_of_one_stripe_and_its_neighbours_of_another() {
        for chunks in 0..40 {
            let mut seen = vec![0; chunks as usize];
            for stripe in 0..stripes(chunks) {
                let members: Vec<u32> = members(stripe, chunks).collect();
                assert!((1..=STRIPE_CHUNKS as usize).contains(&members.len()), "{chunks} chunks");
                for member in members {
                    assert_eq!(stripe_of(member), stripe, "{chunks} chunks");
                    seen[member as usize] += 1;
                }
            }
            assert!(seen.iter().all(|times| *times == 1), "{chunks} chunks: {seen:?}");
            let neighbours = (1..chunks).all(|chunk| stripe_of(chunk - 1) != stripe_of(chunk));
            assert!(neighbours, "{chunks} chunks");
        }
    }

    #[test]
    fn the_parity_of_a_stripe_is_the_sum_of_its_chunks() {
        for count in 0..20u8 {
            let chunks: Vec<Vec<u8>> =
                (0..count).map(|n| vec![n.wrapping_mul(37) | 1; 3 + usize::from(n % 5)]).collect();
            let mut parity = Parity::default();
            chunks.iter().for_each(|chunk| parity.push(chunk));
            let (bytes, ranges) = parity.finish();
            assert_eq!(ranges.len(), stripes(count.into()) as usize);
            for (stripe, range) in (0..).zip(ranges) {
                let mut sum = Vec::new();
                members(stripe, count.into()).for_each(|n| add(&mut sum, &chunks[n as usize]));
                assert_eq!(bytes[range], sum, "stripe {stripe} of {count} chunks");
            }
        }
    }
}
