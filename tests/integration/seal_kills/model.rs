//! What must be readable after all that was acknowledged, killed and destroyed.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use dispatchd::{clock::Timestamp, query_log::LogRow};

use super::child::{HOUR, RETENTION, number, record};

/// What was found wrong, and how much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) acknowledged: u64,
    /// Under way at a kill, and then there or not.
    pub(super) in_doubt: u64,
    /// Acknowledged, not expired, and not there.
    pub(super) lost: u64,
    /// There twice.
    pub(super) doubled: u64,
    /// There though it was gone, or though its key was destroyed.
    pub(super) resurrected: u64,
    /// Never written so, or at another instant than before.
    pub(super) invented: u64,
    /// Readable at the retention or later, through the reader that clamps.
    pub(super) overdue: u64,
}

impl Tally {
    pub(super) fn is_sound(&self) -> bool {
        self.lost + self.doubled + self.resurrected + self.invented + self.overdue == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    /// What must be there, until it expires, with its instant once it was seen.
    alive: BTreeMap<u64, Known>,
    in_doubt: Vec<Range<u64>>,
    /// The first number that was never tried.
    pub(super) next: u64,
    pub(super) wall: Timestamp,
    /// When the last tick was acknowledged: what was due then must not open ever again.
    ticked: Timestamp,
    pub(super) tally: Tally,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    at: Timestamp,
    was_seen: bool,
}

fn is_due(at: Timestamp, now: Timestamp) -> bool {
    at.hour().start().plus(RETENTION) <= now
}

impl Model {
    /// Nothing was written, and the clock stands there.
    pub(super) fn at(wall: Timestamp) -> Self {
        Self { wall, ..Self::default() }
    }

    /// A line of the journal; false if it is not for the model.
    pub(super) fn hear(&mut self, line: &str) -> bool {
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

    /// Compares with all that the keys open, whatever its age.
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

    /// Compares with what the reader gives out that keeps to the retention.
    pub(super) fn compare_clamped(&mut self, rows: &[LogRow]) {
        let (edge, young) = (self.wall.minus(RETENTION), self.wall.minus(RETENTION - HOUR));
        let overdue = rows.iter().filter(|row| row.at <= edge).count();
        self.tally.overdue += overdue as u64;
        let there: BTreeSet<u64> = rows.iter().map(|row| number(&row.record)).collect();
        self.tally.doubled += (rows.len() - there.len()) as u64;
        let due = self.alive.iter().filter(|(_, known)| known.at > young);
        self.tally.lost += due.filter(|(n, _)| !there.contains(n)).count() as u64;
    }

    /// What an old copy opens with today's keys: nothing that a tick has destroyed, and nothing but what is alive or
    /// would be destroyed by the tick that a kill interrupted.
    pub(super) fn compare_copy(&mut self, rows: &[LogRow]) {
        let is_dead = |row: &&LogRow| {
            let is_alive = self.alive.contains_key(&number(&row.record));
            is_due(row.at, self.ticked) || !is_alive && !is_due(row.at, self.wall)
        };
        self.tally.resurrected += rows.iter().filter(is_dead).count() as u64;
    }
}
