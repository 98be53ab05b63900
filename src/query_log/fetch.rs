//! Brings copies back from the store: into a log whose disk was replaced or damaged. [`super::lost`] reads those of a lost node.
//!
//! A segment is fetched if its key is alive and the log lacks it, cannot read all of it, or has fewer bytes of the same file. A copy is
//! read with its key before it takes its place. What lay there is kept, as a `.cut` file.
//!
//! ```text
//! 1  write and sync fetching/X.sealed or fetching/X.frames     after a crash the next fetch removes it
//! 2  open it with its key and read all of it
//! 3  rename what lay at its place, if it is damaged, to X-….cut
//! 4  rename it into the log's directory, sync
//! ```

use std::{
    cell::Cell,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    catalog::Form,
    copies::{
        name::CopiedFile,
        stored::{self, Extents},
    },
    reader::LogReader,
    recovery::{self, OpenError},
    sealer::sealed_file::SealedFile,
    search::Sources,
    segment_name::{LogFileName, SegmentId},
    verify::{SegmentReport, verify_segment},
};
use crate::{
    clock::SharedClock,
    envelope::{FrameFile, Keyring},
    files::{self, Disk, SharedDisk},
    limits,
    object_storage::{Objects, StoreError},
};

/// The directory, below the log's, in which a copy lies until it is checked.
const FETCHING: &str = "fetching";

/// Why copies cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store fails.
    #[error("the object store: {0}")]
    Store(#[from] StoreError),
    /// A file cannot be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log's directory cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// What a fetch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Segments that were fetched.
    pub fetched: Vec<String>,
    /// Records in them.
    pub records: u64,
    /// Segments in the store that the log has, and can read.
    pub kept: usize,
    /// Segments in the store whose key is not in the keyring.
    pub without_key: usize,
    /// What could not be fetched, or not all of it, as sentences that name the segment.
    pub lost: Vec<String>,
}

impl FetchReport {
    /// Adds what a fetch under another name did.
    pub fn add(&mut self, other: Self) {
        self.fetched.extend(other.fetched);
        self.records += other.records;
        self.kept += other.kept;
        self.without_key += other.without_key;
        self.lost.extend(other.lost);
    }
}

impl LogReader {
    /// A reader of the files in `dir`, which nobody changes meanwhile, with keys from elsewhere.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn open_with(
        dir: &Path,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        retention: Duration,
    ) -> Result<Self, OpenError> {
        let catalog = Arc::new(recovery::open_with(dir, &keyring)?);
        Ok(Self { sources: Sources { catalog, keyring, clock, retention }, copies: None })
    }

    /// Brings back what this log lacks of the copies of `node`. Nobody may write the log meanwhile. A reader that is opened afterwards
    /// sees what was fetched.
    ///
    /// # Errors
    /// If the store cannot be listed or read, or a file cannot be written. What was fetched before stays.
    pub fn fetch_copies(
        &self,
        objects: &Objects,
        node: &str,
        disk: &SharedDisk,
    ) -> Result<FetchReport, FetchError> {
        let mut segments: BTreeMap<SegmentId, Vec<(CopiedFile, Extents)>> = BTreeMap::new();
        let (sources, stop, gone) = (&self.sources, &|| false, Cell::default());
        for (file, extents) in stored::list_of(objects, node, stop)? {
            segments.entry(file.id).or_default().push((file, extents));
        }
        let fetch = Fetch { sources, objects, node, disk: &**disk, stop, gone };
        let mut report = FetchReport::default();
        fetch.clear()?;
        for (id, copies) in segments {
            fetch.segment(id, copies, &mut report)?;
        }
        fetch.clear()?;
        Ok(report)
    }
}

/// Fetches copies of `node` into the directory of `sources`.
pub(super) struct Fetch<'a> {
    pub(super) sources: &'a Sources,
    pub(super) objects: &'a Objects,
    pub(super) node: &'a str,
    pub(super) disk: &'a dyn Disk,
    /// Asked between two pieces whether nobody waits any more.
    pub(super) stop: &'a dyn Fn() -> bool,
    /// Whether an object that was listed is gone.
    pub(super) gone: Cell<bool>,
}

