//! Sealing: a finished segment's frames become one sealed file, and then go.
//!
//! ```text
//! 1  X.sealing written, synced       crash after: the next start removes it; the frames are whole
//! 2  read back and compared          with the frames: every record, the order, the root; else X.sealing goes, the frames stay
//! 3  X.sealing renamed to X.sealed, directory synced
//!                                    crash before the sync: either name; after: both forms are there, and a start that finds
//!                                    X.sealed whole, opening, and with as many records removes the frames
//! 4  readers are told
//! 5  X.frames unlinked, directory synced
//! ```
//!
//! A segment with a damaged frame is never sealed: what is wrong with it must stay to be seen until it expires.
//!
//! Steps 3 to 5 and retention exclude each other: a key that was destroyed meanwhile is noticed, and everything about the
//! hour goes. A file that is not sealed yet dies with its hour like every other; until then it is of use to nobody, since
//! its key is the hour's.

pub(in crate::query_log) mod sealed_file;

use std::{collections::HashSet, io, ops::ControlFlow, path::Path, sync::Arc};

use crate::{
    envelope::{ChunkWriter, FileHeader, HourKey, Keyring},
    ids, limits,
    query_log::{
        catalog::{Form, Segment, SegmentState},
        engine::LogState,
        frames::{
            row_view::RowView,
            segment_reader::{SegmentError, SegmentReader},
        },
        segment::{self, Digest, RowSource, WriteError, WriteOptions},
        segment_name::{LogFileName, SegmentId},
    },
};
use sealed_file::{Link, Note, PURPOSE, Parts, SealedFile};

/// What one round of sealing did.
#[derive(Debug, Default)]
pub struct SealOutcome {
    /// Segments sealed.
    pub segments: usize,
    /// Records in them.
    pub records: u64,
    /// Bytes that their frames took.
    pub bytes_before: u64,
    /// Bytes that they take now.
    pub bytes_after: u64,
    /// Segments that could not be sealed, each with why: tried again if the disk was at fault, left as they are if
    /// something is wrong with them.
    pub failed: Vec<(SegmentId, SealError)>,
}

/// Why a segment is not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A frame is damaged: the segment stays as it is.
    #[error("it is damaged, and stays as it is")]
    Damaged,
    /// What was written is not what is in the frames: the segment stays as it is.
    #[error("what was written does not read back as what is in it: {0}")]
    Differs(&'static str),
    /// Its key is gone.
    #[error("it has expired meanwhile")]
    Expired,
    /// The service stops.
    #[error("interrupted")]
    Stopped,
}

/// What the sealing of one log remembers.
#[derive(Debug, Default)]
pub(in crate::query_log) struct Sealer {
    /// The segment sealed last: the next one names it.
    pub(in crate::query_log) tip: Option<(SegmentId, Link)>,
    /// Segments with which something is wrong.
    refused: HashSet<SegmentId>,
}

impl Sealer {
    pub(in crate::query_log) fn new(tip: Option<(SegmentId, Link)>) -> Self {
        Self { tip, refused: HashSet::new() }
    }
}

impl LogState {
    /// Seals every finished segment that is not sealed yet, oldest first.
    pub(in crate::query_log) fn seal(&self, stop: &dyn Fn() -> bool) -> SealOutcome {
        let mut sealer = self.sealer();
        let mut outcome = SealOutcome::default();
        for segment in self.catalog.segments() {
            if stop() {
                break;
            }
            if !self.is_due(&segment) || sealer.refused.contains(&segment.id) {
                continue;
            }
            match self.seal_segment(&segment, &mut sealer, stop) {
                Ok(bytes) => {
                    outcome.segments += 1;
                    outcome.records += segment.records();
                    outcome.bytes_before += segment.bytes();
                    outcome.bytes_after += bytes;
                }
                Err(SealError::Expired | SealError::Stopped) => {}
                Err(error) => {
                    if !matches!(error, SealError::Io(_)) {
                        sealer.refused.insert(segment.id);
                    }
                    outcome.failed.push((segment.id, error));
                }
            }
        }
        outcome
    }

    /// Whether a segment is to be sealed now. One that this process wrote is left alone for a while after its hour: who
    /// follows it live is given the time to read it to its end.
    fn is_due(&self, segment: &Segment) -> bool {
        let ended = segment.id.hour.end().plus(limits::LOG_SEAL_GRACE) <= self.clock.now();
        (segment.form, segment.state()) == (Form::Frames, SegmentState::Closed)
            && segment.records() > 0
            && (ended || segment.ordinal < self.own_from)
    }

