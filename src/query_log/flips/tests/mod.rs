//! Against a model that keeps everything.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{kept::Kept as _, state::count as count_one, *};
use crate::{
    clock::{Clock as _, Timestamp},
    handle::Handle,
    query_log::{
        Filter, LogReader, LogRow, Order, QueryLog, Record, SearchOutcome, SegmentState,
        record::Outcome,
        segment::{HandleEvent, HandleRange, HandleRun},
        tests::support::{Bench, HOUR, change, lookup, parity_of, put, rows},
    },
    vocabulary::{Cause, ChangeKind, HandleLoss, ProblemCode, Reason, Route},
};

pub(crate) mod parts;
mod reading;

const MINUTE: Duration = Duration::from_secs(60);
/// More than any test needs.
const PLENTY: usize = 1 << 30;

pub(crate) fn handle(number: usize) -> Handle {
    let text = match number % 3 {
        0 => format!("+1415555{number:04}"),
        1 => format!("+44770090{number:04}"),
        _ => format!("someone-{number}@example.com"),
    };
    Handle::from_canonical(&text).unwrap()
}

pub(crate) fn asked(handle: &Handle, answer: (Route, Reason, u16)) -> Record {
    let Record::Lookup(mut record) = lookup(1) else { unreachable!("it is a lookup") };
    record.handle = Some(handle.clone());
    (record.route, record.reason, record.status) = (Some(answer.0), answer.1, answer.2);
    Record::Lookup(record)
}

pub(crate) fn changed(handle: &Handle, kind: ChangeKind, cause: Cause) -> Record {
    let Record::Change(mut record) = change(1) else { unreachable!("it is a change") };
    (record.handle, record.kind, record.cause) = (Some(handle.clone()), kind, cause);
    Record::Change(record)
}

pub(crate) const LIVE: (Route, Reason, u16) = (Route::Imessage, Reason::LiveDevice, 200);
pub(crate) const LAPSED: (Route, Reason, u16) = (Route::Sms, Reason::LeaseExpired, 200);
pub(crate) const REMOVED: (Route, Reason, u16) =
    (Route::Sms, Reason::Lost(HandleLoss::DeviceRemoved), 200);

/// The flips, how many handles and changes there are, and how many handles have which likely cause.
pub(crate) type Model = (Vec<Flip>, u64, u64, BTreeMap<Likely, u64>);

/// The same, from all rows in memory. The rows of a handle count in the order in which they come.
pub(crate) fn model(rows: &[LogRow], query: &FlipQuery) -> Model {
    let mut by_handle: BTreeMap<Handle, Vec<&LogRow>> = BTreeMap::new();
    let is_met = |row: &&LogRow| {
        query.since.is_none_or(|since| row.at >= since)
            && query.until.is_none_or(|until| row.at < until)
    };
    for row in rows.iter().filter(is_met) {
        let handle = match &row.record {
            Record::Lookup(lookup) => lookup.handle.clone(),
            Record::Change(change) => change.handle.clone(),
            Record::Refusals(_) => continue,
        };
        by_handle.entry(handle.unwrap()).or_default().push(row);
    }
    let mut flips: Vec<Flip> =
        by_handle.iter().filter_map(|(handle, rows)| flip(handle, rows, query.min)).collect();
    flips.sort_by_key(|flip| (std::cmp::Reverse(flip.changes), flip.handle.clone()));
    let (handles, mut likely) = (flips.len() as u64, BTreeMap::new());
    let changes = flips.iter().map(|flip| u64::from(flip.changes)).sum();
    flips.iter().for_each(|flip| *likely.entry(flip.likely).or_default() += 1);
    flips.truncate(query.limit);
    (flips, handles, changes, likely)
}

