//! A chunk file: written once from front to back, then read anywhere.
//!
//! ```text
//! 0      128  head, see `header.rs`, with the magic "DDCHUNKS"
//! 128      n  part 0, then part 1, ...: each a byte stream, cut on its own into chunks of 64 KiB (a part's last is
//!             shorter, an empty part has none). A chunk is AES-256-GCM of its bytes, tag last
//! 128+n    p  parity of the chunks, see `parity.rs`: what one that is damaged is rebuilt from
//! +p     512  tail, see `tail.rs`: lengths of the parts, a note, the root of a hash tree
//! +512   512  the tail again
//! ```
//!
//! All places follow from the lengths of the parts, and the tail has a fixed size: it is found from the file's end. Head
//! and tail are there twice, and every chunk can be rebuilt: one flipped bit anywhere loses nothing.
//!
//! The key is HKDF-SHA256(hour's key, salt of the file) with a label of its own. Chunks are counted from 0 through the
//! file, and the count is the nonce; the tail has a range of nonces of its own. What is authenticated with a chunk
//! names its file, part and place, and whether it is the part's last: it opens nowhere else, and a part that is cut
//! short is noticed.
//!
//! *Without a key* the file's hash tree can be compared with the root in the tail (or one that was written down
//! elsewhere): an RFC 9162 section 2.1.1 tree, whose entries are the chunks and then the parities as they lie on disk. The
//! tail itself has a checksum. *With the key* each chunk is checked as it is read, and the tail before anything else.
//!
//! A crash before [`ChunkWriter::finish`] returns leaves a file without a whole tail
//! ([`FileError::Short`](super::FileError::Short)). The disk may also keep the last bytes and lose earlier ones; then chunks
//! do not open. So the file is written under another name, and gets its own only then.

mod file;
mod layout;
mod merkle;
mod parity;
mod reader;
mod seal;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use file::ChunkFile;
pub use reader::{ChunkCheck, ChunkReadError, ChunkReader};
pub use writer::{ChunkSummary, ChunkWriter};
