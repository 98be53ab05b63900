//! The file that is imported: its format, and a digest that tells whether it was staged before.

use std::{
    fmt,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    error::StageError,
    kind::FileKind,
    progress::{Phase, Progress, Unit},
    stage::StageOptions,
};
use crate::files::{self, File, FileStamp};

const READ_BYTES: usize = 1024 * 1024;

/// The SHA-256 of a source and of the options that decide what is staged of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImportDigest([u8; 32]);

impl ImportDigest {
    /// From its bytes, as stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to store.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ImportDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ImportDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A file to import.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    kind: FileKind,
    sha256: [u8; 32],
    stamp: FileStamp,
}

impl Source {
    /// Looks at the file at `path`, and reads it once for its digest.
    ///
    /// # Errors
    /// If its name says no format, or it cannot be read.
    pub fn open(path: &Path, progress: &dyn Fn(Progress)) -> Result<Self, StageError> {
        let kind = FileKind::of(path)?;
        let file = files::open(path).map_err(StageError::Read)?;
        let stamp = FileStamp::of_open(&file).map_err(StageError::Read)?;
        let total = stamp.bytes;
        let report = |done| {
            progress(Progress { phase: Phase::Hashing, unit: Unit::Bytes, done, total });
        };
        let sha256 = sha256(file, report).map_err(StageError::Read)?;
        Ok(Self { path: path.to_owned(), kind, sha256, stamp })
    }

    /// What tells this import from others.
    #[must_use]
    pub fn digest(&self, options: &StageOptions) -> ImportDigest {
        let mut context = Context::new(&SHA256);
        context.update(b"dispatchd import 1\n");
        context.update(&self.sha256);
        // The format is part of it, since the name decides how the bytes are read. A region's name is what its `Debug`
        // prints; were that to change, a half-done import would be staged once more and nothing else.
        let options = format!(
            "{:?} {} {:?} {}",
            self.kind, options.skip_bad, options.region, options.devices_per_account
        );
        context.update(options.as_bytes());
        ImportDigest(digest_bytes(context))
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.stamp.bytes
    }

    /// Its format.
    #[must_use]
    pub const fn kind(&self) -> FileKind {
        self.kind
    }

    pub(super) fn file(&self) -> Result<File, StageError> {
        files::open(&self.path).map_err(StageError::Read)
    }

    /// Fails if the file is no longer the one whose digest was computed.
    pub(super) fn check_unchanged(&self) -> Result<(), StageError> {
        let now = FileStamp::of(&self.path).map_err(StageError::Read)?;
        if now == self.stamp { Ok(()) } else { Err(StageError::SourceChanged) }
    }
}

fn sha256(mut file: File, report: impl Fn(u64)) -> io::Result<[u8; 32]> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; READ_BYTES];
    let mut done = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(digest_bytes(context));
        }
        context.update(&buffer[..read]);
        done += read as u64;
        report(done);
    }
}

/// The bytes of a finished SHA-256.
pub(super) fn digest_bytes(context: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}
