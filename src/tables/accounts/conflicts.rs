//! What rows of different accounts say of the same device or handle.

use std::thread;

use crate::{clock::Timestamp, handle::Handle};

use super::{
    bad_rows::{BadRows, Reason},
    rows::{Entry, Row, RowPosition, Rows},
};

/// Marks the rows that contradict those of another account, and adds them to `bad`.
pub(super) fn settle(rows: &mut Rows, bad: &mut BadRows) {
    let (devices, handles) = thread::scope(|scope| {
        let devices = scope.spawn(|| rows.index(|rows, place| Some(rows.device(place))));
        let handles = rows.index(Rows::handle_hash);
        (devices.join().expect("sorting does not panic"), handles)
    });
    settle_devices(rows, &devices, bad);
    drop(devices);
    settle_handles(rows, &handles, bad);
}

/// A device is in the account of its first row.
fn settle_devices(rows: &mut Rows, index: &[Entry], bad: &mut BadRows) {
    for group in groups(index) {
        let (_, first) = group[0];
        for &(_, place) in &group[1..] {
            if rows.account(place) == rows.account(first) {
                continue;
            }
            let is_same = rows.row(place).device == rows.row(first).device;
            let reason = if is_same { Reason::DeviceElsewhere } else { Reason::IdsMeet };
            refuse(rows, bad, place, reason);
        }
    }
}

/// A handle is in the account with the newest proof.
fn settle_handles(rows: &mut Rows, index: &[Entry], bad: &mut BadRows) {
    for group in groups(index) {
        let places = group.iter().map(|(_, place)| *place).filter(|place| !rows.is_bad(*place));
        let mut accounts = places.clone().map(|place| rows.account(place));
        let first = accounts.next();
        if accounts.all(|account| Some(account) == first) {
            continue;
        }
        let mut claims: Vec<_> =
            places.filter_map(|place| Claim::of(&rows.row(place), place)).collect();
        // Rows of one hash may be of several handles.
        claims.sort_by(|one, other| (&one.handle, one.place).cmp(&(&other.handle, other.place)));
        for contested in claims.chunk_by(|one, other| one.handle == other.handle) {
            let winner = winner(contested);
            for claim in contested.iter().filter(|claim| Some(claim.account) != winner) {
                refuse(rows, bad, claim.place, Reason::HandleElsewhere);
            }
        }
    }
}

/// What one row says of a handle.
struct Claim {
    handle: Handle,
    place: RowPosition,
    account: u64,
    proved_at: Option<Timestamp>,
    last_check_in_at: Timestamp,
}

impl Claim {
    fn of(row: &Row<'_>, place: RowPosition) -> Option<Self> {
        Some(Self {
            handle: row.handle.clone()?,
            place,
            account: row.account.bits,
            proved_at: row.proved_at,
            last_check_in_at: row.last_check_in_at,
        })
    }
}

/// The account whose proof is the newest; of several, the one that comes first. An account's proof is what its first
/// row says; if that says nothing, the last check-in of its devices.
fn winner(claims: &[Claim]) -> Option<u64> {
    let mut by_account: Vec<_> = claims.iter().collect();
    by_account.sort_by_key(|claim| (claim.account, claim.place));
    let proofs = by_account.chunk_by(|one, other| one.account == other.account).map(|claims| {
        let first = claims[0];
        let check_ins = claims.iter().filter(|c| c.proved_at.is_none()).map(|c| c.last_check_in_at);
        let proof = first.proved_at.or_else(|| check_ins.max());
        (proof, std::cmp::Reverse(first.place), first.account)
    });
    proofs.max().map(|(_, _, account)| account)
}

fn groups(index: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    index.chunk_by(|one, other| one.0 == other.0).filter(|group| group.len() > 1)
}

fn refuse(rows: &mut Rows, bad: &mut BadRows, place: RowPosition, reason: Reason) {
    bad.add(rows.row(place).line, reason);
    rows.mark_bad(place);
}
