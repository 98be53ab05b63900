//! Copies what is committed: the frames first, since they are all that there is of the newest records, then sealed files.

use std::{io, sync::atomic::Ordering};

use bytes::Bytes;

use super::{
    copier::{Conflict, Copies, SeenFile, Work},
    name::CopiedFile,
};
use crate::{
    envelope::{ChunkFile, FILE_HEADER_BYTES, FileError, FrameFile},
    files::{self, File},
    limits,
    lock::lock,
    object_storage::{Objects, Stop, StoreError},
    query_log::{
        catalog::{Form, Segment},
        search::Sources,
    },
};

impl Copies {
    /// Whether every segment is in the store, as far as it was committed at the begin.
    pub(super) fn copy(
        &self,
        work: &mut Work,
        objects: &Objects,
        sources: &Sources,
        stop: Stop<'_>,
    ) -> Result<bool, StoreError> {
        let segments = sources.catalog.segments();
        work.seen.retain(|(id, _), _| sources.catalog.get(*id).is_some());
        lock(&self.progress).records.retain(|id, _| sources.catalog.get(*id).is_some());
        let began = sources.clock.boot();
        // Much may have to be copied, of sealed files above all. The new frames must not wait for them.
        let is_time_over =
            || stop() || sources.clock.boot().saturating_sub(began) > self.options.interval;
        let (frames_go_on, sealed_go_on) = (|| !stop(), || !is_time_over());
        let mut is_complete = true;
        for form in [Form::Frames, Form::Sealed] {
            let goes_on: &dyn Fn() -> bool = match form {
                Form::Frames => &frames_go_on,
                Form::Sealed => &sealed_go_on,
            };
            for segment in segments.iter().rev().filter(|segment| segment.form == form) {
                if !goes_on() {
                    return Ok(false);
                }
                if !is_wanted(sources, segment) {
                    continue;
                }
                is_complete &= (self.options.may_copy)(segment.id.hour)
                    && self.copy_segment(work, objects, sources, segment, goes_on)?;
            }
        }
        Ok(is_complete)
    }

    /// Copies what the store lacks of a segment. False if something is still lacking.
    fn copy_segment(
        &self,
        work: &mut Work,
        objects: &Objects,
        sources: &Sources,
        segment: &Segment,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        // In this order: there are at least so many records in so many bytes.
        let (records, bytes) = (segment.records(), segment.bytes());
        let Some(file) = seen(work, segment, bytes) else { return Ok(false) };
        if work.conflicts.get(&file).is_some_and(|conflict| !conflict.is_due) {
            return Ok(false);
        }
        let mut end = work.copied(file);
        let mut local = None;
        while end < bytes {
            let open = match local.take() {
                Some(open) => open,
                None => match open_durable(sources, segment, end) {
                    Ok(open) => open,
                    Err(error) => return Ok(report_unreadable(segment, &error)),
                },
            };
            // An hour that has expired meanwhile leaves nothing in the store.
            if !goes_on() || sources.keyring.get(segment.id.hour).is_none() {
                return Ok(false);
            }
            let piece = match read_piece(&open, end, bytes) {
                Ok(piece) => piece,
                Err(error) => return Ok(report_unreadable(segment, &error)),
            };
            let extents = work.stored.entry(file).or_default();
            // It goes with its hour, also if the answer is lost or it holds other bytes.
            extents.add(end, 0);
            let Some(taken) = self.create(objects, file, end, piece)? else {
                work.conflicts.insert(file, Conflict { offset: end, is_due: false });
                return Ok(false);
            };
            extents.add(end, taken);
            work.conflicts.remove(&file);
            end += taken;
            local = Some(open);
        }
        lock(&self.progress).records.insert(segment.id, records);
        Ok(true)
    }

    /// Creates an object, unless it exists with the same bytes or the first of them. Returns its length; none if it has other bytes.
    fn create(
        &self,
        objects: &Objects,
        file: CopiedFile,
        offset: u64,
        piece: Bytes,
    ) -> Result<Option<u64>, StoreError> {
        let name = file.object(&self.options.node, offset).to_string();
        let bytes = piece.len() as u64;
        match objects.create(&name, piece.clone()) {
            Ok(()) => {
                self.counts.objects.fetch_add(1, Ordering::Relaxed);
                self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok(Some(bytes))
            }
            // An earlier attempt had an outcome that was not known, or the listing was old.
            Err(StoreError::Exists) => {
                let found = objects.read(&name, 0..bytes + 1)?;
                if !found.is_empty() && piece.starts_with(&found) {
                    return Ok(Some(found.len() as u64));
                }
                tracing::error!(
                    object = name,
                    "an object of the store holds other bytes than the log; the file is copied no further"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a segment has records that its key opens.
pub(super) fn is_wanted(sources: &Sources, segment: &Segment) -> bool {
    segment.records() > 0
        && segment.bytes() > FILE_HEADER_BYTES
        && sources.keyring.get(segment.id.hour).is_some()
}

/// The segment's file, by the salt in its head. None if it cannot be read.
fn seen(work: &mut Work, segment: &Segment, bytes: u64) -> Option<CopiedFile> {
    let key = (segment.id, segment.form);
    let file = match work.seen.get(&key) {
        Some(seen) => seen.file,
        None => match salt(segment) {
            Ok(salt) => CopiedFile::new(segment.id, segment.form, &salt),
            Err(FileError::Io(error)) => {
                report_unreadable(segment, &error);
                return None;
            }
            // `log verify` reports it.
            Err(_) => return None,
        },
    };
    work.seen.insert(key, SeenFile { file, bytes });
    Some(file)
}

fn salt(segment: &Segment) -> Result<[u8; 32], FileError> {
    Ok(match segment.form {
        Form::Frames => FrameFile::open(&segment.path, Some(segment.bytes()))?.header().salt,
        Form::Sealed => ChunkFile::open(&segment.path)?.header().salt,
    })
}

/// The segment's file, whose bytes and, before the first are copied, whose name a power cut will not take.
fn open_durable(sources: &Sources, segment: &Segment, copied: u64) -> io::Result<File> {
    let file = files::open(&segment.path)?;
    file.sync_data()?;
    if copied == 0 {
        files::sync_dir(sources.catalog.dir())?;
    }
    Ok(file)
}

fn read_piece(file: &File, from: u64, to: u64) -> io::Result<Bytes> {
    let bytes = usize::try_from(to - from).unwrap_or(usize::MAX);
    let mut piece = vec![0; bytes.min(limits::LOG_COPY_OBJECT_BYTES_MAX)];
    files::read_exact_at(file, &mut piece, from)?;
    Ok(piece.into())
}

/// False, so that the segment counts as not copied.
fn report_unreadable(segment: &Segment, error: &io::Error) -> bool {
    // It was sealed or it expired since the catalog was asked.
    if error.kind() != io::ErrorKind::NotFound {
        tracing::warn!(%error, segment = %segment.id, "a file of the log cannot be read to copy it; trying again");
    }
    false
}
