//! Imports: pieces that meet what is here in every way, and what the model says of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    truth::{Claim, Device, Told, Truth},
    *,
};
use crate::{
    registry::{DeviceToken, Imported, TransferAccount, TransferClaim, TransferDevice},
    vocabulary::{Cause, ChangeKind, HandleLoss},
};

/// Ids that imports make up: few, so that they meet those of earlier imports.
const MADE_UP: std::ops::Range<u64> = 100..108;
const DAY: u64 = 86_400;

/// Whose id an account or a device in a file has.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry::tests) enum Whose {
    /// One made up for the file.
    MadeUp(u64),
    /// One that is here, or lately was.
    Known(usize),
}

/// How long before the import something happened, in seconds; or that it lies ahead.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry::tests) enum When {
    Ago(u64),
    Ahead,
}

/// An account on its way in, by numbers.
#[derive(Clone, Debug)]
pub(in crate::registry::tests) struct Arrival {
    account: Whose,
    /// Whose it is, when it last checked in, and whether the file has its token.
    devices: Vec<(Whose, When, bool)>,
    /// The handle, its proof, whether it is shown, and which devices back it.
    claims: Vec<(usize, Option<When>, bool, u8)>,
}

fn whose() -> impl Strategy<Value = Whose> {
    prop_oneof![3 => MADE_UP.prop_map(Whose::MadeUp), 1 => (0..8usize).prop_map(Whose::Known)]
}

fn when() -> impl Strategy<Value = When> {
    let spans = [0, 1, 50, 99, 100, DAY, 29 * DAY, 30 * DAY, 31 * DAY, 39 * DAY, 40 * DAY];
    prop_oneof![8 => prop::sample::select(spans.to_vec()).prop_map(When::Ago), 1 => Just(When::Ahead)]
}

/// A piece of an import that speaks of the first `names` handles.
pub(in crate::registry::tests) fn arrivals(names: usize) -> impl Strategy<Value = Vec<Arrival>> {
    let devices = prop::collection::vec((whose(), when(), any::<bool>()), 1..4);
    let claim = (0..names, prop::option::weighted(0.8, when()), any::<bool>(), 1..8u8);
    let claims = prop::collection::vec(claim, 0..4);
    let arrival = (whose(), devices, claims).prop_map(|(account, devices, claims)| Arrival {
        account,
        devices,
        claims,
    });
    prop::collection::vec(arrival, 1..5)
}

impl When {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(secs) => now.minus(Duration::from_secs(secs)),
            Self::Ahead => now.plus(Duration::from_secs(3_600)),
        }
    }
}

/// The piece that `arrivals` make: accounts in the order of their ids, each handle and device in one of them.
pub(in crate::registry::tests) fn piece(
    arrivals: &[Arrival],
    truth: &mut Truth,
    now: Timestamp,
) -> Vec<TransferAccount> {
    let (mut devices, mut handles) = (BTreeSet::new(), BTreeSet::new());
    let mut piece = BTreeMap::new();
    for arrival in arrivals {
        let account = match arrival.account {
            Whose::MadeUp(id) => AccountId::from_bits(id),
            Whose::Known(slot) => {
                truth.account_of(truth.pick(slot)).unwrap_or(AccountId::from_bits(slot as u64))
            }
        };
        let mut one = TransferAccount { account, devices: Vec::new(), claims: Vec::new() };
        for (whose, checked_in, has_token) in &arrival.devices {
            let device = match whose {
                Whose::MadeUp(id) => DeviceId::from_bits(*id),
                Whose::Known(slot) => truth.pick(*slot),
            };
            if !piece.contains_key(&account) && devices.insert(device) {
                one.devices.push(sent(device, checked_in.at(now), *has_token, truth));
            }
        }
        for (name, proved, discoverable, backing) in &arrival.claims {
            let backing = one.devices.iter().zip(0..).filter(|(_, bit)| backing >> bit & 1 == 1);
            let devices: Vec<_> = backing.map(|(device, _)| device.device).collect();
            let handle = handle(HANDLES[*name]);
            if !devices.is_empty() && handles.insert(handle.clone()) {
                let (proved_at, discoverable) = (proved.map(|when| when.at(now)), *discoverable);
                one.claims.push(TransferClaim { handle, proved_at, discoverable, devices });
            }
        }
        if !one.devices.is_empty() {
            piece.insert(account, one);
        }
    }
    piece.into_values().collect()
}

fn sent(device: DeviceId, at: Timestamp, has_token: bool, truth: &mut Truth) -> TransferDevice {
    let token = DeviceToken::issue(device);
    let token_hash = has_token.then(|| token.hash().0);
    truth.meet(device, token);
    TransferDevice {
        device,
        platform: Platform::ALL[device.bits() as usize % Platform::ALL.len()],
        last_check_in_at: at,
        registered_at: has_token.then(|| at.minus(Duration::from_secs(DAY))),
        name: has_token.then(|| "imported".to_owned()),
        token_hash,
    }
}

/// What becomes of a claim.
enum Verdict {
    /// It comes in; true if somebody here loses the handle to it.
    In(bool),
    Held,
    Tombstone,
    Stale,
}

