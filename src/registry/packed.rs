//! An account as the index keeps it: only what a lookup, a token or a scan needs, in as few bytes as that takes.
//!
//! What nobody needs in a hurry (names, dates of sign-up and of proofs) is in the store only. Ten million people are
//! why: a `HashMap` of structs takes 300 bytes and more for each of them, this takes 52 for one phone with one number.
//!
//! ```text
//! head      u16 length of it all · u64 account · u8 devices · u8 handles, high bit: something was lost
//! if lost   7 bytes: when the oldest of it was
//! a device  u64 id · 16 bytes token hash · 7 bytes last check-in · u8 platform, lapse recorded
//! a handle  u8 kind, discoverable, partly backed · 7 bytes number, or u8 length and text of an address
//!           if partly backed: one bit for each device
//! ```
//!
//! Numbers are little-endian, instants are microseconds since the epoch (7 bytes reach the year 4253). The store keeps
//! these very bytes at the front of an account's row, so that loading is copying.

use super::{account::Account, handle_state::HandleState, token::TokenHash};
use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::{AccountId, DeviceId},
    vocabulary::Platform,
};

pub(super) const HEAD_BYTES: usize = 12;
const DEVICE_BYTES: usize = 32;
const TOKEN_BYTES: usize = 16;
const INSTANT_BYTES: usize = 7;
const NUMBER_BYTES: usize = 7;
const INSTANT_MAX: u64 = (1 << 56) - 1;

const HAS_LOST: u8 = 0x80;
/// Devices of one account that the form can hold.
pub(super) const DEVICES_MAX: usize = 255;

const PLATFORM: u8 = 0b0111;
const LAPSE_RECORDED: u8 = 0b1000;

const EMAIL: u8 = 1;
const DISCOVERABLE: u8 = 2;
const PARTLY: u8 = 4;

/// The packed form of `account`.
pub(super) fn pack(account: &Account) -> Vec<u8> {
    let mut out = Vec::with_capacity(
        HEAD_BYTES + account.devices.len() * DEVICE_BYTES + account.claims.len() * 32,
    );
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&account.id.bits().to_le_bytes());
    // Both counts are limited far below: see `limits::HANDLES_PER_ACCOUNT_MAX` and `DEVICES_MAX`.
    out.push(account.devices.len() as u8);
    out.push(account.claims.len() as u8 | if account.lost.is_empty() { 0 } else { HAS_LOST });
    if let Some(oldest) = account.lost.iter().map(|lost| lost.at).min() {
        push_instant(&mut out, oldest);
    }
    for device in &account.devices {
        out.extend_from_slice(&device.id.bits().to_le_bytes());
        out.extend_from_slice(&device.token_hash.0);
        push_instant(&mut out, device.last_check_in_at);
        let lapse = if device.lapse_recorded { LAPSE_RECORDED } else { 0 };
        out.push(device.platform.number() | lapse);
    }
    for claim in &account.claims {
        let is_partly = claim.devices.len() < account.devices.len();
        let discoverable = if claim.discoverable { DISCOVERABLE } else { 0 };
        let flags = discoverable | if is_partly { PARTLY } else { 0 };
        match &claim.handle {
            Handle::Phone(key) => {
                out.push(flags);
                out.extend_from_slice(&key.bits().to_le_bytes()[..NUMBER_BYTES]);
            }
            Handle::Email(address) => {
                out.push(flags | EMAIL);
                // At most 254 bytes (`limits::EMAIL_BYTES_MAX`).
                out.push(address.as_str().len() as u8);
                out.extend_from_slice(address.as_str().as_bytes());
            }
        }
        if is_partly {
            let bits = out.len();
            out.resize(bits + account.devices.len().div_ceil(8), 0);
            let backs = |place: &usize| claim.devices.contains(&account.devices[*place].id);
            for place in (0..account.devices.len()).filter(backs) {
                out[bits + place / 8] |= 1 << (place % 8);
            }
        }
    }
    let len = out.len() as u16;
    out[..2].copy_from_slice(&len.to_le_bytes());
    out
}

