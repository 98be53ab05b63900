//! Comparing a registry, and what it recorded, with the model.

use std::collections::{BTreeMap, BTreeSet};

use super::{truth::Truth, *};
use crate::registry::{
    Counts, DeviceDetails, DeviceToken, HandleDetails, HandleState, LiveCounts, LostDetails,
    TokenError,
};

/// Records that stay in the log once they are checked: more than a store may still hold rows of.
const LOG_KEPT: usize = 1_024;

impl Truth {
    fn probe(&self, handle: &Handle, now: Timestamp) -> HandleState {
        if let Some(claim) = self.claims.get(handle) {
            let lease = |device: &DeviceId| (self.devices[device].lease_until(), *device);
            let leases = claim.devices.iter().map(lease);
            let (live_until, device) = leases.max().expect("a claim has a device");
            let (account, discoverable) = (claim.account, claim.discoverable);
            return HandleState::Claimed { account, device, live_until, discoverable };
        }
        let young = self.ended.get(handle).filter(|(_, at)| now < at.plus(REMEMBERED));
        young
            .map_or(HandleState::Unknown, |(how, at)| HandleState::Tombstone { how: *how, at: *at })
    }

    fn details(&self, id: DeviceId, now: Timestamp) -> Option<DeviceDetails> {
        let device = self.devices.get(&id)?;
        let mut backed = self.backed(id);
        backed.sort_by_key(|handle| handle.canonical().into_owned());
        let held = |handle: Handle| {
            let claim = &self.claims[&handle];
            HandleDetails { proved_at: claim.proved_at, discoverable: claim.discoverable, handle }
        };
        let lost = self.lost.get(&device.account).into_iter().flatten();
        let young = |lost: &&LostDetails| now < lost.at.plus(REMEMBERED);
        let mut lost: Vec<_> = lost.filter(young).cloned().collect();
        lost.sort_by_key(|lost| (lost.at, lost.handle.canonical().into_owned()));
        Some(DeviceDetails {
            device: id,
            account: device.account,
            platform: device.platform,
            name: device.name.clone(),
            registered_at: device.registered_at,
            last_check_in_at: device.checked_in_at,
            lease_expires_at: device.lease_until(),
            handles: backed.into_iter().map(held).collect(),
            lost,
        })
    }

    fn counts(&self, now: Timestamp) -> Counts {
        let accounts: BTreeSet<_> = self.devices.values().map(|device| device.account).collect();
        let live = |handle: &&Handle| self.probe(handle, now).is_live(now);
        let mut by_platform: BTreeMap<_, _> =
            Platform::ALL.iter().map(|platform| (*platform, 0)).collect();
        for device in self.devices.values() {
            *by_platform.entry(device.platform).or_default() += 1;
        }
        let addresses = self.claims.keys().filter(|handle| matches!(handle, Handle::Email(_)));
        Counts {
            handles: self.claims.len() as u64,
            addresses: addresses.count() as u64,
            devices: self.devices.len() as u64,
            accounts: accounts.len() as u64,
            live: LiveCounts {
                handles: self.claims.keys().filter(live).count() as u64,
                devices: self.devices.values().filter(|device| now < device.lease_until()).count()
                    as u64,
            },
            devices_by_platform: by_platform,
            ..Counts::default()
        }
    }

    /// That lookups, askers, tokens, owners and operators are told what is true.
    pub(in crate::registry::tests) fn check(&self, registry: &Registry, now: Timestamp) {
        let view = registry.view().expect("it is loaded");
        for name in HANDLES {
            let handle = handle(name);
            assert_eq!(view.probe(&handle), self.probe(&handle, now), "{name}");
        }
        let ids: BTreeSet<_> =
            self.known.iter().map(|(id, _)| id).chain(self.devices.keys()).copied().collect();
        for id in &ids {
            let asker = view.asker(*id).map(|asker| asker.account);
            assert_eq!(asker, self.devices.get(id).map(|device| device.account));
        }
        drop(view);
        self.check_rows(registry, now);
        for (id, token) in &self.known {
            self.check_token(registry, *id, token);
        }
        for id in ids {
            let found = registry.device(id).expect("it is loaded");
            assert_eq!(found, self.details(id, now));
        }
        let counts = registry.counts(now).expect("it is loaded");
        assert_eq!(Counts { bytes: Default::default(), ..counts }, self.counts(now));
    }

    /// That tokens of long ago stay worthless.
    pub(in crate::registry::tests) fn check_past(&self, registry: &Registry) {
        for (id, token) in &self.past {
            self.check_token(registry, *id, token);
        }
    }

    fn check_token(&self, registry: &Registry, id: DeviceId, token: &DeviceToken) {
        let expected = if self.is_good(id, token) {
            Ok((id, self.devices[&id].account))
        } else {
            Err(TokenError::Invalid)
        };
        let found = registry.authenticate(token.expose());
        assert_eq!(found.map(|asker| (asker.device, asker.account)), expected);
    }

    /// That the log holds what was told since it was last checked, once each, and nothing else. `checked` is how much
    /// of the log was compared before.
    pub(in crate::registry::tests) fn check_log(&mut self, sink: &TestSink, checked: &mut usize) {
        let mut log = sink.log();
        let mut rest = log[*checked..].iter().map(|change| {
            let (handle, device) = (change.handle.clone(), change.device);
            truth::text(&(change.kind, handle, device, change.account, change.cause))
        });
        for told in self.told.drain(..) {
            let found: BTreeSet<_> = rest.by_ref().take(told.len()).collect();
            assert_eq!(found, told);
        }
        assert_eq!(rest.next(), None, "nothing more was recorded");
        let new = &log[*checked..];
        let ids: BTreeSet<_> = new.iter().map(|change| change.id).collect();
        assert_eq!(ids.len(), new.len(), "nothing was recorded twice");
        let behind = log.len().saturating_sub(LOG_KEPT);
        if behind > LOG_KEPT {
            log.drain(..behind);
        }
        *checked = log.len();
    }
}
