//! Random histories over three nodes whose clocks differ and that apply changes late: one history comes of them, in which each answer
//! is what was true.

use std::{
    ops::Range,
    sync::{Arc, Condvar, Mutex},
};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::*;
use crate::{
    ids::ChangeIds,
    limits,
    query_log::{Filter, SearchOutcome},
    timeline::{change_order, interleave::Interleave, node_log::*, read::read},
};

const NODES: usize = 3;
/// No two clocks differ by more, in microseconds.
const APART_US: u64 = 400_000;
const NOW: &str = "23:59:59";
/// Then a window begins where it is asked for, and not where answers before it may still be used.
const NO_REUSE: dispatch::Config =
    dispatch::Config { reuse_live: Duration::ZERO, reuse_other: Duration::ZERO };

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A node decides so many changes, as one entry, when it has applied all others.
    Change {
        node: usize,
        changes: usize,
    },
    /// A node applies the next entry that it has not.
    Apply(usize),
    Ask(usize),
    Pass {
        micros: u64,
    },
    /// The last node, of which there was nothing before, begins with the state of another one.
    Join {
        at: usize,
    },
}

fn any_step(joins: bool) -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    let change = (node.clone(), 1..3_usize);
    prop_oneof![
        2 => change.prop_map(|(node, changes)| Step::Change { node, changes }),
        4 => node.clone().prop_map(Step::Apply),
        6 => node.prop_map(Step::Ask),
        3 => prop_oneof![Just(0), Just(1), 0..300_000_u64].prop_map(|micros| Step::Pass { micros }),
        1 => (0..NODES - 1).prop_map(move |at| if joins { Step::Join { at } } else { Step::Ask(at) }),
    ]
}

fn any_offsets() -> impl Strategy<Value = [u64; NODES]> {
    prop::array::uniform3(prop_oneof![Just(0), Just(APART_US), 0..=APART_US])
}

/// One node: the entries it has applied, its log, and the last instant of its log.
#[derive(Clone, Debug, Default)]
struct Node {
    is_there: bool,
    entries: usize,
    changes: u64,
    log: Vec<LogRow>,
    last: u64,
}

/// Three nodes of a cluster, and the entries of its shared log: when each was decided, and its changes.
#[derive(Debug, Default)]
struct World {
    now: u64,
    offsets: [u64; NODES],
    /// Whether a lookup waits until its node has applied all entries.
    is_fenced: bool,
    /// Whether a node's log follows what other nodes decided; false only to show what that is for.
    has_floor: bool,
    /// Whether ids tell when a change was decided; false only to show what that is for.
    ids_tell: bool,
    ids: ChangeIds,
    entries: Vec<(u64, Vec<Change>)>,
    asked: u64,
    nodes: [Node; NODES],
}

impl World {
    fn new(offsets: [u64; NODES], is_fenced: bool, has_last: bool) -> Self {
        let now = at("01:00:00").as_micros();
        let nodes = std::array::from_fn(|node| Node {
            is_there: node + 1 < NODES || has_last,
            ..Node::default()
        });
        let (has_floor, ids_tell) = (true, true);
        Self { now, offsets, is_fenced, has_floor, ids_tell, nodes, ..Self::default() }
    }

    fn lived(offsets: [u64; NODES], is_fenced: bool, steps: &[Step]) -> Self {
        let joins = steps.iter().any(|step| matches!(step, Step::Join { .. }));
        Self::new(offsets, is_fenced, !joins).live(steps)
    }

