//! Repairs files of frames, and reports what recovery did.

use std::{ffi::OsString, io, path::Path};

use super::inspect::{FrameScan, Inspection, for_each_chunk, inspect};
use crate::{
    envelope::{FrameFile, FrameSealer},
    files::SharedDisk,
    query_log::{
        catalog::{Form, SegmentState},
        search::Sources,
        segment_name::{LogFileName, SegmentId},
    },
};

/// What recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments found, in either form.
    pub segments: usize,
    /// Segments that the last process had not finished.
    pub finished: usize,
    /// Bytes moved to `.cut` files: torn tails without acknowledged records.
    pub cut_bytes: u64,
    /// Damaged places with whole frames after them, where records are lost.
    pub damaged: u64,
    /// Segments with a damaged header; recovery keeps them.
    pub unreadable: Vec<String>,
    /// Segments that have not expired and whose key is missing; recovery keeps them.
    pub keys_missing: Vec<String>,
    /// Names that are not the log's; recovery keeps them.
    pub unknown: Vec<OsString>,
}

pub(super) struct Repair<'a> {
    pub(super) disk: &'a SharedDisk,
    pub(super) sources: &'a Sources,
    pub(super) report: &'a mut RecoveryReport,
}

impl Repair<'_> {
    /// Repairs a segment of frames and adds it to the catalog.
    pub(super) fn frames(&mut self, id: SegmentId, path: &Path) -> io::Result<()> {
        let key = self.sources.keyring.get(id.hour);
        let (bytes, records, state) = match inspect(id, path)? {
            Inspection::Blank => return self.set_aside(id, path),
            Inspection::Unreadable => {
                self.report.unreadable.push(id.to_string());
                (0, 0, SegmentState::Unreadable)
            }
            Inspection::Finished { bytes, records } => {
                let state =
                    if key.is_some() { SegmentState::Closed } else { self.report_missing_key(id) };
                (bytes, records, state)
            }
            Inspection::Unfinished { file, scan } => {
                self.report.damaged += scan.damaged + scan.gaps;
                let (bytes, state) = match key {
                    None => (file.limit(), self.report_missing_key(id)),
                    Some(key) => {
                        let (sequence, records) = (scan.next_sequence, scan.records);
                        let encryptor = FrameSealer::resume(&key, file.header(), sequence, records);
                        let bytes = self.finish(id, path, &file, scan, encryptor)?;
                        (bytes, SegmentState::Closed)
                    }
                };
                (bytes, scan.records.into(), state)
            }
        };
        self.sources.catalog.add(Form::Frames, id, bytes, records, state);
        Ok(())
    }

    /// The state of a segment without a key. The report lists it unless it has expired.
    pub(super) fn report_missing_key(&mut self, id: SegmentId) -> SegmentState {
        if !self.has_expired(id) {
            self.report.keys_missing.push(id.to_string());
        }
        SegmentState::KeyMissing
    }

    pub(super) fn has_expired(&self, id: SegmentId) -> bool {
        self.sources.may_be_destroyed(id.hour)
    }

    /// Renames a file to `.cut`.
    pub(super) fn set_aside(&mut self, id: SegmentId, path: &Path) -> io::Result<()> {
        let aside = self.sources.catalog.path(LogFileName::Cut(id, 0));
        self.report.cut_bytes += path.metadata()?.len();
        self.report.finished += 1;
        self.disk.rename(path, &aside)?;
        self.disk.sync_dir(self.sources.catalog.dir())?;
        self.sources.catalog.add_other(id, aside);
        Ok(())
    }

    /// Truncates the file to its whole frames and writes the end frame. Returns the file's new length.
    fn finish(
        &mut self,
        id: SegmentId,
        path: &Path,
        file: &FrameFile,
        scan: FrameScan,
        mut encryptor: FrameSealer,
    ) -> io::Result<u64> {
        self.report.finished += 1;
        let mut open = self.disk.open(path)?;
        if file.limit() > scan.whole {
            self.keep_tail(id, path, scan.whole)?;
            self.report.cut_bytes += file.limit() - scan.whole;
            open.truncate(scan.whole)?;
        }
        let mut end = Vec::new();
        if !scan.ended {
            encryptor.seal_end(&mut end);
            open.append(&end)?;
        }
        open.sync()?;
        Ok(scan.whole + end.len() as u64)
    }

    /// Copies the bytes from `from` on to a `.cut` file, which is durable when this returns.
    fn keep_tail(&mut self, id: SegmentId, path: &Path, from: u64) -> io::Result<()> {
        let aside = self.sources.catalog.path(LogFileName::Cut(id, from));
        // A start that crashed before it truncated the segment may have left a copy of the same bytes.
        self.sources.catalog.unlink(&**self.disk, id, &aside)?;
        let mut copy = self.disk.create(&aside)?;
        for_each_chunk(path, from, |chunk| copy.append(chunk))?;
        copy.sync()?;
        self.disk.sync_dir(self.sources.catalog.dir())?;
        self.sources.catalog.add_other(id, aside);
        Ok(())
    }
}
