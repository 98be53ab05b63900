//! Files: the only module that opens, creates, replaces, renames, locks and removes them.
//!
//! - [`AtomicFile`], [`replace`], [`replace_secret`]: a file appears complete or not at all.
//! - [`Disk`]: every change whose crash states are tested goes through this trait. [`OsDisk`] is the machine's file system,
//!   `SimDisk` (tests only) rebuilds what a crash at any point leaves.
//! - [`Reserve`]: space set aside for what must be written on a full disk.
//! - [`DataDirectory`]: the format version of a data directory, and the lock of the process that changes it.
//! - [`FileLock`]: an advisory lock, released by the kernel when the process ends.
//!
//! What this service creates is private: directories have mode 0700, files 0600. If root creates it, it belongs to the
//! owner of the directory that it lies in, so that the server's own user can still read and change it.

mod access;
mod atomic;
mod data_directory;
mod directory;
mod disk;
mod lock;
mod open;
mod process;
mod reserve;
pub mod size;
mod socket;
#[cfg(test)]
pub(crate) mod tests;
mod watched_space;

pub use access::Access;
pub use atomic::{
    AtomicFile, discard_secret, remove_leftovers, replace, replace_secret, unfinished_name,
};
pub use data_directory::{DataDirectory, DataDirectoryError};
pub use directory::{Space, create_dir, names, parent, space_of, sync_dir};
pub use disk::{Disk, DiskFile, OsDisk, SharedDisk};
pub use lock::{FileLock, LOCK_FILE_NAME, LockError};
pub use open::{
    AsyncFile, File, FileStamp, append_private, create, if_exists, mode_if_open_to_others, open,
    open_or_create, read, read_exact_at, read_small, read_text, read_text_up_to, read_up_to,
    remove_empty_dir, remove_if_exists, remove_tree, share_file_system,
};
pub use process::ProcessFigures;
pub use reserve::{Reserve, ReservedDisk};
pub use socket::bind_private;
pub use watched_space::{DirectorySpace, WatchedSpace};