    fn live(self, steps: &[Step]) -> Self {
        let mut world = self;
        steps.iter().for_each(|step| world.step(*step));
        // A node that is far behind answers no lookups.
        for node in 0..NODES {
            while world.nodes[node].is_there && world.apply(node) {}
        }
        world
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Pass { micros } => self.now += micros,
            Step::Change { node, .. } | Step::Apply(node) | Step::Ask(node)
                if !self.nodes[node].is_there => {}
            Step::Change { node, changes } => self.decide(node, changes),
            Step::Apply(node) => drop(self.apply(node)),
            Step::Ask(node) => self.ask(node),
            Step::Join { at } => self.join(at),
        }
    }

    fn decide(&mut self, node: usize, changes: usize) {
        while self.apply(node) {}
        let last = self.entries.last().map_or(0, |entry| entry.0);
        let decided = (self.now + self.offsets[node]).max(last + 1);
        let first = self.nodes[node].changes;
        let change = |number: u64| {
            // Odd ones bind it, each for a device of its own, and even ones unbind it.
            let is_bound = number % 2 == 1;
            let (kind, cause) = if is_bound {
                (ChangeKind::HandleBound, Cause::Proof)
            } else {
                (ChangeKind::HandleUnbound, Cause::OwnerRequest)
            };
            let device = Some(DeviceId::from_bits(number - u64::from(!is_bound)));
            let account = Some(AccountId::from_bits(ANN));
            let id = self.ids.next(decided);
            let id = if self.ids_tell { id } else { ChangeId::from_bits(u64::MAX / 2 + number) };
            Change { id, kind, handle: Some(handle(HANDLE)), device, account, cause }
        };
        let entry = (first + 1..=first + changes as u64).map(change).collect();
        self.entries.push((decided, entry));
        self.apply(node);
    }

    /// False if there is nothing to apply.
    fn apply(&mut self, node: usize) -> bool {
        let Some((decided, changes)) = self.entries.get(self.nodes[node].entries).cloned() else {
            return false;
        };
        let now = self.now + self.offsets[node];
        let of = &mut self.nodes[node];
        of.entries += 1;
        of.changes += changes.len() as u64;
        if self.has_floor && now < decided {
            of.not_before(decided);
        }
        for change in changes {
            of.write(now, Record::Change(change));
        }
        true
    }

    fn ask(&mut self, node: usize) {
        while self.is_fenced && self.apply(node) {}
        let now = self.now + self.offsets[node];
        let of = &mut self.nodes[node];
        let reason = match of.changes {
            0 => Reason::NeverRegistered,
            number if number % 2 == 1 => Reason::LiveDevice,
            _ => Reason::Lost(HandleLoss::Unbound),
        };
        self.asked += 1;
        let row = asked_for(HANDLE, DAY, 1_000 + node as u64, reason);
        let Record::Lookup(mut lookup) = row.record else { unreachable!("it is a lookup") };
        // What was true is told by its id.
        lookup.request = RequestId::from_bits(self.asked << 32 | of.changes);
        of.write(now, Record::Lookup(lookup));
    }

    fn join(&mut self, giver: usize) {
        let Node { entries, changes, .. } = self.nodes[giver];
        let joiner = &mut self.nodes[NODES - 1];
        if !joiner.is_there {
            *joiner = Node { is_there: true, entries, changes, ..Node::default() };
            let decided = entries.checked_sub(1).map_or(0, |last| self.entries[last].0);
            if self.has_floor {
                joiner.not_before(decided);
            }
        }
    }

    fn logs(&self) -> Vec<Box<dyn NodeLog>> {
        let log = |(node, of): (usize, &Node)| -> Box<dyn NodeLog> {
            Box::new(Written { node: name(node), rows: of.log.clone(), breaks_at: None })
        };
        self.nodes.iter().enumerate().map(log).collect()
    }
}

impl Node {
    fn not_before(&mut self, decided: u64) {
        self.last = self.last.max(decided);
    }

    fn write(&mut self, now: u64, record: Record) {
        self.last = if self.last < now { now } else { self.last + 1 };
        self.log.push(LogRow { at: Timestamp::from_micros(self.last), record });
    }
}

fn name(node: usize) -> String {
    ["a", "b", "c"][node].to_owned()
}

/// A log that is a list.
struct Written {
    node: String,
    rows: Vec<LogRow>,
    /// After so many rows of an answer it breaks off.
    breaks_at: Option<usize>,
}

struct WrittenRows(std::vec::IntoIter<Result<LogRow, NodeLogError>>);

impl NodeLog for Written {
    fn node(&self) -> &str {
        &self.node
    }

    fn rows(&self, filters: Vec<Filter>, _: &IsOver) -> Box<dyn NodeRows> {
        let is_wanted = |row: &&LogRow| filters.iter().any(|filter| filter.matches(row));
        let rows = self.rows.iter().filter(is_wanted).cloned().map(Ok);
        let mut rows: Vec<_> = rows.collect();
        if let Some(count) = self.breaks_at.filter(|count| *count < rows.len()) {
            rows.truncate(count);
            rows.push(Err(NodeLogError::Missing("it broke off".to_owned())));
        }
        Box::new(WrittenRows(rows.into_iter()))
    }
}