    fn seal_segment(
        &self,
        segment: &Segment,
        sealer: &mut Sealer,
        stop: &dyn Fn() -> bool,
    ) -> Result<u64, SealError> {
        let id = segment.id;
        let key = self.keyring.get(id.hour).ok_or(SealError::Expired)?;
        let unfinished = self.catalog.path(LogFileName::Sealing(id));
        // Known before it is there, so that it dies with its hour whatever happens.
        self.catalog.add_other(id, unfinished.clone());
        let written = remove(&*self.disk, &unfinished)
            .map_err(SealError::Io)
            .and_then(|()| self.write_sealed(segment, &key, &unfinished, sealer.tip, stop))
            .and_then(|()| self.put_in_place(segment, &unfinished));
        match written {
            Ok((bytes, link)) => {
                sealer.tip = Some((id, link));
                Ok(bytes)
            }
            Err(error) => {
                if remove(&*self.disk, &unfinished).is_ok() {
                    self.catalog.remove(id, &unfinished);
                }
                // Retention takes the frames from under the reader: what is met then is no fault of the segment.
                if self.keyring.get(id.hour).is_none() {
                    Err(SealError::Expired)
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Steps 1 and 2.
    fn write_sealed(
        &self,
        segment: &Segment,
        key: &HourKey,
        path: &Path,
        predecessor: Option<(SegmentId, Link)>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), SealError> {
        let header = FileHeader::new(PURPOSE, segment.id.hour, segment.id.number);
        let writer = ChunkWriter::create(self.disk.create(path)?, key, header)?;
        let mut parts = Parts { writer, begun: false };
        let mut frames = Frames { segment, keyring: &self.keyring };
        let options = WriteOptions::new(ids::random_u64(), stop);
        let total = segment.records();
        let written = segment::write(&mut parts, &mut frames, segment.id.hour, total, &options)?;
        let (first, last) = written.span.ok_or(SealError::Differs("it has no record"))?;
        if written.records != total {
            return Err(SealError::Differs("its frames hold more or fewer records than they say"));
        }
        let note = Note { records: total, first, last, predecessor };
        let summary = parts.writer.finish(&note.encode())?;
        let found = self.read_back(path, segment.id, &note, options.seed)?;
        let is_same = found.sum == written.sum && found.sorted && found.damaged_rows == 0;
        let root = SealedFile::look(path, segment.id).map_err(unread)?.file.computed_root()?;
        if !is_same || root != summary.root {
            return Err(SealError::Differs("the records are not the same"));
        }
        Ok(())
    }

    fn read_back(
        &self,
        path: &Path,
        id: SegmentId,
        note: &Note,
        seed: u64,
    ) -> Result<Digest, SealError> {
        let file = SealedFile::look(path, id).map_err(unread)?;
        if file.note != *note {
            return Err(SealError::Differs("its tail"));
        }
        let reader = file.unlock(&self.keyring).map_err(unread)?;
        let sealed = segment::Sealed::open(Arc::new(reader), id.hour)
            .map_err(|error| unread(error.into()))?;
        sealed.digest(seed).map_err(|error| unread(error.into()))
    }

    /// Steps 3 to 5.
    fn put_in_place(&self, segment: &Segment, unfinished: &Path) -> Result<(u64, Link), SealError> {
        let id = segment.id;
        let file = SealedFile::look(unfinished, id).map_err(unread)?;
        let (bytes, link) = (file.file.bytes(), file.link());
        drop(file);
        let _retention = self.retention();
        if self.keyring.get(id.hour).is_none() {
            return Err(SealError::Expired);
        }
        self.disk.rename(unfinished, &self.catalog.path(LogFileName::Sealed(id)))?;
        // From here on both names are known: whatever fails, retention finds the files.
        self.catalog.add_sealed(id, bytes, segment.records(), SegmentState::Sealed);
        self.catalog.remove(id, unfinished);
        self.catalog.add_other(id, segment.path.clone());
        let durable = self.disk.sync_dir(self.catalog.dir());
        if let Err(error) = durable.and_then(|()| self.disk.unlink(&segment.path)) {
            // Both forms stay. The next start removes the frames; readers have the sealed one.
            tracing::warn!(%error, segment = %id, "the frames of a sealed segment could not be removed");
            return Ok((bytes, link));
        }
        self.catalog.remove(id, &segment.path);
        if let Err(error) = self.disk.sync_dir(self.catalog.dir()) {
            tracing::warn!(%error, segment = %id, "the removal of sealed frames may not be durable yet");
        }
        Ok((bytes, link))
    }
}

/// Removes a file if it is there.
pub(in crate::query_log) fn remove(disk: &dyn crate::files::Disk, path: &Path) -> io::Result<()> {
    match disk.unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl From<WriteError<Self>> for SealError {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Source(error) => error,
            WriteError::Sink(error) => Self::Io(error),
            WriteError::Stopped => Self::Stopped,
            WriteError::OutOfOrder | WriteError::OtherHour => Self::Damaged,
            WriteError::Parquet(_) => Self::Differs("its rows do not fit the form"),
            WriteError::Changed => Self::Differs("it changed while it was read"),
        }
    }
}

fn unread(error: SegmentError) -> SealError {
    match error {
        SegmentError::Io(error) => SealError::Io(error),
        SegmentError::NoKey => SealError::Expired,
        SegmentError::Gone | SegmentError::Unreadable => SealError::Differs("it cannot be read"),
    }
}

/// The rows of a finished segment, from its first frame to its end frame.
struct Frames<'a> {
    segment: &'a Segment,
    keyring: &'a Keyring,
}

impl RowSource for Frames<'_> {
    type Error = SealError;

    fn pass(
        &mut self,
        each: &mut dyn FnMut(&RowView<'_>) -> ControlFlow<()>,
    ) -> Result<(), SealError> {
        let mut reader = SegmentReader::open(self.segment, self.keyring).map_err(unread)?;
        let is_whole = reader.visit(each).map_err(unread)?;
        if is_whole { Ok(()) } else { Err(SealError::Damaged) }
    }
}