/// Renews a device in the packed account `bytes`: it checked in at `at`, and no lapse of its lease is recorded. False if the
/// account has no such device.
pub(super) fn check_in(bytes: &mut [u8], device: DeviceId, at: Timestamp) -> bool {
    let packed = Packed::of(bytes);
    let Some(number) = packed.devices().position(|one| one.id() == device) else {
        return false;
    };
    let first = packed.devices_at() + number * DEVICE_BYTES;
    let device = &mut bytes[first..first + DEVICE_BYTES];
    device[24..31].copy_from_slice(&instant(at));
    device[31] &= !LAPSE_RECORDED;
    true
}

fn instant(at: Timestamp) -> [u8; INSTANT_BYTES] {
    let [instant @ .., _] = at.as_micros().min(INSTANT_MAX).to_le_bytes();
    instant
}

fn push_instant(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(&instant(at));
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// A packed account, to read. Made of bytes that [`pack`] wrote or [`Packed::check`] found to be such.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a>(&'a [u8]);

/// A device in a packed account.
#[derive(Clone, Copy)]
pub(super) struct PackedDevice<'a>(&'a [u8]);

/// A handle in a packed account.
#[derive(Clone, Copy)]
pub(super) struct PackedHandle<'a> {
    flags: u8,
    name: Name<'a>,
    /// Which devices back it, if not all do.
    backing: Option<&'a [u8]>,
}

/// What a handle is called: enough to compare and to hash without making a [`Handle`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Name<'a> {
    Phone(u64),
    Email(&'a [u8]),
}

impl<'a> Packed<'a> {
    /// Reads `bytes`, which hold one packed account and perhaps more behind it.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let len = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        Self(&bytes[..len])
    }

    /// Reads `bytes` from the store: the whole of it must be one packed account.
    pub(super) fn check(bytes: &'a [u8]) -> Option<Self> {
        let len = usize::from(u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]));
        if len != bytes.len() || len < HEAD_BYTES || bytes[10] == 0 {
            return None;
        }
        let mut rest = bytes.get(Self(bytes).handles_at()..)?;
        let (devices, handles) = (usize::from(bytes[10]), bytes[11] & !HAS_LOST);
        let platforms = Self(bytes).devices().all(|device| device.platform_number().is_some());
        for _ in 0..handles {
            let flags = *rest.first()?;
            let name =
                if flags & EMAIL == 0 { NUMBER_BYTES } else { 1 + usize::from(*rest.get(1)?) };
            let bits = if flags & PARTLY == 0 { 0 } else { devices.div_ceil(8) };
            rest = rest.get(1 + name + bits..)?;
        }
        (rest.is_empty() && platforms).then_some(Self(bytes))
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn account(&self) -> AccountId {
        AccountId::from_bits(word(&self.0[2..10]))
    }

    /// When the oldest of what the account lost lately was lost.
    pub(super) fn oldest_loss(&self) -> Option<Timestamp> {
        let at = HEAD_BYTES..HEAD_BYTES + INSTANT_BYTES;
        self.has_lost().then(|| Timestamp::from_micros(word(&self.0[at])))
    }

    fn has_lost(&self) -> bool {
        self.0[11] & HAS_LOST != 0
    }

    fn devices_at(&self) -> usize {
        HEAD_BYTES + if self.has_lost() { INSTANT_BYTES } else { 0 }
    }

    fn handles_at(&self) -> usize {
        self.devices_at() + usize::from(self.0[10]) * DEVICE_BYTES
    }

    pub(super) fn devices(&self) -> impl ExactSizeIterator<Item = PackedDevice<'a>> + use<'a> {
        self.0[self.devices_at()..self.handles_at()].chunks_exact(DEVICE_BYTES).map(PackedDevice)
    }

    pub(super) fn handles_len(&self) -> usize {
        usize::from(self.0[11] & !HAS_LOST)
    }

    pub(super) fn device(&self, id: DeviceId) -> Option<PackedDevice<'a>> {
        self.devices().find(|device| device.id() == id)
    }

    pub(super) fn handles(&self) -> impl Iterator<Item = PackedHandle<'a>> + use<'a> {
        let devices = usize::from(self.0[10]);
        let mut rest = &self.0[self.handles_at()..];
        std::iter::from_fn(move || {
            let (&flags, after) = rest.split_first()?;
            let (name, after) = if flags & EMAIL == 0 {
                let (number, after) = after.split_at(NUMBER_BYTES);
                (Name::Phone(word(number)), after)
            } else {
                let (text, after) = after[1..].split_at(usize::from(after[0]));
                (Name::Email(text), after)
            };
            let bits = if flags & PARTLY == 0 { 0 } else { devices.div_ceil(8) };
            let (backing, after) = after.split_at(bits);
            rest = after;
            Some(PackedHandle { flags, name, backing: (bits > 0).then_some(backing) })
        })
    }

    /// The handle called `name`, if the account holds it. Compares all of them, so the time does not tell where it lies.
    pub(super) fn handle(&self, name: Name<'_>) -> Option<PackedHandle<'a>> {
        self.handles().filter(|handle| handle.name == name).last()
    }

    /// What a lookup finds at `handle`, which is one of the account's.
    pub(super) fn probe(
        &self,
        handle: PackedHandle<'_>,
        live_until: impl Fn(Timestamp) -> Timestamp,
    ) -> Option<HandleState> {
        let backing = self.devices().enumerate().filter(|(place, _)| handle.is_backed_by(*place));
        let leases =
            backing.map(|(_, device)| (live_until(device.last_check_in_at()), device.id()));
        let (live_until, device) = leases.max()?;
        Some(HandleState::Claimed {
            account: self.account(),
            device,
            live_until,
            discoverable: handle.discoverable(),
        })
    }
}

