//! Random histories of three nodes whose clocks differ and that apply changes late: what is counted over their parts is what one log
//! has that holds every lookup between the changes which it saw.
//!
//! That holds where no two runs of different routes overlap between two changes. Here a route changes without a change only in a pause of
//! four minutes.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use proptest::prelude::*;

use crate::{
    api::FlipPart,
    clock::{Clock as _, Timestamp},
    ids::{ChangeId, ChangeIds, RequestId},
    limits,
    query_log::{
        Filter, Flip, FlipQuery, FlipWindow, FlipsRead, LogRow, Order, QueryLog, Record,
        SearchOutcome,
        flips_tests::{LAPSED, LIVE, REMOVED, asked, changed, handle, model, parts::parts_within},
        tests::support::{Bench, put, rows},
    },
    reading::gather::{
        flips::{Counting, Parts, bytes_of_each},
        node_answer::Resumable as _,
        node_flips::FlipsCall,
    },
    vocabulary::{Cause, Change, ChangeKind, Reason, Route},
};

const NODES: usize = 3;
const NAMES: [&str; NODES] = ["a", "b", "c"];
const HANDLES: usize = 4;
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A node decides a change of a handle, when it has applied all others.
    Change {
        node: usize,
        handle: usize,
    },
    /// A node applies the next change that it has not.
    Apply(usize),
    Ask {
        node: usize,
        handle: usize,
    },
    Pass {
        micros: u64,
    },
    /// A lease lapses, or comes back, which no log tells.
    Lapse {
        handle: usize,
    },
    /// An hour ends, and is sealed.
    Seal,
}

fn any_step() -> impl Strategy<Value = Step> {
    let (node, handle) = (0..NODES, 0..HANDLES);
    prop_oneof![
        3 => (node.clone(), handle.clone()).prop_map(|(node, handle)| Step::Change { node, handle }),
        4 => node.clone().prop_map(Step::Apply),
        12 => (node, handle.clone()).prop_map(|(node, handle)| Step::Ask { node, handle }),
        4 => prop_oneof![Just(0), 0..300_000_u64, 0..200_000_000_u64].prop_map(|micros| Step::Pass { micros }),
        2 => handle.prop_map(|handle| Step::Lapse { handle }),
        1 => Just(Step::Seal),
    ]
}

struct Node {
    bench: Bench,
    log: QueryLog,
    applied: usize,
    /// Changes of each handle that it has applied.
    seen: [usize; HANDLES],
}

#[derive(Default)]
struct World {
    nodes: Vec<Node>,
    ids: ChangeIds,
    entries: Vec<(Timestamp, usize, Change)>,
    /// Of each lookup, the handle and how many of its changes it had seen.
    lookups: Vec<(usize, usize)>,
    lapsed: [bool; HANDLES],
}

