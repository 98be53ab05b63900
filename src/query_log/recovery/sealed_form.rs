//! Chooses at start between a sealed file and the frames beside it, and finds the segment sealed last.

use std::{collections::HashSet, io};

use super::{
    inspect::{Inspection, Listing, inspect},
    repair::Repair,
};
use crate::{
    envelope::Keyring,
    query_log::{
        catalog::{Catalog, Form, SegmentState},
        sealer::sealed_file::{ChainTip, Link, SealedFile},
        segment_error::SegmentError,
        segment_name::{LogFileName, SegmentId},
    },
};

/// Which form of a segment with a sealed file readers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChosenForm {
    /// The sealed file; there are no frames beside it.
    Sealed,
    /// The sealed file: it opens and holds at least the records of the frames, which can go.
    SealedOverFrames,
    /// None: the key is gone, so neither opens. Both stay.
    Neither,
    /// The frames: the sealed file is damaged or holds fewer records.
    Frames,
}

/// Chooses the form of a segment with a sealed file. Adds the sealed file to the catalog unless it chooses the frames.
pub(super) fn choose(
    catalog: &Catalog,
    keyring: &Keyring,
    id: SegmentId,
    has_frames: bool,
) -> io::Result<ChosenForm> {
    let file = match SealedFile::inspect(&catalog.path(LogFileName::Sealed(id)), id) {
        Ok(file) => file,
        Err(SegmentError::Io(error)) => return Err(error),
        Err(SegmentError::Gone) => return Err(io::ErrorKind::NotFound.into()),
        Err(_) if has_frames => return Ok(ChosenForm::Frames),
        Err(_) => {
            catalog.add(Form::Sealed, id, 0, 0, SegmentState::Unreadable);
            return Ok(ChosenForm::Sealed);
        }
    };
    let (bytes, records) = (file.file.bytes(), file.note.records);
    let (state, chosen) = match file.reader(keyring) {
        Err(SegmentError::Io(error)) => return Err(error),
        Err(SegmentError::NoKey) if has_frames => (SegmentState::KeyMissing, ChosenForm::Neither),
        Err(SegmentError::NoKey) => (SegmentState::KeyMissing, ChosenForm::Sealed),
        Err(_) if has_frames => return Ok(ChosenForm::Frames),
        Err(_) => (SegmentState::Unreadable, ChosenForm::Sealed),
        Ok(_) if has_frames && frames_hold_more(catalog, id, records)? => {
            return Ok(ChosenForm::Frames);
        }
        Ok(_) if has_frames => (SegmentState::Sealed, ChosenForm::SealedOverFrames),
        Ok(_) => (SegmentState::Sealed, ChosenForm::Sealed),
    };
    catalog.add(Form::Sealed, id, bytes, records, state);
    Ok(chosen)
}

/// Finished frames are durable only with `durability = "disk"`. After a power cut they may hold fewer records than the file
/// sealed from them, never more.
fn frames_hold_more(catalog: &Catalog, id: SegmentId, sealed: u64) -> io::Result<bool> {
    Ok(match inspect(id, &catalog.path(LogFileName::Frames(id)))? {
        Inspection::Finished { records, .. } => records > sealed,
        Inspection::Unfinished { scan, .. } => u64::from(scan.records) > sealed,
        Inspection::Blank | Inspection::Unreadable => false,
    })
}

impl Repair<'_> {
    /// Removes sealed files that were incomplete when the process stopped. Without a complete form beside it such a file is
    /// all that is left of the segment, so it stays. The report lists it unless retention had begun to remove its hour; the
    /// next tick continues that.
    pub(super) fn remove_incomplete(&mut self, listing: &Listing) -> io::Result<()> {
        let mut removed = false;
        for name in &listing.names {
            let LogFileName::Sealing(id) = *name else { continue };
            let path = self.sources.catalog.path(*name);
            if listing.has(LogFileName::Frames(id)) || listing.has(LogFileName::Sealed(id)) {
                self.sources.catalog.unlink(&**self.disk, id, &path)?;
                removed = true;
            } else {
                if self.sources.keyring.get(id.hour).is_some() || !self.has_expired(id) {
                    self.report.unknown.push(name.to_string().into());
                }
                self.sources.catalog.add_other(id, path);
            }
        }
        if removed { self.disk.sync_dir(self.sources.catalog.dir()) } else { Ok(()) }
    }

    /// Chooses the form of a segment with a sealed file. False if that is the frames, which the caller repairs.
    pub(super) fn sealed(&mut self, id: SegmentId, has_frames: bool) -> io::Result<bool> {
        let frames = self.sources.catalog.path(LogFileName::Frames(id));
        match choose(&self.sources.catalog, &self.sources.keyring, id, has_frames)? {
            ChosenForm::Frames => {
                self.set_aside(id, &self.sources.catalog.path(LogFileName::Sealed(id)))?;
                return Ok(false);
            }
            ChosenForm::Sealed => {}
            ChosenForm::Neither => self.sources.catalog.add_other(id, frames),
            ChosenForm::SealedOverFrames => {
                // The last process may have crashed before the sealed file's name was durable, so sync the directory first.
                self.disk.sync_dir(self.sources.catalog.dir())?;
                self.sources.catalog.unlink(&**self.disk, id, &frames)?;
                self.disk.sync_dir(self.sources.catalog.dir())?;
            }
        }
        match self.sources.catalog.get(id).map(|segment| segment.state()) {
            Some(SegmentState::KeyMissing) => drop(self.report_missing_key(id)),
            Some(SegmentState::Unreadable) => self.report.unreadable.push(id.to_string()),
            _ => {}
        }
        Ok(true)
    }
}

/// The sealed segment that no other names as its predecessor. If segments are missing there may be several; then it is the
/// newest, and `log verify` reports the others.
pub(super) fn tip(catalog: &Catalog) -> Option<ChainTip> {
    let files = catalog.segments().into_iter().filter(|segment| segment.form == Form::Sealed);
    let files: Vec<SealedFile> =
        files.filter_map(|segment| SealedFile::inspect(&segment.path, segment.id).ok()).collect();
    let named: HashSet<Link> =
        files.iter().filter_map(|file| Some(file.note.predecessor?.1)).collect();
    let mut unnamed = files.iter().filter(|file| !named.contains(&file.link()));
    unnamed.next_back().map(|file| (file.id, file.link()))
}
