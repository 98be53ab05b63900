//! Opening and reading files, removing single ones, and whether one has changed since it was read.

use std::{
    fs::{self, Metadata, OpenOptions, Permissions},
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use super::directory::{give_to_owner_of, parent};

pub use std::fs::File;
pub use tokio::fs::File as AsyncFile;

/// Opens a file for reading.
pub fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Creates a file with mode 0600, to read and write it; an error if the name is taken.
pub fn create(path: &Path) -> io::Result<File> {
    open_private(path, OpenOptions::new().write(true).create_new(true))
}

/// Opens a file to read and write it, and creates it with mode 0600 if it is missing.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    open_private(path, OpenOptions::new().write(true).create(true).truncate(false))
}

fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.read(true).mode(0o600).open(path)?;
    give_to_owner_of(parent(path), &file)?;
    Ok(file)
}

/// Reads a whole file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Reads a whole text file.
///
/// # Errors
/// What the operating system says; `InvalidData` if it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// Appends the text of a file to `text`. If the file is longer than `bytes_max`, so is what was appended: the caller
/// refuses it.
///
/// # Errors
/// What the operating system says; `InvalidData` if it is not UTF-8.
pub fn read_text_up_to(path: &Path, bytes_max: usize, text: &mut String) -> io::Result<()> {
    File::open(path)?.take(bytes_max as u64 + 1).read_to_string(text).map(drop)
}

/// Reads from `offset` until `bytes` is full or the file ends. Returns how many bytes were read.
pub fn read_up_to(file: &File, bytes: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], offset) {
            Ok(0) => break,
            Ok(more) => {
                got += more;
                offset += more as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Fills `bytes` from `offset`.
/// `UnexpectedEof` if the file ends before.
pub fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

/// Opens a file to read it and append to it, and creates it if it is missing. Its mode is 0600 afterwards, whatever it was.
pub fn append_private(path: &Path) -> io::Result<File> {
    let file = open_private(path, OpenOptions::new().append(true).create(true))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// The permission bits of a file or directory, if others than its owner have any.
pub fn mode_if_open_to_others(path: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

/// Removes a file if it exists. Not durable before the directory is synced.
pub fn remove_if_exists(path: &Path) -> io::Result<()> {
    if_exists(fs::remove_file(path)).map(drop)
}

/// The outcome of a call on a file that may be missing.
pub fn if_exists<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Tells one state of a file from another: a replaced file has another inode, a changed one another change time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileStamp {
    /// The present state of the file at `path`.
    pub fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(Self::from)
    }

    /// The present state of an open file.
    pub fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(Self::from)
    }
}

impl From<Metadata> for FileStamp {
    fn from(metadata: Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: metadata.ino(), bytes: metadata.len(), changed }
    }
}
