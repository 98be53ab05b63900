//! Writes a chunk file.

use std::io::{self, Write};

use crc32fast::Hasher;

use super::{
    layout::CHUNK_BYTES,
    merkle::MerkleTree,
    parity::Parity,
    seal::{ChunkId, ChunkKey},
    tail::{NOTE_BYTES_MAX, PARTS_MAX, Tail},
};
use crate::{
    envelope::{
        header::{CHUNKS, FileHeader},
        keyring_format::HourKey,
    },
    files::DiskFile,
};

/// Sealed bytes that are gathered before they are appended.
const APPEND_BYTES: usize = 4 * CHUNK_BYTES;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSummary {
    /// Bytes of the whole file.
    pub bytes: u64,
    /// Root of the hash tree over chunks and parities.
    pub root: [u8; 32],
}

/// Writes a chunk file; what is written to it is the plaintext of the part under way.
///
/// [`Write::flush`] does nothing: a chunk is sealed once, when it is full or its part ends. After an error every further
/// call is one: what the disk took of the failed write is not known.
pub struct ChunkWriter {
    file: Box<dyn DiskFile>,
    key: ChunkKey,
    seed: Hasher,
    tree: MerkleTree,
    parity: Parity,
    /// Plaintext bytes of each part that has begun.
    parts: Vec<u64>,
    next: ChunkId,
    /// Sealed chunks that are to be appended, then the plaintext of the chunk under way.
    pending: Vec<u8>,
    /// Where that plaintext starts.
    open_at: usize,
    appended: u64,
    is_failed: bool,
}

impl ChunkWriter {
    /// Writes the head to a new, empty file. Part 0 has begun.
    ///
    /// The file gets a salt of its own, whatever `header` says: a salt that is used for two files, as after a failed
    /// attempt, would use each nonce twice.
    pub fn create(file: Box<dyn DiskFile>, key: &HourKey, header: FileHeader) -> io::Result<Self> {
        let FileHeader { purpose, hour, number, salt: _ } = header;
        let header = FileHeader::new(purpose, hour, number);
        let mut writer = Self {
            file,
            key: ChunkKey::new(key, &header),
            seed: header.checksum_seed(),
            tree: MerkleTree::default(),
            parity: Parity::default(),
            parts: vec![0],
            next: ChunkId::default(),
            pending: header.encode_as(CHUNKS).to_vec(),
            open_at: 0,
            appended: 0,
            is_failed: false,
        };
        writer.append_pending()?;
        Ok(writer)
    }

    /// Ends the part under way; the next begins.
    /// An error if the file has [`PARTS_MAX`] parts.
    pub fn begin_part(&mut self) -> io::Result<()> {
        self.refuse_if_failed()?;
        if self.parts.len() == PARTS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many parts"));
        }
        self.end_part()?;
        self.parts.push(0);
        self.next.part += 1;
        self.next.index = 0;
        Ok(())
    }

    /// Ends the last part, writes parity and tail and makes the content durable. The name of the file is the caller's to sync.
    ///
    /// # Errors
    /// If the disk refuses; then the file must not be used, even if it looks complete. If the note is longer than
    /// [`NOTE_BYTES_MAX`].
    pub fn finish(mut self, note: &[u8]) -> io::Result<ChunkSummary> {
        self.refuse_if_failed()?;
        if note.len() > NOTE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the note is too long"));
        }
        self.end_part()?;
        let (parity, stripes) = std::mem::take(&mut self.parity).finish();
        stripes.into_iter().for_each(|stripe| self.tree.push(&parity[stripe]));
        let root = self.tree.root();
        let tail = Tail { parts: std::mem::take(&mut self.parts), note: note.to_vec(), root };
        let copy = tail.encode(self.next.counter, &self.key, &self.seed);
        self.pending.extend_from_slice(&parity);
        self.pending.extend_from_slice(&copy);
        self.pending.extend_from_slice(&copy);
        self.append_pending()?;
        self.file.sync()?;
        Ok(ChunkSummary { bytes: self.appended, root })
    }

    fn refuse_if_failed(&self) -> io::Result<()> {
        if self.is_failed { Err(io::Error::other("an earlier write failed")) } else { Ok(()) }
    }

    fn open_bytes(&self) -> usize {
        self.pending.len() - self.open_at
    }

    fn end_part(&mut self) -> io::Result<()> {
        if self.open_bytes() > 0 { self.seal_chunk(true) } else { Ok(()) }
    }

    fn seal_chunk(&mut self, is_last: bool) -> io::Result<()> {
        let Some(counter) = self.next.counter.checked_add(1) else {
            self.is_failed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        let id = ChunkId { is_last, ..self.next };
        let tag = self.key.seal(&id, &mut self.pending[self.open_at..]);
        self.pending.extend_from_slice(&tag);
        self.tree.push(&self.pending[self.open_at..]);
        self.parity.push(&self.pending[self.open_at..]);
        self.open_at = self.pending.len();
        self.next.counter = counter;
        self.next.index += 1;
        if self.pending.len() >= APPEND_BYTES { self.append_pending() } else { Ok(()) }
    }

    fn append_pending(&mut self) -> io::Result<()> {
        // Until it is known to have gone well, it has not.
        self.is_failed = true;
        self.file.append(&self.pending)?;
        self.is_failed = false;
        self.appended += self.pending.len() as u64;
        self.pending.clear();
        self.open_at = 0;
        Ok(())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.refuse_if_failed()?;
        if bytes.is_empty() {
            return Ok(0);
        }
        // A full chunk waits for what follows it: it may be the part's last.
        if self.open_bytes() == CHUNK_BYTES {
            self.seal_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.open_bytes());
        self.pending.extend_from_slice(&bytes[..taken]);
        if let Some(part) = self.parts.last_mut() {
            *part += taken as u64;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.refuse_if_failed()
    }
}
