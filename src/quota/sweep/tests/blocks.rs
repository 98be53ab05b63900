//! Swept blocks.

use std::collections::HashSet;

use proptest::prelude::*;

use crate::{handle::Handle, quota::standing::Standing, vocabulary::FlagReason};

use super::{
    super::slot::{BITS, Slot},
    Detector, Evidence, START, day, phone,
    population::{Honest, Random},
    taught,
};

const BLOCK: u64 = 10_000;
/// Where botnets ask: far from the numbers of [`taught`].
const SWEPT: u64 = 14_150_000_000;

fn service(ratio: f64, random: &mut Random) -> Detector {
    let detector = taught(Honest { ratio, concentration: 8.0 }, random);
    // Honest accounts ask a few numbers of each of 500 blocks on the day of the sweep.
    for block in 0..500 {
        for number in 0..50 {
            let handle = phone(447_700_000_000 + block * BLOCK + number * 7);
            ask(&detector, &handle, random.chance(ratio), Standing::Older);
        }
    }
    detector
}

/// An account of its own asks for one number.
fn ask(
    detector: &Detector,
    handle: &Handle,
    is_hit: bool,
    standing: Standing,
) -> Option<FlagReason> {
    let mut evidence = Evidence::default();
    detector.observe(&mut evidence, standing, [(handle, is_hit)].into_iter(), day(2))
}

/// How many numbers of a block accounts of one number each ask before it is closed, if it is.
fn until_closed(detector: &Detector, block: u64, density: f64, random: &mut Random) -> Option<u64> {
    (0..BLOCK).find(|number| {
        let handle = phone(block + number);
        if detector.is_swept(&handle, day(2)) {
            return true;
        }
        assert_eq!(ask(detector, &handle, random.chance(density), Standing::Unproven), None);
        false
    })
}

proptest! {
    #[test]
    fn a_slot_counts_each_bit_of_a_day_once(
        asked in prop::collection::vec((0..BITS, any::<bool>(), any::<bool>(), 0u32..3), 0..500),
    ) {
        let (mut slot, mut hour, mut began) = (Slot::new(1, 0), 0, 0);
        let (mut seen, mut hits, mut older) = (HashSet::new(), 0, 0);
        for (bit, is_hit, is_older, hours) in asked {
            hour += hours;
            prop_assert_eq!(slot.is_over(hour), hour - began >= 24);
            if slot.is_over(hour) {
                slot.renew(hour);
                (began, hits, older) = (hour, 0, 0);
                seen.clear();
            }
            slot.count(bit, is_hit, is_older);
            if seen.insert(bit) {
                hits += u16::from(is_hit);
                older += u16::from(is_older);
            }
            prop_assert_eq!((slot.hits(), slot.older()), (hits, older));
            prop_assert_eq!(usize::from(slot.bits()), seen.len());
        }
    }

    #[test]
    fn a_slot_estimates_how_many_numbers_were_asked(numbers in 100u32..5_000, seed: u64) {
        let (mut slot, mut random) = (Slot::new(1, 0), Random(seed));
        for _ in 0..numbers {
            slot.count(random.next() as usize % BITS, false, false);
        }
        let error = slot.distinct() / numbers as f32 - 1.0;
        prop_assert!(error.abs() < 0.15, "{} of {numbers}", slot.distinct());
    }
}

#[test]
fn a_botnet_of_one_number_an_account_gets_a_fifth_of_each_block() {
    for (ratio, density) in [(0.3, 0.05), (0.75, 0.1), (0.02, 0.01)] {
        let mut random = Random(3);
        let detector = service(ratio, &mut random);
        let closed: Vec<_> = (0..20)
            .map(|block| until_closed(&detector, SWEPT + block * BLOCK, density, &mut random))
            .collect();
        println!("service {ratio}, density {density}: closed after {closed:?}");
        let is_a_fifth =
            |asked: &Option<u64>| asked.is_some_and(|asked| (1_800..2_600).contains(&asked));
        assert!(closed.iter().all(is_a_fifth), "{closed:?}");
        assert_eq!(detector.swept_blocks(day(2)), 20);
        assert!(!detector.is_swept(&phone(SWEPT + 20 * BLOCK), day(2)));
        assert!(detector.is_swept(&phone(SWEPT), day(4)));
        assert!(!detector.is_swept(&phone(SWEPT), day(5)), "it opens after three days");
        assert_eq!(detector.swept_blocks(day(5)), 0);
    }
}

#[test]
fn a_state_that_is_restored_often_closes_each_block_once() {
    let mut random = Random(11);
    let detector = service(0.3, &mut random);
    until_closed(&detector, SWEPT, 0.05, &mut random).unwrap();
    let state = detector.state(day(2));
    let restored = Detector::new(8);
    for _ in 0..20 {
        assert!(restored.restore(&state));
    }
    assert!(restored.is_swept(&phone(SWEPT), day(2)));
    assert_eq!((restored.swept_blocks(day(2)), restored.state(day(2))), (1, state));
}

