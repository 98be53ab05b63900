//! The interface to the bytes of a sealed segment: written part by part, read from anywhere.

use std::{io, ops::Range};

use bytes::{Buf, Bytes, buf::Reader};
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

pub(super) const ROWS: usize = 0;
pub(super) const FOOTER: usize = 1;
pub(super) const FOOTER_COPY: usize = 2;

/// Writes the bytes of a sealed segment, part after part.
pub(crate) trait PartSink: io::Write + Send {
    /// Begins the next part. The first part has begun.
    fn begin_part(&mut self) -> io::Result<()>;
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PartError {
    /// They are damaged or missing. The bytes around them may be whole.
    #[error("damaged")]
    Damaged,
    /// The operating system could not read them this time.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the bytes of a sealed segment.
pub(crate) trait PartSource: Send + Sync {
    /// The length of a part; 0 if it does not exist.
    fn part_bytes(&self, part: usize) -> u64;

    /// Reads exactly the bytes of `range` in a part.
    fn read(&self, part: usize, range: Range<u64>) -> Result<Bytes, PartError>;
}

/// Reads bytes of the part with the row groups, at a position from the footer. A position outside of it counts as damage.
pub(super) fn read_rows(
    source: &dyn PartSource,
    start: u64,
    length: u64,
) -> Result<Bytes, PartError> {
    let end = start.checked_add(length).ok_or(PartError::Damaged)?;
    if end > source.part_bytes(ROWS) {
        return Err(PartError::Damaged);
    }
    let bytes = source.read(ROWS, start..end)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(PartError::Damaged) }
}

/// A piece of the Parquet file in memory, for the readers of the parquet crate. This code reads the piece itself because
/// errors of that crate do not distinguish damage from I/O errors.
pub(super) struct Piece {
    /// Its offset in the file.
    pub(super) start: u64,
    pub(super) bytes: Bytes,
}

impl Piece {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let skipped =
            start.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        match skipped {
            Some(skipped) if skipped <= self.bytes.len() => Ok(self.bytes.slice(skipped..)),
            _ => Err(ParquetError::EOF("a position outside of the piece".into())),
        }
    }
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Piece {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.from(start).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF("a position outside of the piece".into()));
        }
        Ok(bytes.slice(..length))
    }
}
