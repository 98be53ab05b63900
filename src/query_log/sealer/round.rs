//! One round of sealing.

use std::{path::Path, sync::Arc};

use super::{
    sealed_file::{ChainTip, Link, Note, PURPOSE, SealedFile},
    state::{SealOutcome, SealerState},
};
use crate::{
    envelope::{ChunkWriter, FileHeader, HourKey},
    ids, limits,
    lock::lock,
    query_log::{
        catalog::{Form, Segment, SegmentState},
        engine::LogState,
        frames::segment_reader::SegmentReader,
        record::EachRow,
        search::Sources,
        segment::{self, WriteOptions},
        segment_error::SealError,
        segment_name::LogFileName,
    },
};

impl LogState {
    /// Seals every finished segment that is due, oldest first.
    pub(crate) fn seal_all(&self, stop: &dyn Fn() -> bool) -> SealOutcome {
        let mut sealer = lock(&self.sealer);
        let mut outcome = SealOutcome::default();
        for segment in self.sources.catalog.segments() {
            if stop() {
                break;
            }
            if !self.is_due(&segment) || sealer.refused.contains(&segment.id) {
                continue;
            }
            if !self.may_seal(segment.bytes()) {
                outcome.waiting += 1;
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

    /// Whether to seal a segment now. The sealer leaves a segment of this process alone for a while after its hour, so that
    /// live followers can read it to its end.
    fn is_due(&self, segment: &Segment) -> bool {
        let (hour, (now, era)) = (segment.id.hour, self.sources.clock.stamp());
        let ended = hour.era() != era || hour.end().plus(limits::LOG_SEAL_GRACE) <= now;
        (segment.form, segment.state()) == (Form::Frames, SegmentState::Closed)
            && segment.records() > 0
            && (ended || segment.ordinal < self.first_own_ordinal)
    }

    fn seal_segment(
        &self,
        segment: &Segment,
        sealer: &mut SealerState,
        stop: &dyn Fn() -> bool,
    ) -> Result<u64, SealError> {
        let (id, Sources { catalog, keyring, .. }) = (segment.id, &self.sources);
        let key = keyring.get(id.hour).ok_or(SealError::Expired)?;
        let incomplete = catalog.path(LogFileName::Sealing(id));
        catalog.unlink(&*self.disk, id, &incomplete)?;
        // The catalog knows the file before it exists, so that retention finds it after any error.
        catalog.add_other(id, incomplete.clone());
        let written = self.write_sealed(segment, &key, &incomplete, sealer.tip, stop).and_then(
            |(bytes, link)| {
                self.replace_frames(segment, &incomplete, bytes).map(|()| (bytes, link))
            },
        );
        match written {
            Ok((bytes, link)) => {
                sealer.tip = Some((id, link));
                Ok(bytes)
            }
            Err(error) => {
                // If this fails the file stays in the catalog, and retention tries again.
                let _ = catalog.unlink(&*self.disk, id, &incomplete);
                // Retention may remove the frames while the sealer reads them. Such an error is no fault of the segment.
                let is_alive = keyring.get(id.hour).is_some();
                Err(if is_alive { error } else { SealError::Expired })
            }
        }
    }

    /// Steps 1 and 2. Returns the file's length and link.
    fn write_sealed(
        &self,
        segment: &Segment,
        key: &HourKey,
        path: &Path,
        predecessor: Option<ChainTip>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(u64, Link), SealError> {
        let header = FileHeader::new(PURPOSE, segment.id.hour, segment.id.number);
        let mut writer = ChunkWriter::create(self.disk.create(path)?, key, header)?;
        let mut frames = |each: &mut EachRow<'_>| {
            let is_whole = SegmentReader::open(segment, &self.sources.keyring)?.visit(each)?;
            if is_whole {
                Ok(())
            } else {
                Err(SealError::Damaged("a frame is not as it was written"))
            }
        };
        let options = WriteOptions::new(ids::random_u64(), stop);
        let total = segment.records();
        let written = segment::write(&mut writer, &mut frames, segment.id.hour, total, &options)?;
        let (first, last) = written.span.ok_or(SealError::Differs("the frames have no record"))?;
        if written.sum.records != total {
            return Err(SealError::Differs("the frames hold another number of records"));
        }
        let note = Note { records: total, first, last, predecessor };
        let summary = writer.finish(&note.encode())?;
        let file = SealedFile::inspect(path, segment.id)?;
        if file.note != note || file.file.computed_root()? != summary.root {
            return Err(SealError::Differs("its note or its root is not the same"));
        }
        let reader = Arc::new(file.reader(&self.sources.keyring)?);
        let found = segment::Sealed::open(reader, segment.id.hour)?.digest(options.seed)?;
        if found.sum != written.sum || !found.sorted || found.damaged_rows > 0 {
            return Err(SealError::Differs("the records are not the same"));
        }
        Ok((file.file.bytes(), file.link()))
    }

    /// Steps 3 to 5.
    fn replace_frames(
        &self,
        segment: &Segment,
        incomplete: &Path,
        bytes: u64,
    ) -> Result<(), SealError> {
        let (id, Sources { catalog, keyring, .. }) = (segment.id, &self.sources);
        let _retention = lock(&self.retention);
        if keyring.get(id.hour).is_none() {
            return Err(SealError::Expired);
        }
        self.disk.rename(incomplete, &catalog.path(LogFileName::Sealed(id)))?;
        // From here on the catalog knows both files, so retention finds them after any error.
        catalog.add(Form::Sealed, id, bytes, segment.records(), SegmentState::Sealed);
        catalog.remove(id, incomplete);
        catalog.add_other(id, segment.path.clone());
        let durable = self.disk.sync_dir(catalog.dir());
        let removed = durable.and_then(|()| catalog.unlink(&*self.disk, id, &segment.path));
        if let Err(error) = removed {
            // Both forms stay. Readers use the sealed file; the next start removes the frames.
            tracing::warn!(%error, segment = %id, "cannot remove the frames of a sealed segment");
        } else if let Err(error) = self.disk.sync_dir(catalog.dir()) {
            tracing::warn!(%error, segment = %id, "the removal of sealed frames may not be durable yet");
        }
        Ok(())
    }
}
