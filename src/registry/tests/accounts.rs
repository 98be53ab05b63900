//! Any account at all, for properties.

use proptest::prelude::*;

use super::*;
use crate::{
    registry::{
        account::{Account, Claim, Device, LostDetails},
        token::TokenHash,
    },
    vocabulary::HandleLoss,
};

/// Instants that fit the packed form.
fn times() -> impl Strategy<Value = Timestamp> {
    (0..1u64 << 56).prop_map(Timestamp::from_micros)
}

pub(in crate::registry) fn handles() -> impl Strategy<Value = Handle> {
    prop_oneof!["\\+[1-9][0-9]{6,14}", "[a-zäß]{1,30}@[a-z]{1,8}\\.org"]
        .prop_map(|text| Handle::from_canonical(&text).expect("it is canonical"))
}

/// A device of which only the id matters.
pub(in crate::registry) fn device(id: u64) -> Device {
    Device {
        id: DeviceId::from_bits(id),
        token_hash: TokenHash([7; 16]),
        registered_at: Timestamp::EPOCH,
        last_check_in_at: Timestamp::from_secs(1_800_000_000),
        name: None,
        platform: Platform::Ios,
        lapse_recorded: false,
    }
}

fn devices() -> impl Strategy<Value = Vec<Device>> {
    let one = (any::<u64>(), any::<[u8; 16]>(), times(), times(), any::<Option<String>>());
    let one = (one, 0..6usize, any::<bool>()).prop_map(
        |((id, hash, registered_at, last_check_in_at, name), platform, lapse_recorded)| Device {
            id: DeviceId::from_bits(id),
            token_hash: TokenHash(hash),
            registered_at,
            last_check_in_at,
            name: name.map(Into::into),
            platform: Platform::ALL[platform],
            lapse_recorded,
        },
    );
    prop::collection::vec(one, 1..20).prop_map(|mut devices| {
        devices.sort_by_key(|device| device.id);
        devices.dedup_by_key(|device| device.id);
        devices
    })
}

/// Any account at all.
pub(in crate::registry) fn account() -> impl Strategy<Value = Account> {
    let claim = (handles(), times(), any::<bool>(), any::<u32>());
    let claims = prop::collection::vec(claim, 0..6);
    let hows = [
        HandleLoss::Moved,
        HandleLoss::Deregistered,
        HandleLoss::Unbound,
        HandleLoss::DeviceRemoved,
    ];
    let lost = (handles(), prop::sample::select(hows.to_vec()), times());
    let lost = lost.prop_map(|(handle, how, at)| LostDetails { handle, how, at });
    (any::<u64>(), devices(), claims, prop::collection::vec(lost, 0..3)).prop_map(
        |(id, devices, claims, lost)| {
            let mut account =
                Account { id: AccountId::from_bits(id), devices, claims: Vec::new(), lost };
            for (handle, proved_at, discoverable, mask) in claims {
                if account.claim(&handle).is_some() {
                    continue;
                }
                let ids = account.devices.iter().enumerate();
                let backs = ids.filter(|(place, _)| *place == 0 || mask & (1 << place) != 0);
                let devices = backs.map(|(_, device)| device.id).collect();
                account.claims.push(Claim { handle, proved_at, discoverable, devices });
            }
            account
        },
    )
}
