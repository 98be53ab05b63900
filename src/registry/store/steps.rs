//! Steps and change records as bytes, one behind the other: what an entry of the shared log carries.
//!
//! A step is the postcard encoding of its kind, with keys and rows in the form that the store keeps. A check-in is most of what
//! is written, so it has a form of its own of 18 bytes, at most 27.

use serde::{Deserialize, Serialize};

use super::{
    interface::{Mutation, Row, StoreError, Unrecorded},
    rows,
};
use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId},
    vocabulary::Change,
};

/// Named in errors as tables are.
const STEPS: &str = "steps";

/// The order is the number on disk.
#[derive(Serialize, Deserialize)]
enum StepV1<'a> {
    /// Account and device; how much later than the entry it was decided, in microseconds.
    CheckIn([u8; 8], [u8; 8], i64),
    /// A device by which the index finds it, its id, its row.
    PutAccount(Option<u64>, u64, &'a [u8]),
    /// Its id, and a device by which the index finds it.
    RemoveAccount(u64, u64),
    PutTombstone(&'a [u8], &'a [u8]),
    RemoveTombstone(&'a [u8]),
    PutRow(&'a [u8], &'a [u8]),
    RemoveRow(&'a [u8]),
    Record(&'a [u8]),
}

/// The bytes of `steps` and `changes`, which were decided at `decided_at`.
///
/// # Panics
/// If a step concerns this store only.
pub(crate) fn write_steps(
    steps: &[Mutation],
    changes: &[Change],
    decided_at: Timestamp,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in steps {
        write_step(step, decided_at, &mut bytes);
    }
    for change in changes {
        write(&mut bytes, &StepV1::Record(&rows::write_change(change, decided_at)));
    }
    bytes
}

fn write(bytes: &mut Vec<u8>, step: &StepV1<'_>) {
    let written = postcard::to_extend(step, std::mem::take(bytes));
    *bytes = written.expect("a vector takes whatever is written");
}

fn write_step(step: &Mutation, decided_at: Timestamp, bytes: &mut Vec<u8>) {
    match step {
        Mutation::PutAccount { account, known_by } => {
            let (known_by, id) = (known_by.map(DeviceId::bits), account.id.bits());
            write(bytes, &StepV1::PutAccount(known_by, id, &rows::write_account(account)));
        }
        Mutation::RemoveAccount { id, known_by } => {
            write(bytes, &StepV1::RemoveAccount(id.bits(), known_by.bits()));
        }
        Mutation::CheckIn { account, device, at } => {
            let [account, device] = [account.bits(), device.bits()].map(u64::to_le_bytes);
            let later_us = at.as_micros().wrapping_sub(decided_at.as_micros()).cast_signed();
            write(bytes, &StepV1::CheckIn(account, device, later_us));
        }
        Mutation::PutTombstone(handle, end) => {
            let (key, row) = (rows::handle_key(handle), rows::write_ended(*end));
            write(bytes, &StepV1::PutTombstone(&key, &row));
        }
        Mutation::RemoveTombstone(handle) => {
            write(bytes, &StepV1::RemoveTombstone(&rows::handle_key(handle)));
        }
        Mutation::PutRow(key, row) => {
            let (key, row) = (rows::expiring_key(key), rows::write_expiring(row));
            write(bytes, &StepV1::PutRow(&key, &row));
        }
        Mutation::RemoveRow(key) => {
            write(bytes, &StepV1::RemoveRow(&rows::expiring_key(key)));
        }
        Mutation::PutUnrecorded(_) | Mutation::RemoveUnrecorded(_) | Mutation::Applied(_) => {
            unreachable!("it concerns one store only")
        }
    }
}

/// What [`write_steps`] wrote.
pub(crate) fn read_steps(
    mut bytes: &[u8],
    decided_at: Timestamp,
) -> Result<(Vec<Mutation>, Vec<Change>), StoreError> {
    let unreadable = || StoreError::RowUnreadable(STEPS);
    let (mut steps, mut changes) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        let (step, rest) = postcard::take_from_bytes(bytes).map_err(|_| unreadable())?;
        bytes = rest;
        match step {
            StepV1::Record(row) => {
                let Unrecorded { decided_at: at, change, .. } = rows::read_unrecorded(0, row)?;
                changes.push(if at == decided_at { change } else { return Err(unreadable()) });
            }
            // Steps come before records.
            _ if !changes.is_empty() => return Err(unreadable()),
            step => steps.push(read_step(step, decided_at)?),
        }
    }
    Ok((steps, changes))
}

fn read_step(step: StepV1<'_>, decided_at: Timestamp) -> Result<Mutation, StoreError> {
    Ok(match step {
        StepV1::CheckIn(account, device, later_us) => {
            let [account, device] = [account, device].map(u64::from_le_bytes);
            let at = decided_at.as_micros().wrapping_add(later_us.cast_unsigned());
            Mutation::CheckIn {
                account: AccountId::from_bits(account),
                device: DeviceId::from_bits(device),
                at: Timestamp::from_micros(at),
            }
        }
        StepV1::PutAccount(known_by, id, row) => Mutation::PutAccount {
            account: rows::read_account(id, row)?,
            known_by: known_by.map(DeviceId::from_bits),
        },
        StepV1::RemoveAccount(id, known_by) => Mutation::RemoveAccount {
            id: AccountId::from_bits(id),
            known_by: DeviceId::from_bits(known_by),
        },
        StepV1::PutTombstone(key, row) => match rows::read_ended(key, row)? {
            Row::Tombstone(handle, end) => Mutation::PutTombstone(handle, end),
            _ => return Err(StoreError::RowUnreadable(STEPS)),
        },
        StepV1::RemoveTombstone(key) => {
            let handle = rows::read_handle(key).ok_or(StoreError::RowUnreadable(STEPS))?;
            Mutation::RemoveTombstone(handle)
        }
        StepV1::PutRow(key, row) => match rows::read_expiring(key, row)? {
            Row::Expiring(key, row) => Mutation::PutRow(key, row),
            _ => return Err(StoreError::RowUnreadable(STEPS)),
        },
        StepV1::RemoveRow(key) => {
            let key = rows::read_expiring_key(key).ok_or(StoreError::RowUnreadable(STEPS))?;
            Mutation::RemoveRow(key)
        }
        StepV1::Record(_) => return Err(StoreError::RowUnreadable(STEPS)),
    })
}