fn flip(handle: &Handle, rows: &[&LogRow], min: u32) -> Option<Flip> {
    let mut answers = Vec::new();
    let mut registry: BTreeMap<(u8, u8), RegistryCount> = BTreeMap::new();
    for row in rows {
        match &row.record {
            Record::Lookup(lookup)
                if lookup.status == 200 && lookup.reason != Reason::Undiscoverable =>
            {
                answers.push((row.at, lookup.route.unwrap(), lookup.reason));
            }
            Record::Lookup(_) | Record::Refusals(_) => {}
            Record::Change(told) => {
                let key = (told.kind.number(), told.cause.number());
                let (change, cause) = (told.kind, told.cause);
                let fresh = RegistryCount { change, cause, count: 0 };
                registry.entry(key).or_insert(fresh).count += 1;
            }
        }
    }
    let all: Vec<RouteChange> = answers
        .windows(2)
        .filter(|pair| pair[0].1 != pair[1].1)
        .map(|pair| RouteChange {
            at: pair[1].0,
            from: pair[0].1,
            to: pair[1].1,
            reason: pair[1].2,
        })
        .collect();
    if all.len() < min as usize {
        return None;
    }
    let count = |reason: &Reason| all.iter().filter(|it| it.reason == *reason).count() as u32;
    let mut reasons: BTreeMap<_, _> =
        Reason::ALL.iter().map(|reason| (*reason, count(reason))).collect();
    reasons.retain(|_, count| *count > 0);
    let of = |route: &Route| answers.iter().filter(|answer| answer.1 == *route).count() as u32;
    let mut routes: BTreeMap<_, _> = Route::ALL.iter().map(|route| (*route, of(route))).collect();
    routes.retain(|_, count| *count > 0);
    let mut registry: Vec<_> = registry.into_values().collect();
    registry.sort_by_key(|it| std::cmp::Reverse(it.count));
    // The rules have their own tests; here it matters that they are asked about the right numbers.
    let mut trail = state::Trail::default();
    for (reason, count) in &reasons {
        (0..*count).for_each(|_| count_one(&mut trail.reasons, *reason));
    }
    for it in &registry {
        (0..it.count).for_each(|_| count_one(&mut trail.registry, (it.change, it.cause)));
    }
    let likely = rules::likely(&trail);
    Some(Flip {
        handle: handle.clone(),
        changes: all.len() as u32,
        first_at: all.first()?.at,
        last_at: all.last()?.at,
        lookups: answers.len() as u64,
        routes,
        latest: all[all.len().saturating_sub(10)..].to_vec(),
        reasons,
        registry,
        likely,
        because: likely.sentence().to_owned(),
    })
}

fn all_rows(log: &QueryLog) -> Vec<LogRow> {
    rows(&log.reader(), &Filter::default(), Order::Asc)
}

/// The answer under a budget, and that it is the model's.
#[track_caller]
fn check(bench: &Bench, log: &QueryLog, query: &FlipQuery, budget: usize) -> Vec<Flip> {
    let reader = log.reader();
    let report = find(&reader.sources, query, budget, &|| false).unwrap();
    let (flips, handles, changes, likely) = model(&all_rows(log), query);
    assert_eq!(report.flips, flips, "with {budget} bytes");
    let summary = &report.summary;
    assert_eq!((summary.handles, summary.changes), (handles, changes), "with {budget} bytes");
    let counts = summary.likely.iter().map(|it| (it.likely, it.handles));
    assert_eq!(counts.collect::<BTreeMap<_, _>>(), likely);
    assert_eq!((summary.damaged, summary.unreadable_segments), (0, 0));
    let now = bench.clock.now();
    assert!(summary.since > now.minus(bench.config.retention) && !report.stopped);
    report.flips
}

/// What happens to one handle.
#[derive(Clone, Copy, Debug)]
struct Event {
    handle: usize,
    what: u8,
}

impl Event {
    fn record(self) -> Record {
        let handle = handle(self.handle);
        match self.what {
            0..=4 => asked(&handle, LIVE),
            5..=6 => asked(&handle, LAPSED),
            7 => asked(&handle, REMOVED),
            8 => asked(&handle, (Route::None, Reason::Lost(HandleLoss::Unbound), 200)),
            9 => asked(&handle, (Route::Sms, Reason::Undiscoverable, 200)),
            10 => asked(&handle, (Route::Sms, Reason::Refused(ProblemCode::LookupQuota), 429)),
            11 => changed(&handle, ChangeKind::HandleMoved, Cause::NewerProof),
            12 => changed(&handle, ChangeKind::HandleUnbound, Cause::Silence),
            _ => changed(&handle, ChangeKind::HandleBound, Cause::Proof),
        }
    }
}

/// How a history goes on.
#[derive(Clone, Debug)]
enum Op {
    Append(Vec<Event>),
    /// To the next hour.
    NextHour,
    /// In minutes.
    Pass(u8),
    Seal,
    /// A new file for the same hour.
    Crash,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    // Few handles are asked for often.
    let handle = prop_oneof![3 => 0..6usize, 4 => 0..80usize];
    let event = (handle, 0..14u8).prop_map(|(handle, what)| Event { handle, what });
    let op = prop_oneof![
        6 => prop::collection::vec(event, 1..60).prop_map(Op::Append),
        2 => (1..30u8).prop_map(Op::Pass),
        3 => Just(Op::NextHour),
        2 => Just(Op::Seal),
        1 => Just(Op::Crash),
    ];
    prop::collection::vec(op, 1..24)
}

