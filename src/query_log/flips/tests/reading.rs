//! Segments that are sealed, damaged or read by others meanwhile.

use super::*;

/// Two hours in files of their own and one that is being written, every handle asked for in each, there and back.
fn three_hours(bench: &Bench) -> QueryLog {
    let log = bench.open();
    for hour in 0..3 {
        for number in 0..60 {
            put(&log, &asked(&handle(number), if hour == 1 { LAPSED } else { LIVE }));
        }
        if hour < 2 {
            bench.clock.advance(HOUR);
            log.tick();
        }
    }
    bench.clock.advance(2 * MINUTE);
    log
}

#[test]
fn segments_may_be_sealed_while_they_are_read() {
    let whole = FlipQuery::default();
    let mut met = 0;
    for step in 1..30 {
        let bench = Bench::new();
        let log = three_hours(&bench);
        let (flips, ..) = model(&all_rows(&log), &whole);
        assert_eq!(flips.len(), 60);
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            if asked.get() == step {
                assert_eq!(log.seal(&|| false).segments, 2);
            }
            false
        };
        let report = find(&log.reader().sources, &whole, 4_000, &stop).unwrap();
        assert_eq!(report.flips, flips, "sealed at step {step}");
        assert_eq!((report.summary.damaged, report.summary.unreadable_segments), (0, 0));
        met += usize::from(asked.get() >= step);
    }
    assert_eq!(met, 29, "there were as many steps");
}

#[test]
fn what_was_taken_of_frames_is_not_taken_again_when_they_are_sealed() {
    let whole = FlipQuery::default();
    let mut sealed_midway = 0;
    for step in [2, 12, 60, 150, 249] {
        let bench = Bench::new();
        let log = bench.open();
        // A frame each; they are read in several pieces, so that the file is missed on the way.
        for turn in 0..250 {
            let answer = if turn % 2 == 0 { LIVE } else { LAPSED };
            let batch: Vec<_> = (0..40).map(|number| asked(&handle(number), answer)).collect();
            log.append_all(&batch).unwrap().wait_blocking().unwrap();
        }
        bench.clock.advance(HOUR + 2 * MINUTE);
        log.tick();
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            if asked.get() == step {
                assert_eq!(log.seal(&|| false).segments, 1);
            }
            false
        };
        let report = find(&log.reader().sources, &whole, PLENTY, &stop).unwrap();
        assert_eq!(report.flips.len(), 40);
        for flip in &report.flips {
            assert_eq!((flip.changes, flip.lookups), (249, 250), "sealed at step {step}");
        }
        sealed_midway += usize::from(asked.get() > 251 || asked.get() < 250);
    }
    assert!(sealed_midway > 0, "the frames were gone on the way");
}

#[test]
fn damage_is_counted_once_and_the_rest_is_found() {
    let bench = Bench::new();
    let log = three_hours(&bench);
    assert_eq!(log.seal(&|| false).segments, 2);
    let states: Vec<_> = log.reader().segments().iter().map(|it| it.state).collect();
    assert_eq!(states, [SegmentState::Sealed, SegmentState::Sealed, SegmentState::Active]);
    let mut files: Vec<_> = std::fs::read_dir(bench.log_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "sealed"))
        .collect();
    files.sort();
    let mut whole = std::fs::read(&files[0]).unwrap();
    // Nothing can be rebuilt.
    whole[parity_of(&files[0])].fill(0);
    let mut outcomes = std::collections::BTreeSet::new();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&files[0], &bytes).unwrap();
        for budget in [PLENTY, 2_000] {
            let reader = log.reader();
            let report = find(&reader.sources, &FlipQuery::default(), budget, &|| false).unwrap();
            let summary = &report.summary;
            let outcome = (summary.damaged, summary.unreadable_segments);
            // Without the first hour a handle changed once, and that is no flip.
            match outcome {
                (0, 0) => assert_eq!(report.flips.len(), 60),
                (1, 0) => assert!(report.flips.len() < 60),
                (0, 1) => assert!(report.flips.is_empty()),
                other => panic!("damage counted {other:?}"),
            }
            outcomes.insert(outcome);
        }
    }
    assert!(outcomes.contains(&(1, 0)), "{outcomes:?}");
}

#[test]
fn the_reader_finds_what_is_found_here_and_its_json_is_as_described() {
    let bench = Bench::new();
    let log = bench.open();
    back_and_forth(&log, &handle(2), 14);
    put(&log, &changed(&handle(2), ChangeKind::LeaseExpired, Cause::Silence));
    let query = FlipQuery::default();
    let found = check(&bench, &log, &query, PLENTY);
    let report = log.reader().flips(&query, &|| false).unwrap();
    assert_eq!(report.flips, found);
    let json = serde_json::to_value(&report).unwrap();
    let flip = &json["flips"][0];
    assert_eq!(flip["handle"], "someone-2@example.com");
    assert_eq!((&flip["changes"], &flip["lookups"]), (&13.into(), &14.into()));
    assert_eq!(flip["routes"], serde_json::json!({"imessage": 7, "sms": 7}));
    assert_eq!(flip["reasons"], serde_json::json!({"lease-expired": 7, "live-device": 6}));
    let lapses = serde_json::json!([{"change": "lease-expired", "cause": "silence", "count": 1}]);
    assert_eq!(flip["registry"], lapses);
    let latest = flip["latest"].as_array().unwrap();
    assert_eq!(latest.len(), 10);
    let ats: Vec<_> = all_rows(&log)[4..14].iter().map(|row| row.at.to_string()).collect();
    assert_eq!(latest.iter().map(|it| it["at"].as_str().unwrap()).collect::<Vec<_>>(), ats);
    assert_eq!((&latest[9]["from"], &latest[9]["to"]), (&"imessage".into(), &"sms".into()));
    assert_eq!(
        (&flip["first_at"], &flip["last_at"]),
        (&all_rows(&log)[1].at.to_string().into(), &latest[9]["at"])
    );
    assert_eq!(
        (&flip["likely"], &flip["because"]),
        (&"lease-lapses".into(), &Likely::LeaseLapses.sentence().into())
    );
    assert_eq!(json["summary"]["likely"][0]["handles"], 1);
    assert!(json["summary"].get("until").is_none());
}
