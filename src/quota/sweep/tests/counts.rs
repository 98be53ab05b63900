//! Evidence, the service's ratio, and what is stored of them.

use proptest::prelude::*;

use crate::{quota::standing::Standing, vocabulary::FlagReason};

use super::{
    Asker, Detector, EVIDENCE_BYTES, Evidence, address, day, phone,
    population::{Honest, Random},
    taught,
};

const HONEST: Honest = Honest { ratio: 0.3, concentration: 12.0 };

proptest! {
    #[test]
    fn evidence_is_read_back_and_counts_what_was_asked(
        batches in prop::collection::vec((0u32..400, 0.0..1.0f64), 1..20), seed: u64,
    ) {
        let (detector, mut random) = (Detector::new(1), Random(seed));
        let mut asker = Asker::new(&detector, Standing::Young, 0.0);
        let mut asked = 0;
        for (handles, ratio) in batches {
            asker.ratio = ratio;
            asker.ask(handles, day(0), &mut random);
            asked = (asked + handles).min(8_191);
            prop_assert_eq!(asker.evidence.asked(), asked);
            prop_assert!(asker.evidence.hits() <= asked);
            prop_assert_eq!(Evidence::from_bytes(asker.evidence.to_bytes()), asker.evidence);
        }
    }

    #[test]
    fn any_bytes_are_evidence(bytes: [u8; EVIDENCE_BYTES], seed: u64) {
        let (detector, mut random) = (Detector::new(1), Random(seed));
        let mut asker = Asker::new(&detector, Standing::Older, 0.5);
        asker.evidence = Evidence::from_bytes(bytes);
        for today in [0, 1, 20_000] {
            asker.ask(60, day(today), &mut random);
        }
        prop_assert!(asker.evidence.asked() >= 60);
    }

    #[test]
    fn any_state_is_restored_or_refused(bytes: Vec<u8>) {
        let detector = Detector::new(1);
        if !detector.restore(&bytes) {
            prop_assert_eq!(detector.state(day(0)), Detector::new(1).state(day(0)));
        }
    }
}

#[test]
fn ones_own_addresses_do_not_account_for_numbers() {
    let mut random = Random(12);
    let detector = taught(HONEST, &mut random);
    let mut evidence = Evidence::default();
    let address = address();
    let flagged = (0..1_000).find(|at| {
        // One of its own addresses for ten numbers.
        let number = phone(14_150_000_000 + at * 10_000);
        let (handle, is_hit) = if at % 11 == 0 { (&address, true) } else { (&number, false) };
        let item = [(handle, is_hit)].into_iter();
        detector.observe(&mut evidence, Standing::Young, item, day(2)).is_some()
    });
    assert_eq!(flagged, Some(144));
}

#[test]
fn evidence_decays() {
    let mut random = Random(1);
    let detector = taught(HONEST, &mut random);
    let mut asker = Asker::new(&detector, Standing::Young, 0.0);
    asker.ask(40, day(2), &mut random);
    asker.ask(1, day(34), &mut random);
    assert!((10..20).contains(&asker.evidence.asked()), "{}", asker.evidence.asked());
    // Each day forgives five handles, so nothing is left of the forty, and fifty of the hundred.
    assert_eq!(asker.ask(99, day(34), &mut random), None);
    assert_eq!(asker.ask(94, day(44), &mut random), None);
    assert_eq!(asker.ask(1, day(44), &mut random), Some(FlagReason::TooFewHits));
    // A clock that was set back forgives nothing.
    assert_eq!(asker.ask(1, day(3), &mut random), Some(FlagReason::TooFewHits));
}

#[test]
fn a_few_known_hits_pay_for_few_handles() {
    let mut random = Random(1);
    let detector = taught(HONEST, &mut random);
    let mut asker = Asker::new(&detector, Standing::Young, 1.0);
    asker.ask(500, day(2), &mut random);
    asker.ratio = 0.0;
    assert_eq!(asker.ask(80, day(2), &mut random), None);
    assert_eq!(asker.ask(1, day(2), &mut random), Some(FlagReason::TooFewHits));
}

#[test]
fn an_account_is_in_regular_use_after_two_weeks_and_a_cleared_flag_keeps_that() {
    let mut random = Random(1);
    let detector = taught(HONEST, &mut random);
    let mut asker = Asker::new(&detector, Standing::Older, 1.0);
    let mut is_regular = |today| {
        asker.ask(1, day(today), &mut random);
        asker.evidence.is_regular(Standing::Older)
    };
    assert_eq!((2..30).find(|today| is_regular(*today)), Some(14), "on its thirteenth day");
    let cleared = asker.evidence.cleared();
    assert_eq!((cleared.asked(), cleared.is_regular(Standing::Older)), (0, true));
    assert!(!cleared.is_regular(Standing::Unproven) && !cleared.is_regular(Standing::Young));
    asker.ask(1, day(33), &mut random);
    assert!(!asker.evidence.is_regular(Standing::Older), "after three weeks without a question");
}

