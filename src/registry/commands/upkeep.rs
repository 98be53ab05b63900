//! Upkeep: saying once that a lease lapsed, removing devices silent for long, forgetting what ended long ago.
//!
//! None of it decides anything: a lookup compares times itself. [`choose`] scans the index, then [`sweep`] checks each item again
//! in its place among the changes, so that a device which checked in meanwhile is left alone.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    vocabulary::{Cause, ChangeKind},
};

use super::devices::remove_device;
use crate::registry::{
    account::{Account, Device},
    config::Config,
    directory::Registry,
    error::{ChangeError, Loading},
    handle_state::is_forgotten,
    job::Touches,
    packed::Packed,
    plan::Plan,
    state::RegistryState,
};

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Devices whose lapse was recorded.
    pub lapsed: usize,
    /// Devices removed because they were silent for long.
    pub removed: usize,
    /// Ended and lost handles that were forgotten.
    pub forgotten: usize,
    /// Expiring rows that were dropped after their end.
    pub rows: usize,
}

impl Registry {
    /// Records lapsed leases and forgets handles that ended long ago: a bounded part of what is due. Can be called at
    /// any time; lookups do not depend on it. After an error the next tick goes on from there.
    pub async fn tick(&self) -> Result<Ticked, ChangeError> {
        let shared = Arc::clone(&self.shared);
        // The scan reads the whole index, so it must not run on a serving thread.
        let scan = tokio::task::spawn_blocking(move || {
            shared.loaded().map(drop).map_err(|Loading| ChangeError::Loading)?;
            Ok(choose(&shared, shared.clock.now()))
        });
        let mut ticked = Ticked::default();
        let mut pieces = scan.await.map_err(|_| ChangeError::Stopped)??;
        pieces.reverse();
        while let Some(due) = pieces.pop() {
            let due = Arc::new(due);
            let (touches, swept) =
                (Touches { everything: true, ..Touches::default() }, Arc::clone(&due));
            let part = match self.submit(touches, move |plan| sweep(plan, &swept)).await {
                Err(ChangeError::TooLarge) if due.len() > 1 => {
                    pieces.extend(due.halves());
                    continue;
                }
                part => part?,
            };
            ticked.lapsed += part.lapsed;
            ticked.removed += part.removed;
            ticked.forgotten += part.forgotten;
        }
        while ticked.rows < limits::REGISTRY_TICK_ITEMS_MAX {
            let dropped = self.drop_ended_rows().await?;
            if dropped == 0 {
                break;
            }
            ticked.rows += dropped;
        }
        Ok(ticked)
    }
}

/// What is due, at most one commit's worth of it.
#[derive(Default)]
struct Due {
    accounts: Vec<AccountId>,
    forgotten: Vec<Handle>,
}

impl Due {
    fn len(&self) -> usize {
        self.accounts.len() + self.forgotten.len()
    }

    fn halves(&self) -> [Self; 2] {
        let (first, last) = self.accounts.split_at(self.accounts.len() / 2);
        let (early, late) = self.forgotten.split_at(self.forgotten.len() / 2);
        [(last, late), (first, early)].map(|(accounts, forgotten)| Self {
            accounts: accounts.to_vec(),
            forgotten: forgotten.to_vec(),
        })
    }
}

/// Scans the index for what is due, bounded, in pieces that fit a commit. Lets changes go on in between.
fn choose(shared: &RegistryState, now: Timestamp) -> Vec<Due> {
    let mut accounts = Vec::new();
    let pages = shared.read().pages();
    for page in 0..pages {
        let index = shared.read();
        let due = index.page(page).filter(|packed| is_due(packed, shared, now));
        accounts.extend(due.map(|packed| packed.account()));
        if accounts.len() >= limits::REGISTRY_TICK_ITEMS_MAX {
            break;
        }
    }
    accounts.truncate(limits::REGISTRY_TICK_ITEMS_MAX);
    let index = shared.read();
    let forgotten = index.tombstones().filter(|(_, tombstone)| is_forgotten(tombstone.at, now));
    let forgotten: Vec<_> =
        forgotten.map(|(handle, _)| handle.clone()).take(limits::REGISTRY_TICK_ITEMS_MAX).collect();
    drop(index);
    let piece = limits::REGISTRY_COMMIT_CHANGES_MAX;
    let accounts =
        accounts.chunks(piece).map(|ids| Due { accounts: ids.to_vec(), ..Due::default() });
    let forgotten =
        forgotten.chunks(piece).map(|all| Due { forgotten: all.to_vec(), ..Due::default() });
    accounts.chain(forgotten).collect()
}

