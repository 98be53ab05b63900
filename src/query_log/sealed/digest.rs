//! A digest over rows in any order, to compare what was written with what was given.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;

use crate::query_log::record::{ChangeRecord, LogRow, LookupRecord, Record};

/// Sums of two differently seeded hashes of whole rows, and how many rows they are.
///
/// It tells a mistake of this program from its absence; against somebody who chooses rows the bytes' encryption stands.
/// Two digests agree only within one process: the hash may be another in the next version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::query_log) struct RowSum {
    lanes: [u64; 2],
    records: u64,
}

/// Adds rows up.
#[derive(Clone, Debug)]
pub(super) struct Digester {
    seeds: [FixedState; 2],
    sum: RowSum,
}

impl Digester {
    pub(super) const fn new(seed: u64) -> Self {
        let seeds = [FixedState::with_seed(seed), FixedState::with_seed(!seed)];
        Self { seeds, sum: RowSum { lanes: [0; 2], records: 0 } }
    }

    pub(super) fn add(&mut self, row: &LogRow) {
        for (lane, seed) in self.sum.lanes.iter_mut().zip(&self.seeds) {
            let mut hasher = seed.build_hasher();
            hash(row, &mut hasher);
            *lane = lane.wrapping_add(hasher.finish());
        }
        self.sum.records += 1;
    }

    pub(super) const fn sum(&self) -> RowSum {
        self.sum
    }
}

impl RowSum {
    /// Rows summed up.
    pub(in crate::query_log) const fn records(&self) -> u64 {
        self.records
    }
}

/// Every field by name: a new one does not compile until it is hashed.
fn hash(row: &LogRow, hasher: &mut impl Hasher) {
    let LogRow { at, record } = row;
    hasher.write_u64(at.as_micros());
    match record {
        Record::Lookup(LookupRecord {
            request,
            account,
            device,
            ip,
            handle,
            route,
            reason,
            status,
            took_us,
        }) => {
            hasher.write_u8(1);
            (request, account, device, ip).hash(hasher);
            (handle, route, reason, status, took_us).hash(hasher);
        }
        Record::Change(ChangeRecord { id, change, handle, device, account, cause }) => {
            hasher.write_u8(2);
            (id, change, handle, device, account, cause).hash(hasher);
        }
    }
}
