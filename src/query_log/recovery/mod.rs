//! What a start makes of the files that the last process left.
//!
//! | found | done |
//! | --- | --- |
//! | an end frame at the end | nothing: the segment is finished |
//! | whole frames, then a torn one or rubbish | the rest goes to a `.cut` file, the segment is cut and finished |
//! | damage with whole frames after it | reported and left in place; everything else stays readable |
//! | less than a head | set aside as `.cut`: nothing in it was ever acknowledged |
//! | a damaged head | reported and kept |
//! | no key, not expired | reported and kept |
//! | a sealed file beside its frames | the frames go, if the sealed file opens and has as many records; else it is set aside |
//! | a sealed file in the making | it goes: the frames are there |
//! | a name that is not ours | reported and kept |
//!
//! Nothing is ever deleted here that is not elsewhere, whole. A crash between two steps leaves the same file, or a shorter one, to be found again:
//! the `.cut` file is durable before the segment is cut, and the end frame is the same bytes each time.

pub(in crate::query_log) mod inspect;
mod recovery_sealed;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    clock::{Hour, Timestamp},
    envelope::{FrameFile, FrameSealer, KeyFiles, Keyring, KeyringError},
    files::{self, FileLock, LockError, SharedDisk},
    limits,
    query_log::{
        catalog::{Catalog, Form, SegmentState},
        frames::segment_reader::{ReadStep, SegmentReader},
        retention,
        sealer::sealed_file::{Link, SealedFile},
        segment_name::{LogFileName, SegmentId},
    },
};
use inspect::{Inspection, Scan, list, look};
use recovery_sealed::Beside;

/// Bytes copied at once to a `.cut` file.
const COPY_CHUNK_BYTES: usize = 256 * 1024;
/// How often a reader beside a running server looks at the directory anew.
const LOOKS_MAX: u32 = 5;

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The keys are not in order.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A file or the directory cannot be read or repaired.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The commit thread cannot be started.
    #[error("the log's thread cannot be started: {0}")]
    Thread(io::Error),
}

/// What was found and done when the log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments found.
    pub segments: usize,
    /// Segments that the last process had not finished.
    pub finished: usize,
    /// Bytes moved to `.cut` files: torn tails, in which nothing was acknowledged.
    pub cut_bytes: u64,
    /// Damaged places with whole frames after them: records were lost there.
    pub damaged: u64,
    /// Segments whose head is damaged, kept.
    pub unreadable: Vec<String>,
    /// Segments whose key is missing though they have not expired, kept.
    pub keys_missing: Vec<String>,
    /// Names that are not the log's, kept.
    pub unknown: Vec<OsString>,
}

pub(in crate::query_log) struct Recovered {
    pub(in crate::query_log) catalog: Catalog,
    pub(in crate::query_log) keyring: Keyring,
    pub(in crate::query_log) lock: FileLock,
    /// The newest record's instant.
    pub(in crate::query_log) last: Timestamp,
    /// The segment sealed last.
    pub(in crate::query_log) tip: Option<(SegmentId, Link)>,
    pub(in crate::query_log) report: RecoveryReport,
}

/// Opens the directory for writing, and repairs it.
pub(in crate::query_log) fn open(
    dir: &Path,
    keys: KeyFiles,
    disk: &SharedDisk,
    now: Timestamp,
    retention: Duration,
) -> Result<Recovered, OpenError> {
    disk.create_dir(dir).map_err(io_at(dir))?;
    let lock = FileLock::of_directory(dir)?;
    let listing = list(dir).map_err(io_at(dir))?;
    let keyring = Keyring::open(disk.clone(), keys, !listing.segments().is_empty())?;
    let catalog = Catalog::new(dir);
    let mut report = RecoveryReport {
        segments: listing.segments().len(),
        unknown: listing.unknown.clone(),
        ..Default::default()
    };
    for (id, path) in &listing.cuts {
        catalog.add_other(*id, path.clone());
    }
    let mut repair =
        Repair { catalog: &catalog, keyring: &keyring, disk, now, retention, report: &mut report };
    repair.discard_unfinished(&listing).map_err(io_at(dir))?;
    for id in listing.segments() {
        let path = catalog.path(LogFileName::Frames(id));
        if listing.sealed.contains(&id) {
            let sealed = catalog.path(LogFileName::Sealed(id));
            let has_frames = listing.frames.contains(&id);
            if repair.sealed(id, &sealed, has_frames).map_err(io_at(&sealed))? {
                continue;
            }
        }
        repair.segment(id, &path).map_err(io_at(&path))?;
    }
    let last = newest(&catalog, &keyring, now);
    let tip = recovery_sealed::tip(&catalog);
    Ok(Recovered { catalog, keyring, lock, last, tip, report })
}