impl PackedDevice<'_> {
    pub(super) fn id(&self) -> DeviceId {
        DeviceId::from_bits(word(&self.0[..8]))
    }

    pub(super) fn token_hash(&self) -> TokenHash {
        let mut hash = [0; TOKEN_BYTES];
        hash.copy_from_slice(&self.0[8..24]);
        TokenHash(hash)
    }

    pub(super) fn last_check_in_at(&self) -> Timestamp {
        Timestamp::from_micros(word(&self.0[24..31]))
    }

    pub(super) fn platform(&self) -> Platform {
        self.platform_number().unwrap_or(Platform::Other)
    }

    fn platform_number(&self) -> Option<Platform> {
        Platform::from_number(self.0[31] & PLATFORM)
    }

    pub(super) fn lapse_recorded(&self) -> bool {
        self.0[31] & LAPSE_RECORDED != 0
    }
}

impl<'a> PackedHandle<'a> {
    pub(super) fn name(&self) -> Name<'a> {
        self.name
    }

    pub(super) fn discoverable(&self) -> bool {
        self.flags & DISCOVERABLE != 0
    }

    /// Whether the device at `place` among the account's devices backs it.
    pub(super) fn is_backed_by(&self, place: usize) -> bool {
        self.backing.is_none_or(|bits| bits[place / 8] & (1 << (place % 8)) != 0)
    }

    /// The handle itself; none if these are not the bytes of one.
    pub(super) fn handle(&self) -> Option<Handle> {
        match self.name {
            Name::Phone(number) => PhoneKey::from_bits(number).map(Handle::Phone),
            Name::Email(text) => Handle::from_canonical(std::str::from_utf8(text).ok()?)
                .filter(|handle| matches!(handle, Handle::Email(_))),
        }
    }
}

impl<'a> Name<'a> {
    pub(super) fn of(handle: &'a Handle) -> Self {
        match handle {
            Handle::Phone(key) => Self::Phone(key.bits()),
            Handle::Email(address) => Self::Email(address.as_str().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests;
