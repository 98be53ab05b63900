//! Deletes objects: of hours whose key was destroyed, and of frames whose sealed file is complete in the store.

use std::sync::atomic::Ordering;

use super::{
    copier::{Copies, Work},
    expiry::{expired, is_expired_elsewhere},
    name::CopiedFile,
    stored,
};
use crate::{
    clock::Timestamp,
    limits,
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
        let files = work.stored.keys().copied();
        let is_due =
            |file: &CopiedFile| is_expired(file.id.hour) || is_superseded(work, sources, *file);
        let files: Vec<_> = files.filter(is_due).collect();
        let mut outcome = Ok(());
        for file in files {
            if stop() {
                return outcome;
            }
            let extents = work.stored.get(&file).into_iter().flat_map(|extents| extents.each());
            let names =
                extents.map(|(offset, _)| file.object(&self.options.node, offset).to_string());
            // One that cannot be deleted keeps no other one there.
            match self.delete(objects, &names.collect::<Vec<_>>()) {
                Ok(()) => drop(work.stored.remove(&file)),
                Err(error) => outcome = Err(error),
            }
        }
        if !work.expired_elsewhere.is_empty() {
            self.delete(objects, &work.expired_elsewhere)?;
            work.expired_elsewhere.clear();
        }
        outcome
    }

    fn delete(&self, objects: &Objects, names: &[String]) -> Result<(), StoreError> {
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
        for (name, is_own) in own.chain(listing.others.into_iter().map(|name| (name, false))) {
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
    let stored = |file: CopiedFile| work.stored.get(&file).map_or(0, |extents| extents.end());
    let is_own =
        seen(Form::Frames).is_some_and(|own| own.file == file && stored(file) <= own.bytes);
    let is_sealed = sources.catalog.is_sealed(file.id);
    file.form == Form::Frames
        && is_own
        && is_sealed
        && seen(Form::Sealed).is_some_and(|sealed| sealed.bytes <= stored(sealed.file))
}
