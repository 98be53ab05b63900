//! The merge against a simple model: the list of all rows, sorted, without what the rule calls a double.

mod flips;
mod lies;
mod removed;

use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;

use super::merge::{Bounds, ChangeKey, ChangeKeys, Item, Merge, Part, Recent, behind};
use crate::{
    clock::Timestamp,
    ids::{AccountId, ChangeId},
    query_log::{
        LogRow, Order, Record,
        tests::support::{change, phone},
    },
    reading::records::ReadingError,
    vocabulary::{Cause, Change, ChangeKind},
};

const SPAN: Duration = Duration::from_micros(20);
/// Of a log that is short enough for it the bounds do not matter.
const WIDE: Bounds = Bounds { span: SPAN, rows_ahead: 1_000, changes: 1_000 };
/// The numbers of the nodes. They have gaps.
const NODES: [u64; 3] = [3, 40, 500];

/// A row of a node: when, which node, and which change if it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    at: u64,
    node: usize,
    change: Option<u64>,
}

/// A log that counts how many rows were taken out of it.
struct Log(VecDeque<Row>, usize);

impl Part<Row> for Log {
    fn next(&mut self) -> Option<Result<Item<Row>, ReadingError>> {
        let row = self.0.pop_front()?;
        self.1 += 1;
        let change = row.change.map(key);
        Some(Ok(Item { at: Timestamp::from_micros(row.at), change, row }))
    }
}

/// A change that all nodes tell in the same way.
fn key(change: u64) -> ChangeKey {
    ChangeKey { id: ChangeId::from_bits(change), content: 0 }
}

/// The logs of three nodes: each has lookups of its own, and each change at most once, later at some nodes than at others.
fn logs() -> impl Strategy<Value = Vec<Row>> {
    let lookups = prop::collection::btree_set((1u64..120, 0..NODES.len()), 0..60);
    let lags = prop::collection::vec(prop::option::weighted(0.8, 0u64..45), NODES.len());
    let changes = prop::collection::vec((1u64..120, lags), 0..20);
    (lookups, changes).prop_map(|(lookups, changes)| {
        let mut taken = lookups.clone();
        let mut rows: Vec<_> =
            lookups.into_iter().map(|(at, node)| Row { at, node, change: None }).collect();
        for (change, (at, lags)) in (0..).zip(changes) {
            for (node, lag) in lags.into_iter().enumerate() {
                let Some(lag) = lag else { continue };
                // No two rows of a node have one instant.
                let at = (at + lag..).find(|at| taken.insert((*at, node))).unwrap();
                rows.push(Row { at, node, change: Some(change) });
            }
        }
        rows.sort_unstable();
        rows
    })
}

/// What a gathered answer has.
fn model(rows: &[Row], order: Order) -> Vec<Row> {
    let span = u64::try_from(SPAN.as_micros()).unwrap();
    let is_double = |row: &Row| {
        let mut earlier = rows.iter().filter(|it| (it.at, it.node) < (row.at, row.node));
        row.change.is_some()
            && earlier
                .any(|it| it.change == row.change && it.node != row.node && row.at <= it.at + span)
    };
    let mut all: Vec<_> = rows.iter().copied().filter(|row| !is_double(row)).collect();
    if order == Order::Desc {
        all.reverse();
    }
    all
}

/// Where a page ended: the last row that was given or was a double, and the last one of each node.
type Place = (Row, [Option<Row>; 3]);

/// The part of a node's log behind a place, in an order.
fn part(rows: &[Row], node: usize, order: Order, place: Option<Place>) -> Log {
    let is_wanted = |row: &&Row| {
        let Some((last, places)) = place else { return true };
        match (places[node], order) {
            (Some(own), Order::Asc) => row.at > own.at,
            (Some(own), Order::Desc) => row.at < own.at,
            (None, _) => {
                let last = (Timestamp::from_micros(last.at), NODES[last.node]);
                let (since, until) = behind(last, NODES[node], order);
                let at = Timestamp::from_micros(row.at);
                since.is_none_or(|since| since <= at) && until.is_none_or(|until| at < until)
            }
        }
    };
    let mut log: VecDeque<_> =
        rows.iter().filter(|row| row.node == node).filter(is_wanted).copied().collect();
    if order == Order::Desc {
        log.make_contiguous().reverse();
    }
    Log(log, 0)
}

/// The changes that an ascending search has met up to a place.
fn recent(rows: &[Row], order: Order, place: Option<Place>) -> Recent {
    let mut recent = Recent::default();
    if let (Order::Asc, Some((last, _))) = (order, place) {
        let before = rows.iter().filter(|row| (row.at, row.node) <= (last.at, last.node));
        for Row { at, node, change } in before {
            if let Some(change) = change {
                recent.is_double(key(*change), Timestamp::from_micros(*at), *node, WIDE);
            }
        }
    }
    recent
}

/// A page of at most so many rows behind a place, and where it ends.
fn page(
    rows: &[Row],
    order: Order,
    limit: usize,
    place: Option<Place>,
) -> (Vec<Row>, Option<Place>) {
    let parts = (0..NODES.len()).map(|node| part(rows, node, order, place)).collect();
    let mut merge = Merge::new(parts, order, WIDE, recent(rows, order, place));
    let (mut found, mut place) = (Vec::new(), place);
    while found.len() < limit
        && let Some(merged) = merge.next()
    {
        let merged = merged.unwrap();
        let row = merged.item.row;
        assert_eq!(merged.part, row.node);
        let mut places = place.map_or([None; 3], |(_, places)| places);
        places[row.node] = Some(row);
        place = Some((row, places));
        if !merged.is_double {
            found.push(row);
        }
    }
    (found, place)
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Asc), Just(Order::Desc)]
}

