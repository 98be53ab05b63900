//! Upkeep: saying once that a lease lapsed, and forgetting ended handles.
//!
//! Neither decides anything: a lookup compares times itself. A pure choice scans the index, then [`Sweep`] checks each
//! item again in its place among the changes, so that a device which checked in meanwhile is left alone.

use crate::{clock::Timestamp, handle::Handle, ids::DeviceId, limits};

use super::{Context, Operation, Plan, Touch};
use crate::registry::{
    changes::{Cause, ChangeKind},
    device::Device,
    entry::Entry,
    error::ChangeError,
    index::Index,
    store::{Key, Row},
};

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Devices whose lapse was recorded.
    pub lapsed: usize,
    /// Ended handles that were forgotten.
    pub forgotten: usize,
}

/// What is due, at most one commit's worth of it.
#[derive(Clone, Debug, Default)]
pub(in crate::registry) struct Sweep {
    pub(in crate::registry) lapsed: Vec<DeviceId>,
    pub(in crate::registry) forgotten: Vec<Handle>,
}

/// Scans the index for what is due, bounded, in pieces that fit a commit.
pub(in crate::registry) fn choose(index: &Index, now: Timestamp) -> Vec<Sweep> {
    let has_lapsed = |device: &Device| device.lease_until <= now && !device.lapse_recorded;
    let lapsed =
        index.devices.iter().filter(|device| has_lapsed(device)).map(|device| *device.key());
    let lapsed: Vec<_> = lapsed.take(limits::REGISTRY_TICK_ITEMS_MAX).collect();
    let mut forgotten = Vec::new();
    index.for_each_handle(|handle, entry| {
        let is_due = matches!(entry, Entry::Ended(ended) if ended.is_forgotten(now));
        if is_due && forgotten.len() < limits::REGISTRY_TICK_ITEMS_MAX {
            forgotten.push(handle());
        }
    });
    let piece = limits::REGISTRY_COMMIT_CHANGES_MAX;
    let lapsed = lapsed.chunks(piece).map(|ids| Sweep { lapsed: ids.to_vec(), ..Sweep::default() });
    let forgotten = forgotten.chunks(piece);
    let forgotten =
        forgotten.map(|handles| Sweep { forgotten: handles.to_vec(), ..Sweep::default() });
    lapsed.chain(forgotten).collect()
}

impl Operation for Sweep {
    type Done = Ticked;
    type Error = ChangeError;

    fn touches(&self, _: &Index) -> Vec<Touch> {
        vec![Touch::Everything]
    }

    /// The device's row says that its lapse is recorded, in the commit that also holds the record: neither a crash nor
    /// a second tick makes another.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<Ticked, ChangeError> {
        let mut ticked = Ticked::default();
        for id in &self.lapsed {
            let Some(device) = context.index.device(*id) else {
                continue;
            };
            if device.lapse_recorded || context.now < device.lease_until {
                continue;
            }
            ticked.lapsed += 1;
            tell_lapse(context, plan, *id, &device);
            plan.put(Row::Device(*id, Device { lapse_recorded: true, ..device }));
        }
        for handle in &self.forgotten {
            if context.index.ended(handle).is_some_and(|ended| ended.is_forgotten(context.now)) {
                ticked.forgotten += 1;
                plan.remove(Key::Ended(handle.clone()));
            }
        }
        Ok(ticked)
    }
}

fn tell_lapse(context: &Context<'_>, plan: &mut Plan, id: DeviceId, device: &Device) {
    let (kind, cause) = (ChangeKind::LeaseExpired, Cause::Silence);
    let backed = context.index.backed(device.account, id);
    for (handle, _) in &backed {
        plan.tell(kind, cause, Some(handle), Some(id), Some(device.account));
    }
    if backed.is_empty() {
        plan.tell(kind, cause, None, Some(id), Some(device.account));
    }
}