impl World {
    fn lived(offsets: [u64; NODES], steps: &[Step]) -> Self {
        let node = |offset| {
            let bench = Bench::new();
            bench.clock.advance(Duration::from_micros(offset));
            let log = bench.open();
            Node { bench, log, applied: 0, seen: [0; HANDLES] }
        };
        let mut world = Self { nodes: offsets.map(node).into(), ..Self::default() };
        steps.iter().for_each(|step| world.step(*step));
        for node in 0..NODES {
            while world.apply(node) {}
        }
        world
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Change { node, handle } => self.decide(node, handle),
            Step::Apply(node) => drop(self.apply(node)),
            Step::Ask { node, handle } => self.ask(node, handle),
            Step::Pass { micros } => self.pass(Duration::from_micros(micros)),
            Step::Lapse { handle } => {
                self.pass(2 * MINUTE);
                self.lapsed[handle] ^= true;
                self.pass(2 * MINUTE);
            }
            Step::Seal => {
                let now = self.nodes[0].bench.clock.now();
                self.pass(now.hour(Default::default()).end().since(now) + 2 * MINUTE);
                for node in &self.nodes {
                    node.log.tick();
                    assert!(node.log.seal(&|| false).failed.is_empty());
                }
            }
        }
    }

    fn pass(&self, span: Duration) {
        self.nodes.iter().for_each(|node| node.bench.clock.advance(span));
    }

    fn decide(&mut self, node: usize, of: usize) {
        while self.apply(node) {}
        let now = self.nodes[node].bench.clock.now();
        let last = self.entries.last().map_or(Timestamp::EPOCH, |entry| entry.0);
        let decided = now.max(last.plus(Duration::from_micros(1)));
        // Odd ones bind it, and even ones unbind it.
        let is_bound = self.entries.iter().filter(|entry| entry.1 == of).count().is_multiple_of(2);
        let (kind, cause) = match is_bound {
            true => (ChangeKind::HandleBound, Cause::Proof),
            false => (ChangeKind::HandleUnbound, Cause::SignOut),
        };
        let Record::Change(change) = changed(&handle(of), kind, cause) else { unreachable!() };
        let id = self.ids.next(decided.as_micros());
        self.entries.push((decided, of, Change { id, ..change }));
        self.apply(node);
    }

    /// False if there is nothing to apply.
    fn apply(&mut self, node: usize) -> bool {
        let of = &mut self.nodes[node];
        let Some((decided, handle, change)) = self.entries.get(of.applied) else { return false };
        of.applied += 1;
        of.seen[*handle] += 1;
        of.log.not_before(*decided);
        put(&of.log, &Record::Change(change.clone()));
        true
    }

    fn ask(&mut self, node: usize, of: usize) {
        let seen = self.nodes[node].seen[of];
        let answer = match (seen, self.lapsed[of]) {
            (0, _) => (Route::Sms, Reason::NeverRegistered, 200),
            (seen, _) if seen.is_multiple_of(2) => REMOVED,
            (_, true) => LAPSED,
            (_, false) => LIVE,
        };
        let Record::Lookup(mut lookup) = asked(&handle(of), answer) else { unreachable!() };
        lookup.request = RequestId::from_bits(self.lookups.len() as u64);
        self.lookups.push((of, seen));
        put(&self.nodes[node].log, &Record::Lookup(lookup));
    }

    /// All rows, as one log would have them: each change once, and each lookup behind the changes that it saw.
    fn aligned(&self) -> Vec<LogRow> {
        let (mut numbers, mut counts) = (HashMap::<ChangeId, (usize, usize)>::new(), [0; HANDLES]);
        for (_, handle, change) in &self.entries {
            counts[*handle] += 1;
            numbers.insert(change.id, (*handle, counts[*handle]));
        }
        let mut first = HashMap::<ChangeId, LogRow>::new();
        let mut keyed = Vec::new();
        for (node, it) in self.nodes.iter().enumerate() {
            for row in rows(&it.log.reader(), &Filter::default(), Order::Asc) {
                match &row.record {
                    Record::Lookup(lookup) => {
                        let place = usize::try_from(lookup.request.bits()).unwrap();
                        let (handle, seen) = self.lookups[place];
                        keyed.push(((handle, seen, true, row.at, node), row));
                    }
                    Record::Change(change) => {
                        let known = first.entry(change.id).or_insert_with(|| row.clone());
                        known.at = known.at.min(row.at);
                    }
                    Record::Refusals(_) => unreachable!("nothing is refused"),
                }
            }
        }
        keyed.extend(first.into_iter().map(|(id, row)| {
            let (handle, number) = numbers[&id];
            ((handle, number, false, row.at, 0), row)
        }));
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, row)| row).collect()
    }

    /// What is counted at a node, which reads with about so many bytes.
    fn counted(&self, own: usize, budget: usize, query: &FlipQuery) -> Vec<Flip> {
        let parts = |node: usize| parts_within(&self.nodes[node].log.reader(), budget, None);
        let others = (0..NODES).filter(|node| *node != own);
        let others = others.map(|node| (NAMES[node].to_owned(), Sent(parts(node).into())));
        let name = NAMES[own].to_owned();
        let mut counting = Counting::new(name, others.collect(), Timestamp::MAX, query);
        parts(own).into_iter().for_each(|part| counting.upto(Some(part)));
        counting.upto(None);
        assert_eq!(counting.cut, 0);
        report(counting)
    }
}

