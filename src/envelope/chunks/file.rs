//! A chunk file as it can be known without a key.

use std::{
    cmp::Ordering,
    io,
    path::{Path, PathBuf},
};

use super::{
    layout::{Layout, TAIL_BYTES, read_bytes, read_run},
    merkle::MerkleTree,
    reader::ChunkReader,
    seal::ChunkKey,
    tail::{Tail, is_sealed_with, is_tail},
};
use crate::{
    envelope::{
        header::{CHUNKS, FILE_HEADER_BYTES, FileError, FileHeader},
        keyring_format::HourKey,
    },
    files::{self, File},
};

/// A chunk file. The file itself is open only while it is read, so a caller may keep one of these for each of its files.
#[derive(Clone, Debug)]
pub struct ChunkFile {
    path: PathBuf,
    header: FileHeader,
    tail: Tail,
    layout: Layout,
    sealed_tail: [u8; TAIL_BYTES],
}

impl ChunkFile {
    /// Reads head and tail. Without a key they may still be forged; [`ChunkFile::reader`] checks that.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = files::open(path)?;
        let file_bytes = file.metadata()?.len();
        let mut head = [0; FILE_HEADER_BYTES as usize];
        let got = files::read_up_to(&file, &mut head, 0)?;
        let copies = read_tails(&file, file_bytes)?;
        let was_tail = copies.iter().any(|copy| is_tail(copy));
        let header = FileHeader::decode(CHUNKS, &head[..got]).map_err(|error| match error {
            // The machine stopped before the disk had any of it but the length.
            FileError::Damaged if head.iter().all(|byte| *byte == 0) && !was_tail => {
                FileError::Short
            }
            error => error,
        })?;
        if !was_tail {
            return Err(FileError::Short);
        }
        let seed = header.checksum_seed();
        let read = copies.iter().find_map(|copy| Some((copy, Tail::decode(copy, &seed)?)));
        let (sealed_tail, (tail, layout)) = read.ok_or(FileError::Damaged)?;
        if layout.least_bytes() > file_bytes {
            return Err(FileError::Short);
        }
        match layout.file_bytes().cmp(&file_bytes) {
            Ordering::Greater => return Err(FileError::Short),
            Ordering::Less => return Err(FileError::Damaged),
            Ordering::Equal => {}
        }
        Ok(Self { path: path.into(), header, tail, layout, sealed_tail: *sealed_tail })
    }

    /// The file's head.
    pub const fn header(&self) -> &FileHeader {
        &self.header
    }

    /// What the writer noted.
    pub fn note(&self) -> &[u8] {
        &self.tail.note
    }

    /// Plaintext bytes of each part.
    pub fn parts(&self) -> &[u64] {
        &self.tail.parts
    }

    /// Root of the hash tree over chunks and parities (RFC 9162 section 2.1.1), as the writer computed it.
    pub const fn root(&self) -> [u8; 32] {
        self.tail.root
    }

    /// Chunks in it.
    pub fn chunks(&self) -> u64 {
        self.layout.chunks.into()
    }

    /// Bytes of the whole file.
    pub fn bytes(&self) -> u64 {
        self.layout.file_bytes()
    }

    /// The root over chunks and parities as they are now on disk: reads the whole file, needs no key.
    pub fn computed_root(&self) -> io::Result<[u8; 32]> {
        let file = files::open(&self.path)?;
        let mut tree = MerkleTree::default();
        for run in self.layout.runs() {
            let sealed = read_run(&file, &run)?;
            let mut rest = &sealed[..];
            for place in run {
                let (chunk, after) = rest.split_at(place.sealed_bytes);
                tree.push(chunk);
                rest = after;
            }
        }
        for range in self.layout.parities() {
            tree.push(&read_bytes(&file, range)?);
        }
        Ok(tree.root())
    }

    /// Opens the file to read its content.
    ///
    /// # Errors
    /// [`FileError::Forged`] if the tail was not sealed with this key; if the file cannot be opened.
    pub fn reader(&self, key: &HourKey) -> Result<ChunkReader, FileError> {
        let key = ChunkKey::new(key, &self.header);
        if !is_sealed_with(&self.sealed_tail, &key) {
            return Err(FileError::Forged);
        }
        Ok(ChunkReader::new(files::open(&self.path)?, key, self.layout.clone()))
    }
}

/// What lies where the two copies of the tail should; zeros if the file is too short for them.
fn read_tails(file: &File, file_bytes: u64) -> io::Result<[[u8; TAIL_BYTES]; 2]> {
    let mut copies = [[0; TAIL_BYTES]; 2];
    let offset = file_bytes.checked_sub(2 * TAIL_BYTES as u64);
    if let Some(offset) = offset.filter(|offset| *offset >= FILE_HEADER_BYTES) {
        files::read_exact_at(file, copies.as_flattened_mut(), offset)?;
    }
    Ok(copies)
}
