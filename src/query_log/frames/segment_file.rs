//! The segment that this process writes.
//!
//! ```text
//! header (twice)   frames: version, base, records      end frame, once the segment is finished
//! ```
//!
//! What a crash leaves, in both cases without an acknowledged record:
//!
//! - during `create`: a file shorter than its header, or a name that is not durable;
//! - during `append`: a torn last frame.

use std::{io, path::Path, sync::Arc, time::Instant};

use super::pending::PendingFrame;
use crate::{
    clock::{Hour, Timestamp},
    envelope::{FILE_HEADER_BYTES, FileHeader, FrameSealer, Keyring, KeyringError},
    files::{DiskFile, SharedDisk},
    limits,
    query_log::{
        catalog::{Catalog, Form, Segment, SegmentState},
        config::Durability,
        durations::LogDurations,
        segment_name::{LogFileName, SegmentId},
    },
};

/// The purpose of the log's frames in the derivation of their keys.
pub(crate) const PURPOSE: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(
        "the log's disk has {free} bytes of free space, and server.disk_reserve, or a twentieth of the disk, leaves {least} to \
         other programs"
    )]
    LowSpace { free: u64, least: u64 },
    #[error("the log's disk hangs: a commit has taken over {} s", limits::LOG_COMMIT_PATIENCE.as_secs())]
    Hangs,
}

#[derive(Debug)]
pub(crate) struct SegmentMaker {
    pub(crate) disk: SharedDisk,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) durability: Durability,
    pub(crate) durations: Arc<LogDurations>,
}

#[derive(Debug)]
pub(crate) struct SegmentFile {
    segment: Arc<Segment>,
    file: Box<dyn DiskFile>,
    encryptor: FrameSealer,
    durability: Durability,
    durations: Arc<LogDurations>,
    bytes: u64,
    records: u64,
    /// Encrypted frames that are not written yet.
    unwritten: Vec<u8>,
    last: Timestamp,
}

impl SegmentMaker {
    /// Creates a segment. When this returns, the key of its hour is durable, and in `disk` mode so are its header and its
    /// name: no record may be on disk without a key.
    pub(crate) fn create(&self, hour: Hour) -> Result<SegmentFile, WriteError> {
        let key = self.keyring.ensure(hour)?;
        // Without its key nobody could ever read the segment.
        assert!(self.keyring.get(hour).is_some(), "a segment's key exists before the segment");
        let id = SegmentId { hour, number: self.catalog.next_number(hour) };
        let path = self.catalog.path(LogFileName::Frames(id));
        let header = FileHeader::new(PURPOSE, hour, id.number);
        // The catalog knows it before it exists, so that nobody takes its number and retention finds it after any error.
        let segment = self.catalog.add(Form::Frames, id, 0, 0, SegmentState::Active);
        let file = self.create_file(&path, &header).inspect_err(|_| self.abandon(&segment))?;
        segment.commit(FILE_HEADER_BYTES, 0);
        Ok(SegmentFile {
            segment,
            file,
            encryptor: FrameSealer::new(&key, &header),
            durability: self.durability,
            durations: Arc::clone(&self.durations),
            bytes: FILE_HEADER_BYTES,
            records: 0,
            unwritten: Vec::new(),
            last: hour.start(),
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

    /// Stops writing a segment after an error. It unlinks a segment without acknowledged records if it can: otherwise each
    /// retry on a full disk would leave another empty file.
    pub(crate) fn abandon(&self, segment: &Segment) {
        segment.set_state(SegmentState::Abandoned);
        if segment.records() == 0 {
            // If this fails the file stays in the catalog, and retention tries again.
            let _ = self.catalog.unlink(&*self.disk, segment.id, &segment.path);
        }
    }
}

impl SegmentFile {
    pub(crate) fn hour(&self) -> Hour {
        self.segment.id.hour
    }

    /// Whether the frame counters can count these records. If not, the caller begins a new segment.
    pub(crate) fn has_room(&self, records: u32) -> bool {
        self.encryptor.has_room(records)
    }

    /// Encrypts a frame. [`SegmentFile::commit`] writes it.
    pub(crate) fn encrypt(&mut self, frame: &PendingFrame, content: &[u8]) {
        // Readers seek by time and name a row by its instant. A record out of order would be lost to them.
        let is_later = frame.first > self.last || self.records == 0;
        assert!(is_later && frame.hour == self.hour(), "records of a segment are in order");
        self.encryptor.seal(&mut self.unwritten, frame.records, content);
        self.records += u64::from(frame.records);
        self.last = frame.last;
    }

    /// Writes the encrypted frames, makes them as durable as configured, and shows them to readers.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let written = self.write();
        if written.is_err() {
            // Nobody relies on these bytes, and they may be in memory only. Without this the next start would take them for
            // records, and write after them. If it fails too, the next start finds records of refused requests.
            let _ = self.file.truncate(self.bytes);
            return written;
        }
        self.bytes += self.unwritten.len() as u64;
        self.unwritten.clear();
        self.segment.commit(self.bytes, self.records);
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.append(&self.unwritten)?;
        if self.durability == Durability::Os {
            return Ok(());
        }
        let began = Instant::now();
        let synced = self.file.sync();
        self.durations.sync.observe(began.elapsed());
        synced?;
        if self.file.is_removed()? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed"));
        }
        Ok(())
    }

    /// Writes the end frame. No frame may follow it.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.encryptor.seal_end(&mut self.unwritten);
        let finished = self.commit();
        self.segment.set_state(match finished {
            Ok(()) => SegmentState::Closed,
            Err(_) => SegmentState::Abandoned,
        });
        finished
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }
}
