//! Opening and reading files, removing single ones, and whether one has changed since it was read.

use std::{
    fs::{self, Metadata, OpenOptions, Permissions},
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use super::directory::{give_to_owner_of, parent};

pub use std::fs::File;
pub use tokio::fs::File as AsyncFile;

/// Bytes that [`read_small`] and [`read_text`] take at most. The largest file that they read is a list of 1,000 operators.
const SMALL_BYTES_MAX: u64 = 4 << 20;

/// Opens a file for reading.
///
/// # Errors
/// What the operating system says; `InvalidInput` if it is no regular file, or a symbolic link to nothing. Callers take
/// `NotFound` for a file that was never written, which the target of a link is not.
pub fn open(path: &Path) -> io::Result<File> {
    match without_waiting(OpenOptions::new().read(true)).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link to nothing"))
        }
        file => regular(file?),
    }
}

/// Opening a FIFO waits for its other end, unless it is opened this way. Regular files are not affected.
pub(super) fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed())
}

/// The file, if it is a regular one: reading any other kind may wait or never end.
fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

/// Creates a file with mode 0600, to read and write it; an error if the name is taken.
pub fn create(path: &Path) -> io::Result<File> {
    open_private(path, OpenOptions::new().write(true).create_new(true))
}

/// Opens a file to read and write it, and creates it with mode 0600 if it is missing.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    open_or_create_with(path, OpenOptions::new().write(true))
}

fn open_or_create_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    match open_private(path, options.clone().create_new(true)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return created,
    }
    // It is not given to anybody: as a symbolic link it would be another's file.
    regular(without_waiting(options.read(true)).open(path)?)
}

/// Creates a file, and gives it to the owner of its directory.
fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = regular(without_waiting(options.read(true).mode(0o600)).open(path)?)?;
    give_to_owner_of(parent(path), &file)?;
    Ok(file)
}

/// Reads a whole file of any length.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a whole file that is small, or damaged.
///
/// # Errors
/// As [`open`]; `FileTooLarge` if it has more than 4 MiB.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    // The memory of a secret is wiped by its owner, so it must not have moved while it grew.
    let len = file.metadata()?.len().min(SMALL_BYTES_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(len).map_or(0, |len| len + 1));
    file.take(SMALL_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL_BYTES_MAX {
        let why = format!("it has more than {SMALL_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// Reads a whole text file that is small, or damaged.
///
/// # Errors
/// As [`read_small`]; `InvalidData` if it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(read_small(path)?).map_err(not_text)
}

/// Appends the text of a file to `text`. If the file is longer than `bytes_max`, so is what was appended: the caller
/// refuses it.
///
/// # Errors
/// As [`open`]; `InvalidData` if it is not UTF-8.
pub fn read_text_up_to(path: &Path, bytes_max: usize, text: &mut String) -> io::Result<()> {
    open(path)?.take(bytes_max as u64 + 1).read_to_string(text).map(drop)
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
    let file = open_or_create_with(path, OpenOptions::new().append(true))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// The permission bits of a file or directory, if others than its owner have any.
pub fn mode_if_open_to_others(path: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

/// Whether both paths lie on one file system, which one snapshot or image copies whole. Different ones may still share a disk.
pub fn share_file_system(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(fs::metadata(one)?.dev() == fs::metadata(other)?.dev())
}

/// Removes a file if it exists. Not durable before the directory is synced.
pub fn remove_if_exists(path: &Path) -> io::Result<()> {
    if_exists(fs::remove_file(path)).map(drop)
}

/// Removes a directory with all that is in it. No error if there is none.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    if_exists(fs::remove_dir_all(path)).map(drop)
}

/// Removes a directory if it exists; an error if something is in it. Not durable before its parent is synced.
pub fn remove_empty_dir(path: &Path) -> io::Result<()> {
    if_exists(fs::remove_dir(path)).map(drop)
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

    /// Whether both are states of one file. Both must lie on the same file system.
    pub const fn is_same_file(self, other: Self) -> bool {
        self.inode == other.inode
    }
}

impl From<Metadata> for FileStamp {
    fn from(metadata: Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: metadata.ino(), bytes: metadata.len(), changed }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, process::Command};

    use super::*;

    #[test]
    fn what_is_no_small_file_is_refused_at_once_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        fs::create_dir(at("directory")).unwrap();
        symlink(at("nothing"), at("link")).unwrap();
        File::create(at("huge")).unwrap().set_len(SMALL_BYTES_MAX + 1).unwrap();
        for (name, why) in [
            ("fifo", "no regular file"),
            ("directory", "no regular file"),
            ("link", "a symbolic link to nothing"),
            ("huge", "more than 4194304 bytes"),
        ] {
            let error = read_small(&at(name)).unwrap_err();
            assert!(error.to_string().contains(why), "{name}: {error}");
            assert_ne!(error.kind(), io::ErrorKind::NotFound, "{name}");
            assert!(read_text(&at(name)).is_err(), "{name}");
        }
        let opened: [fn(&Path) -> io::Result<File>; 2] = [open_or_create, append_private];
        for open in opened {
            assert!(open(&at("fifo")).is_err() && open(&at("directory")).is_err());
        }
    }

    #[test]
    fn root_gives_away_what_it_makes_and_nothing_that_a_link_leads_to() {
        use std::os::unix::fs::chown;

        let folder = tempfile::tempdir().unwrap();
        let (of_root, theirs) = (folder.path().join("of-root"), folder.path().join("theirs"));
        fs::write(&of_root, "").unwrap();
        let own = fs::metadata(&of_root).unwrap().uid();
        fs::create_dir(&theirs).unwrap();
        // Only root can test this, as only root can be misled.
        let owner = if own == 0 { 12_345 } else { own };
        chown(&theirs, Some(owner), None).unwrap();
        let opened: [fn(&Path) -> io::Result<File>; 2] = [open_or_create, append_private];
        for (number, open) in opened.into_iter().enumerate() {
            let [link, new] = ["link", "new"].map(|name| theirs.join(format!("{name}{number}")));
            symlink(&of_root, &link).unwrap();
            assert_eq!(open(&link).unwrap().metadata().unwrap().uid(), own);
            assert_eq!(open(&new).unwrap().metadata().unwrap().uid(), owner);
        }
    }

    #[test]
    fn a_small_file_is_read_whole_also_by_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        File::create(&file).unwrap().set_len(SMALL_BYTES_MAX).unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read_small(&link).unwrap().len() as u64, SMALL_BYTES_MAX);
        fs::write(&file, [0xFF]).unwrap();
        assert_eq!(read_text(&link).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let missing = folder.path().join("missing");
        assert_eq!(read_small(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
