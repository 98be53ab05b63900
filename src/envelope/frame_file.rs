//! Reads a file of frames in either direction, past damage, without a key.
//!
//! The file is opened for each chunk and closed again: a reader that pauses must not hold on to a file that retention
//! has removed meanwhile.

use std::{
    io,
    path::{Path, PathBuf},
};

use crc32fast::Hasher;

use super::{
    frame::{
        FRAME_BYTES_MAX, FRAME_OVERHEAD_BYTES, FrameHeader, FrameKind, HEADER_BYTES, MAGIC,
        TRAILER_BYTES, checksum,
    },
    header::{FILE_HEADER_BYTES, FRAMES, FileError, FileHeader},
};
use crate::files;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes searched at once for the next frame behind damage.
const SEARCH_BYTES: usize = 4 * 1024;

/// What lies next in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole frame, from `offset` to `end`.
    Frame {
        /// Where it starts.
        offset: u64,
        /// Where it ends.
        end: u64,
        /// What it says.
        header: FrameHeader,
    },
    /// Bytes that are no frame.
    Damage {
        /// Where they start.
        from: u64,
        /// Where they end.
        to: u64,
    },
    /// Nothing more in this direction.
    Edge,
}

/// A file of frames, read up to a limit.
#[derive(Debug)]
pub struct FrameFile {
    path: PathBuf,
    header: FileHeader,
    seed: Hasher,
    limit: u64,
    chunk: Vec<u8>,
    chunk_start: u64,
}

impl FrameFile {
    /// Opens the file; reads no further than `limit`, or than its present end.
    pub fn open(path: &Path, limit: Option<u64>) -> Result<Self, FileError> {
        let file = files::open(path)?;
        let mut head = vec![0; FILE_HEADER_BYTES as usize];
        let got = files::read_up_to(&file, &mut head, 0)?;
        let header = FileHeader::decode(FRAMES, &head[..got])?;
        let len = file.metadata()?.len();
        let limit = limit.map_or(len, |limit| limit.min(len));
        let seed = header.checksum_seed();
        Ok(Self { path: path.into(), header, seed, limit, chunk: Vec::new(), chunk_start: 0 })
    }

    /// The file's head.
    pub const fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Where reading ends.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Reads on to a new limit: the file has grown.
    pub fn extend(&mut self, limit: u64) {
        if limit > self.limit {
            self.limit = limit;
            self.chunk.clear();
        }
    }

    /// The frame that ends the file, if it is the last thing in it.
    pub fn end_frame(&mut self) -> io::Result<Option<FrameHeader>> {
        let end_bytes = FRAME_OVERHEAD_BYTES as u64;
        let Some(offset) = self.limit.checked_sub(end_bytes).filter(|at| *at >= FILE_HEADER_BYTES)
        else {
            return Ok(None);
        };
        let found = self.frame_at(offset)?;
        Ok(found
            .filter(|header| header.kind == FrameKind::End && header.frame_bytes() == end_bytes))
    }

    /// What lies at `offset` and after it.
    pub fn after(&mut self, offset: u64) -> io::Result<Step> {
        let offset = offset.max(FILE_HEADER_BYTES);
        if offset >= self.limit {
            return Ok(Step::Edge);
        }
        if let Some(header) = self.frame_at(offset)? {
            return Ok(Step::Frame { offset, end: offset + header.frame_bytes(), header });
        }
        let mut at = offset + 1;
        while let Some(candidate) = self.magic_after(at)? {
            if self.frame_at(candidate)?.is_some() {
                return Ok(Step::Damage { from: offset, to: candidate });
            }
            at = candidate + 1;
        }
        Ok(Step::Damage { from: offset, to: self.limit })
    }

    /// What lies before `end`.
    pub fn before(&mut self, end: u64) -> io::Result<Step> {
        let end = end.min(self.limit);
        if end <= FILE_HEADER_BYTES {
            return Ok(Step::Edge);
        }
        if let Some((offset, header)) = self.frame_ending_at(end)? {
            return Ok(Step::Frame { offset, end, header });
        }
        let mut at = end;
        while let Some(candidate) = self.magic_before(at)? {
            let found = self.frame_at(candidate)?;
            if let Some(header) = found.filter(|header| candidate + header.frame_bytes() <= end) {
                let to = candidate + header.frame_bytes();
                // Only its trailer is damaged: the frame itself is whole.
                if to == end {
                    return Ok(Step::Frame { offset: candidate, end, header });
                }
                return Ok(Step::Damage { from: to, to: end });
            }
            at = candidate;
        }
        Ok(Step::Damage { from: FILE_HEADER_BYTES, to: end })
    }

