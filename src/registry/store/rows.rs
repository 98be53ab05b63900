//! Rows as bytes: the one home of the format.
//!
//! A row is a version byte and the postcard encoding of one of the structs below, with nothing after it. Keys sort as
//! their handles do. What cannot be read exactly is an error that names the table and nothing of the content.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::{AccountId, ChangeId, DeviceId},
};

use super::{Row, StoreError};
use crate::registry::{
    changes::{Cause, Change, ChangeKind},
    device::{Device, Platform},
    entry::{Claim, Ended, EndedHow},
    token::TokenHash,
};

pub(super) const DEVICES: &str = "devices";
pub(super) const CLAIMS: &str = "claims";
pub(super) const ENDED: &str = "ended";
pub(super) const UNRECORDED: &str = "unrecorded";

const VERSION: u8 = 1;
const PHONE: u8 = 1;
const EMAIL: u8 = 2;

#[derive(Serialize, Deserialize)]
struct DeviceV1<'a> {
    account: u64,
    token_hash: [u8; 32],
    registered_at: u64,
    last_check_in_at: u64,
    lease_until: u64,
    name: Option<&'a str>,
    platform: u8,
    lapse_recorded: bool,
}

#[derive(Serialize, Deserialize)]
struct ClaimV1 {
    account: u64,
    proved_at: u64,
    discoverable: bool,
    devices: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct EndedV1 {
    how: u8,
    at: u64,
}

#[derive(Serialize, Deserialize)]
struct ChangeV1 {
    id: u64,
    at: u64,
    kind: u8,
    cause: u8,
    handle: Option<Vec<u8>>,
    device: Option<u64>,
    account: Option<u64>,
}

/// The cases of an enum with their numbers on disk, which are never reused.
const PLATFORMS: [(Platform, u8); 6] = [
    (Platform::Ios, 1),
    (Platform::Ipados, 2),
    (Platform::Macos, 3),
    (Platform::Watchos, 4),
    (Platform::Visionos, 5),
    (Platform::Other, 6),
];
const HOWS: [(EndedHow, u8); 3] =
    [(EndedHow::Unbound, 1), (EndedHow::Deregistered, 2), (EndedHow::DeviceRemoved, 3)];
const KINDS: [(ChangeKind, u8); 7] = [
    (ChangeKind::DeviceRegistered, 1),
    (ChangeKind::DeviceRemoved, 2),
    (ChangeKind::HandleBound, 3),
    (ChangeKind::HandleUnbound, 4),
    (ChangeKind::HandleMoved, 5),
    (ChangeKind::HandleDeregistered, 6),
    (ChangeKind::LeaseExpired, 7),
];
const CAUSES: [(Cause, u8); 9] = [
    (Cause::SignUp, 1),
    (Cause::Linked, 2),
    (Cause::SignOut, 3),
    (Cause::Proof, 4),
    (Cause::ProofHeld, 5),
    (Cause::OwnerRequest, 6),
    (Cause::Deregistration, 7),
    (Cause::NewerProof, 8),
    (Cause::Silence, 9),
];

fn number<T: Copy + PartialEq>(table: &[(T, u8)], case: T) -> u8 {
    // Zero is nobody's number; the round-trip test meets every case.
    table.iter().find(|(one, _)| *one == case).map_or(0, |(_, number)| *number)
}

fn case<T: Copy>(table: &[(T, u8)], number: u8) -> Option<T> {
    table.iter().find(|(_, one)| *one == number).map(|(case, _)| *case)
}

/// A handle as a key.
pub(super) fn handle_key(handle: &Handle) -> Vec<u8> {
    match handle {
        Handle::Phone(key) => [&[PHONE][..], &key.bits().to_be_bytes()].concat(),
        Handle::Email(address) => [&[EMAIL][..], address.as_str().as_bytes()].concat(),
    }
}

fn read_handle(key: &[u8]) -> Option<Handle> {
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

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Option<u8>> {
    match bytes.split_first() {
        Some((&VERSION, row)) => match postcard::take_from_bytes(row) {
            Ok((row, [])) => Ok(row),
            _ => Err(None),
        },
        Some((&version, _)) if version > VERSION => Err(Some(version)),
        _ => Err(None),
    }
}

fn decode_in<'a, T: Deserialize<'a>>(
    table: &'static str,
    bytes: &'a [u8],
) -> Result<T, StoreError> {
    decode(bytes).map_err(|version| match version {
        Some(version) => StoreError::FormatUnknown(version),
        None => StoreError::RowUnreadable(table),
    })
}

pub(super) fn write_device(device: &Device) -> Vec<u8> {
    encode(&DeviceV1 {
        account: device.account.bits(),
        token_hash: device.token_hash.0,
        registered_at: device.registered_at.as_micros(),
        last_check_in_at: device.last_check_in_at.as_micros(),
        lease_until: device.lease_until.as_micros(),
        name: device.name.as_deref(),
        platform: number(&PLATFORMS, device.platform),
        lapse_recorded: device.lapse_recorded,
    })
}

pub(super) fn read_device(key: u64, bytes: &[u8]) -> Result<Row, StoreError> {
    let row: DeviceV1<'_> = decode_in(DEVICES, bytes)?;
    let device = Device {
        account: AccountId::from_bits(row.account),
        token_hash: TokenHash(row.token_hash),
        registered_at: Timestamp::from_micros(row.registered_at),
        last_check_in_at: Timestamp::from_micros(row.last_check_in_at),
        lease_until: Timestamp::from_micros(row.lease_until),
        name: row.name.map(Into::into),
        platform: case(&PLATFORMS, row.platform).ok_or(StoreError::RowUnreadable(DEVICES))?,
        lapse_recorded: row.lapse_recorded,
    };
    Ok(Row::Device(DeviceId::from_bits(key), device))
}

pub(super) fn write_claim(claim: &Claim) -> Vec<u8> {
    encode(&ClaimV1 {
        account: claim.account.bits(),
        proved_at: claim.proved_at.as_micros(),
        discoverable: claim.discoverable,
        devices: claim.devices.iter().map(|device| device.bits()).collect(),
    })
}

pub(super) fn read_claim(key: &[u8], bytes: &[u8]) -> Result<Row, StoreError> {
    let row: ClaimV1 = decode_in(CLAIMS, bytes)?;
    let handle = read_handle(key).ok_or(StoreError::RowUnreadable(CLAIMS))?;
    let claim = Claim {
        account: AccountId::from_bits(row.account),
        proved_at: Timestamp::from_micros(row.proved_at),
        discoverable: row.discoverable,
        devices: row.devices.into_iter().map(DeviceId::from_bits).collect(),
    };
    Ok(Row::Claim(handle, claim))
}

pub(super) fn write_ended(ended: Ended) -> Vec<u8> {
    encode(&EndedV1 { how: number(&HOWS, ended.how), at: ended.at.as_micros() })
}

pub(super) fn read_ended(key: &[u8], bytes: &[u8]) -> Result<Row, StoreError> {
    let row: EndedV1 = decode_in(ENDED, bytes)?;
    let handle = read_handle(key).ok_or(StoreError::RowUnreadable(ENDED))?;
    let how = case(&HOWS, row.how).ok_or(StoreError::RowUnreadable(ENDED))?;
    Ok(Row::Ended(handle, Ended { how, at: Timestamp::from_micros(row.at) }))
}

pub(super) fn write_change(change: &Change) -> Vec<u8> {
    encode(&ChangeV1 {
        id: change.id.bits(),
        at: change.at.as_micros(),
        kind: number(&KINDS, change.kind),
        cause: number(&CAUSES, change.cause),
        handle: change.handle.as_ref().map(handle_key),
        device: change.device.map(DeviceId::bits),
        account: change.account.map(AccountId::bits),
    })
}

pub(super) fn read_change(key: u64, bytes: &[u8]) -> Result<Row, StoreError> {
    let unreadable = StoreError::RowUnreadable(UNRECORDED);
    let row: ChangeV1 = decode_in(UNRECORDED, bytes)?;
    let (Some(kind), Some(cause)) = (case(&KINDS, row.kind), case(&CAUSES, row.cause)) else {
        return Err(unreadable);
    };
    let handle = match row.handle.as_deref().map(read_handle) {
        Some(None) => return Err(unreadable),
        handle => handle.flatten(),
    };
    let change = Change {
        id: ChangeId::from_bits(row.id),
        at: Timestamp::from_micros(row.at),
        kind,
        handle,
        device: row.device.map(DeviceId::from_bits),
        account: row.account.map(AccountId::from_bits),
        cause,
    };
    Ok(Row::Unrecorded(key, change))
}
