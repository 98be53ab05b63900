//! Rows as bytes: the one home of the format.
//!
//! An account's row has four parts: a version byte, its [packed form](crate::registry::packed) as the index keeps it, the
//! postcard encoding of the rest, and a CRC-32 of it all. An index is built by copying the front. Any other row is a
//! version byte and the postcard encoding of one of the structs below, with nothing after it. What cannot be read
//! exactly is an error that names the table and nothing of the content.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::{AccountId, ChangeId, DeviceId},
    vocabulary::{Cause, Change, ChangeKind, HandleLoss},
};

use super::interface::{Row, StoreError, Unrecorded};
use crate::registry::{
    account::{Account, Claim, Device, LostDetails},
    expiring::{ExpiringRow, RowKey, RowKind},
    flag::AccountFlag,
    handle_state::Tombstone,
    packed::{HEAD_BYTES, Packed, PackedHandle, check_in, pack},
};

pub(super) const ACCOUNTS: &str = "accounts";
pub(super) const ENDED: &str = "ended";
pub(super) const UNRECORDED: &str = "unrecorded";
pub(super) const EXPIRING: &str = "expiring";

const VERSION: u8 = 2;
const CRC_BYTES: usize = 4;
const PHONE: u8 = 1;
const EMAIL: u8 = 2;

/// What the packed form leaves out, in the order of its devices and handles.
#[derive(Serialize, Deserialize)]
struct RestV2<'a> {
    #[serde(borrow)]
    devices: Vec<(u64, Option<&'a str>)>,
    proved_at: Vec<u64>,
    #[serde(borrow)]
    lost: Vec<(&'a [u8], u8, u64)>,
}

#[derive(Serialize, Deserialize)]
struct ChangeV2 {
    id: u64,
    at: u64,
    kind: u8,
    cause: u8,
    handle: Option<Vec<u8>>,
    device: Option<u64>,
    account: Option<u64>,
}

/// A handle as a key.
pub(super) fn handle_key(handle: &Handle) -> Vec<u8> {
    match handle {
        Handle::Phone(key) => [&[PHONE][..], &key.bits().to_be_bytes()].concat(),
        Handle::Email(address) => [&[EMAIL][..], address.as_str().as_bytes()].concat(),
    }
}

pub(super) fn read_handle(key: &[u8]) -> Option<Handle> {
    match key.split_first()? {
        (&PHONE, bits) => {
            PhoneKey::from_bits(u64::from_be_bytes(bits.try_into().ok()?)).map(Handle::Phone)
        }
        (&EMAIL, text) => Handle::from_canonical(std::str::from_utf8(text).ok()?)
            .filter(|handle| matches!(handle, Handle::Email(_))),
        _ => None,
    }
}

fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    postcard::to_extend(row, vec![VERSION]).expect("a vector takes whatever is written")
}

fn decode<'a, T: Deserialize<'a>>(table: &'static str, bytes: &'a [u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, row)) => decode_whole(table, row),
        Some((&version, _)) if version > VERSION => Err(StoreError::FormatUnknown(version)),
        _ => Err(StoreError::RowUnreadable(table)),
    }
}

fn decode_whole<'a, T: Deserialize<'a>>(
    table: &'static str,
    row: &'a [u8],
) -> Result<T, StoreError> {
    match postcard::take_from_bytes(row) {
        Ok((row, [])) => Ok(row),
        _ => Err(StoreError::RowUnreadable(table)),
    }
}

pub(super) fn write_account(account: &Account) -> Vec<u8> {
    let lost: Vec<_> = account.lost.iter().map(|lost| handle_key(&lost.handle)).collect();
    let rest = RestV2 {
        devices: account
            .devices
            .iter()
            .map(|device| (device.registered_at.as_micros(), device.name.as_deref()))
            .collect(),
        proved_at: account.claims.iter().map(|claim| claim.proved_at.as_micros()).collect(),
        lost: account
            .lost
            .iter()
            .zip(&lost)
            .map(|(lost, key)| (&key[..], lost.how.number(), lost.at.as_micros()))
            .collect(),
    };
    let mut row = vec![VERSION];
    row.extend_from_slice(&pack(account));
    let mut row = postcard::to_extend(&rest, row).expect("a vector takes whatever is written");
    let crc = crc32fast::hash(&row);
    row.extend_from_slice(&crc.to_le_bytes());
    row
}

