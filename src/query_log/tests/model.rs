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
    /// So many records in one commit.
    Append(u8),
    /// Both clocks go on, in minutes.
    Pass(u16),
    /// Somebody sets the wall clock back, in minutes; within what the log waits for.
    StepBack(u16),
    Tick,
    Seal,
    /// The process ends without a word.
    Crash,
    /// The process ends in order.
    Restart,
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..40u8).prop_map(Op::Append),
        4 => (1..100u16).prop_map(Op::Pass),
        1 => (1..50u16).prop_map(Op::StepBack),
        3 => Just(Op::Tick),
        3 => Just(Op::Seal),
        2 => Just(Op::Crash),
        2 => Just(Op::Restart),
    ]
}

/// Every record acknowledged, in order, with the wall time then.
struct Model {
    records: Vec<(u64, Timestamp)>,
    /// How far the wall clock was set back in all: by so much a record's instant may lie ahead of the wall.
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
        // What is readable is the newest part of what was acknowledged, without a hole.
        let numbers: Vec<u64> = found.iter().map(number).collect();
        let all: Vec<u64> = self.records.iter().map(|record| record.0).collect();
        assert!(
            all.ends_with(&numbers),
            "lost, invented, doubled or misplaced: {numbers:?} of {all:?}"
        );
        // The log's time never runs behind the wall's, so what the wall says is young is there.
        let young = now.minus(RETENTION - HOUR).plus(self.back);
        let due = self.records.iter().filter(|record| record.1 > young).count();
        assert!(numbers.len() >= due, "younger than promised and gone");
    }
}

fn run(ops: &[Op]) {
    let mut bench = Bench::new();
    bench.config = Config { retention: RETENTION, durability: Durability::Os };
    let mut model = Model { records: Vec::new(), back: Duration::ZERO };
    let mut log = bench.open();
    let mut next = 0;
    for op in ops {
        match op {
            Op::Append(count) => {
                let batch: Vec<_> = (next..next + u64::from(*count)).map(lookup).collect();
                log.append_all(&batch).unwrap().wait_blocking().unwrap();
                let now = bench.clock.now();
                model.records.extend((next..next + u64::from(*count)).map(|n| (n, now)));
                next += u64::from(*count);
            }
            Op::Pass(minutes) => bench.clock.advance(Duration::from_secs(60 * u64::from(*minutes))),
            Op::StepBack(minutes) => {
                let step = Duration::from_secs(60 * u64::from(*minutes));
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
        // Reopened after every step, by a crash: what only memory knew would show.
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

/// Found by the property: the hour expired, and then the clock was set back.
#[test]
fn a_segment_that_expired_before_the_clock_was_set_back_is_not_missed() {
    run(&[
        Op::Append(1),
        Op::StepBack(13),
        Op::Pass(31),
        Op::Pass(63),
        Op::Pass(86),
        Op::StepBack(10),
        Op::Append(1),
        Op::Seal,
        Op::Pass(83),
        Op::Tick,
        Op::StepBack(1),
    ]);
}