impl Iterator for WrittenRows {
    type Item = Result<LogRow, NodeLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl NodeRows for WrittenRows {
    fn outcome(&self) -> SearchOutcome {
        SearchOutcome::default()
    }
}

fn told(logs: &[Box<dyn NodeLog>], question: &Question) -> (Vec<Entry>, Summary) {
    let mut entries = Vec::new();
    let over: IsOver = Arc::new(|| false);
    let (own, others) = logs.split_first().unwrap();
    let logs = (own.as_ref(), others);
    let summary = read(logs, question, (&NO_REUSE, at(NOW)), over, |_| None, &mut |entry| {
        entries.push(entry);
        true
    });
    (entries, summary.unwrap().unwrap())
}

fn each_lookup() -> Question {
    Question { detail: Detail::All, ..question(HANDLE) }
}

/// The number of changes that a lookup had seen.
fn seen(lookups: &LookupsEntry) -> u64 {
    lookups.request.bits() & u64::from(u32::MAX)
}

/// Lookups that a history explains by another change than the one that led to them, or puts behind a change that they did not see.
fn wrong(entries: &[Entry]) -> Vec<LookupsEntry> {
    wrong_of(entries, &|_| true)
}

/// The same if the logs hold only those changes that `is_kept`.
fn wrong_of(entries: &[Entry], is_kept: &dyn Fn(u64) -> bool) -> Vec<LookupsEntry> {
    let (mut wrong, mut shown) = (Vec::new(), None);
    for entry in entries {
        match entry {
            Entry::Change(ChangeEntry { change, .. }) => {
                let device = change.device.unwrap().bits();
                shown = Some(device + u64::from(change.change == ChangeKind::HandleUnbound));
            }
            Entry::Lookups(lookups) => {
                let seen = seen(lookups);
                let led = lookups.because.as_ref().and_then(|change| change.device);
                let device = (seen > 0)
                    .then(|| DeviceId::from_bits(seen - u64::from(seen.is_multiple_of(2))));
                let is_explained = led == device || !is_kept(seen);
                if !is_explained || shown.is_some_and(|shown| shown != seen) {
                    wrong.push(lookups.clone());
                }
            }
        }
    }
    wrong
}

/// The entries of a history that goes by time alone.
fn by_time(world: &World) -> Vec<Entry> {
    let mut known = std::collections::HashSet::new();
    let mut rows: Vec<_> = world.nodes.iter().flat_map(|node| node.log.clone()).collect();
    rows.sort_by_key(|row| row.at);
    rows.retain(|row| match &row.record {
        Record::Change(change) => known.insert(change.id),
        _ => true,
    });
    entries(&each_lookup(), NOW, &rows).0
}

/// Every row once, each change once, and each lookup where it belongs.
fn check(world: &World) -> Result<(), TestCaseError> {
    let (entries, summary) = told(&world.logs(), &each_lookup());
    prop_assert!(wrong(&entries).is_empty());
    let recorded = world.nodes.iter().map(|node| node.changes).max().unwrap();
    prop_assert_eq!((summary.changes, summary.lookups), (recorded, world.asked));
    prop_assert!(summary.missing.is_empty());
    for order in [[1, 2, 0], [2, 0, 1], [0, 2, 1]] {
        let logs: Vec<Box<dyn NodeLog>> = order.map(|node| world.logs().swap_remove(node)).into();
        prop_assert_eq!(&told(&logs, &each_lookup()), &(entries.clone(), summary.clone()));
    }
    Ok(())
}

fn history(joins: bool) -> impl Strategy<Value = ([u64; NODES], Vec<Step>)> {
    (any_offsets(), prop::collection::vec(any_step(joins), 1..80))
}

proptest! {
    #[test]
    fn lookups_of_three_nodes_stand_between_the_changes_that_they_saw((offsets, steps) in history(false)) {
        check(&World::lived(offsets, false, &steps))?;
    }

    #[test]
    fn a_node_that_joins_late_lacks_what_was_before((offsets, steps) in history(true)) {
        check(&World::lived(offsets, false, &steps))?;
    }

    /// The window begins on each node at its own time.
    #[test]
    fn a_window_shows_a_part_of_the_same_history(
        (offsets, steps) in history(true),
        from in 0..4_000_000_u64,
        upto in 0..4_000_000_u64,
    ) {
        let world = World::lived(offsets, false, &steps);
        let (whole, _) = told(&world.logs(), &each_lookup());
        let instant = |micros| at("01:00:00").plus(Duration::from_micros(micros));
        // A moment ends what is read as well.
        let (since, moment) = (instant(from), instant(upto));
        let question = Question { since: Some(since), at: Some(moment), ..each_lookup() };
        let (part, _) = told(&world.logs(), &question);
        prop_assert!(wrong(&part).is_empty());
        let of = |entry: &Entry| match entry {
            Entry::Change(change) => change.change.at,
            Entry::Lookups(lookups) => lookups.at,
        };
        let is_asked = |entry: &&Entry| (since..=moment).contains(&of(entry));
        prop_assert_eq!(part, whole.iter().filter(is_asked).cloned().collect::<Vec<_>>());
    }

    /// What is old has expired on each node, by the time at which that node recorded it.
    #[test]
    fn the_beginning_has_expired(
        (offsets, steps) in history(true),
        horizon in 0..4_000_000_u64,
    ) {
        let mut world = World::lived(offsets, false, &steps);
        prop_assert!(wrong_after(&mut world, horizon).is_empty());
    }

    /// The records of a node are lost for some time. Only lookups that it answered just before may be put wrong.
    #[test]
    fn a_node_lacks_an_hour(
        (offsets, steps) in history(false),
        from in 0..3_000_000_u64,
        span in 0..3_000_000_u64,
    ) {
        let mut world = World::lived(offsets, true, &steps);
        let from = at("01:00:00").as_micros() + from;
        let lost = from..from + span;
        let changes = changes_of(&world);
        world.nodes[1].log.retain(|row| !lost.contains(&row.at.as_micros()));
        let lacks = |change: &u64| {
            let id = changes[*change as usize - 1];
            !world.nodes[1].log.iter().any(|row| matches!(&row.record, Record::Change(it) if it.id == id))
        };
        for lookups in wrong(&told(&world.logs(), &each_lookup()).0) {
            prop_assert_eq!(lookups.devices[0], DeviceId::from_bits(1_001));
            let first = (seen(&lookups) + 1..=changes.len() as u64).find(lacks);
            let decided = first.map(|change| changes[change as usize - 1].decided_us());
            let late = decided.and_then(|decided| lookups.at.as_micros().checked_sub(decided));
            prop_assert!(late.is_some_and(|late| late <= APART_US + 1_000), "{:?} {:?}", late, lookups);
        }
    }

    /// Changes come while the lists are read, one after another, and rows after that.
    #[test]
    fn changes_come_while_it_is_read(
        (offsets, steps) in history(false),
        read in any::<prop::sample::Index>(),
    ) {
        let begin = read.index(steps.len() + 1);
        let mut world = World::new(offsets, false, true);
        steps[..begin].iter().for_each(|step| world.step(*step));
        let mut lists = vec![recorded(&world.nodes[0].log)];
        for step in &steps[begin..] {
            world.step(*step);
            if let Some(node) = world.nodes.get(lists.len()) {
                lists.push(recorded(&node.log));
            }
        }
        (lists.len()..NODES).for_each(|node| lists.push(recorded(&world.nodes[node].log)));
        let order = change_order::merge(&lists, Timestamp::EPOCH);
        let rows = world.nodes.iter().map(|node| node.log.clone().into_iter().map(Ok::<_, ()>));
        let rows: Vec<_> = Interleave::new(rows.collect(), order).map(Result::unwrap).collect();
        let mut out = Vec::new();
        let mut timeline = Timeline::new(&each_lookup(), REUSE, at(NOW));
        rows.iter().for_each(|row| timeline.row(row, &mut out));
        prop_assert!(wrong(&out).is_empty());
    }
}

fn recorded(log: &[LogRow]) -> change_order::Recorded {
    let id = |row: &LogRow| match &row.record {
        Record::Change(change) => Some((change.id, row.at)),
        _ => None,
    };
    log.iter().filter_map(id).collect()
}

fn changes_of(world: &World) -> Vec<ChangeId> {
    world.entries.iter().flat_map(|entry| entry.1.iter().map(|change| change.id)).collect()
}

/// What is wrong once everything has expired that is so many microseconds old.
fn wrong_after(world: &mut World, horizon: u64) -> Vec<LookupsEntry> {
    let horizon = at("01:00:00").as_micros() + horizon;
    for node in &mut world.nodes {
        node.log.retain(|row| horizon < row.at.as_micros());
    }
    let lists = world.nodes.iter().flat_map(|node| recorded(&node.log));
    let kept: std::collections::HashSet<_> = lists.map(|(id, _)| id).collect();
    let changes = changes_of(world);
    let is_kept = |seen: u64| seen == 0 || kept.contains(&changes[seen as usize - 1]);
    wrong_of(&told(&world.logs(), &each_lookup()).0, &is_kept)
}

#[test]
fn what_the_order_rests_on_is_needed() {
    let mut runner = TestRunner::deterministic();
    let (mut without_floor, mut without_ids) = (0, 0);
    for place in 0..300 {
        let (offsets, steps) = history(true).new_tree(&mut runner).unwrap().current();
        let joins = steps.iter().any(|step| matches!(step, Step::Join { .. }));
        let world = || World::new(offsets, false, !joins);
        let entries = |world: World| told(&world.live(&steps).logs(), &each_lookup()).0;
        without_floor += wrong(&entries(World { has_floor: false, ..world() })).len();
        let mut plain = World { ids_tell: false, ..world() }.live(&steps);
        without_ids += wrong_after(&mut plain, place * 10_000).len();
    }
    assert!(without_floor > 0 && without_ids > 0, "{without_floor} {without_ids}");
}

#[test]
fn time_alone_puts_lookups_wrong() {
    let mut runner = TestRunner::deterministic();
    let mut wrong_at = 0;
    for _ in 0..100 {
        let (offsets, steps) = history(false).new_tree(&mut runner).unwrap().current();
        let world = World::lived(offsets, true, &steps);
        wrong_at += usize::from(!wrong(&by_time(&world)).is_empty());
        assert!(check(&world).is_ok());
    }
    // Even if every lookup waits for all changes.
    assert!(wrong_at > 10, "{wrong_at}");
}

/// Node b's clock is ahead, and node c has applied nothing for long.
fn story() -> World {
    let offsets = [0, APART_US, 0];
    let ask = |nodes: Range<usize>| nodes.map(Step::Ask);
    let change = Step::Change { node: 0, changes: 1 };
    let mut steps: Vec<_> = ask(0..3).collect();
    steps.extend([Step::Pass { micros: 100_000 }, change, Step::Apply(1)]);
    steps.extend(ask(0..3));
    steps.extend([Step::Pass { micros: 5_000_000 }, change, Step::Apply(1), Step::Apply(2)]);
    steps.extend(ask(0..3));
    World::lived(offsets, false, &steps)
}

#[test]
fn a_change_has_the_time_of_the_node_that_recorded_it_first() {
    let (entries, summary) = told(&story().logs(), &each_lookup());
    let changes: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Change(change) => Some(change.change.at),
            Entry::Lookups(_) => None,
        })
        .collect();
    let first = at("01:00:00").plus(Duration::from_micros(100_000));
    assert_eq!(changes, [first, first.plus(Duration::from_secs(5))]);
    assert_eq!((summary.changes, summary.lookups), (2, 9));
    assert_eq!(summary.reason, Some(Reason::Lost(HandleLoss::Unbound)));
}

