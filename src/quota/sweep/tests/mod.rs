//! What the detector finds, and whom it flags wrongly.

mod blocks;
mod counts;
mod long;
mod population;
mod simulation;

use std::time::Duration;

use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    quota::standing::Standing,
    vocabulary::FlagReason,
};

use super::{Detector, EVIDENCE_BYTES, Evidence};
use population::{Honest, Random};

const DAY: Duration = Duration::from_secs(86_400);
const START: Timestamp = Timestamp::from_secs(1_800_057_600);

fn phone(number: u64) -> Handle {
    Handle::Phone(PhoneKey::from_bits(number).unwrap())
}

/// An address: it has a ratio of its own, and no block.
fn address() -> Handle {
    Handle::from_canonical("a@example.com").unwrap()
}

fn day(number: u32) -> Timestamp {
    START.plus(DAY * number)
}

/// A detector that has learnt the ratio of phone numbers and of addresses from a thousand `honest` accounts.
fn taught(honest: Honest, random: &mut Random) -> Detector {
    taught_by(1_000, honest, random)
}

fn taught_by(accounts: u32, honest: Honest, random: &mut Random) -> Detector {
    let detector = Detector::new(7);
    for _ in 0..accounts {
        let mut evidence = Evidence::default();
        let ratio = honest.account(random);
        // All ask for the same numbers, so that no block is asked much.
        let handle =
            |at: u64| if at.is_multiple_of(2) { phone(4_915_100_000_000 + at) } else { address() };
        for (now, handles) in [(day(0), 100), (day(1), 1)] {
            let asked: Vec<_> = (0..handles).map(handle).collect();
            let items = asked.iter().map(|handle| (handle, random.chance(ratio)));
            detector.observe(&mut evidence, Standing::Older, items, now);
        }
    }
    detector
}

/// One account that asks for addresses, of which a share are hits.
struct Asker<'d> {
    detector: &'d Detector,
    evidence: Evidence,
    standing: Standing,
    ratio: f64,
    handle: Handle,
}

impl<'d> Asker<'d> {
    fn new(detector: &'d Detector, standing: Standing, ratio: f64) -> Self {
        Self { detector, evidence: Evidence::default(), standing, ratio, handle: address() }
    }

    fn ask(&mut self, handles: u32, now: Timestamp, random: &mut Random) -> Option<FlagReason> {
        let items = (0..handles).map(|_| (&self.handle, random.chance(self.ratio)));
        self.detector.observe(&mut self.evidence, self.standing, items, now)
    }

    /// Lets it ask for one known handle on each of twenty days.
    fn in_regular_use(mut self, random: &mut Random) -> Self {
        let ratio = std::mem::replace(&mut self.ratio, 1.0);
        for today in 2..22 {
            self.ask(1, day(today), random);
        }
        self.ratio = ratio;
        self
    }

    /// New handles until the account is flagged, and why. It asks for `per_day` from `first_day` on.
    fn until_flagged(&mut self, per_day: u32, random: &mut Random) -> (u32, Option<FlagReason>) {
        for asked in 0..20_000 {
            let flagged = self.ask(1, day(22 + asked / per_day), random);
            if flagged.is_some() {
                return (asked + 1, flagged);
            }
        }
        (u32::MAX, None)
    }
}

/// Who sweeps.
#[derive(Clone, Copy, Debug)]
enum Sweeper {
    /// An account without a proof, or that proved its handle lately.
    Young,
    /// One that proved its handle a week ago and waited.
    Waited,
    /// One that is older and in regular use.
    Regular,
}

/// The median of the handles until a flag, of so many accounts.
fn median_until_flagged(
    detector: &Detector,
    (sweeper, ratio, per_day): (Sweeper, f64, u32),
    accounts: usize,
    random: &mut Random,
) -> (u32, Option<FlagReason>) {
    let one = |_| {
        let asker = match sweeper {
            Sweeper::Young => Asker::new(detector, Standing::Young, ratio),
            Sweeper::Waited => Asker::new(detector, Standing::Older, ratio),
            Sweeper::Regular => Asker::new(detector, Standing::Older, ratio).in_regular_use(random),
        };
        { asker }.until_flagged(per_day, random)
    };
    let mut all: Vec<_> = (0..accounts).map(one).collect();
    all.sort_by_key(|(asked, _)| *asked);
    all[accounts / 2]
}
