//! What a node hands over of each handle.

use super::*;

/// The parts of a log, read with about `budget` bytes, behind a handle.
pub(crate) fn parts_within(
    reader: &LogReader,
    budget: usize,
    after: Option<Handle>,
) -> Vec<FlipPart> {
    let (window, mut parts) = (FlipWindow { after, ..FlipWindow::default() }, Vec::new());
    let each = &mut |steps: Steps| {
        parts.push(steps.part);
        true
    };
    let read = read(&reader.sources, &window, budget, &|| false, each).unwrap();
    assert!(!read.stopped && read.passed_over == SearchOutcome::default());
    parts
}

/// What is counted over the parts of one log.
fn counted(parts: Vec<FlipPart>, query: &FlipQuery) -> Vec<Flip> {
    let mut findings = Findings::new(query);
    parts.into_iter().for_each(|part| findings.add_steps(part.handle, &part.steps));
    let (since, until) = (Timestamp::EPOCH, Timestamp::MAX);
    let passed_over = SearchOutcome::default();
    findings.report(&FlipsRead { since, until, passed_over, stopped: false }).flips
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_of_one_log_have_its_flips(ops in ops(), budget in 0..20_000usize, at in 0..80usize) {
        let bench = Bench::new();
        let log = play(&bench, &ops);
        let (reader, query) = (log.reader(), FlipQuery::default());
        let parts = parts_within(&reader, budget, None);
        prop_assert!(parts.is_sorted_by(|a, b| a.handle < b.handle));
        prop_assert_eq!(&parts, &parts_within(&reader, 0, None));
        // Where an answer broke off, it is continued.
        let after = parts.get(at).map(|part| part.handle.clone());
        let rest = parts_within(&reader, budget, after.clone());
        prop_assert_eq!(rest, parts.iter().filter(|part| after.as_ref().is_none_or(|after| *after < part.handle)).cloned().collect::<Vec<_>>());
        let is_whole = parts.iter().all(|part| !part.is_cut);
        prop_assert!(!is_whole || counted(parts, &query) == model(&all_rows(&log), &query).0);
    }
}

#[test]
fn a_run_ends_with_its_route_with_a_change_and_with_a_pause() {
    let bench = Bench::new();
    let log = bench.open();
    let pause = |seconds| bench.clock.advance(Duration::from_secs(seconds));
    let unbound = changed(&handle(0), ChangeKind::HandleUnbound, Cause::Silence);
    for (record, seconds) in [
        (asked(&handle(0), LIVE), 59),
        (asked(&handle(0), LIVE), 1),
        (asked(&handle(0), LAPSED), 1),
        (unbound, 1),
        (asked(&handle(0), LAPSED), 61),
        (asked(&handle(0), LAPSED), 0),
    ] {
        put(&log, &record);
        pause(seconds);
    }
    for is_sealed in [false, true] {
        if is_sealed {
            bench.clock.advance(HOUR + 2 * MINUTE);
            log.tick();
            assert_eq!(log.seal(&|| false).segments, 1);
        }
        let parts = parts_within(&log.reader(), PLENTY, None);
        let ats: Vec<_> = all_rows(&log).iter().map(|row| row.at).collect();
        let run = |of: std::ops::Range<usize>, (route, reason, _): (Route, Reason, u16)| {
            let (first_at, last_at) = (ats[of.start], ats[of.end - 1]);
            FlipStep::Run(FlipRun { first_at, last_at, route, reason, lookups: of.len() as u32 })
        };
        let Record::Change(told) = &all_rows(&log)[3].record else { panic!("it is a change") };
        let (at, id, change, cause) = (ats[3], told.id, told.kind, told.cause);
        let steps = vec![
            run(0..2, LIVE),
            run(2..3, LAPSED),
            FlipStep::Change(FlipChange { at, id, change, cause }),
            run(4..5, LAPSED),
            run(5..6, LAPSED),
        ];
        assert_eq!(parts, [FlipPart { handle: handle(0), steps, is_cut: false }]);
    }
}

#[test]
fn many_runs_are_joined_over_longer_pauses_and_a_route_that_changes_too_often_is_cut() {
    const LOOKUPS: usize = 500;
    let bench = Bench::new();
    let log = bench.open();
    for number in 0..LOOKUPS {
        let is_even = number.is_multiple_of(2);
        put(&log, &asked(&handle(0), LIVE));
        put(&log, &asked(&handle(1), if is_even { LIVE } else { LAPSED }));
        put(&log, &asked(&handle(2), if number == 250 { LAPSED } else { LIVE }));
        bench.clock.advance(Duration::from_secs(90));
    }
    let most = limits::LOG_FLIPS_STEPS_MAX;
    for budget in [PLENTY, 0] {
        let parts = parts_within(&log.reader(), budget, None);
        let lookups = |part: &FlipPart| -> u32 {
            let runs = part.steps.iter().map(|step| match step {
                FlipStep::Run(run) => run.lookups,
                FlipStep::Change(_) => 0,
            });
            runs.sum()
        };
        let of = |number| parts.iter().find(|part| part.handle == handle(number)).unwrap();
        assert!(parts.iter().all(|part| part.steps.len() <= most));
        assert_eq!((of(0).is_cut, of(1).is_cut, of(2).is_cut), (false, true, false));
        assert_eq!((lookups(of(0)), lookups(of(2))), (LOOKUPS as u32, LOOKUPS as u32));
        assert!(lookups(of(1)) as usize >= most / 4 * 3, "{}", lookups(of(1)));
        let flips = counted(vec![of(0).clone(), of(2).clone()], &FlipQuery::default());
        assert_eq!(flips, model(&all_rows(&log), &FlipQuery::default()).0[1..]);
        // A line of one part is much shorter than a line may be.
        let bytes = serde_json::to_vec(of(1)).unwrap().len();
        assert!(bytes / of(1).steps.len() * 4_096 < 1 << 20, "{bytes}");
    }
}
