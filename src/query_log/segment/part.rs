//! Where the bytes of a sealed segment go, and where they come from.

use std::{io, ops::Range};

use bytes::{Buf, Bytes, buf::Reader};
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

/// The part of the row groups.
pub(super) const ROWS: usize = 0;
/// The part of the footer.
pub(super) const FOOTER: usize = 1;
/// The part of the footer's copy.
pub(super) const FOOTER_COPY: usize = 2;

/// Takes the bytes of a sealed segment, part after part.
pub(in crate::query_log) trait PartSink: io::Write + Send {
    /// What is written from now on belongs to the next part. Called before the first part, too.
    fn begin_part(&mut self) -> io::Result<()>;
}

/// Why bytes of a part cannot be had.
#[derive(Debug, thiserror::Error)]
pub(in crate::query_log) enum PartError {
    /// They are not what was written, or are not there any more. The bytes around them may be.
    #[error("damaged")]
    Damaged,
    /// They could not be read this time.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Gives the bytes of a sealed segment.
pub(in crate::query_log) trait PartSource: Send + Sync {
    /// Bytes of a part; 0 of one that there is not.
    fn part_bytes(&self, part: usize) -> u64;

    /// Exactly the bytes of `range` in a part.
    fn read(&self, part: usize, range: Range<u64>) -> Result<Bytes, PartError>;
}

/// Reads bytes of the row groups' part that a footer told of: a place outside of it is damage, not a bug.
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

/// A piece of the Parquet file, read beforehand, for parquet's own readers: so it is known why bytes cannot be had, which
/// parquet's errors do not tell.
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
            _ => Err(ParquetError::EOF("a place outside of what was read".into())),
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
            return Err(ParquetError::EOF("a place outside of what was read".into()));
        }
        Ok(bytes.slice(..length))
    }
}
