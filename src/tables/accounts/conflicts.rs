//! Conflicts between rows of different accounts over the same device or handle.

use std::thread;

use crate::{clock::Timestamp, handle::Handle};

use super::{
    bad_rows::{BadRows, Reason},
    rows::{Entry, Row, RowPosition, Rows},
};

/// Marks the rows that lose a conflict with another account, and adds them to `bad`.
pub(super) fn resolve(rows: &mut Rows, bad: &mut BadRows) {
    let (devices, handles) = thread::scope(|scope| {
        let devices = scope.spawn(|| rows.index(|rows, position| Some(rows.device(position))));
        let handles = rows.index(Rows::handle_hash);
        (devices.join().expect("sorting does not panic"), handles)
    });
    resolve_devices(rows, &devices, bad);
    drop(devices);
    resolve_handles(rows, &handles, bad);
}

/// A device belongs to the account of its first row.
fn resolve_devices(rows: &mut Rows, index: &[Entry], bad: &mut BadRows) {
    for group in groups(index) {
        let (_, first) = group[0];
        for &(_, position) in &group[1..] {
            if rows.account(position) == rows.account(first) {
                continue;
            }
            let is_same = rows.row(position).device == rows.row(first).device;
            let reason = if is_same { Reason::DeviceElsewhere } else { Reason::IdCollision };
            refuse(rows, bad, position, reason);
        }
    }
}

/// A handle belongs to the account with the newest proof.
fn resolve_handles(rows: &mut Rows, index: &[Entry], bad: &mut BadRows) {
    for group in groups(index) {
        let positions =
            group.iter().map(|(_, position)| *position).filter(|position| !rows.is_bad(*position));
        let mut accounts = positions.clone().map(|position| rows.account(position));
        let first = accounts.next();
        if accounts.all(|account| Some(account) == first) {
            continue;
        }
        let mut claims: Vec<_> =
            positions.filter_map(|position| Claim::of(&rows.row(position), position)).collect();
        // Different handles may have the same hash.
        claims.sort_by(|one, other| {
            (&one.handle, one.position).cmp(&(&other.handle, other.position))
        });
        for contested in claims.chunk_by(|one, other| one.handle == other.handle) {
            let winner = winner(contested);
            for claim in contested.iter().filter(|claim| Some(claim.account) != winner) {
                refuse(rows, bad, claim.position, Reason::HandleElsewhere);
            }
        }
    }
}

/// One row's claim on a handle.
struct Claim {
    handle: Handle,
    position: RowPosition,
    account: u64,
    proved_at: Option<Timestamp>,
    last_check_in_at: Timestamp,
}

impl Claim {
    fn of(row: &Row<'_>, position: RowPosition) -> Option<Self> {
        Some(Self {
            handle: row.handle.clone()?,
            position,
            account: row.account.bits,
            proved_at: row.proved_at,
            last_check_in_at: row.last_check_in_at,
        })
    }
}

/// The account with the newest proof; of several equal ones, the account of the first row. An account's proof is that of
/// its first row or, if that row has none, the last check-in of its devices.
fn winner(claims: &[Claim]) -> Option<u64> {
    let mut by_account: Vec<_> = claims.iter().collect();
    by_account.sort_by_key(|claim| (claim.account, claim.position));
    let proofs = by_account.chunk_by(|one, other| one.account == other.account).map(|claims| {
        let first = claims[0];
        let check_ins = claims.iter().filter(|c| c.proved_at.is_none()).map(|c| c.last_check_in_at);
        let proof = first.proved_at.or_else(|| check_ins.max());
        (proof, std::cmp::Reverse(first.position), first.account)
    });
    proofs.max().map(|(_, _, account)| account)
}

fn groups(index: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    index.chunk_by(|one, other| one.0 == other.0).filter(|group| group.len() > 1)
}

fn refuse(rows: &mut Rows, bad: &mut BadRows, position: RowPosition, reason: Reason) {
    bad.add(rows.row(position).line, reason);
    rows.mark_bad(position);
}
