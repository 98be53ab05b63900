//! The accounts of a staged file as bytes. Decoding refuses an account that the registry could not hold.

use std::borrow::Cow;

use postcard::fixint::le;
use serde::{Deserialize, Serialize};

use super::layout::StagedError;
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    registry::{TransferAccount, TransferClaim, TransferDevice},
    vocabulary::Platform,
};

#[derive(Serialize, Deserialize)]
struct StoredAccount<'a> {
    #[serde(with = "le")]
    account: u64,
    #[serde(borrow)]
    devices: Vec<StoredDevice<'a>>,
    #[serde(borrow)]
    claims: Vec<StoredClaim<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredDevice<'a> {
    #[serde(with = "le")]
    device: u64,
    platform: u8,
    last_check_in_at: u64,
    registered_at: Option<u64>,
    name: Option<&'a str>,
    token_hash: Option<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
struct StoredClaim<'a> {
    #[serde(borrow)]
    handle: Cow<'a, str>,
    proved_at: Option<u64>,
    discoverable: bool,
    /// Indices into the account's list of devices.
    devices: Vec<u16>,
}

/// Appends an account. Its devices must be in ascending order of their ids, and its claims of their canonical text.
pub(super) fn encode_account(account: &TransferAccount, out: Vec<u8>) -> Vec<u8> {
    let devices = account.devices.iter().map(|device| StoredDevice {
        device: device.device.bits(),
        platform: device.platform.number(),
        last_check_in_at: device.last_check_in_at.as_micros(),
        registered_at: device.registered_at.map(Timestamp::as_micros),
        name: device.name.as_deref(),
        token_hash: device.token_hash,
    });
    let index = |device: &DeviceId| {
        let index = account.devices.binary_search_by_key(device, |device| device.device);
        u16::try_from(index.expect("a claim names devices of its account")).expect("at most 255")
    };
    let claims = account.claims.iter().map(|claim| StoredClaim {
        handle: claim.handle.canonical(),
        proved_at: claim.proved_at.map(Timestamp::as_micros),
        discoverable: claim.discoverable,
        devices: claim.devices.iter().map(index).collect(),
    });
    let stored = StoredAccount {
        account: account.account.bits(),
        devices: devices.collect(),
        claims: claims.collect(),
    };
    postcard::to_extend(&stored, out).expect("an account serializes")
}

/// Decodes the account at the front of `bytes`, and returns the bytes after it.
pub(super) fn decode_account(bytes: &[u8]) -> Result<(TransferAccount, &[u8]), StagedError> {
    let (stored, rest) = postcard::take_from_bytes::<StoredAccount<'_>>(bytes)
        .map_err(|_| StagedError::Invalid("an account cannot be read"))?;
    let devices = devices(&stored.devices)?;
    let claims = claims(&stored.claims, &devices)?;
    let account = AccountId::from_bits(stored.account);
    Ok((TransferAccount { account, devices, claims }, rest))
}

fn devices(stored: &[StoredDevice<'_>]) -> Result<Vec<TransferDevice>, StagedError> {
    require(!stored.is_empty(), "an account has no device")?;
    let is_bounded = stored.len() <= limits::STAGED_DEVICES_PER_ACCOUNT_MAX;
    require(is_bounded, "an account has too many devices")?;
    let is_sorted = stored.is_sorted_by(|one, other| one.device < other.device);
    require(is_sorted, "an account's devices are not in order")?;
    let device = |stored: &StoredDevice<'_>| {
        let name = stored.name.map(str::to_owned);
        let fits = |name: &String| (1..=limits::DEVICE_NAME_BYTES_MAX).contains(&name.len());
        require(name.as_ref().is_none_or(fits), "a device's name has a wrong length")?;
        let platform = Platform::from_number(stored.platform);
        Ok(TransferDevice {
            device: DeviceId::from_bits(stored.device),
            platform: platform.ok_or(StagedError::Invalid("a platform is unknown"))?,
            last_check_in_at: Timestamp::from_micros(stored.last_check_in_at),
            registered_at: stored.registered_at.map(Timestamp::from_micros),
            name,
            token_hash: stored.token_hash,
        })
    };
    stored.iter().map(device).collect()
}

fn claims(
    stored: &[StoredClaim<'_>],
    devices: &[TransferDevice],
) -> Result<Vec<TransferClaim>, StagedError> {
    let is_bounded = stored.len() <= limits::HANDLES_PER_ACCOUNT_MAX;
    require(is_bounded, "an account has too many handles")?;
    let is_sorted = stored.is_sorted_by(|one, other| one.handle < other.handle);
    require(is_sorted, "an account's handles are not in order")?;
    let claim = |stored: &StoredClaim<'_>| {
        require(!stored.devices.is_empty(), "a handle has no device")?;
        let is_sorted = stored.devices.is_sorted_by(|one, other| one < other);
        require(is_sorted, "a handle's devices are not in order")?;
        let backing = stored.devices.iter().map(|index| devices.get(usize::from(*index)));
        let backing: Option<Vec<_>> = backing.map(|found| Some(found?.device)).collect();
        Ok(TransferClaim {
            handle: handle(&stored.handle)
                .ok_or(StagedError::Invalid("a handle is not in canonical form"))?,
            proved_at: stored.proved_at.map(Timestamp::from_micros),
            discoverable: stored.discoverable,
            devices: backing.ok_or(StagedError::Invalid("a handle's device is missing"))?,
        })
    };
    stored.iter().map(claim).collect()
}

/// Checks the form of a number, and parses an address again: its text could otherwise break the lines of the log.
fn handle(text: &str) -> Option<Handle> {
    let handle = Handle::from_canonical(text)?;
    let is_valid = matches!(handle, Handle::Phone(_)) || is_canonical(&handle);
    is_valid.then_some(handle)
}

/// Whether the handle's text parses to itself.
pub(super) fn is_canonical(handle: &Handle) -> bool {
    Handle::parse(&handle.canonical(), None).as_ref() == Ok(handle)
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), StagedError> {
    if holds { Ok(()) } else { Err(StagedError::Invalid(otherwise)) }
}