fn is_due(packed: &Packed<'_>, shared: &RegistryState, now: Timestamp) -> bool {
    packed.oldest_loss().is_some_and(|at| is_forgotten(at, now))
        || packed.devices().any(|device| {
            let (last, config) = (device.last_check_in_at(), &shared.config);
            let silent_since = shared.silent_since(last, now);
            let has_lapsed = !device.lapse_recorded() && silent_since.plus(config.lease) <= now;
            has_lapsed || silent_since.plus(config.forget_after) <= now || is_ahead(last, now)
        })
}

/// Whether a device checked in while trusted time was ahead, which has been corrected since.
fn is_ahead(last_check_in_at: Timestamp, now: Timestamp) -> bool {
    now.plus(limits::CLOCK_AGREEMENT) < last_check_in_at
}

fn sweep(plan: &mut Plan, due: &Due) -> Result<Ticked, ChangeError> {
    let mut ticked = Ticked::default();
    for id in &due.accounts {
        sweep_account(plan, *id, &mut ticked)?;
    }
    for handle in &due.forgotten {
        if plan.tombstone(handle).is_some_and(|tombstone| is_forgotten(tombstone.at, plan.now)) {
            ticked.forgotten += 1;
            plan.forget_end(handle);
        }
    }
    Ok(ticked)
}

fn sweep_account(plan: &mut Plan, id: AccountId, ticked: &mut Ticked) -> Result<(), ChangeError> {
    let (now, shared) = (plan.now, Arc::clone(&plan.shared));
    let Config { lease, forget_after, .. } = shared.config;
    let Some(account) = plan.account(id)? else {
        return Ok(());
    };
    let lost = account.lost.len();
    account.lost.retain(|lost| !is_forgotten(lost.at, now));
    ticked.forgotten += lost - account.lost.len();
    let is_silent = |device: &Device, span: Duration| {
        shared.silent_since(device.last_check_in_at, now).plus(span) <= now
    };
    for device in &mut account.devices {
        if is_ahead(device.last_check_in_at, now) {
            // While it is ahead it can be told from a check-in after the correction.
            device.last_check_in_at = shared.silent_since(device.last_check_in_at, now).min(now);
        }
    }
    let mut room = limits::REGISTRY_SWEEP_CHANGES_MAX;
    let lapsed =
        take_due(account, &mut room, |device| !device.lapse_recorded && is_silent(device, lease));
    for id in &lapsed {
        // The account's row says that the lapse is recorded, in the commit that also holds the record: neither a crash
        // nor a second tick makes another.
        account.device_mut(*id).into_iter().for_each(|device| device.lapse_recorded = true);
    }
    let gone = take_due(account, &mut room, |device| {
        device.lapse_recorded && is_silent(device, forget_after)
    });
    let lapsed: Vec<_> =
        lapsed.into_iter().map(|device| (device, account.backed(device))).collect();
    ticked.lapsed += lapsed.len();
    ticked.removed += gone.len();
    for (device, backed) in lapsed {
        plan.record_device(ChangeKind::LeaseExpired, Cause::Silence, &backed, device, id);
    }
    for device in gone {
        remove_device(plan, id, device, Cause::Silence)?;
    }
    Ok(())
}

/// The first devices that are due of which the records have `room`, which they take.
fn take_due(
    account: &Account,
    room: &mut usize,
    is_due: impl Fn(&Device) -> bool,
) -> Vec<DeviceId> {
    let due = account.devices.iter().filter(|device| is_due(device));
    let fit = due.map_while(|device| {
        let records = account.backed(device.id).len() + 1;
        *room = room.checked_sub(records)?;
        Some(device.id)
    });
    fit.collect()
}