#[test]
fn a_node_that_does_not_answer_is_named_and_so_is_one_that_breaks_off() {
    let logs = |breaks_at| -> Vec<Box<dyn NodeLog>> {
        let rows = |node: usize| story().nodes[node].log.clone();
        let [a, b, c] =
            [0, 1, 2].map(|node| Written { node: name(node), rows: rows(node), breaks_at: None });
        vec![Box::new(c), Box::new(Written { breaks_at, ..b }), Box::new(a)]
    };
    // Two changes are its list; the history has more rows.
    for (breaks_at, lookups) in [(0, 6), (1, 6), (2, 7), (4, 8)] {
        let (entries, summary) = told(&logs(Some(breaks_at)), &each_lookup());
        assert!(wrong(&entries).is_empty(), "{breaks_at}");
        let why = "it broke off".to_owned();
        assert_eq!(summary.missing, [MissingNode { node: "b".to_owned(), why }]);
        assert_eq!((summary.changes, summary.lookups), (2, lookups), "{breaks_at}");
        assert!(summary.sentence.ends_with(", as far as the nodes that answered show"));
    }
    let unknown = Question { at: Some(at("00:30:00")), ..each_lookup() };
    let sentence = told(&logs(Some(0)), &unknown).1.sentence;
    assert!(sentence.ends_with("the nodes that answered have nothing about it"), "{sentence}");
    assert!(told(&logs(None), &each_lookup()).1.missing.is_empty());
}

