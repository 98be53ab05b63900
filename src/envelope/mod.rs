//! Encrypted bytes on disk: frames, chunks, the keyring of hours, the root key that changes, the lock of a directory.
//!
//! This room knows hours, bytes and keys. It knows no record: what a frame or a chunk holds is its user's business. A file of frames
//! grows and is read from either end; a [chunk file](chunks) is written once and read anywhere.
//!
//! ```text
//! root.key  --opens-->  keyring {hour -> key}  --HKDF(salt of the file)-->  subkey  --AES-256-GCM-->  frames, chunks
//! ```
//!
//! Destroying an hour means: a new root key, a new keyring without that hour under it, and the old root key gone from
//! the disk. Every older copy of the keyring, in any backup, is then as dead as the hour's key.

mod chunks;
mod config;
mod frame;
mod frame_file;
mod header;
mod key_files;
mod keyring;
mod keyring_error;
mod keyring_format;
mod root_key;
#[cfg(test)]
mod tests;

pub use chunks::{
    CHUNK_FILE_NOTE_BYTES_MAX, CHUNK_FILE_PARTS_MAX, ChunkCheck, ChunkFile, ChunkFileError,
    ChunkReadError, ChunkReader, ChunkSummary, ChunkWriter,
};
pub use config::Config;
pub use frame::{FRAME_OVERHEAD_BYTES, FrameHeader, FrameKind, FrameOpener, FrameSealer};
pub use frame_file::{FrameFile, FrameFileError, Step};
pub use header::{FILE_HEADER_BYTES, FileHeader, FileHeaderError};
pub use key_files::KeyFiles;
pub use keyring::Keyring;
pub use keyring_error::KeyringError;
pub use keyring_format::{HourKey, KeyEntry};