/// The packed form and what follows it, of a row that is whole.
fn split_account(key: u64, row: &[u8]) -> Result<(Packed<'_>, &[u8]), StoreError> {
    let unreadable = || StoreError::RowUnreadable(ACCOUNTS);
    match row.first() {
        Some(&VERSION) => {}
        Some(&version) if version > VERSION => return Err(StoreError::FormatUnknown(version)),
        _ => return Err(unreadable()),
    }
    let (body, crc) = row.split_last_chunk::<CRC_BYTES>().ok_or_else(unreadable)?;
    if body.len() < 1 + HEAD_BYTES || crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(unreadable());
    }
    let len = usize::from(u16::from_le_bytes([body[1], body[2]]));
    let packed = body.get(1..1 + len).and_then(Packed::check).ok_or_else(unreadable)?;
    if packed.account().bits() != key {
        return Err(unreadable());
    }
    Ok((packed, &body[1 + len..]))
}

/// The row of an account once its device checked in: see [`check_in`].
pub(super) fn write_check_in(
    key: u64,
    row: &[u8],
    device: DeviceId,
    at: Timestamp,
) -> Result<Vec<u8>, StoreError> {
    let (packed, _) = split_account(key, row)?;
    let len = packed.bytes().len();
    let mut row = row[..row.len() - CRC_BYTES].to_vec();
    if !check_in(&mut row[1..1 + len], device, at) {
        return Err(StoreError::Damaged("a device that checks in is missing".to_owned()));
    }
    let crc = crc32fast::hash(&row);
    row.extend_from_slice(&crc.to_le_bytes());
    Ok(row)
}

/// The packed form of the account in a row, as it lies there.
pub(super) fn read_packed(key: u64, row: &[u8]) -> Result<Packed<'_>, StoreError> {
    split_account(key, row).map(|(packed, _)| packed)
}

pub(super) fn read_account(key: u64, row: &[u8]) -> Result<Account, StoreError> {
    let (packed, rest) = split_account(key, row)?;
    let unreadable = || StoreError::RowUnreadable(ACCOUNTS);
    let rest: RestV2<'_> = decode_whole(ACCOUNTS, rest)?;
    if rest.devices.len() != packed.devices().len() || rest.proved_at.len() != packed.handles_len()
    {
        return Err(unreadable());
    }
    let devices: Vec<_> = packed
        .devices()
        .zip(rest.devices)
        .map(|(device, (registered_at, name))| Device {
            id: device.id(),
            token_hash: device.token_hash(),
            registered_at: Timestamp::from_micros(registered_at),
            last_check_in_at: device.last_check_in_at(),
            name: name.map(Into::into),
            platform: device.platform(),
            lapse_recorded: device.lapse_recorded(),
        })
        .collect();
    let claim = |(handle, proved_at): (PackedHandle<'_>, u64)| {
        let backing = devices.iter().enumerate().filter(|(place, _)| handle.is_backed_by(*place));
        Some(Claim {
            handle: handle.handle()?,
            proved_at: Timestamp::from_micros(proved_at),
            discoverable: handle.discoverable(),
            devices: backing.map(|(_, device)| device.id).collect(),
        })
    };
    let claims: Option<Vec<_>> = packed.handles().zip(rest.proved_at).map(claim).collect();
    let lost = |(key, how, at): (&[u8], u8, u64)| {
        let (handle, how) = (read_handle(key)?, HandleLoss::from_number(how)?);
        Some(LostDetails { handle, how, at: Timestamp::from_micros(at) })
    };
    let lost: Option<Vec<_>> = rest.lost.into_iter().map(lost).collect();
    let (Some(claims), Some(lost)) = (claims, lost) else {
        return Err(unreadable());
    };
    let account = Account { id: packed.account(), devices, claims, lost };
    if account.is_sound() { Ok(account) } else { Err(unreadable()) }
}

pub(super) fn write_ended(ended: Tombstone) -> Vec<u8> {
    encode(&(ended.how.number(), ended.at.as_micros()))
}

