//! The segment that is being written.
//!
//! ```text
//! head (twice)   frames: version, base, records      end frame, once it is finished
//! ```
//!
//! What a crash leaves: during `create`, a file shorter than its head or with a name that is not durable, in which no
//! record was ever acknowledged; during `append`, a torn last frame, which was not acknowledged either.

use std::{io, path::Path, sync::Arc};

use crate::{
    clock::{Hour, Timestamp},
    envelope::{FILE_HEADER_BYTES, FileHeader, FrameSealer, Keyring, KeyringError},
    files::{DiskFile, SharedDisk},
    query_log::{
        catalog::{Catalog, Segment, SegmentState},
        config::Durability,
        segment_name::{LogFileName, SegmentId},
    },
};

/// What the frames of the log are for, in the derivation of their keys.
pub(in crate::query_log) const PURPOSE: u8 = 1;

/// Why the log could not be written.
#[derive(Debug, thiserror::Error)]
pub(in crate::query_log) enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// What new segments are made of.
#[derive(Debug)]
pub(in crate::query_log) struct SegmentMaker {
    pub(in crate::query_log) disk: SharedDisk,
    pub(in crate::query_log) keyring: Arc<Keyring>,
    pub(in crate::query_log) catalog: Arc<Catalog>,
    pub(in crate::query_log) durability: Durability,
}

/// A segment open for writing.
#[derive(Debug)]
pub(in crate::query_log) struct SegmentFile {
    segment: Arc<Segment>,
    file: Box<dyn DiskFile>,
    sealer: FrameSealer,
    durability: Durability,
    bytes: u64,
    records: u64,
    /// Sealed frames that are not written yet.
    sealed: Vec<u8>,
}

impl SegmentMaker {
    /// Makes a new segment. Its head and its name are durable when this returns (in `disk`), and so is its hour's key:
    /// a record must never be on disk without one.
    pub(in crate::query_log) fn create(
        &self,
        hour: Hour,
        now: Timestamp,
    ) -> Result<SegmentFile, WriteError> {
        let key = self.keyring.ensure(hour, now)?;
        let id = SegmentId { hour, number: self.catalog.next_number(hour) };
        let path = self.catalog.path(LogFileName::Frames(id));
        let header = FileHeader::new(PURPOSE, hour, id.number);
        // Known from here on, so that its number is not taken again and retention finds it, whatever happens next.
        let segment = self.catalog.add(id, 0, 0, SegmentState::Active);
        let file = match self.create_file(&path, &header) {
            Ok(file) => file,
            Err(error) => {
                self.give_up(&segment);
                return Err(error.into());
            }
        };
        segment.commit(FILE_HEADER_BYTES, 0);
        Ok(SegmentFile {
            segment,
            file,
            sealer: FrameSealer::new(&key, &header),
            durability: self.durability,
            bytes: FILE_HEADER_BYTES,
            records: 0,
            sealed: Vec::new(),
        })
    }

    fn create_file(&self, path: &Path, header: &FileHeader) -> io::Result<Box<dyn DiskFile>> {
        let mut file = self.disk.create(path)?;
        file.append(&header.encode())?;
        if self.durability == Durability::Disk {
            file.sync()?;
            self.disk.sync_dir(self.catalog.dir())?;
        }
        Ok(file)
    }

    /// Leaves a segment as it is after an error: it must not be written again. One without any acknowledged record is
    /// removed if possible, so that a full disk does not fill with empty files, one for each retry.
    pub(in crate::query_log) fn give_up(&self, segment: &Segment) {
        segment.set_state(SegmentState::Abandoned);
        if segment.records() > 0 {
            return;
        }
        match self.disk.unlink(&segment.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {}
            _ => self.catalog.remove(segment.id, &segment.path),
        }
    }
}

impl SegmentFile {
    pub(in crate::query_log) fn hour(&self) -> Hour {
        self.segment.id.hour
    }

    /// Whether another frame can be counted; else a new segment is due.
    pub(in crate::query_log) fn has_room(&self, records: u32) -> bool {
        self.sealer.has_room(records)
    }

    /// Seals a frame; written with [`SegmentFile::commit`].
    pub(in crate::query_log) fn seal(&mut self, records: u32, content: &[u8]) {
        self.sealer.seal(&mut self.sealed, records, content);
        self.records += u64::from(records);
    }

    /// Writes what was sealed, as durable as configured, and lets readers see it.
    pub(in crate::query_log) fn commit(&mut self) -> io::Result<()> {
        if self.sealed.is_empty() {
            return Ok(());
        }
        self.file.append(&self.sealed)?;
        if self.durability == Durability::Disk {
            self.file.sync()?;
        }
        self.bytes += self.sealed.len() as u64;
        self.sealed.clear();
        self.segment.commit(self.bytes, self.records);
        Ok(())
    }

    /// Ends the segment: nothing follows.
    pub(in crate::query_log) fn finish(mut self) -> io::Result<()> {
        self.sealer.seal_end(&mut self.sealed);
        let ended = self.commit();
        self.segment.set_state(match ended {
            Ok(()) => SegmentState::Closed,
            Err(_) => SegmentState::Abandoned,
        });
        ended
    }

    /// The segment as readers see it.
    pub(in crate::query_log) fn segment(&self) -> &Segment {
        &self.segment
    }
}
