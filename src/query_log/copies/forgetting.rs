//! Deletes objects: of hours whose key was destroyed, and of frames whose sealed file is complete in the store.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    copier::{Copies, CopyOptions, Work},
    expiry::{expired, is_expired_elsewhere},
    name::CopiedFile,
    stored,
};
use crate::{
    clock::Timestamp,
    limits,
    lock::lock,
    object_storage::{Objects, Stop, StoreError},
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
        stop: Stop<'_>,
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
            match self.delete(objects, &names.collect::<Vec<_>>(), stop) {
                Ok(()) => drop((stored.remove(&file), work.conflicts.remove(&file))),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Deletes objects of other nodes that have expired long ago: those nodes may be lost. What is not deleted is tried again at the next
    /// call. Nothing else waits for it.
    pub(crate) fn forget_others(&self, sources: &Sources, stop: Stop<'_>) {
        if let Err(error) = self.try_forget_others(sources, stop)
            && error != StoreError::Stopped
        {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "expired copies of other nodes are not deleted; trying again");
        }
    }

    fn try_forget_others(&self, sources: &Sources, stop: Stop<'_>) -> Result<(), StoreError> {
        // Opened anew each time: its credentials may have been replaced.
        let objects = (self.options.open)()?;
        let CopyOptions { node, former, .. } = &self.options;
        let folders = objects.folders(stop)?;
        lock(&self.progress).expired_elsewhere.retain(|folder, _| folders.contains(folder));
        let mut outcome = Ok(());
        for folder in folders {
            if stop() {
                return outcome;
            }
            if folder == *node || former.contains(&folder) {
                continue;
            }
            // One node's objects that cannot be listed or deleted keep no other's there.
            if let Err(error) = self.forget_other(&objects, &folder, sources, stop) {
                outcome = Err(error);
            }
        }
        outcome
    }

    fn forget_other(
        &self,
        objects: &Objects,
        folder: &str,
        sources: &Sources,
        stop: Stop<'_>,
    ) -> Result<(), StoreError> {
        let stored = stored::list_of(objects, folder, stop)?;
        let is_due = |hour| is_expired_elsewhere(sources, hour, Duration::ZERO);
        let due = stored.iter().filter(|(file, _)| is_due(file.id.hour));
        let names = due.flat_map(|(file, extents)| {
            extents.each().map(|(offset, _)| file.object(folder, offset).to_string())
        });
        let names: Vec<_> = names.collect();
        let deleted = self.delete(objects, &names, stop);
        let left = deleted.as_ref().map_or(names.len() as u64, |()| 0);
        lock(&self.progress).expired_elsewhere.insert(folder.to_owned(), left);
        deleted
    }

    fn delete(
        &self,
        objects: &Objects,
        names: &[String],
        stop: Stop<'_>,
    ) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        objects.delete(names, stop)?;
        self.counts.deleted.fetch_add(names.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Lists the store, and tells what in it should have been deleted.
    ///
    /// # Errors
    /// If the store cannot be listed. Then nothing is known.
    pub(crate) fn findings(&self, sources: &Sources) -> Result<StoredFindings, StoreError> {
        let node = &self.options.node;
        let listing = stored::list(&(self.options.open)()?, node, &|| false)?;
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
