//! Deletes objects: of hours whose key was destroyed, and of frames whose sealed file is complete in the store.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    copier::{Copies, CopyOptions, Others, Work},
    expiry::{expired, is_expired_elsewhere},
    name::CopiedFile,
    stored::{self, Extents},
};
use crate::{
    clock::Timestamp,
    limits,
    lock::lock,
    object_storage::{Objects, StoreError},
    query_log::{catalog::Form, search::Sources},
};

/// What the store holds that it must not hold, besides how much there is.
#[derive(Debug, Default)]
pub(crate) struct StoredFindings {
    /// Objects of all nodes.
    pub(crate) objects: usize,
    /// Objects of hours that have expired, with the first instant of the hour.
    pub(crate) expired: Vec<(String, Timestamp)>,
    /// Names that are no copies.
    pub(crate) unknown: Vec<String>,
}

impl Copies {
    /// Deletes what may go. What is not deleted is tried again at the next round.
    pub(super) fn forget(
        &self,
        work: &mut Work,
        objects: &Objects,
        sources: &Sources,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), StoreError> {
        let is_expired = expired(sources);
        let node = &self.options.node;
        let own = work
            .stored
            .keys()
            .filter(|file| is_expired(file.id.hour) || is_superseded(work, sources, **file));
        let own = own.map(|file| (node, *file));
        let former = work.former.iter().flat_map(|(node, stored)| {
            stored.keys().filter(|file| is_expired(file.id.hour)).map(move |file| (node, *file))
        });
        let due: Vec<_> = own.chain(former).map(|(node, file)| (node.clone(), file)).collect();
        let mut outcome = Ok(());
        for (name, file) in due {
            if stop() {
                return outcome;
            }
            let stored = match name == *node {
                true => &mut work.stored,
                false => work.former.entry(name.clone()).or_default(),
            };
            let extents = stored.get(&file).into_iter().flat_map(|extents| extents.each());
            let names = extents.map(|(offset, _)| file.object(&name, offset).to_string());
            // One that cannot be deleted keeps no other one there.
            match self.delete(objects, &names.collect::<Vec<_>>()) {
                Ok(()) => drop((stored.remove(&file), work.conflicts.remove(&file))),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Deletes objects of other nodes that have expired long ago: those nodes may be lost. It lists the store each hour, and again at the
    /// next call if something failed. Nothing else waits for it.
    pub(crate) fn forget_others(&self, sources: &Sources, stop: &dyn Fn() -> bool) {
        let mut others = lock(&self.others);
        let now = sources.clock.boot();
        if others.done_at.is_some_and(|at| now < at + limits::LOG_COPY_LIST_EVERY) {
            return;
        }
        match self.try_forget_others(&mut others, sources, stop) {
            Ok(is_done) => others.done_at = is_done.then_some(now),
            Err(error) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "expired copies of other nodes are not deleted; trying again");
                others.objects = None;
            }
        }
    }

    /// Whether everything was looked at.
    fn try_forget_others(
        &self,
        others: &mut Others,
        sources: &Sources,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let objects = match &others.objects {
            Some(objects) => objects.clone(),
            None => others.objects.insert((self.options.open)()?).clone(),
        };
        let CopyOptions { node, former, .. } = &self.options;
        let (mut outcome, mut left) = (Ok(true), 0);
        for folder in objects.folders()? {
            if stop() {
                return Ok(false);
            }
            if folder == *node || former.contains(&folder) {
                continue;
            }
            // One node's objects that cannot be listed or deleted keep no other's there.
            let due = stored::list_of(&objects, &folder).map(|stored| {
                let due = stored.into_iter().filter(|(file, _)| {
                    is_expired_elsewhere(sources, file.id.hour, Duration::ZERO)
                });
                let names = |(file, extents): (CopiedFile, Extents)| {
                    let offsets: Vec<_> = extents.each().map(|(offset, _)| offset).collect();
                    let of_node = folder.clone();
                    offsets.into_iter().map(move |offset| file.object(&of_node, offset).to_string())
                };
                due.flat_map(names).collect::<Vec<_>>()
            });
            match due.and_then(|due| self.delete(&objects, &due).inspect_err(|_| left += due.len()))
            {
                Ok(()) => {}
                Err(error) => outcome = Err(error),
            }
        }
        lock(&self.progress).expired_elsewhere = left as u64;
        outcome
    }

    fn delete(&self, objects: &Objects, names: &[String]) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        objects.delete(names)?;
        self.counts.deleted.fetch_add(names.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Lists the store, and tells what in it should have been deleted.
    ///
    /// # Errors
    /// If the store cannot be listed. Then nothing is known.
    pub(crate) fn findings(&self, sources: &Sources) -> Result<StoredFindings, StoreError> {
        let node = &self.options.node;
        let listing = stored::list(&(self.options.open)()?, node)?;
        let patience = limits::LOG_FORGOTTEN_WITHIN + self.options.interval;
        let is_due = |hour| sources.expiry(hour).plus(patience) <= sources.clock.latest();
        // Each node looks for those once an hour.
        let overdue = limits::LOG_COPY_LIST_EVERY + patience;
        let is_due_elsewhere = |hour| is_expired_elsewhere(sources, hour, overdue);
        let (mut objects, mut expired) = (0, Vec::new());
        let own = listing.own.iter().flat_map(|(file, extents)| {
            extents.each().map(|(offset, _)| (file.object(node, offset), true))
        });
        let others = listing.others.into_iter().map(|name| {
            let is_own = self.options.former.contains(&name.node);
            (name, is_own)
        });
        for (name, is_own) in own.chain(others) {
            objects += 1;
            let hour = name.file.id.hour;
            let is_over = if is_own { is_due(hour) } else { is_due_elsewhere(hour) };
            if is_over {
                expired.push((name.to_string(), hour.start()));
            }
        }
        Ok(StoredFindings { objects, expired, unknown: listing.unknown })
    }
}

/// Whether these are frames whose sealed file is complete in the store. Only of a file that this process has seen: of others with the same
/// name, as an old copy of a data directory may make them, the store may hold more records.
fn is_superseded(work: &Work, sources: &Sources, file: CopiedFile) -> bool {
    let seen = |form: Form| work.seen.get(&(file.id, form));
    let is_own =
        seen(Form::Frames).is_some_and(|own| own.file == file && work.copied(file) <= own.bytes);
    let is_sealed = sources.catalog.is_sealed(file.id);
    file.form == Form::Frames
        && is_own
        && is_sealed
        && seen(Form::Sealed).is_some_and(|sealed| sealed.bytes <= work.copied(sealed.file))
}
