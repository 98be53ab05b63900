//! Opens the log's directory: for writing, which repairs it, or for reading only, which changes nothing.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    inspect::{Inspection, Listing, inspect, list},
    repair::{RecoveryReport, Repair},
    sealed_form::{self, ChosenForm},
};
use crate::{
    clock::{Era, Hour, SharedClock, Timestamp},
    envelope::{KeyFiles, Keyring, KeyringError},
    files::{FileLock, LockError, SharedDisk},
    query_log::{
        catalog::{Catalog, Form, Segment, SegmentState},
        filter::Order,
        frames::segment_reader::{ReadStep, SegmentReader},
        sealer::sealed_file::{ChainTip, SealedFile},
        search::Sources,
        segment_name::LogFileName,
    },
};

/// How often a reader beside a running server lists the directory.
const ATTEMPTS_MAX: u32 = 5;

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has locked the directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The keyring or the root key is missing or invalid.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A file or the directory cannot be read or repaired.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The operating system cannot start the commit thread.
    #[error("cannot start the thread of the log: {0}")]
    Thread(io::Error),
}

pub(crate) struct Recovered {
    pub(crate) sources: Sources,
    pub(crate) lock: FileLock,
    /// The instant of the newest record of the current era.
    pub(crate) last: Timestamp,
    pub(crate) era: Era,
    /// The segment sealed last.
    pub(crate) tip: Option<ChainTip>,
    pub(crate) report: RecoveryReport,
}

/// `disk` must work when the disk is full, within limits: a start then must get far enough to forget and to read.
pub(crate) fn open(
    dir: &Path,
    keys: KeyFiles,
    disk: &SharedDisk,
    clock: SharedClock,
    retention: Duration,
) -> Result<Recovered, OpenError> {
    disk.create_dir(dir).map_err(io_at(dir))?;
    let lock = FileLock::of_directory(dir)?;
    let listing = list(dir).map_err(io_at(dir))?;
    let segments = listing.segments();
    let keyring = Keyring::open(Arc::clone(disk), keys, !segments.is_empty())?;
    let (catalog, keyring) = (Arc::new(Catalog::new(dir)), Arc::new(keyring));
    let sources = Sources { catalog, keyring, clock, retention };
    let catalog = &sources.catalog;
    let mut report = RecoveryReport {
        segments: segments.len(),
        unknown: listing.unknown.clone(),
        ..Default::default()
    };
    for cut in listing.names.iter().filter(|name| matches!(name, LogFileName::Cut(..))) {
        catalog.add_other(cut.segment(), catalog.path(*cut));
    }
    let mut repair = Repair { sources: &sources, disk, report: &mut report };
    repair.remove_incomplete(&listing).map_err(io_at(dir))?;
    for id in segments {
        let path = catalog.path(LogFileName::Frames(id));
        if listing.has(LogFileName::Sealed(id)) {
            let sealed = catalog.path(LogFileName::Sealed(id));
            let has_frames = listing.has(LogFileName::Frames(id));
            if repair.sealed(id, has_frames).map_err(io_at(&sealed))? {
                continue;
            }
        }
        repair.frames(id, &path).map_err(io_at(&path))?;
    }
    let era = sources.clock.stamp().1;
    let (last, tip) = (newest(&sources, era), sealed_form::tip(&sources.catalog));
    Ok(Recovered { sources, lock, last, era, tip, report })
}

/// The instant of the newest record of an era, after which the log's time continues.
fn newest(sources: &Sources, era: Era) -> Timestamp {
    let mut found: Option<(Hour, Timestamp)> = None;
    for segment in sources.catalog.segments().into_iter().rev() {
        let hour = segment.id.hour;
        if found.is_some_and(|(of, _)| of != hour) {
            break;
        }
        if hour.era() == era
            && let Some(last) = newest_in(&segment, &sources.keyring)
        {
            found = Some((hour, found.map_or(last, |(_, at)| at.max(last))));
        }
    }
    found.map_or(Timestamp::EPOCH, |(_, at)| at)
}

/// The instant of the last record that can be read.
fn newest_in(segment: &Segment, keyring: &Keyring) -> Option<Timestamp> {
    if segment.form == Form::Sealed {
        let file = SealedFile::inspect(&segment.path, segment.id).ok()?;
        return Some(file.note.last);
    }
    let mut reader = SegmentReader::open(segment, keyring).ok()?;
    let mut end = reader.end();
    loop {
        match reader.next(Order::Desc, &mut end).ok()? {
            ReadStep::Frame(rows) if !rows.is_empty() => return rows.last().map(|row| row.at),
            ReadStep::Frame(_) | ReadStep::Damaged => {}
            ReadStep::Edge => return None,
        }
    }
}

/// Opens the files of a server, stopped or running.
pub(crate) fn open_read_only(dir: &Path, keys: &KeyFiles) -> Result<(Catalog, Keyring), OpenError> {
    let mut attempt = 1;
    loop {
        match try_open(dir, keys.clone()) {
            // A running server sealed or expired a segment between the listing and the inspection.
            Err(OpenError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            opened => return opened,
        }
    }
}

fn try_open(dir: &Path, keys: KeyFiles) -> Result<(Catalog, Keyring), OpenError> {
    let listing = list(dir).map_err(io_at(dir))?;
    let keyring = Keyring::open_read_only(keys)?;
    Ok((catalog_of(dir, &listing, &keyring)?, keyring))
}

/// Opens the files of a directory that nobody changes, with keys from elsewhere.
pub(crate) fn open_with(dir: &Path, keyring: &Keyring) -> Result<Catalog, OpenError> {
    let listing = list(dir).map_err(io_at(dir))?;
    catalog_of(dir, &listing, keyring)
}

fn catalog_of(dir: &Path, listing: &Listing, keyring: &Keyring) -> Result<Catalog, OpenError> {
    let catalog = Catalog::new(dir);
    for id in listing.segments() {
        let path = catalog.path(LogFileName::Frames(id));
        if listing.has(LogFileName::Sealed(id)) {
            let has_frames = listing.has(LogFileName::Frames(id));
            let chosen = sealed_form::choose(&catalog, keyring, id, has_frames);
            if chosen.map_err(io_at(&path))? != ChosenForm::Frames {
                continue;
            }
        }
        let (bytes, records, state) = match inspect(id, &path).map_err(io_at(&path))? {
            Inspection::Finished { bytes, records } => (bytes, records, SegmentState::Closed),
            Inspection::Unfinished { file, scan } => {
                (file.limit(), scan.records.into(), SegmentState::Unfinished)
            }
            // No record in it was ever acknowledged.
            Inspection::Blank => continue,
            Inspection::Unreadable => (0, 0, SegmentState::Unreadable),
        };
        catalog.add(Form::Frames, id, bytes, records, state);
    }
    Ok(catalog)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |source| OpenError::Io { path: path.to_owned(), source }
}
