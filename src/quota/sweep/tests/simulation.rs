//! What sweeps cost and how many honest accounts are flagged. `cargo test sweep -- --nocapture` prints it.

use crate::{quota::standing::Standing, vocabulary::FlagReason};

use super::{
    Asker, Detector, Sweeper, day, median_until_flagged,
    population::{Days, Honest, Random},
    taught, taught_by,
};

pub(super) const SEED: u64 = 20_261_129;
const DAYS: u32 = 30;
/// Days before these, on which accounts that are not new have asked.
const BEFORE: u32 = 40;
/// The hit ratios of a young, a growing and a mature service.
pub(super) const RATIOS: [f64; 3] = [0.02, 0.3, 0.75];

/// Flags of honest accounts.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub(super) account_days: u32,
    /// On the first day, with the address book.
    pub(super) new: u32,
    /// With the address book on a new phone.
    pub(super) phone: u32,
    /// On any other day.
    pub(super) other: u32,
}

impl Flags {
    pub(super) fn per_million(&self) -> f64 {
        f64::from(self.new + self.phone + self.other) * 1e6 / f64::from(self.account_days)
    }
}

/// Thirty days of honest accounts. 3 % of them are new and bring their address books; one in 730 a day has a new phone and asks
/// for its whole book. Whoever is flagged proves a handle again within the day.
pub(super) fn honest_month(
    detector: &Detector,
    honest: Honest,
    accounts: u32,
    random: &mut Random,
) -> Flags {
    let mut flags = Flags { account_days: accounts * DAYS, ..Flags::default() };
    for _ in 0..accounts {
        let (days, ratio) = (Days::new(random), honest.account(random));
        let first = random.chance(0.03).then(|| (random.next() % u64::from(DAYS)) as u32);
        let mut asker = Asker::new(detector, Standing::Older, ratio);
        // Others have asked for longer than the evidence lives.
        for today in if first.is_none() { 10..10 + BEFORE } else { 0..0 } {
            let handles = days.handles(random);
            if handles > 0 && asker.ask(handles, day(today), random).is_some() {
                asker.evidence = asker.evidence.cleared();
            }
        }
        for today in first.unwrap_or_default()..DAYS {
            let is_new = first == Some(today);
            let is_phone = first.is_none() && random.chance(1.0 / 730.0);
            let book = if is_new || is_phone { Days::book(random) } else { 0 };
            let is_young = first.is_some_and(|first| today - first < 7);
            asker.standing = if is_young { Standing::Young } else { Standing::Older };
            let handles = days.handles(random) + book;
            if handles > 0 && asker.ask(handles, day(10 + BEFORE + today), random).is_some() {
                let counter = match (is_new, is_phone) {
                    (true, _) => &mut flags.new,
                    (_, true) => &mut flags.phone,
                    _ => &mut flags.other,
                };
                *counter += 1;
                asker.evidence = asker.evidence.cleared();
            }
        }
    }
    flags
}

#[test]
fn a_sweep_is_flagged_within_150_handles() {
    let mut random = Random(SEED);
    // Sweeps that last for days count as samples of the ratio, too. They are few among the honest accounts.
    let detector = taught_by(20_000, Honest { ratio: 0.3, concentration: 12.0 }, &mut random);
    let mut median = |sweeper, ratio, per_day| {
        let who = (sweeper, ratio, per_day);
        let (asked, reason) = median_until_flagged(&detector, who, 301, &mut random);
        println!("{sweeper:?}, {per_day} a day, {ratio} hits: {asked} handles, {reason:?}");
        (asked, reason)
    };
    for (sweeper, per_day, between) in [
        (Sweeper::Young, 100, 145..=150),
        (Sweeper::Young, 10_000, 145..=150),
        (Sweeper::Waited, 10_000, 145..=150),
        (Sweeper::Waited, 100, 145..=150),
        (Sweeper::Regular, 10_000, 450..=1_100),
    ] {
        let (asked, reason) = median(sweeper, 0.05, per_day);
        assert!(between.contains(&asked), "{sweeper:?}: {asked}");
        assert_eq!(reason, Some(FlagReason::TooFewHits));
    }
    for (ratio, between) in [(0.5, 3_000..=3_400), (0.95, 3_000..=3_000)] {
        let (asked, reason) = median(Sweeper::Waited, ratio, 10_000);
        assert!(between.contains(&asked), "{ratio}: {asked}");
        assert_eq!(reason, Some(FlagReason::TooManyHits));
    }
}

#[test]
fn few_honest_accounts_are_flagged() {
    println!("seed {SEED}");
    for ratio in RATIOS {
        let honest = Honest { ratio, concentration: 12.0 };
        let mut random = Random(SEED);
        let detector = taught(honest, &mut random);
        let flags = honest_month(&detector, honest, 3_000, &mut random);
        println!("{ratio}: {:.0} per million account-days, {flags:?}", flags.per_million());
        assert!(flags.per_million() <= 50.0, "{ratio}: {flags:?}");
    }
}

#[test]
fn a_young_service_flags_nobody_for_misses() {
    let mut random = Random(SEED);
    let detector = taught(Honest { ratio: 0.02, concentration: 8.0 }, &mut random);
    assert!(detector.hit_ratio().is_some_and(|ratio| ratio < 0.05));
    let mut asker = Asker::new(&detector, Standing::Unproven, 0.0);
    assert_eq!(asker.until_flagged(10_000, &mut random), (u32::MAX, None));
}

#[test]
fn nobody_is_flagged_before_the_ratio_is_known() {
    let (detector, mut random) = (Detector::new(1), Random(SEED));
    for ratio in [0.0, 1.0] {
        let mut asker = Asker::new(&detector, Standing::Unproven, ratio);
        assert_eq!(asker.until_flagged(10_000, &mut random).1, None);
    }
}