/// Opens the directory without changing anything.
pub(in crate::query_log) fn open_read_only(
    dir: &Path,
    keys: &KeyFiles,
) -> Result<(Catalog, Keyring), OpenError> {
    let mut attempt = 1;
    loop {
        match try_read_only(dir, keys.clone()) {
            // Beside a running server: a segment was sealed, or expired, between the listing and the look.
            Err(OpenError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && attempt < LOOKS_MAX =>
            {
                attempt += 1;
            }
            known => return known,
        }
    }
}

fn try_read_only(dir: &Path, keys: KeyFiles) -> Result<(Catalog, Keyring), OpenError> {
    let listing = list(dir).map_err(io_at(dir))?;
    let keyring = Keyring::open_read_only(keys)?;
    let catalog = Catalog::new(dir);
    for id in listing.segments() {
        let path = catalog.path(LogFileName::Frames(id));
        if listing.sealed.contains(&id) {
            let has_frames = listing.frames.contains(&id);
            let beside = recovery_sealed::look_at(&catalog, &keyring, id, has_frames);
            if beside.map_err(io_at(&path))? != Beside::Frames {
                continue;
            }
        }
        let seen = look(id, &path).map_err(io_at(&path))?;
        match seen {
            Inspection::Finished { bytes, records } => {
                catalog.add(id, bytes, records, SegmentState::Closed);
            }
            Inspection::Unfinished { file, scan } => {
                catalog.add(id, file.limit(), scan.records.into(), SegmentState::Unfinished);
            }
            // Nothing in it was ever acknowledged.
            Inspection::Unborn => {}
            Inspection::Unreadable => {
                catalog.add(id, 0, 0, SegmentState::Unreadable);
            }
        }
    }
    Ok((catalog, keyring))
}

pub(in crate::query_log) struct Repair<'a> {
    pub(in crate::query_log) catalog: &'a Catalog,
    pub(in crate::query_log) keyring: &'a Keyring,
    pub(in crate::query_log) disk: &'a SharedDisk,
    now: Timestamp,
    retention: Duration,
    pub(in crate::query_log) report: &'a mut RecoveryReport,
}

