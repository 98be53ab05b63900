//! The bytes of a staged file's parts, and what makes an account of them possible.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{StagedError, StagedTotals};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    registry::{Platform, TransferAccount, TransferClaim, TransferDevice},
    tables::accounts::source::ImportDigest,
};

const MAGIC: &[u8; 8] = b"DDSTAGED";
const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 76;
pub(super) const BLOCK_HEAD_BYTES: usize = 16;
/// After the zero that tells the end from a block.
pub(super) const END_BYTES: usize = 60;

/// What a staged file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) digest: ImportDigest,
    pub(super) totals: StagedTotals,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(self.digest.bytes());
        push_totals(&mut bytes, self.totals);
        push_crc(&mut bytes);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, StagedError> {
        if !bytes.starts_with(MAGIC) {
            return Err(StagedError::NotStaged);
        }
        let mut rest = checked(bytes)?;
        let _: [u8; 8] = take(&mut rest)?;
        let version = u32::from_le_bytes(take(&mut rest)?);
        let zero: [u8; 4] = take(&mut rest)?;
        if version != VERSION || zero != [0; 4] {
            return Err(StagedError::Version(version));
        }
        let digest = ImportDigest::from_bytes(take(&mut rest)?);
        Ok(Self { digest, totals: take_totals(&mut rest)? })
    }
}

/// What stands before a block's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub(super) payload_bytes: u32,
    pub(super) accounts: u32,
    pub(super) last: u64,
}

