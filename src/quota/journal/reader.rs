//! Reads a file of the quota back, past damage.

use std::{io, path::Path};

use super::{
    name::FileName,
    rows::{HEAD_BYTES, Rows},
};
use crate::{
    envelope::{FileError, FrameFile, FrameOpener, HourKey, Step},
    quota::fingerprint::KEY_BYTES,
};

/// What could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Files without a readable head or key, or with fingerprints under another key.
    pub(super) files: u64,
    /// Places within the other files. A crash leaves one at the end of a file.
    pub(super) places: u64,
}

/// A file of the quota, open for reading.
pub(super) struct ReadFile {
    file: FrameFile,
    opener: FrameOpener,
    /// Where the next frame begins.
    at: u64,
    body: Vec<u8>,
    places: u64,
}

impl ReadFile {
    /// Opens the file `path` of this name with the key of its hour.
    pub(super) fn open(path: &Path, name: FileName, key: &HourKey) -> Result<Self, FileError> {
        let file = FrameFile::open(path, None)?;
        let header = file.header();
        let is_it = (header.purpose, header.hour, header.number)
            == (name.kind.purpose(), name.hour, name.number);
        if !is_it {
            return Err(FileError::Damaged);
        }
        let opener = FrameOpener::new(key, header);
        Ok(Self { file, opener, at: 0, body: Vec::new(), places: 0 })
    }

    /// The rows of the next frame that can be read; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Rows<'_>>> {
        loop {
            match self.file.after(self.at)? {
                Step::Edge => return Ok(None),
                Step::Damage { to, .. } => {
                    self.places += 1;
                    self.at = to;
                }
                Step::Frame { offset, end, header } => {
                    self.at = end;
                    self.file.read_body(offset, &header, &mut self.body)?;
                    let opened = self.opener.open(&header, &mut self.body).map(<[u8]>::len);
                    match opened {
                        Some(bytes) if bytes >= HEAD_BYTES => {
                            return Ok(Rows::read(&self.body[..bytes]));
                        }
                        Some(_) | None => self.places += 1,
                    }
                }
            }
        }
    }

    /// The key of the file's fingerprints, which is in its first frame.
    pub(super) fn key(&mut self) -> io::Result<Option<[u8; KEY_BYTES]>> {
        Ok(self.next()?.and_then(|rows| rows.key()))
    }

    /// Damaged places that were passed.
    pub(super) const fn places(&self) -> u64 {
        self.places
    }
}