proptest! {
    #[test]
    fn all_rows_come_once_in_one_order(rows in logs(), order in order()) {
        prop_assert_eq!(page(&rows, order, usize::MAX, None).0, model(&rows, order));
    }

    #[test]
    fn pages_are_the_whole_list(rows in logs(), order in order(), sizes in prop::collection::vec(1usize..9, 1..40)) {
        let (mut found, mut place) = (Vec::new(), None);
        for size in sizes.into_iter().cycle() {
            let (more, end) = page(&rows, order, size, place);
            let is_last = more.len() < size;
            found.extend(more);
            place = end;
            if is_last {
                break;
            }
        }
        prop_assert_eq!(found, model(&rows, order));
    }

    /// A node that is away for one page is found again behind the place of the others.
    #[test]
    fn a_node_that_is_away_for_a_page_gives_nothing_twice(rows in logs(), order in order(), size in 1usize..9, away in 0..NODES.len()) {
        let others: Vec<_> = rows.iter().copied().filter(|row| row.node != away).collect();
        let (first, place) = page(&others, order, size, None);
        prop_assume!(place.is_some());
        let (rest, _) = page(&rows, order, usize::MAX, place);
        let mut all = [first, rest].concat();
        prop_assert!(all.is_sorted_by(|one, next| match order {
            Order::Asc => (one.at, one.node) < (next.at, next.node),
            Order::Desc => (one.at, one.node) > (next.at, next.node),
        }), "{:?}", all);
        all.sort_unstable();
        let lookups = |rows: &[Row]| rows.iter().filter(|it| it.change.is_none() && it.node != away).count();
        prop_assert_eq!(lookups(&all), lookups(&rows));
    }

    /// What the merge holds does not grow with the logs: it takes a row of each log, and as many more as it looks ahead.
    #[test]
    fn rows_that_nobody_takes_are_not_read(rows in logs(), order in order(), taken in 0usize..40, rows_ahead in 1usize..5) {
        let parts = (0..NODES.len()).map(|node| part(&rows, node, order, None)).collect();
        let bounds = Bounds { rows_ahead, changes: 3, ..WIDE };
        let mut merge = Merge::new(parts, order, bounds, Recent::default());
        let mut given = 0;
        while given < taken && merge.next().is_some() {
            given += 1;
        }
        let read: usize = merge.parts().map(|log| log.1).sum();
        prop_assert!(read <= given + NODES.len() * rows_ahead, "{} of {}", read, given);
    }
}

#[test]
fn the_earliest_record_of_a_change_stays_and_one_that_is_far_later_too() {
    let change = |at, node| Row { at, node, change: Some(7) };
    let rows = [change(10, 1), change(12, 0), change(30, 2), change(70, 2)];
    for order in [Order::Asc, Order::Desc] {
        let mut found = page(&rows, order, 9, None).0;
        found.sort_unstable();
        assert_eq!(found, [change(10, 1), change(70, 2)], "{order:?}");
    }
}

#[test]
fn a_record_that_tells_a_change_otherwise_hides_none() {
    let Record::Change(told) = change(7) else { unreachable!("it is a change") };
    let lies = [
        Change { kind: ChangeKind::HandleUnbound, ..told.clone() },
        Change { cause: Cause::SignOut, ..told.clone() },
        Change { handle: Some(phone(8)), ..told.clone() },
        Change { handle: None, ..told.clone() },
        Change { device: None, ..told.clone() },
        Change { account: Some(AccountId::from_bits(1)), ..told.clone() },
    ];
    let row = |at, change: &Change| LogRow {
        at: Timestamp::from_micros(at),
        record: Record::Change(change.clone()),
    };
    let keys = ChangeKeys::default();
    assert_eq!(keys.of(&row(1, &told)), keys.of(&row(2, &told)), "clocks differ");
    for lie in &lies {
        for order in [Order::Asc, Order::Desc] {
            // The false one is earlier at one node, the true one at another.
            let rows = [(10, 0, lie), (11, 1, &told), (12, 2, &told)];
            let parts = (0..NODES.len()).map(|node| {
                let of_node = rows.iter().filter(|it| it.1 == node).map(|it| row(it.0, it.2));
                Told(of_node.collect(), keys.clone())
            });
            let mut merge = Merge::new(parts.collect(), order, WIDE, Recent::default());
            let mut found = Vec::new();
            while let Some(merged) = merge.next() {
                let merged = merged.unwrap();
                if !merged.is_double {
                    found.push(merged.item.row);
                }
            }
            found.sort_by_key(|row| row.at);
            assert_eq!(found, [row(10, lie), row(11, &told)], "{order:?}");
        }
    }
}

/// Rows of a log, with what makes their keys.
struct Told(VecDeque<LogRow>, ChangeKeys);

impl Part<LogRow> for Told {
    fn next(&mut self) -> Option<Result<Item<LogRow>, ReadingError>> {
        let row = self.0.pop_front()?;
        Some(Ok(Item { at: row.at, change: self.1.of(&row), row }))
    }
}
