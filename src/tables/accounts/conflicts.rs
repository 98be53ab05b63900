//! Conflicts between rows of different accounts over the same device or handle.

use std::thread;

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
        let mut claims: Vec<_> = positions.map(|position| (position, rows.row(position))).collect();
        // Different handles may have the same hash.
        claims.sort_by(|(one_at, one), (other_at, other)| {
            (&one.handle, one_at).cmp(&(&other.handle, other_at))
        });
        let contested = claims.chunk_by(|(_, one), (_, other)| one.handle == other.handle);
        let losers: Vec<_> = contested.flat_map(losers).collect();
        for position in losers {
            refuse(rows, bad, position, Reason::HandleElsewhere);
        }
    }
}

/// The rows whose account loses the handle. The account with the newest proof keeps it; of several equal proofs, the one of
/// the first row counts. An account's proof is that of its first row or, if that row has none, the last check-in of its devices.
fn losers(claims: &[(RowPosition, Row<'_>)]) -> impl Iterator<Item = RowPosition> {
    let mut by_account: Vec<_> = claims.iter().collect();
    by_account.sort_by_key(|(position, row)| (row.account.bits, *position));
    let claims_of_one =
        by_account.chunk_by(|(_, one), (_, other)| one.account.bits == other.account.bits);
    let proofs = claims_of_one.map(|claims| {
        let (position, first) = claims[0];
        let check_ins = claims.iter().filter(|(_, row)| row.proved_at.is_none());
        let proof =
            first.proved_at.or_else(|| check_ins.map(|(_, row)| row.last_check_in_at).max());
        (proof, std::cmp::Reverse(*position), first.account.bits)
    });
    let winner = proofs.max().map(|(_, _, account)| account);
    claims.iter().filter(move |(_, row)| Some(row.account.bits) != winner).map(|(at, _)| *at)
}

fn groups(index: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    index.chunk_by(|one, other| one.0 == other.0).filter(|group| group.len() > 1)
}

fn refuse(rows: &mut Rows, bad: &mut BadRows, position: RowPosition, reason: Reason) {
    bad.add(rows.row(position).line, reason);
    rows.mark_bad(position);
}