/// A log that gives no rows before all nodes are asked for theirs.
struct Waiting {
    log: Written,
    asked: Arc<(Mutex<usize>, Condvar)>,
}

impl NodeLog for Waiting {
    fn node(&self) -> &str {
        &self.log.node
    }

    fn rows(&self, filters: Vec<Filter>, is_over: &IsOver) -> Box<dyn NodeRows> {
        let (asked, more) = &*self.asked;
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        more.notify_all();
        let all = asked.next_multiple_of(NODES);
        let (others, patience) = (|asked: &mut usize| *asked < all, Duration::from_secs(30));
        let waited = more.wait_timeout_while(asked, patience, others).unwrap().1;
        assert!(!waited.timed_out(), "the others are asked meanwhile");
        self.log.rows(filters, is_over)
    }
}

#[test]
fn all_nodes_read_their_logs_at_the_same_time() {
    let asked = Arc::<(Mutex<usize>, Condvar)>::default();
    let waiting = |(node, of): (usize, &Node)| -> Box<dyn NodeLog> {
        let log = Written { node: name(node), rows: of.log.clone(), breaks_at: None };
        Box::new(Waiting { log, asked: Arc::clone(&asked) })
    };
    let logs: Vec<_> = story().nodes.iter().enumerate().map(waiting).collect();
    let (entries, summary) = told(&logs, &each_lookup());
    assert_eq!((entries, summary), told(&story().logs(), &each_lookup()));
    assert_eq!(*asked.0.lock().unwrap(), 2 * NODES, "for the changes, and for all rows");
}

