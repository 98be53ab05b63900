//! An account into its packed form.

use crate::{clock::Timestamp, handle::Handle, registry::account::Account};

use super::layout::{
    DEVICE_BYTES, DISCOVERABLE, EMAIL, HAS_LOST, HEAD_BYTES, INSTANT_BYTES, INSTANT_MAX,
    LAPSE_RECORDED, NUMBER_BYTES, PARTLY,
};

/// The packed form of `account`.
pub(in crate::registry) fn pack(account: &Account) -> Vec<u8> {
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
        let is_partly = claim.devices.as_slice().len() < account.devices.len();
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

fn push_instant(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(&at.as_micros().min(INSTANT_MAX).to_le_bytes()[..INSTANT_BYTES]);
}
