//! A model of what must be readable after appends, kills and expiry.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use dispatchd::{clock::Timestamp, query_log::LogRow};

use super::child::{HOUR, RETENTION, number, record};

/// Faults that were found, and how many records were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) acknowledged: u64,
    /// Records in flight at a kill. They may or may not be readable.
    pub(super) in_doubt: u64,
    /// Acknowledged and unexpired records that are not readable.
    pub(super) lost: u64,
    /// Records that are readable twice.
    pub(super) doubled: u64,
    /// Records that are readable although they were gone before, or although their key was destroyed.
    pub(super) resurrected: u64,
    /// Records that differ from what was written, or whose timestamp changed.
    pub(super) invented: u64,
    /// Records older than the retention that the reader returns although it clamps.
    pub(super) overdue: u64,
}

impl Tally {
    pub(super) fn is_sound(&self) -> bool {
        self.lost + self.doubled + self.resurrected + self.invented + self.overdue == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    /// Records that must be readable until they expire. The timestamp is exact once a record was read.
    alive: BTreeMap<u64, Known>,
    in_doubt: Vec<Range<u64>>,
    /// The number of the next record.
    pub(super) next: u64,
    pub(super) wall: Timestamp,
    /// When the last tick was acknowledged. Records that had expired by then must never decrypt again.
    ticked: Timestamp,
    pub(super) tally: Tally,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    at: Timestamp,
    was_seen: bool,
}

fn is_due(at: Timestamp, now: Timestamp) -> bool {
    at.hour(Default::default()).start().plus(RETENTION) <= now
}

impl Model {
    /// An empty log at this wall time.
    pub(super) fn at(wall: Timestamp) -> Self {
        Self { wall, ..Self::default() }
    }

    /// Applies a line of the journal. Returns false if the line is not for the model.
    pub(super) fn apply(&mut self, line: &str) -> bool {
        let mut words = line.split(' ');
        let (what, mut numbers) = (words.next().unwrap(), words.map(str::parse::<u64>));
        let mut one = || numbers.next().unwrap().unwrap();
        match what {
            "try" => {
                let (first, count) = (one(), one());
                self.in_doubt.push(first..first + count);
                self.next = first + count;
            }
            "ack" => {
                let (first, count) = (one(), one());
                self.in_doubt.retain(|range| range.start != first);
                let known = Known { at: self.wall, was_seen: false };
                self.alive.extend((first..first + count).map(|n| (n, known)));
                self.tally.acknowledged += count;
            }
            "wall" => self.wall = Timestamp::from_micros(one()),
            "ticked" => self.ticked = Timestamp::from_micros(one()),
            _ => return false,
        }
        true
    }

    /// Compares with all records that the keys decrypt, whatever their age.
    pub(super) fn compare(&mut self, rows: &[LogRow]) {
        let doubt = std::mem::take(&mut self.in_doubt);
        self.tally.in_doubt += doubt.iter().map(|range| range.end - range.start).sum::<u64>();
        let mut seen = BTreeSet::new();
        for row in rows {
            let n = number(&row.record);
            if !seen.insert(n) {
                self.tally.doubled += 1;
            } else if n >= self.next || record(n) != row.record {
                self.tally.invented += 1;
            } else if is_due(row.at, self.ticked) {
                self.tally.resurrected += 1;
            } else if doubt.iter().any(|range| range.contains(&n)) {
                self.alive.insert(n, Known { at: row.at, was_seen: true });
            } else if let Some(known) = self.alive.get_mut(&n) {
                self.tally.invented += u64::from(known.was_seen && known.at != row.at);
                *known = Known { at: row.at, was_seen: true };
            } else {
                self.tally.resurrected += 1;
            }
        }
        let ordered = rows.windows(2).all(|pair| pair[0].at < pair[1].at);
        self.tally.invented += u64::from(!ordered);
        let wall = self.wall;
        let tally = &mut self.tally;
        self.alive.retain(|n, known| {
            let is_there = seen.contains(n);
            tally.lost += u64::from(!is_there && !is_due(known.at, wall));
            is_there
        });
    }

    /// Compares with the records that a reader returns within the retention.
    pub(super) fn compare_clamped(&mut self, rows: &[LogRow]) {
        let (edge, young) = (self.wall.minus(RETENTION), self.wall.minus(RETENTION - HOUR));
        let overdue = rows.iter().filter(|row| row.at <= edge).count();
        self.tally.overdue += overdue as u64;
        let there: BTreeSet<u64> = rows.iter().map(|row| number(&row.record)).collect();
        self.tally.doubled += (rows.len() - there.len()) as u64;
        let due = self.alive.iter().filter(|(_, known)| known.at > young);
        self.tally.lost += due.filter(|(n, _)| !there.contains(n)).count() as u64;
    }

    /// Compares with the records of an old copy that the current keys decrypt.
    ///
    /// It must have no record that a tick destroyed. Its records must be alive, or due in the tick that a kill
    /// interrupted.
    pub(super) fn compare_copy(&mut self, rows: &[LogRow]) {
        let is_dead = |row: &&LogRow| {
            let is_alive = self.alive.contains_key(&number(&row.record));
            is_due(row.at, self.ticked) || !is_alive && !is_due(row.at, self.wall)
        };
        self.tally.resurrected += rows.iter().filter(is_dead).count() as u64;
    }
}
