//! [`Source`]: the file to import, its format, and the digest by which its staged file is found again.

use std::{
    fmt,
    io::{self, Read as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};

use super::{
    bad_rows::BadRows,
    columns::ColumnError,
    file_kind::{FileKind, KindError},
    foreign::{self, ForeignFile},
    progress::{Phase, Progress, Unit},
};
use crate::{
    clock::Timestamp,
    files::{self, File, FileStamp},
    handle::Region,
};

const READ_BYTES: usize = 1024 * 1024;

/// Why a file was not staged. The error contains no content of a row.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The ending of the file name is no known format.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// An I/O error occurred on the source.
    #[error("the source cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The source changed during the staging.
    #[error("the source changed while it was read")]
    SourceChanged,
    /// The header is invalid.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// An import does not read files of this kind.
    #[error(transparent)]
    Foreign(#[from] ForeignFile),
    /// A record is longer than [`StageOptions::record_bytes_max`], or the file ends within its quotes.
    #[error(
        "the record that begins on line {line} has no end; check whether its quotes are closed"
    )]
    UnendedRecord {
        /// The line on which the record begins.
        line: u64,
    },
    /// The Parquet file is damaged, or uses an unsupported feature.
    #[error("the Parquet file cannot be read: {0}")]
    Parquet(#[from] ParquetError),
    /// Some rows are bad, and the options do not skip bad rows.
    #[error("{} rows are bad", .0.total())]
    BadRows(BadRows),
    /// The staged file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The directory of the staged file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// How a source is read.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// Leave out bad rows. Otherwise one bad row prevents the staged file.
    pub skip_bad: bool,
    /// The region of phone numbers without a calling code. None: their rows are bad.
    pub region: Option<Region>,
    /// The most devices that one account may have.
    pub devices_per_account: usize,
    /// The present. Instants more than a day later are bad.
    pub now: Timestamp,
    /// Threads that parse, in addition to the one that reads.
    pub threads: NonZeroUsize,
    /// Bytes of the longest record of a CSV file, and of the pieces that one is read in.
    pub record_bytes_max: usize,
}

/// The SHA-256 of a source and of the options that affect its staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportDigest(pub(super) [u8; 32]);

impl fmt::Display for ImportDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// A file to import.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    pub(super) kind: FileKind,
    sha256: [u8; 32],
    pub(super) stamp: FileStamp,
}

impl Source {
    /// Opens the file at `path`, and reads it once for its digest.
    pub fn open(path: &Path, progress: &dyn Fn(Progress)) -> Result<Self, StageError> {
        let kind = FileKind::of(path)?;
        let mut file = files::open(path).map_err(StageError::Read)?;
        foreign::check(&mut file, kind).map_err(StageError::Read)??;
        let stamp = FileStamp::of_open(&file).map_err(StageError::Read)?;
        let total = stamp.bytes;
        let report = |done| {
            progress(Progress { phase: Phase::Hashing, unit: Unit::Bytes, done, total });
        };
        let sha256 = sha256(file, report).map_err(StageError::Read)?;
        Ok(Self { path: path.to_owned(), kind, sha256, stamp })
    }

    /// The digest that identifies this import.
    pub fn digest(&self, options: &StageOptions) -> ImportDigest {
        let mut context = Context::new(&SHA256);
        context.update(b"dispatchd import 1\n");
        context.update(&self.sha256);
        // The digest covers the format, which the file name decides. It contains the region as `Debug` prints it. If that
        // text changes, an interrupted import only has to be staged again.
        let options = format!(
            "{:?} {} {:?} {}",
            self.kind, options.skip_bad, options.region, options.devices_per_account
        );
        context.update(options.as_bytes());
        ImportDigest(digest_bytes(context))
    }

    pub(super) fn file(&self) -> Result<File, StageError> {
        files::open(&self.path).map_err(StageError::Read)
    }

    /// Fails if the file has changed since its digest was computed.
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
fn digest_bytes(context: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}