    /// Copies the body of the frame at `offset` into `body`, to be opened there.
    pub fn read_body(
        &mut self,
        offset: u64,
        header: &FrameHeader,
        body: &mut Vec<u8>,
    ) -> io::Result<()> {
        let bytes = header.body_bytes as usize;
        body.clear();
        body.extend_from_slice(self.window(offset + HEADER_BYTES as u64, bytes, false)?);
        Ok(())
    }

    fn frame_ending_at(&mut self, end: u64) -> io::Result<Option<(u64, FrameHeader)>> {
        let trailer = self.window(end - TRAILER_BYTES as u64, TRAILER_BYTES, true)?;
        let Ok(length) = <[u8; TRAILER_BYTES]>::try_from(trailer) else {
            return Ok(None);
        };
        let offset = end.checked_sub(u32::from_le_bytes(length).into());
        let Some(offset) = offset.filter(|offset| (FILE_HEADER_BYTES..end).contains(offset)) else {
            return Ok(None);
        };
        let found = self.frame_at(offset)?.filter(|header| offset + header.frame_bytes() == end);
        Ok(found.map(|header| (offset, header)))
    }

    /// The frame that starts at `offset`, if one does and it is whole.
    fn frame_at(&mut self, offset: u64) -> io::Result<Option<FrameHeader>> {
        let seed = self.seed.clone();
        let Some(header) = FrameHeader::decode(self.window(offset, HEADER_BYTES, false)?, &seed)
        else {
            return Ok(None);
        };
        if offset + header.frame_bytes() > self.limit {
            return Ok(None);
        }
        let body = self.window(offset + HEADER_BYTES as u64, header.body_bytes as usize, false)?;
        Ok((checksum(&seed, body) == header.body_crc).then_some(header))
    }

    fn magic_after(&mut self, mut at: u64) -> io::Result<Option<u64>> {
        while at < self.limit {
            let window = self.window(at, SEARCH_BYTES, false)?;
            if let Some(found) = window.windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
                return Ok(Some(at + found as u64));
            }
            // The magic may lie across the edge.
            at += (window.len().saturating_sub(MAGIC.len() - 1)).max(1) as u64;
        }
        Ok(None)
    }

    fn magic_before(&mut self, mut end: u64) -> io::Result<Option<u64>> {
        // A magic that starts before `end` may reach past it.
        while end > FILE_HEADER_BYTES {
            let start = end.saturating_sub(SEARCH_BYTES as u64).max(FILE_HEADER_BYTES);
            let reach = (end + MAGIC.len() as u64 - 1).min(self.limit);
            let bytes = usize::try_from(reach - start).unwrap_or(CHUNK_BYTES);
            let window = self.window(start, bytes, true)?;
            if let Some(found) = window.windows(MAGIC.len()).rposition(|bytes| bytes == MAGIC) {
                return Ok(Some(start + found as u64));
            }
            end = start;
        }
        Ok(None)
    }

    /// The bytes from `start`: `bytes` of them, or fewer at the limit. Also reads ahead.
    fn window(&mut self, start: u64, bytes: usize, backwards: bool) -> io::Result<&[u8]> {
        let end = start.saturating_add(bytes as u64).min(self.limit);
        let start = start.min(end);
        let held = self.chunk_start..self.chunk_start + self.chunk.len() as u64;
        if start < held.start || end > held.end {
            let (from, to) = if backwards {
                (end.saturating_sub((CHUNK_BYTES + FRAME_BYTES_MAX) as u64).min(start), end)
            } else {
                (start, end.max(start + CHUNK_BYTES as u64).min(self.limit))
            };
            self.load(from, to)?;
        }
        let index = |at: u64| usize::try_from(at - self.chunk_start).unwrap_or(usize::MAX);
        Ok(self.chunk.get(index(start)..index(end)).unwrap_or_default())
    }

    fn load(&mut self, from: u64, to: u64) -> io::Result<()> {
        let bytes = usize::try_from(to - from).map_err(io::Error::other)?;
        self.chunk.resize(bytes, 0);
        let got = files::read_up_to(&files::open(&self.path)?, &mut self.chunk, from)?;
        self.chunk.truncate(got);
        self.chunk_start = from;
        Ok(())
    }
}
