//! What a start makes of sealed files: which form of a segment counts, and which one was sealed last.

use std::{collections::HashSet, io};

use super::{
    Repair,
    inspect::{Inspection, Listing, look},
};
use crate::{
    envelope::Keyring,
    query_log::{
        catalog::{Catalog, Form, SegmentState},
        frames::segment_reader::SegmentError,
        sealer::{
            self,
            sealed_file::{Link, SealedFile},
        },
        segment_name::{LogFileName, SegmentId},
    },
};
/// Which form of a segment that has a sealed file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::query_log) enum Beside {
    /// The sealed one, and there are no frames beside it.
    Sealed,
    /// The sealed one: it opens, and holds no less than the frames beside it, which are not needed any more.
    SealedNotFrames,
    /// Neither can be opened, since the key is gone: both stay.
    Neither,
    /// The frames: the sealed file is damaged, or holds less.
    Frames,
}

/// Looks at a sealed file, and at the frames beside it if there are any, and adds it to the catalog if it counts.
pub(in crate::query_log) fn look_at(
    catalog: &Catalog,
    keyring: &Keyring,
    id: SegmentId,
    has_frames: bool,
) -> io::Result<Beside> {
    let file = match SealedFile::look(&catalog.path(LogFileName::Sealed(id)), id) {
        Ok(file) => file,
        Err(SegmentError::Io(error)) => return Err(error),
        Err(SegmentError::Gone) => return Err(io::ErrorKind::NotFound.into()),
        Err(_) if has_frames => return Ok(Beside::Frames),
        Err(_) => {
            catalog.add_sealed(id, 0, 0, SegmentState::Unreadable);
            return Ok(Beside::Sealed);
        }
    };
    let (bytes, records) = (file.file.bytes(), file.note.records);
    let (state, beside) = match file.unlock(keyring) {
        Err(SegmentError::Io(error)) => return Err(error),
        Err(SegmentError::NoKey) if has_frames => (SegmentState::KeyMissing, Beside::Neither),
        Err(SegmentError::NoKey) => (SegmentState::KeyMissing, Beside::Sealed),
        Err(_) if has_frames => return Ok(Beside::Frames),
        Err(_) => (SegmentState::Unreadable, Beside::Sealed),
        Ok(_) if has_frames && frames_hold_more(catalog, id, records)? => {
            return Ok(Beside::Frames);
        }
        Ok(_) if has_frames => (SegmentState::Sealed, Beside::SealedNotFrames),
        Ok(_) => (SegmentState::Sealed, Beside::Sealed),
    };
    catalog.add_sealed(id, bytes, records, state);
    Ok(beside)
}

/// Frames that were finished are durable only with `durability = "disk"`: after a power cut they may hold less than what
/// was sealed from them, never more.
fn frames_hold_more(catalog: &Catalog, id: SegmentId, sealed: u64) -> io::Result<bool> {
    Ok(match look(id, &catalog.path(LogFileName::Frames(id)))? {
        Inspection::Finished { records, .. } => records > sealed,
        Inspection::Unfinished { scan, .. } => u64::from(scan.records) > sealed,
        Inspection::Unborn | Inspection::Unreadable => false,
    })
}

impl Repair<'_> {
    /// Removes what was being sealed when the process stopped. Without frames it would be all there is, and stays; unless
    /// retention had begun to remove its hour, which the next tick goes on with.
    pub(in crate::query_log) fn discard_unfinished(&mut self, listing: &Listing) -> io::Result<()> {
        let mut removed = false;
        for id in &listing.sealing {
            let name = LogFileName::Sealing(*id);
            if listing.frames.contains(id) || listing.sealed.contains(id) {
                sealer::remove(&**self.disk, &self.catalog.path(name))?;
                removed = true;
            } else {
                if self.keyring.get(id.hour).is_some() || !self.has_expired(*id) {
                    self.report.unknown.push(name.to_string().into());
                }
                self.catalog.add_other(*id, self.catalog.path(name));
            }
        }
        if removed { self.disk.sync_dir(self.catalog.dir()) } else { Ok(()) }
    }

    /// Settles which form of a segment counts. False if it is the frames.
    pub(in crate::query_log) fn sealed(
        &mut self,
        id: SegmentId,
        path: &std::path::Path,
        has_frames: bool,
    ) -> io::Result<bool> {
        let frames = self.catalog.path(LogFileName::Frames(id));
        match look_at(self.catalog, self.keyring, id, has_frames)? {
            Beside::Frames => {
                self.set_aside(id, path)?;
                return Ok(false);
            }
            Beside::Sealed => {}
            Beside::Neither => self.catalog.add_other(id, frames),
            Beside::SealedNotFrames => {
                // Their removal was under way. The sealed file's name must be durable first: a crash may have come between.
                self.disk.sync_dir(self.catalog.dir())?;
                self.disk.unlink(&frames)?;
                self.disk.sync_dir(self.catalog.dir())?;
            }
        }
        match self.catalog.get(id).map(|segment| segment.state()) {
            Some(SegmentState::KeyMissing) => drop(self.without_key(id)),
            Some(SegmentState::Unreadable) => self.report.unreadable.push(id.to_string()),
            _ => {}
        }
        Ok(true)
    }
}

/// The sealed segment that no other names as the one before it. If something is missing there may be several; then the
/// newest counts, and verifying tells of the rest.
pub(in crate::query_log) fn tip(catalog: &Catalog) -> Option<(SegmentId, Link)> {
    let files = catalog.segments().into_iter().filter(|segment| segment.form == Form::Sealed);
    let files: Vec<SealedFile> =
        files.filter_map(|segment| SealedFile::look(&segment.path, segment.id).ok()).collect();
    let named: HashSet<Link> =
        files.iter().filter_map(|file| Some(file.note.predecessor?.1)).collect();
    let mut unnamed = files.iter().filter(|file| !named.contains(&file.link()));
    unnamed.next_back().map(|file| (file.id, file.link()))
}
