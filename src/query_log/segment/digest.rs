//! A digest over rows in any order, to compare the written rows with the source's. The writer computes it from the rows of the log,
//! the check from the columns and the client table, as a reader reads them. The two share only the hash, so the comparison
//! reveals anything lost or changed in between.

use std::{
    hash::{BuildHasher, Hasher},
    net::IpAddr,
    num::NonZeroU64,
};

use foldhash::quality::FixedState;

use super::row::{HashedRow, Hashes};
use crate::{
    ids::{AccountId, DeviceId},
    query_log::record::{Client, HandleView, Outcome, RowView},
};

/// The sums of two hashes of whole rows, and the number of rows.
///
/// It detects faults of this program. It does not resist an attacker who chooses rows; authenticated encryption protects
/// against changed bytes. Compare two sums only within one process, because the hash may change with the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowSum {
    lanes: [u64; 2],
    pub(crate) records: u64,
}

impl RowSum {
    pub(super) const fn add(&mut self, other: &Self) {
        self.lanes[0] = self.lanes[0].wrapping_add(other.lanes[0]);
        self.lanes[1] = self.lanes[1].wrapping_add(other.lanes[1]);
        self.records += other.records;
    }
}

/// Hashes rows, e-mail addresses and clients under one seed.
#[derive(Clone, Debug)]
pub(super) struct RowHasher {
    keys: [u64; 12],
    texts: FixedState,
}

impl RowHasher {
    pub(super) fn new(seed: u64) -> Self {
        let texts = FixedState::with_seed(seed);
        Self { keys: std::array::from_fn(|index| texts.hash_one(index)), texts }
    }

    pub(super) const fn sum(&self) -> RowSum {
        RowSum { lanes: [0; 2], records: 0 }
    }

    pub(super) fn add(&self, sum: &mut RowSum, row: &HashedRow) {
        let keys = &self.keys;
        let first = fold(row.handle ^ keys[0], row.id ^ keys[1]);
        let second = fold(row.at ^ keys[2], row.what ^ keys[3]);
        let client = row.client.get();
        let lanes = [
            fold(first ^ client, second ^ keys[4]),
            fold(first.rotate_left(32) ^ keys[5], second ^ client.rotate_left(32)),
        ];
        sum.add(&RowSum { lanes, records: 1 });
    }

    /// A row of the log, as hashed.
    pub(super) fn row(&self, row: &RowView<'_>, client: NonZeroU64) -> HashedRow {
        let handle = match row.handle {
            None => 0,
            Some(HandleView::Phone(key)) => key.bits(),
            Some(HandleView::Email(text)) => self.text(text.as_bytes()),
        };
        HashedRow::of_log(row, &Hashes { handle, codes: codes(row.outcome), client })
    }

    pub(super) fn text(&self, text: &[u8]) -> u64 {
        let mut hasher = self.texts.build_hasher();
        hasher.write(text);
        hasher.finish()
    }

    /// The hash of a client. It is not zero, so that `Option` of it needs no extra memory.
    pub(super) fn client(&self, client: &Client) -> NonZeroU64 {
        let Client { account, device, ip } = client;
        let (kind, ip) = match ip {
            None => (0, 0),
            Some(IpAddr::V4(ip)) => (1, u128::from(ip.to_bits())),
            Some(IpAddr::V6(ip)) => (2, ip.to_bits()),
        };
        let present = kind | u64::from(account.is_some()) << 2 | u64::from(device.is_some()) << 3;
        let keys = &self.keys;
        let account = account.map_or(0, AccountId::bits);
        let device = device.map_or(0, DeviceId::bits);
        let first = fold(account ^ keys[6], device ^ keys[7]);
        let second = fold(ip as u64 ^ keys[8], (ip >> 64) as u64 ^ keys[9]);
        let hash = fold(first ^ keys[10] ^ present, second ^ keys[11]);
        NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN)
    }
}

/// The outcome of a row as a number. It differs from the number in the `outcome` column, so that the comparison reveals a
/// fault in that one.
///
/// ```text
/// lookup    0 (1 bit), route (7; 0: none), reason (8), status (16)
/// change    1 (1), change (7), cause (8), 0 (16)
/// refusals  0 (1), 127 (7), problem (8), 0 (16)
/// ```
pub(super) fn codes(outcome: Outcome) -> u32 {
    match outcome {
        Outcome::Lookup { route, reason, status } => {
            let route = route.map_or(0, |route| u32::from(route.number()));
            route << 24 | u32::from(reason.number()) << 16 | u32::from(status)
        }
        Outcome::Change { change, cause } => {
            1 << 31 | u32::from(change.number()) << 24 | u32::from(cause.number()) << 16
        }
        Outcome::Refusals { code } => 127 << 24 | u32::from(code.number()) << 16,
    }
}

/// Mixes both halves of the product, so that each bit of the result depends on all bits of both inputs.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::vocabulary::{Cause, ChangeKind, ProblemCode, Reason, Route};

    #[test]
    fn no_two_outcomes_have_the_same_codes_or_bits() {
        let routes = Route::ALL.iter().map(|route| Some(*route)).chain([None]);
        let lookups = routes.flat_map(|route| {
            let statuses = [0, 200, 404, 429, 503, u16::MAX];
            let of = move |reason: &Reason| {
                statuses.map(|status| Outcome::Lookup { route, reason: *reason, status })
            };
            Reason::ALL.iter().flat_map(of)
        });
        let changes = ChangeKind::ALL.iter().flat_map(|change| {
            Cause::ALL.iter().map(|cause| Outcome::Change { change: *change, cause: *cause })
        });
        let refusals = ProblemCode::ALL.iter().map(|code| Outcome::Refusals { code: *code });
        let all: Vec<Outcome> = lookups.chain(changes).chain(refusals).collect();
        let of_all: HashSet<u32> = all.iter().map(|outcome| codes(*outcome)).collect();
        assert_eq!(of_all.len(), all.len());
        for outcome in all {
            assert_eq!(Outcome::from_bits(outcome.bits()), Some(outcome));
        }
        // Each has its own place of seven or eight bits.
        assert!(Route::ALL.iter().all(|route| route.number() < 127));
        assert!(ChangeKind::ALL.iter().all(|change| change.number() < 128));
    }
}