/// The ratio of a service that knows its own, after 2,000 more accounts. A share are sweepers who ask for `handles` a day.
fn learnt(share: f64, handles: u32) -> f32 {
    let mut random = Random(2);
    let detector = taught(HONEST, &mut random);
    for _ in 0..2_000 {
        let is_sweeper = random.chance(share);
        let ratio = if is_sweeper { 0.0 } else { HONEST.account(&mut random) };
        let mut asker = Asker::new(&detector, Standing::Older, ratio);
        for today in 2..32 {
            let handles = if is_sweeper { handles } else { 10 };
            if asker.ask(handles, day(today), &mut random).is_some() {
                break;
            }
        }
    }
    detector.ratios[1].get().unwrap()
}

#[test]
fn sweepers_hardly_move_the_ratio() {
    let honest = learnt(0.0, 0);
    let (fast, slow, many) = (learnt(0.5, 500), learnt(0.1, 50), learnt(0.5, 50));
    println!("ratio {honest}; with 50 % fast sweepers {fast}, 10 % slow ones {slow}, 50 % {many}");
    assert!((0.27..0.31).contains(&honest));
    // Fast ones are flagged on their first day, so they do not count. Slow ones weigh as one account each.
    assert!((honest - fast).abs() < 0.02, "{fast}");
    assert!((honest - slow).abs() < 0.03, "{slow}");
    assert!(many < honest - 0.05, "this is how many it takes: {many}");
}

#[test]
fn a_fifth_with_leaked_lists_hardly_moves_the_ratio() {
    let (detector, mut random) = (Detector::new(1), Random(2));
    for account in 0..1_000 {
        let ratio = if account % 5 == 0 { 1.0 } else { HONEST.account(&mut random) };
        let mut asker = Asker::new(&detector, Standing::Older, ratio);
        asker.ask(50, day(0), &mut random);
        asker.ask(1, day(1), &mut random);
        assert_eq!(detector.ratios[1].get().is_some(), account >= 199, "{account}");
    }
    // The mean would be 44 %.
    let ratio = detector.ratios[1].get().unwrap();
    assert!((0.3..0.39).contains(&ratio), "{ratio}");
}

#[test]
fn an_account_that_asks_much_weighs_as_much_as_others() {
    let (detector, mut random) = (Detector::new(1), Random(2));
    let mut asker = Asker::new(&detector, Standing::Older, 0.3);
    for today in 0..19 {
        asker.ask(100, day(today), &mut random);
    }
    let bytes = detector.ratios[1].to_bytes();
    let samples: u16 = bytes.as_chunks().0[1..].iter().map(|bin| u16::from_le_bytes(*bin)).sum();
    assert_eq!(samples, 2, "one in nine days");
}

#[test]
fn young_accounts_teach_no_ratio() {
    let (detector, mut random) = (Detector::new(1), Random(2));
    for _ in 0..1_000 {
        let mut asker = Asker::new(&detector, Standing::Young, 0.0);
        asker.ask(50, day(0), &mut random);
        asker.ask(50, day(1), &mut random);
    }
    assert_eq!(detector.ratios[1].get(), None);
}

#[test]
fn what_is_learnt_survives_a_restart() {
    let mut random = Random(3);
    let old = taught(HONEST, &mut random);
    for number in 0..3_000 {
        let handle = phone(14_150_000_000 + number);
        let items = [(&handle, random.chance(0.05))].into_iter();
        old.observe(&mut Evidence::default(), Standing::Unproven, items, day(2));
    }
    assert_eq!(old.swept_blocks(day(2)), 1);
    let new = Detector::new(99);
    assert!(new.restore(&old.state(day(2))));
    assert_eq!(new.hit_ratio(), old.hit_ratio());
    assert!(new.is_swept(&phone(14_150_009_999), day(2)));
    assert_eq!(new.state(day(2)), old.state(day(2)));
    assert!(!new.restore(&old.state(day(2))[1..]));
}

#[test]
fn the_ratio_follows_the_service() {
    let mut random = Random(4);
    let detector = taught(HONEST, &mut random);
    let later = Honest { ratio: 0.75, ..HONEST };
    // Three accounts a day for a year.
    for account in 0..1_095 {
        let mut asker = Asker::new(&detector, Standing::Older, later.account(&mut random));
        for today in [0, 1] {
            asker.ask(50, day(30 + account / 3 + today), &mut random);
        }
    }
    let ratio = detector.ratios[1].get();
    assert!(ratio.is_some_and(|ratio| ratio > 0.65), "{ratio:?}");
}