pub(super) fn read_ended(key: &[u8], bytes: &[u8]) -> Result<Row, StoreError> {
    let (how, at): (u8, u64) = decode(ENDED, bytes)?;
    let handle = read_handle(key).ok_or(StoreError::RowUnreadable(ENDED))?;
    // A handle that moved is held: it has no tombstone.
    let how = HandleLoss::from_number(how).filter(|how| *how != HandleLoss::Moved);
    let how = how.ok_or(StoreError::RowUnreadable(ENDED))?;
    Ok(Row::Tombstone(handle, Tombstone { how, at: Timestamp::from_micros(at) }))
}

pub(super) fn write_unrecorded(row: &Unrecorded) -> Vec<u8> {
    write_change(&row.change, row.decided_at)
}

/// A change that was decided at `decided_at`: what [`read_unrecorded`] reads.
pub(super) fn write_change(change: &Change, decided_at: Timestamp) -> Vec<u8> {
    encode(&ChangeV2 {
        id: change.id.bits(),
        at: decided_at.as_micros(),
        kind: change.kind.number(),
        cause: change.cause.number(),
        handle: change.handle.as_ref().map(handle_key),
        device: change.device.map(DeviceId::bits),
        account: change.account.map(AccountId::bits),
    })
}

pub(super) fn read_unrecorded(place: u64, bytes: &[u8]) -> Result<Unrecorded, StoreError> {
    let row: ChangeV2 = decode(UNRECORDED, bytes)?;
    let decided_at = Timestamp::from_micros(row.at);
    let change = change(row).ok_or(StoreError::RowUnreadable(UNRECORDED))?;
    Ok(Unrecorded { place, decided_at, change })
}

/// An expiring row's key as bytes.
pub(super) fn expiring_key(row: &RowKey) -> Vec<u8> {
    [&[row.kind.number()][..], &row.key].concat()
}

/// The first key of a kind, and the first behind its last one.
pub(super) const fn keys_of(kind: RowKind) -> [[u8; 1]; 2] {
    [[kind.number()], [kind.number() + 1]]
}

/// The kinds of rows that no copy of the store has: who may use this deployment, and which machines it consists of.
const NOT_COPIED: [RowKind; 4] =
    [RowKind::Operator, RowKind::Member, RowKind::Invite, RowKind::EntryKey];

/// Whether a copy of the store has the expiring row with this key.
pub(super) fn is_copied(key: &[u8]) -> bool {
    !NOT_COPIED.iter().any(|kind| key.starts_with(&keys_of(*kind)[0]))
}

pub(super) fn read_expiring_key(key: &[u8]) -> Option<RowKey> {
    let (kind, key) = key.split_first()?;
    Some(RowKey { kind: RowKind::from_number(*kind)?, key: key.into() })
}

pub(super) fn write_expiring(row: &ExpiringRow) -> Vec<u8> {
    encode(&(row.ends_at.map(Timestamp::as_micros), &row.value))
}

pub(super) fn read_expiring(key: &[u8], bytes: &[u8]) -> Result<Row, StoreError> {
    let (ends_at, value): (Option<u64>, &[u8]) = decode(EXPIRING, bytes)?;
    let key = read_expiring_key(key).ok_or(StoreError::RowUnreadable(EXPIRING))?;
    // A flag that cannot be read must not become an account that is not flagged.
    let is_flag = key.kind == RowKind::Flag;
    if is_flag && (key.key.len() != size_of::<u64>() || AccountFlag::read(value).is_none()) {
        return Err(StoreError::RowUnreadable(EXPIRING));
    }
    let ends_at = ends_at.map(Timestamp::from_micros);
    Ok(Row::Expiring(key, ExpiringRow { ends_at, value: value.into() }))
}

/// None if a number or the handle is none that was written.
fn change(row: ChangeV2) -> Option<Change> {
    let handle = match row.handle {
        None => None,
        Some(key) => Some(read_handle(&key)?),
    };
    Some(Change {
        id: ChangeId::from_bits(row.id),
        kind: ChangeKind::from_number(row.kind)?,
        handle,
        device: row.device.map(DeviceId::from_bits),
        account: row.account.map(AccountId::from_bits),
        cause: Cause::from_number(row.cause)?,
    })
}