impl BlockHead {
    pub(super) fn encode(self) -> [u8; BLOCK_HEAD_BYTES] {
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.accounts.to_le_bytes());
        bytes[8..].copy_from_slice(&self.last.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StagedError> {
        let mut rest = bytes;
        Ok(Self {
            payload_bytes: u32::from_le_bytes(take(&mut rest)?),
            accounts: u32::from_le_bytes(take(&mut rest)?),
            last: u64::from_le_bytes(take(&mut rest)?),
        })
    }
}

/// The end, its zero included.
pub(super) fn encode_end(totals: StagedTotals, sha256: &[u8; 32]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    push_totals(&mut bytes, totals);
    bytes.extend_from_slice(sha256);
    push_crc(&mut bytes);
    bytes
}

/// The end's totals and digest, from its bytes with the zero.
pub(super) fn decode_end(
    bytes: &[u8; 4 + END_BYTES],
) -> Result<(StagedTotals, [u8; 32]), StagedError> {
    let mut rest = checked(bytes)?;
    let _: [u8; 4] = take(&mut rest)?;
    Ok((take_totals(&mut rest)?, take(&mut rest)?))
}

fn push_totals(bytes: &mut Vec<u8>, totals: StagedTotals) {
    for count in [totals.accounts, totals.devices, totals.handles] {
        bytes.extend_from_slice(&count.to_le_bytes());
    }
}

fn take_totals(rest: &mut &[u8]) -> Result<StagedTotals, StagedError> {
    Ok(StagedTotals {
        accounts: u64::from_le_bytes(take(rest)?),
        devices: u64::from_le_bytes(take(rest)?),
        handles: u64::from_le_bytes(take(rest)?),
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], StagedError> {
    let (first, after) = rest.split_first_chunk::<N>().ok_or(StagedError::CutOff)?;
    *rest = after;
    Ok(*first)
}

/// Appends the checksum of all bytes.
pub(super) fn push_crc(bytes: &mut Vec<u8>) {
    let crc = crc32fast::hash(bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
}

/// The bytes without their checksum, if it is right.
pub(super) fn checked(bytes: &[u8]) -> Result<&[u8], StagedError> {
    let (content, crc) = bytes.split_last_chunk::<4>().ok_or(StagedError::CutOff)?;
    let is_right = crc32fast::hash(content) == u32::from_le_bytes(*crc);
    is_right.then_some(content).ok_or(StagedError::Damaged)
}

#[derive(Serialize, Deserialize)]
struct AccountV1<'a> {
    account: [u8; 8],
    #[serde(borrow)]
    devices: Vec<DeviceV1<'a>>,
    #[serde(borrow)]
    claims: Vec<ClaimV1<'a>>,
}

#[derive(Serialize, Deserialize)]
struct DeviceV1<'a> {
    device: [u8; 8],
    platform: u8,
    last_check_in_at: u64,
    registered_at: Option<u64>,
    name: Option<&'a str>,
    token_hash: Option<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
struct ClaimV1<'a> {
    #[serde(borrow)]
    handle: Cow<'a, str>,
    proved_at: Option<u64>,
    discoverable: bool,
    /// Places in the account's list of devices.
    devices: Vec<u16>,
}

/// Appends an account whose devices are in ascending order of their ids, and its claims of their canonical text.
pub(super) fn encode_account(account: &TransferAccount, out: Vec<u8>) -> Vec<u8> {
    let place = |device: &DeviceId| {
        let place = account.devices.binary_search_by_key(device, |device| device.device);
        u16::try_from(place.expect("a claim names devices of its account")).expect("they are few")
    };
    let claims = account.claims.iter().map(|claim| ClaimV1 {
        handle: claim.handle.canonical(),
        proved_at: claim.proved_at.map(Timestamp::as_micros),
        discoverable: claim.discoverable,
        devices: claim.devices.iter().map(place).collect(),
    });
    let stored = AccountV1 {
        account: account.account.bits().to_le_bytes(),
        devices: account.devices.iter().map(stored_device).collect(),
        claims: claims.collect(),
    };
    postcard::to_extend(&stored, out).expect("memory takes any account")
}

fn stored_device(device: &TransferDevice) -> DeviceV1<'_> {
    DeviceV1 {
        device: device.device.bits().to_le_bytes(),
        platform: device.platform as u8,
        last_check_in_at: device.last_check_in_at.as_micros(),
        registered_at: device.registered_at.map(Timestamp::as_micros),
        name: device.name.as_deref(),
        token_hash: device.token_hash,
    }
}

/// Takes an account off the front of `bytes`.
pub(super) fn take_account(bytes: &[u8]) -> Result<(TransferAccount, &[u8]), StagedError> {
    let (stored, rest) = postcard::take_from_bytes::<AccountV1<'_>>(bytes)
        .map_err(|_| StagedError::Invalid("an account cannot be read"))?;
    let devices = devices(&stored.devices)?;
    let claims = claims(&stored.claims, &devices)?;
    let account = AccountId::from_bits(u64::from_le_bytes(stored.account));
    Ok((TransferAccount { account, devices, claims }, rest))
}

fn devices(stored: &[DeviceV1<'_>]) -> Result<Vec<TransferDevice>, StagedError> {
    require(!stored.is_empty(), "an account has no device")?;
    let is_bounded = stored.len() <= limits::STAGED_DEVICES_PER_ACCOUNT_MAX;
    require(is_bounded, "an account has too many devices")?;
    let id = |stored: &DeviceV1<'_>| u64::from_le_bytes(stored.device);
    let is_sorted = stored.is_sorted_by(|one, other| id(one) < id(other));
    require(is_sorted, "an account's devices are not in order")?;
    let device = |stored: &DeviceV1<'_>| {
        let name = stored.name.map(str::to_owned);
        let fits = |name: &String| (1..=limits::DEVICE_NAME_BYTES_MAX).contains(&name.len());
        require(name.as_ref().is_none_or(fits), "a device's name has a wrong length")?;
        let platform = Platform::ALL.get(usize::from(stored.platform));
        Ok(TransferDevice {
            device: DeviceId::from_bits(id(stored)),
            platform: *platform.ok_or(StagedError::Invalid("a platform is unknown"))?,
            last_check_in_at: Timestamp::from_micros(stored.last_check_in_at),
            registered_at: stored.registered_at.map(Timestamp::from_micros),
            name,
            token_hash: stored.token_hash,
        })
    };
    stored.iter().map(device).collect()
}

fn claims(
    stored: &[ClaimV1<'_>],
    devices: &[TransferDevice],
) -> Result<Vec<TransferClaim>, StagedError> {
    let is_bounded = stored.len() <= limits::HANDLES_PER_ACCOUNT_MAX;
    require(is_bounded, "an account has too many handles")?;
    let is_sorted = stored.is_sorted_by(|one, other| one.handle < other.handle);
    require(is_sorted, "an account's handles are not in order")?;
    let claim = |stored: &ClaimV1<'_>| {
        require(!stored.devices.is_empty(), "a handle has no device")?;
        let is_sorted = stored.devices.is_sorted_by(|one, other| one < other);
        require(is_sorted, "a handle's devices are not in order")?;
        let backing = stored.devices.iter().map(|place| devices.get(usize::from(*place)));
        let backing: Option<Vec<_>> = backing.map(|found| Some(found?.device)).collect();
        Ok(TransferClaim {
            handle: handle(&stored.handle)
                .ok_or(StagedError::Invalid("a handle is not in canonical form"))?,
            proved_at: stored.proved_at.map(Timestamp::from_micros),
            discoverable: stored.discoverable,
            devices: backing.ok_or(StagedError::Invalid("a handle's device is not there"))?,
        })
    };
    stored.iter().map(claim).collect()
}

/// A number is taken by its form. An address is parsed anew: what it may hold is what keeps the log's lines apart.
fn handle(text: &str) -> Option<Handle> {
    let handle = Handle::from_canonical(text)?;
    let is_plain = match &handle {
        Handle::Phone(_) => true,
        Handle::Email(_) => is_canonical(&handle),
    };
    is_plain.then_some(handle)
}

/// Whether the handle's text parses to itself.
pub(super) fn is_canonical(handle: &Handle) -> bool {
    Handle::parse(&handle.canonical(), None).as_ref() == Ok(handle)
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), StagedError> {
    if holds { Ok(()) } else { Err(StagedError::Invalid(otherwise)) }
}
