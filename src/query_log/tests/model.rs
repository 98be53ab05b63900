//! Random histories against a model, with the directory reopened after every step.

use std::time::Duration;

use proptest::prelude::*;

use super::support::*;
use crate::{
    clock::{Clock, Timestamp},
    query_log::{Config, Durability, Filter, Order, QueryLog},
};

const RETENTION: Duration = Duration::from_secs(4 * 3600);

#[derive(Clone, Debug)]
enum Op {
    /// This many records in one commit.
    Append(u8),
    /// Both clocks advance, in minutes.
    Advance(u16),
    /// Trusted time goes back within an era, in minutes: by an hour at most.
    StepBack(u16),
    Tick,
    Seal,
    /// The process crashes.
    Crash,
    /// The process stops and starts again.
    Restart,
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..40u8).prop_map(Op::Append),
        4 => (1..100u16).prop_map(Op::Advance),
        1 => (1..50u16).prop_map(Op::StepBack),
        3 => Just(Op::Tick),
        3 => Just(Op::Seal),
        2 => Just(Op::Crash),
        2 => Just(Op::Restart),
    ]
}

/// Every acknowledged record, in order, with the wall time of its append.
struct Model {
    records: Vec<(u64, Timestamp)>,
    /// The sum of the steps back: a record's instant may be ahead of the wall clock by this much.
    back: Duration,
}

impl Model {
    fn check(&self, log: &QueryLog, now: Timestamp) {
        let reader = log.reader();
        let found = rows(&reader, &Filter::default(), Order::Asc);
        let mut backward = rows(&reader, &Filter::default(), Order::Desc);
        backward.reverse();
        assert_eq!(found, backward);
        assert!(found.windows(2).all(|pair| pair[0].at < pair[1].at), "out of order");
        assert!(found.iter().all(|row| row.at > now.minus(RETENTION)), "expired and readable");
        // The readable records are the newest acknowledged ones, without a gap.
        let numbers: Vec<u64> = found.iter().map(number).collect();
        let all: Vec<u64> = self.records.iter().map(|record| record.0).collect();
        assert!(
            all.ends_with(&numbers),
            "lost, invented, doubled or misplaced: {numbers:?} of {all:?}"
        );
        // The log's time is never behind the wall clock, so every record that is young by the wall clock exists.
        let young = now.minus(RETENTION - HOUR).plus(self.back);
        let due = self.records.iter().filter(|record| record.1 > young).count();
        assert!(numbers.len() >= due, "lost before the end of the retention");
    }
}

fn run(ops: &[Op]) {
    let mut bench = Bench::new();
    bench.config = Config { retention: RETENTION, durability: Durability::Os, ..Config::default() };
    let mut model = Model { records: Vec::new(), back: Duration::ZERO };
    let mut log = bench.open();
    let mut next = 0;
    for op in ops {
        match op {
            Op::Append(count) => {
                let records: Vec<_> = (next..next + u64::from(*count)).map(lookup).collect();
                log.append_all(&records).unwrap().wait_blocking().unwrap();
                let now = bench.clock.now();
                model.records.extend((next..next + u64::from(*count)).map(|n| (n, now)));
                next += u64::from(*count);
            }
            Op::Advance(minutes) => {
                bench.clock.advance(Duration::from_secs(60 * u64::from(*minutes)))
            }
            Op::StepBack(minutes) => {
                let step = Duration::from_secs(60 * u64::from(*minutes));
                if model.back + step > HOUR {
                    continue;
                }
                bench.clock.set_wall(bench.clock.now().minus(step));
                model.back += step;
            }
            Op::Tick => assert!(log.tick().error.is_none()),
            Op::Seal => assert!(log.seal(&|| false).failed.is_empty()),
            Op::Crash => {
                log.abandon();
                log = bench.open();
            }
            Op::Restart => {
                log.close();
                drop(log);
                log = bench.open();
            }
        }
        model.check(&log, bench.clock.now());
        // A crash after every step reveals state that exists only in memory.
        log.abandon();
        log = bench.open();
        model.check(&log, bench.clock.now());
    }
    let report = log.reader().verify();
    assert!(report.segments.iter().all(|segment| segment.damaged + segment.gaps == 0));
    assert!(report.chain.is_sound(), "{:?}", report.chain);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_what_was_acknowledged(ops in prop::collection::vec(ops(), 1..30)) {
        run(&ops);
    }
}

/// The property test found this: the hour expired, then the clock was set back.
#[test]
fn a_segment_that_expired_before_the_clock_was_set_back_is_not_missed() {
    run(&[
        Op::Append(1),
        Op::StepBack(13),
        Op::Advance(31),
        Op::Advance(63),
        Op::Advance(86),
        Op::StepBack(10),
        Op::Append(1),
        Op::Seal,
        Op::Advance(83),
        Op::Tick,
        Op::StepBack(1),
    ]);
}