#[test]
fn a_node_that_names_more_changes_than_are_kept_is_left_out() {
    let most = limits::TIMELINE_CHANGES_MAX as u64;
    let rows = |changes: u64| {
        let row = |number: u64| {
            let LogRow { at, record } = change("02:00:00", ChangeKind::HandleBound, Cause::Proof);
            let Record::Change(told) = record else { unreachable!("it is a change") };
            let at = at.plus(Duration::from_micros(number));
            let id = ChangeIds::default().next(at.as_micros());
            LogRow { at, record: Record::Change(Change { id, ..told }) }
        };
        (0..changes).map(row).collect()
    };
    let log = |node: usize, rows| -> Box<dyn NodeLog> {
        Box::new(Written { node: name(node), rows, breaks_at: None })
    };
    let asked = || vec![asked("01:00:00", 20, Reason::LiveDevice)];
    let (_, summary) = told(&[log(0, asked()), log(1, rows(most))], &each_lookup());
    assert_eq!((summary.missing, summary.changes, summary.lookups), (Vec::new(), most, 1));
    let (_, summary) = told(&[log(0, asked()), log(1, rows(most + 1))], &each_lookup());
    assert_eq!((summary.missing.len(), &*summary.missing[0].node), (1, "b"));
    assert!(summary.missing[0].why.contains("more than 256 changes"), "{:?}", summary.missing);
    assert_eq!((summary.changes, summary.lookups), (0, 1));
    // One machine has no bound.
    let (_, summary) = told(&[log(1, rows(most + 1))], &each_lookup());
    assert_eq!((summary.missing.len(), summary.changes), (0, most + 1));
}