fn play(bench: &Bench, ops: &[Op]) -> QueryLog {
    let mut log = bench.open();
    for op in ops {
        match op {
            Op::Append(events) => {
                let batch: Vec<_> = events.iter().map(|event| event.record()).collect();
                log.append_all(&batch).unwrap().wait_blocking().unwrap();
            }
            Op::Pass(minutes) => bench.clock.advance(MINUTE * u32::from(*minutes)),
            Op::NextHour => {
                let now = bench.clock.now();
                bench.clock.advance(now.hour(Default::default()).end().since(now) + 2 * MINUTE);
                log.tick();
            }
            Op::Seal => assert!(log.seal(&|| false).failed.is_empty()),
            Op::Crash => {
                log.abandon();
                log = bench.open();
            }
        }
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_history_has_the_models_flips(ops in ops(), budget in 0..20_000usize, limit in 1..40usize, min in 2..5u32, from in 0..300u32, span in 1..400u32) {
        let bench = Bench::new();
        let started = bench.clock.now();
        let log = play(&bench, &ops);
        let whole = FlipQuery { min, limit, ..FlipQuery::default() };
        check(&bench, &log, &whole, PLENTY);
        check(&bench, &log, &whole, budget);
        // One handle at a time.
        check(&bench, &log, &whole, 0);
        let since = started.plus(MINUTE * from);
        let part = FlipQuery { since: Some(since), until: Some(since.plus(MINUTE * span)), ..whole };
        check(&bench, &log, &part, budget);
        // Everything sealed, and the same.
        let now = bench.clock.now();
        bench.clock.advance(now.hour(Default::default()).end().since(now) + 2 * MINUTE);
        log.tick();
        assert!(log.seal(&|| false).failed.is_empty());
        check(&bench, &log, &whole, budget);
        check(&bench, &log, &part, 1_000);
    }
}

/// So many lookups of a handle in turn, each with another route than the one before.
fn back_and_forth(log: &QueryLog, handle: &Handle, lookups: usize) {
    let answers = [LIVE, LAPSED].into_iter().cycle().take(lookups);
    let batch: Vec<_> = answers.map(|answer| asked(handle, answer)).collect();
    log.append_all(&batch).unwrap().wait_blocking().unwrap();
}

#[test]
fn a_handle_with_more_rows_than_all_others_costs_no_more() {
    let bench = Bench::new();
    let log = bench.open();
    for hour in 0..3 {
        back_and_forth(&log, &handle(3), 700);
        for number in 0..40 {
            put(&log, &asked(&handle(number), if hour == 1 { REMOVED } else { LIVE }));
        }
        bench.clock.advance(HOUR);
        log.tick();
    }
    bench.clock.advance(2 * MINUTE);
    assert!(log.seal(&|| false).failed.is_empty());
    for budget in [PLENTY, 4_000, 300, 0] {
        let flips = check(&bench, &log, &FlipQuery::default(), budget);
        assert_eq!((flips.len(), flips[0].handle.clone()), (40, handle(3)));
        assert!(flips[0].changes > 2_000 && flips[0].likely == Likely::LeaseLapses);
        assert_eq!((flips[0].latest.len(), flips[0].lookups), (10, 2_103));
        assert!(flips[1..].iter().all(|flip| flip.changes == 2));
    }
}

#[test]
fn states_stay_within_the_budget_and_a_cut_forgets_what_is_behind_it() {
    let run = |numbers: std::ops::Range<usize>| {
        let mut handles: Vec<_> = numbers.map(handle).collect();
        handles.sort();
        let mut run = HandleRun::default();
        for handle in handles {
            let (route, reason, status) = LIVE;
            let outcome = Outcome::Lookup { route: Some(route), reason, status };
            run.push(handle, HandleEvent { at: Timestamp::from_secs(1), outcome, change: None });
        }
        run
    };
    let budget = 2_000;
    let mut states = States::<State>::new(HandleRange::default(), budget);
    for turn in 0..6 {
        states.begin_run();
        states.apply(&run(turn * 7..turn * 7 + 25));
        assert!(states.bytes() <= budget, "{} bytes", states.bytes());
    }
    let bytes = states.bytes();
    let (range, left) = states.finish();
    let upto = range.upto.unwrap();
    assert!(left.is_sorted_by(|a, b| a.handle() < b.handle()) && left.len() > 3);
    assert_eq!(left.iter().map(State::bytes).sum::<usize>(), bytes);
    let wanted: std::collections::BTreeSet<_> =
        (0..60).map(handle).filter(|it| *it <= upto).collect();
    let found: std::collections::BTreeSet<_> = left.iter().map(|it| it.handle().clone()).collect();
    assert_eq!(found, wanted, "every handle of the range, and none besides");
}

#[test]
fn equal_counts_are_in_the_order_of_handles_and_the_limit_holds() {
    let bench = Bench::new();
    let log = bench.open();
    for number in (0..30).rev() {
        back_and_forth(&log, &handle(number), if number % 10 == 7 { 5 } else { 3 });
    }
    let mut handles: Vec<_> = (0..30).map(handle).collect();
    handles.sort_by_key(|handle| {
        let often = [7, 17, 27].map(self::handle).contains(handle);
        (!often, handle.clone())
    });
    for budget in [PLENTY, 500] {
        for limit in [1, 3, 4, 29, 30, 31] {
            let query = FlipQuery { limit, ..FlipQuery::default() };
            let found = check(&bench, &log, &query, budget);
            let found: Vec<_> = found.into_iter().map(|flip| flip.handle).collect();
            assert_eq!(found, handles[..limit.min(30)]);
        }
    }
}

#[test]
fn only_lookups_in_the_window_count() {
    let bench = Bench::new();
    let log = bench.open();
    for answer in [LIVE, LAPSED, LIVE, LAPSED, LIVE] {
        put(&log, &asked(&handle(0), answer));
        bench.clock.advance(MINUTE);
    }
    let ats: Vec<Timestamp> = all_rows(&log).iter().map(|row| row.at).collect();
    let changes = |since: Option<usize>, until: Option<usize>| {
        let at = |place: usize| ats[place];
        let query =
            FlipQuery { since: since.map(at), until: until.map(at), ..FlipQuery::default() };
        check(&bench, &log, &query, PLENTY).first().map(|flip| flip.changes)
    };
    assert_eq!(changes(None, None), Some(4));
    // The first lookup of the window is no change, whatever was answered before it; the bound itself is not before it.
    assert_eq!(changes(Some(1), None), Some(3));
    assert_eq!(changes(Some(1), Some(4)), Some(2));
    assert_eq!(changes(Some(2), Some(4)), None);
    assert_eq!(changes(Some(4), Some(1)), None);
}

#[test]
fn what_expired_does_not_count() {
    let mut bench = Bench::new();
    bench.config.retention = 3 * HOUR;
    let log = bench.open();
    back_and_forth(&log, &handle(0), 4);
    bench.clock.advance(HOUR);
    back_and_forth(&log, &handle(0), 3);
    assert_eq!(check(&bench, &log, &FlipQuery::default(), PLENTY)[0].changes, 6);
    // Not yet destroyed, and yet not counted.
    bench.clock.advance(2 * HOUR + MINUTE);
    assert_eq!(check(&bench, &log, &FlipQuery::default(), PLENTY)[0].changes, 2);
    bench.clock.advance(HOUR);
    assert!(check(&bench, &log, &FlipQuery::default(), PLENTY).is_empty());
}

#[test]
fn an_answer_about_a_hidden_handle_is_no_change() {
    let bench = Bench::new();
    let log = bench.open();
    let hidden = (Route::Sms, Reason::Undiscoverable, 200);
    for answer in [LIVE, hidden, LIVE, hidden, LIVE] {
        put(&log, &asked(&handle(0), answer));
    }
    assert!(check(&bench, &log, &FlipQuery::default(), PLENTY).is_empty());
}

#[test]
fn it_ends_when_nobody_waits() {
    let bench = Bench::new();
    let log = bench.open();
    back_and_forth(&log, &handle(0), 300);
    bench.clock.advance(HOUR);
    back_and_forth(&log, &handle(0), 300);
    let asked = Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) == 3;
    let report = find(&log.reader().sources, &FlipQuery::default(), PLENTY, &stop).unwrap();
    assert!(report.stopped && asked.get() == 4);
}