impl Fetch<'_> {
    fn log(&self) -> &Path {
        self.sources.catalog.dir()
    }

    fn fetching(&self) -> PathBuf {
        self.log().join(FETCHING)
    }

    /// Removes what a fetch left.
    pub(super) fn clear(&self) -> Result<(), FetchError> {
        let dir = self.fetching();
        for name in files::if_exists(files::names(&dir)).map_err(io_at(&dir))?.unwrap_or_default() {
            let path = dir.join(name);
            self.disk.unlink(&path).map_err(io_at(&path))?;
        }
        files::remove_empty_dir(&dir).map_err(io_at(&dir))
    }

    fn segment(
        &self,
        id: SegmentId,
        mut copies: Vec<(CopiedFile, Extents)>,
        report: &mut FetchReport,
    ) -> Result<(), FetchError> {
        // Whether or not retention has come to it.
        if self.sources.expiry(id.hour) <= self.sources.clock.now() {
            return Ok(());
        }
        if self.sources.keyring.get(id.hour).is_none() {
            report.without_key += 1;
            return Ok(());
        }
        let own = self.sources.catalog.get(id);
        let checked = own.as_ref().map(|own| verify_segment(self.sources, own));
        let own_is_sound = checked.as_ref().is_some_and(|own| own.sound);
        let has_less = |own: &PathBuf| copies.iter().any(|copy| is_beginning_of(own, copy));
        let frames = own.as_ref().filter(|own| own.form == Form::Frames).map(|own| &own.path);
        if own_is_sound && !frames.is_some_and(has_less) {
            report.kept += 1;
            return Ok(());
        }
        sort(&mut copies);
        // Never fewer records than can be read now, and more than in a file that is whole.
        let least = checked.map_or(0, |own| own.records + u64::from(own.sound)).max(1);
        for (file, extents) in copies {
            let Some(found) = self.download(file, &extents)? else { continue };
            if !found.sound || found.records < least {
                self.discard(file)?;
                continue;
            }
            self.place(file)?;
            report.fetched.push(id.to_string());
            report.records += found.records;
            if extents.has_gap() {
                let end = extents.end();
                report.lost.push(format!(
                    "segment {id}: the store lacks the object at byte {end}; the records behind it are lost"
                ));
            }
            return Ok(());
        }
        match own_is_sound {
            true => report.kept += 1,
            false => {
                report.lost.push(format!("segment {id}: no copy of it is complete and readable"))
            }
        }
        Ok(())
    }

    /// Writes a copy below [`FETCHING`] and reads it with its key. Returns what it is like; none if it is no file of the log, and then it
    /// is removed.
    pub(super) fn download(
        &self,
        file: CopiedFile,
        extents: &Extents,
    ) -> Result<Option<SegmentReport>, FetchError> {
        let dir = self.fetching();
        self.disk.create_dir(&dir).map_err(io_at(&dir))?;
        let is_whole = self.write(file, extents, &self.fetched(file))?;
        let opened = LogReader::open_with(
            &dir,
            Arc::clone(&self.sources.keyring),
            Arc::clone(&self.sources.clock),
            self.sources.retention,
        )?;
        let found = opened.sources.catalog.get(file.id);
        let Some(found) = found.filter(|found| found.form == file.form) else {
            self.discard(file)?;
            return Ok(None);
        };
        let report = verify_segment(&opened.sources, &found);
        Ok(Some(SegmentReport { sound: report.sound && is_whole, ..report }))
    }

    /// Removes a copy below [`FETCHING`].
    pub(super) fn discard(&self, file: CopiedFile) -> Result<(), FetchError> {
        let path = self.fetched(file);
        self.disk.unlink(&path).map_err(io_at(&path))
    }

    /// A sealed file that was put in its place. None if it cannot be read, or is no sealed one.
    pub(super) fn sealed(&self, file: CopiedFile) -> Option<SealedFile> {
        let path = self.sources.catalog.path(file_name(file));
        let is_sealed = file.form == Form::Sealed;
        is_sealed.then(|| SealedFile::inspect(&path, file.id).ok()).flatten()
    }

    fn fetched(&self, file: CopiedFile) -> PathBuf {
        self.fetching().join(file_name(file).to_string())
    }

    /// False if an object is gone.
    fn write(&self, file: CopiedFile, extents: &Extents, path: &Path) -> Result<bool, FetchError> {
        let mut copy = self.disk.create(path).map_err(io_at(path))?;
        let (mut end, whole) = (0, extents.end());
        for (offset, bytes) in extents.each().take_while(|(offset, _)| *offset < whole) {
            let name = file.object(self.node, offset).to_string();
            // Objects follow each other. Should two overlap, the bytes of the first count.
            let mut at = end - offset;
            while at < bytes {
                if (self.stop)() {
                    return Err(StoreError::Stopped.into());
                }
                let most = at + limits::LOG_COPY_OBJECT_BYTES_MAX as u64;
                let piece = match self.objects.read(&name, at..most.min(bytes)) {
                    Err(StoreError::Missing) => {
                        self.gone.set(true);
                        return Ok(false);
                    }
                    piece => piece?,
                };
                if piece.is_empty() {
                    return Ok(false);
                }
                copy.append(&piece).map_err(io_at(path))?;
                at += piece.len() as u64;
            }
            end = end.max(offset + bytes);
        }
        copy.sync().map_err(io_at(path))?;
        Ok(true)
    }

    /// Steps 3 and 4.
    pub(super) fn place(&self, file: CopiedFile) -> Result<(), FetchError> {
        let catalog = &self.sources.catalog;
        for name in [LogFileName::Sealed(file.id), LogFileName::Frames(file.id)] {
            let path = catalog.path(name);
            let bytes = files::if_exists(path.metadata()).map_err(io_at(&path))?;
            let Some(bytes) = bytes.map(|found| found.len()) else { continue };
            // A start names what it cuts off by where it began, which is less than the file's length.
            let aside = catalog.path(LogFileName::Cut(file.id, bytes));
            self.disk.rename(&path, &aside).map_err(io_at(&path))?;
        }
        let (from, to) = (self.fetched(file), catalog.path(file_name(file)));
        self.disk.rename(&from, &to).map_err(io_at(&to))?;
        self.disk.sync_dir(self.log()).map_err(io_at(self.log()))
    }
}

/// Puts the sealed file first, then the longest file of frames.
pub(super) fn sort(copies: &mut [(CopiedFile, Extents)]) {
    copies.sort_by_key(|(file, extents)| {
        (file.form != Form::Sealed, std::cmp::Reverse(extents.end()))
    });
}

const fn file_name(file: CopiedFile) -> LogFileName {
    match file.form {
        Form::Frames => LogFileName::Frames(file.id),
        Form::Sealed => LogFileName::Sealed(file.id),
    }
}

/// Whether the file of frames at `own` is the beginning of a copy with more bytes.
fn is_beginning_of(own: &Path, (file, extents): &(CopiedFile, Extents)) -> bool {
    FrameFile::open(own, None).is_ok_and(|own| {
        CopiedFile::new(file.id, Form::Frames, &own.header().salt) == *file
            && own.limit() < extents.end()
    })
}

pub(super) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> FetchError + '_ {
    move |source| FetchError::Io { path: path.to_owned(), source }
}