#[test]
fn what_a_clock_ahead_counted_is_counted_from_its_correction() {
    let mut slot = Slot::new(1, 10_000);
    slot.count(1, true, true);
    slot.correct(500);
    assert_eq!((slot.bits(), slot.is_over(523), slot.is_over(524)), (1, false, true));
    let (detector, mut evidence) = (Detector::new(1), Evidence::default());
    let asked = phone(SWEPT);
    let mut ask = |now, handles: usize| {
        let items = [(&asked, false)].into_iter().cycle().take(handles);
        let _ = detector.observe(&mut evidence, Standing::Young, items, now);
        evidence.asked()
    };
    assert_eq!(ask(day(300), 32), 32);
    assert_eq!((ask(day(2), 0), ask(day(3), 0), ask(day(4), 0)), (32, 31, 30));
}

#[test]
fn honest_blocks_stay_open() {
    // A dense block, one of few customers, landlines, a firm that talks about itself.
    for (ratio, hits) in
        [(0.3, 0.3), (0.75, 0.6), (0.3, 0.2), (0.3, 0.003), (0.02, 0.0), (0.02, 0.1)]
    {
        let mut random = Random(4);
        let detector = service(ratio, &mut random);
        for number in 0..BLOCK {
            ask(&detector, &phone(SWEPT + number), random.chance(hits), Standing::Older);
        }
        assert!(!detector.is_swept(&phone(SWEPT), day(2)), "{ratio}: {hits}");
    }
}

#[test]
fn a_block_with_two_hits_stays_open_and_one_with_three_is_closed() {
    for (hits, is_closed) in [(2, false), (3, true)] {
        let mut random = Random(10);
        let detector = service(0.02, &mut random);
        for number in 0..5_000 {
            ask(&detector, &phone(SWEPT + number), number < hits, Standing::Unproven);
        }
        assert_eq!(detector.is_swept(&phone(SWEPT), day(2)), is_closed, "{hits}");
    }
}

#[test]
fn a_block_with_no_more_than_its_neighbours_stays_open() {
    let mut random = Random(5);
    let detector = taught(Honest { ratio: 0.3, concentration: 8.0 }, &mut random);
    // A hundred blocks are asked alike, each for a quarter of its numbers.
    for number in (0..BLOCK).step_by(4) {
        for block in 0..100 {
            let handle = phone(SWEPT + block * BLOCK + number);
            ask(&detector, &handle, random.chance(0.05), Standing::Older);
        }
    }
    assert_eq!(detector.swept_blocks(day(2)), 0);
}

#[test]
fn known_hits_hide_no_sweep() {
    let mut random = Random(6);
    let detector = service(0.3, &mut random);
    for _ in 0..5_000 {
        ask(&detector, &phone(SWEPT), true, Standing::Older);
    }
    assert!(until_closed(&detector, SWEPT, 0.05, &mut random).is_some());
}

#[test]
fn an_account_that_goes_on_in_swept_blocks_is_flagged() {
    let mut random = Random(8);
    let detector = service(0.02, &mut random);
    for block in 0..4 {
        until_closed(&detector, SWEPT + block * BLOCK, 0.005, &mut random);
    }
    let mut flagged = |in_swept: fn(u64) -> bool| {
        let mut evidence = Evidence::default();
        (0..1_000u64).find(|&at| {
            let base = if in_swept(at) { SWEPT } else { SWEPT + 100 * BLOCK };
            let handle = phone(base + 5_000 + at);
            let item = [(&handle, random.chance(0.005))].into_iter();
            let reason = detector.observe(&mut evidence, Standing::Older, item, day(2));
            assert!(reason.is_none_or(|reason| reason == FlagReason::SweptNumbers));
            reason.is_some()
        })
    };
    assert_eq!(flagged(|_| true), Some(99));
    assert!(flagged(|at| at % 4 != 0).is_some_and(|asked| asked < 150));
    assert_eq!(flagged(|at| at % 4 == 0), None);
}

#[test]
fn a_sweep_is_found_among_more_honest_blocks_than_the_table_holds() {
    let mut random = Random(9);
    let detector = service(0.3, &mut random);
    let mut asked = 0;
    // One number of the sweep for each 20 honest ones, which lie in 50,000 blocks.
    while !detector.is_swept(&phone(SWEPT), day(2)) {
        ask(&detector, &phone(SWEPT + asked), random.chance(0.05), Standing::Unproven);
        for _ in 0..20 {
            let handle = phone(810_000_000_000 + random.next() % (50_000 * BLOCK));
            ask(&detector, &handle, random.chance(0.3), Standing::Older);
        }
        asked += 1;
        assert!(asked < BLOCK);
    }
    println!("found after {asked}");
}

#[test]
fn both_spellings_of_a_subscriber_are_one_number() {
    let detector = Detector::new(1);
    let [with, without] =
        ["+5491123456789", "+541123456789"].map(|text| Handle::from_canonical(text).unwrap());
    let mut state = detector.state(START);
    // The block of the spelling without the 9, closed until the day after.
    state.extend(541_123_456_789_u64.div_euclid(BLOCK).to_le_bytes());
    state.extend((START.as_secs() as u32 / 3_600 + 24).to_le_bytes());
    assert!(detector.restore(&state));
    assert!(detector.is_swept(&with, START) && detector.is_swept(&without, START));
}