impl Repair<'_> {
    fn segment(&mut self, id: SegmentId, path: &Path) -> io::Result<()> {
        let key = self.keyring.get(id.hour);
        match look(id, path)? {
            Inspection::Unborn => return self.set_aside(id, path),
            Inspection::Unreadable => {
                self.report.unreadable.push(id.to_string());
                self.catalog.add(id, 0, 0, SegmentState::Unreadable);
            }
            Inspection::Finished { bytes, records } => {
                let state = if key.is_some() { SegmentState::Closed } else { self.without_key(id) };
                self.catalog.add(id, bytes, records, state);
            }
            Inspection::Unfinished { file, scan } => {
                self.report.damaged += scan.damaged + scan.gaps;
                let Some(key) = key else {
                    let state = self.without_key(id);
                    self.catalog.add(id, file.limit(), scan.records.into(), state);
                    return Ok(());
                };
                let sealer =
                    FrameSealer::resume(&key, file.header(), scan.next_sequence, scan.records);
                let bytes = self.finish(id, path, &file, scan, sealer)?;
                self.catalog.add(id, bytes, scan.records.into(), SegmentState::Closed);
            }
        }
        Ok(())
    }

    /// The state of a segment that cannot be opened. Once expired that is as it should be.
    pub(in crate::query_log) fn without_key(&mut self, id: SegmentId) -> SegmentState {
        if !self.has_expired(id) {
            self.report.keys_missing.push(id.to_string());
        }
        SegmentState::KeyMissing
    }

    pub(in crate::query_log) fn has_expired(&self, id: SegmentId) -> bool {
        retention::expiry(id.hour, None, self.retention, self.now) <= self.now
    }

    pub(in crate::query_log) fn set_aside(&mut self, id: SegmentId, path: &Path) -> io::Result<()> {
        let aside = self.catalog.path(LogFileName::Cut(id, 0));
        self.report.cut_bytes += path.metadata()?.len();
        self.report.finished += 1;
        self.disk.rename(path, &aside)?;
        self.disk.sync_dir(self.catalog.dir())?;
        self.catalog.add_other(id, aside);
        Ok(())
    }

    /// Cuts off what is not whole, and writes the end frame. Returns the file's new length.
    fn finish(
        &mut self,
        id: SegmentId,
        path: &Path,
        file: &FrameFile,
        scan: Scan,
        mut sealer: FrameSealer,
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
            sealer.seal_end(&mut end);
            open.append(&end)?;
        }
        open.sync()?;
        Ok(scan.whole + end.len() as u64)
    }

    /// Copies what follows `from` to a `.cut` file, durable when this returns.
    fn keep_tail(&mut self, id: SegmentId, path: &Path, from: u64) -> io::Result<()> {
        let aside = self.catalog.path(LogFileName::Cut(id, from));
        if aside.exists() {
            // Left by a start that crashed before it cut the segment: the same bytes.
            self.disk.unlink(&aside)?;
        }
        let mut copy = self.disk.create(&aside)?;
        let (file, mut at, mut chunk) = (files::open(path)?, from, vec![0; COPY_CHUNK_BYTES]);
        loop {
            let read = files::read_up_to(&file, &mut chunk, at)?;
            if read == 0 {
                break;
            }
            copy.append(&chunk[..read])?;
            at += read as u64;
        }
        copy.sync()?;
        self.disk.sync_dir(self.catalog.dir())?;
        self.catalog.add_other(id, aside);
        Ok(())
    }
}

/// The instant of the newest record, so that the log's time goes on after it. Hours further ahead than a clock's step
/// that is waited for do not count.
fn newest(catalog: &Catalog, keyring: &Keyring, now: Timestamp) -> Timestamp {
    let horizon = now.plus(limits::CLOCK_STEP_BACK_MAX);
    let mut found: Option<(Hour, Timestamp)> = None;
    for segment in catalog.segments().into_iter().rev() {
        let hour = segment.id.hour;
        if hour.start() > horizon {
            continue;
        }
        if found.is_some_and(|(of, _)| of != hour) {
            break;
        }
        if segment.form == Form::Sealed {
            let looked = SealedFile::look(&segment.path, segment.id);
            if let Ok(file) = looked {
                let at = found.map_or(file.note.last, |(_, at)| at.max(file.note.last));
                found = Some((hour, at));
            }
            continue;
        }
        let Ok(mut reader) = SegmentReader::open(&segment, keyring) else {
            continue;
        };
        let mut end = reader.end();
        while let Ok(rows @ (ReadStep::Frame(_) | ReadStep::Damaged)) = reader.before(&mut end) {
            if let ReadStep::Frame(rows) = rows
                && let Some(row) = rows.last()
            {
                let at = found.map_or(row.at, |(_, at)| at.max(row.at));
                found = Some((hour, at));
                break;
            }
        }
    }
    found.map_or(Timestamp::EPOCH, |(_, at)| at)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |source| OpenError::Io { path: path.to_owned(), source }
}
