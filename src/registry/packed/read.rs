//! Reading a packed account in place.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::{AccountId, DeviceId},
    registry::{handle_state::HandleState, token::TokenHash},
    vocabulary::Platform,
};

use super::layout::{
    DEVICE_BYTES, DISCOVERABLE, EMAIL, HAS_LOST, HEAD_BYTES, INSTANT_BYTES, LAPSE_RECORDED,
    NUMBER_BYTES, PARTLY, PLATFORM, TOKEN_BYTES,
};

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// A packed account, to read. Made of bytes that [`pack`](super::pack()) wrote or [`Packed::check`] found to be such.
#[derive(Clone, Copy)]
pub(in crate::registry) struct Packed<'a>(&'a [u8]);

/// A device in a packed account.
#[derive(Clone, Copy)]
pub(in crate::registry) struct PackedDevice<'a>(&'a [u8]);

/// A handle in a packed account.
#[derive(Clone, Copy)]
pub(in crate::registry) struct PackedHandle<'a> {
    flags: u8,
    name: Name<'a>,
    /// Which devices back it, if not all do.
    backing: Option<&'a [u8]>,
}

/// What a handle is called: enough to compare and to hash without making a [`Handle`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::registry) enum Name<'a> {
    Phone(u64),
    Email(&'a [u8]),
}

impl<'a> Packed<'a> {
    /// Reads `bytes`, which hold one packed account and perhaps more behind it.
    pub(in crate::registry) fn of(bytes: &'a [u8]) -> Self {
        let len = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        Self(&bytes[..len])
    }

    /// Reads `bytes` from the store: the whole of it must be one packed account.
    pub(in crate::registry) fn check(bytes: &'a [u8]) -> Option<Self> {
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

    pub(in crate::registry) fn bytes(&self) -> &'a [u8] {
        self.0
    }

    pub(in crate::registry) fn account(&self) -> AccountId {
        AccountId::from_bits(word(&self.0[2..10]))
    }

    /// When the oldest of what the account lost lately was lost.
    pub(in crate::registry) fn oldest_loss(&self) -> Option<Timestamp> {
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

    pub(in crate::registry) fn devices(
        &self,
    ) -> impl ExactSizeIterator<Item = PackedDevice<'a>> + use<'a> {
        self.0[self.devices_at()..self.handles_at()].chunks_exact(DEVICE_BYTES).map(PackedDevice)
    }

    pub(in crate::registry) fn handles_len(&self) -> usize {
        usize::from(self.0[11] & !HAS_LOST)
    }

    pub(in crate::registry) fn device(&self, id: DeviceId) -> Option<PackedDevice<'a>> {
        self.devices().find(|device| device.id() == id)
    }

    pub(in crate::registry) fn handles(&self) -> impl Iterator<Item = PackedHandle<'a>> + use<'a> {
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

    /// What a lookup finds at the handle called `name`, which the account holds.
    pub(in crate::registry) fn probe(
        &self,
        name: Name<'_>,
        lease: Duration,
    ) -> Option<HandleState> {
        let handle = self.handles().find(|handle| handle.name == name)?;
        let backing = self.devices().enumerate().filter(|(place, _)| handle.is_backed_by(*place));
        let last = backing.map(|(_, device)| device.last_check_in_at()).max()?;
        Some(HandleState::Claimed {
            account: self.account(),
            live_until: last.plus(lease),
            discoverable: handle.discoverable(),
        })
    }
}

impl PackedDevice<'_> {
    pub(in crate::registry) fn id(&self) -> DeviceId {
        DeviceId::from_bits(word(&self.0[..8]))
    }

    pub(in crate::registry) fn token_hash(&self) -> TokenHash {
        let mut hash = [0; TOKEN_BYTES];
        hash.copy_from_slice(&self.0[8..24]);
        TokenHash(hash)
    }

    pub(in crate::registry) fn last_check_in_at(&self) -> Timestamp {
        Timestamp::from_micros(word(&self.0[24..31]))
    }

    pub(in crate::registry) fn platform(&self) -> Platform {
        self.platform_number().unwrap_or(Platform::Other)
    }

    fn platform_number(&self) -> Option<Platform> {
        Platform::from_number(self.0[31] & PLATFORM)
    }

    pub(in crate::registry) fn lapse_recorded(&self) -> bool {
        self.0[31] & LAPSE_RECORDED != 0
    }
}

impl<'a> PackedHandle<'a> {
    pub(in crate::registry) fn name(&self) -> Name<'a> {
        self.name
    }

    pub(in crate::registry) fn discoverable(&self) -> bool {
        self.flags & DISCOVERABLE != 0
    }

    /// Whether the device at `place` among the account's devices backs it.
    pub(in crate::registry) fn is_backed_by(&self, place: usize) -> bool {
        self.backing.is_none_or(|bits| bits[place / 8] & (1 << (place % 8)) != 0)
    }

    /// The handle itself; none if these are not the bytes of one.
    pub(in crate::registry) fn handle(&self) -> Option<Handle> {
        match self.name {
            Name::Phone(number) => PhoneKey::from_bits(number).map(Handle::Phone),
            Name::Email(text) => Handle::from_canonical(std::str::from_utf8(text).ok()?)
                .filter(|handle| matches!(handle, Handle::Email(_))),
        }
    }
}

impl<'a> Name<'a> {
    pub(in crate::registry) fn of(handle: &'a Handle) -> Self {
        match handle {
            Handle::Phone(key) => Self::Phone(key.bits()),
            Handle::Email(address) => Self::Email(address.as_str().as_bytes()),
        }
    }
}