pub(super) fn report<P>(counting: Counting<P>) -> Vec<Flip> {
    let (since, until) = (Timestamp::EPOCH, Timestamp::MAX);
    let passed_over = SearchOutcome::default();
    counting.findings.report(&FlipsRead { since, until, passed_over, stopped: false }).flips
}

/// Parts that come as lines of JSON.
struct Sent(VecDeque<FlipPart>);

impl Parts for Sent {
    fn next(&mut self) -> Option<FlipPart> {
        let part = self.0.pop_front()?;
        let line = serde_json::to_vec(&part).unwrap();
        assert_eq!(FlipsCall::new(FlipWindow::default(), None, 0).read(&line).unwrap(), part);
        Some(part)
    }
}

fn history() -> impl Strategy<Value = ([u64; NODES], Vec<Step>)> {
    let offsets = prop::array::uniform3(prop_oneof![Just(0), Just(400_000), 0..=400_000_u64]);
    (offsets, prop::collection::vec(any_step(), 1..60))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn flips_over_the_parts_are_those_of_one_log_with_all_rows((offsets, steps) in history(), budget in 0..3_000usize) {
        let (world, query) = (World::lived(offsets, &steps), FlipQuery::default());
        let (flips, ..) = model(&world.aligned(), &query);
        for (own, name) in NAMES.iter().enumerate() {
            prop_assert_eq!(&world.counted(own, budget, &query), &flips, "asked at {}", name);
        }
    }

    /// If one node has all lookups, what is counted over all is what it counts by itself.
    #[test]
    fn lookups_of_one_node_have_the_flips_of_its_log((offsets, steps) in history(), budget in 0..3_000usize) {
        let is_of_a = |step: &Step| !matches!(step, Step::Ask { node, .. } if *node != 0);
        let steps: Vec<_> = steps.into_iter().filter(is_of_a).collect();
        let (world, query) = (World::lived(offsets, &steps), FlipQuery::default());
        let alone = world.nodes[0].log.reader().flips(&query, &|| false).unwrap().flips;
        for (own, name) in NAMES.iter().enumerate() {
            prop_assert_eq!(&world.counted(own, budget, &query), &alone, "asked at {}", name);
        }
    }
}

/// The histories above are worth it: by time alone, or log by log, other flips come out.
#[test]
fn a_sum_over_the_logs_and_an_order_by_time_are_wrong() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let (mut runner, query) = (TestRunner::deterministic(), FlipQuery::default());
    let (mut by_time, mut by_log) = (0, 0);
    for _ in 0..60 {
        let (offsets, steps) = history().new_tree(&mut runner).unwrap().current();
        let world = World::lived(offsets, &steps);
        let mut all = world.aligned();
        let flips = model(&all, &query).0;
        let of_a = world.nodes[0].log.reader().flips(&query, &|| false).unwrap().flips;
        by_log += usize::from(of_a != flips);
        all.sort_by_key(|row| row.at);
        by_time += usize::from(model(&all, &query).0 != flips);
    }
    assert!(by_time > 5 && by_log > 5, "{by_time} {by_log}");
}

#[test]
fn the_copies_of_all_nodes_share_the_memory_and_each_has_enough_to_go_on() {
    let (most, least) = (limits::LOG_FLIPS_PARTS_BYTES_MAX, limits::LOG_FLIPS_PARTS_BYTES_MIN);
    assert_eq!(bytes_of_each(1), most);
    for nodes in 1..=most / least {
        assert!(bytes_of_each(nodes) * nodes <= most, "{nodes} nodes");
    }
    assert!((1..=100).all(|nodes| least <= bytes_of_each(nodes)));
}