impl Truth {
    /// Takes a piece in, account by account.
    ///
    /// 1. An account that is here stays as it is.
    /// 2. A device comes in unless it was silent for as long as devices are remembered, or is somebody's here.
    /// 3. A claim comes in with those of its devices that do, one at least.
    /// 4. What is here (a holder, or how the handle ended) yields only to a proof that is later and not ahead of now.
    /// 5. A handle that nobody holds comes in only if the registry is younger than what it remembers, or if somebody
    ///    vouched for it, by a proof or a check-in, within what it remembers.
    /// 6. An account that brought claims of which none comes in does not come in, nor does one without devices.
    pub(in crate::registry::tests) fn import(
        &mut self,
        piece: &[TransferAccount],
        now: Timestamp,
    ) -> Imported {
        let (mut sum, mut told) = (Imported::default(), Vec::new());
        for one in piece {
            if self.devices_of(one.account) > 0 {
                sum.accounts_kept += 1;
            } else {
                self.arrive(one, now, &mut sum, &mut told);
            }
        }
        self.tell(told);
        sum
    }

    fn arrive(
        &mut self,
        one: &TransferAccount,
        now: Timestamp,
        sum: &mut Imported,
        told: &mut Vec<Told>,
    ) {
        let coming =
            one.devices.iter().filter_map(|device| self.coming(one.account, device, now, sum));
        let coming: BTreeMap<_, _> = coming.collect();
        let mut claims = Vec::new();
        for claim in &one.claims {
            let backing: Vec<_> =
                claim.devices.iter().copied().filter(|id| coming.contains_key(id)).collect();
            let checked_in = backing.iter().map(|id| coming[id].checked_in_at).max();
            let vouched_at = checked_in.max(claim.proved_at).unwrap_or_default();
            match self.verdict(claim, !backing.is_empty(), vouched_at, now) {
                Verdict::In(is_taken) => claims.push((claim, backing, vouched_at, is_taken)),
                Verdict::Held => sum.handles_held += 1,
                Verdict::Tombstone => sum.handles_ended += 1,
                Verdict::Stale => sum.handles_stale += 1,
            }
        }
        if coming.is_empty() || (claims.is_empty() && !one.claims.is_empty()) {
            sum.devices_without_handle += coming.len() as u64;
            return;
        }
        sum.accounts += 1;
        sum.devices += coming.len() as u64;
        sum.handles += claims.len() as u64;
        self.devices.extend(coming);
        for (claim, backing, vouched_at, is_taken) in claims {
            let (handle, account) = (claim.handle.clone(), one.account);
            if is_taken {
                sum.moved += 1;
                self.lose(self.claims[&handle].account, &handle, HandleLoss::Moved, now);
            }
            for (place, device) in backing.iter().enumerate() {
                let kind = match place {
                    0 if is_taken => ChangeKind::HandleMoved,
                    0 => ChangeKind::HandleImported,
                    _ => ChangeKind::HandleBound,
                };
                let change =
                    |kind, cause| (kind, Some(handle.clone()), Some(*device), Some(account), cause);
                told.push(change(kind, Cause::Import));
                if place == 0 && !claim.discoverable {
                    told.push(change(ChangeKind::HandleHidden, Cause::Import));
                }
                if self.devices[device].lapse_recorded {
                    told.push(change(ChangeKind::LeaseExpired, Cause::Silence));
                }
            }
            self.ended.remove(&handle);
            let proved_at = claim.proved_at.unwrap_or(vouched_at).min(now);
            let (discoverable, devices) = (claim.discoverable, backing.into_iter().collect());
            self.claims.insert(handle, Claim { account, proved_at, discoverable, devices });
        }
    }

    fn coming(
        &self,
        account: AccountId,
        device: &TransferDevice,
        now: Timestamp,
        sum: &mut Imported,
    ) -> Option<(DeviceId, Device)> {
        if self.devices.contains_key(&device.device) {
            sum.devices_held += 1;
            return None;
        }
        let checked_in_at = device.last_check_in_at.min(now);
        if checked_in_at.plus(FORGET_AFTER) <= now {
            sum.devices_silent += 1;
            return None;
        }
        let sent =
            self.known.iter().chain(&self.past).find(|(id, token)| {
                *id == device.device && Some(token.hash().0) == device.token_hash
            });
        let arrived = Device {
            account,
            platform: device.platform,
            name: device.name.clone(),
            registered_at: device.registered_at.unwrap_or(checked_in_at).min(now),
            checked_in_at,
            lapse_recorded: checked_in_at.plus(LEASE) <= now,
            token: sent.map(|(_, token)| token.clone()),
        };
        Some((device.device, arrived))
    }

    fn verdict(
        &self,
        claim: &TransferClaim,
        is_backed: bool,
        vouched_at: Timestamp,
        now: Timestamp,
    ) -> Verdict {
        let yields = |before: Timestamp| claim.proved_at.is_some_and(|at| before < at && at <= now);
        let remembered_since = now.minus(REMEMBERED);
        match (self.claims.get(&claim.handle), self.ended.get(&claim.handle)) {
            _ if !is_backed => Verdict::Stale,
            (Some(held), _) if yields(held.proved_at) => Verdict::In(true),
            (Some(_), _) => Verdict::Held,
            (None, Some((_, at))) if !yields(*at) => Verdict::Tombstone,
            _ if FOUNDED < remembered_since && vouched_at < remembered_since => Verdict::Stale,
            _ => Verdict::In(false),
        }
    }
}
