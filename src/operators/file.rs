//! The file of operators: read whole, replaced whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{Operator, OperatorsError};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorsFile {
    version: u32,
    operators: Vec<Operator>,
}

/// What tells one state of the file from another. A replaced file has another inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    bytes: u64,
    changed_ns: i64,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OperatorsError {
    let path = path.to_owned();
    move |source| OperatorsError::Io { path, source }
}

/// The file's present state; none if there is no file.
pub(super) fn stamp(path: &Path) -> Result<Option<Stamp>, OperatorsError> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(Stamp {
            inode: meta.ino(),
            bytes: meta.len(),
            changed_ns: meta.ctime().wrapping_mul(1_000_000_000).wrapping_add(meta.ctime_nsec()),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path)(error)),
    }
}

/// Reads the list; empty if there is no file.
pub(super) fn load(path: &Path) -> Result<Vec<Operator>, OperatorsError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(path)(error)),
    };
    let malformed = |line| OperatorsError::Malformed { path: path.to_owned(), line };
    let file: OperatorsFile =
        serde_json::from_str(&text).map_err(|error| malformed(error.line()))?;
    if file.version == VERSION { Ok(file.operators) } else { Err(malformed(1)) }
}

/// Changes the list under a lock, so that two command lines do not undo each other.
///
/// The new list is durable before this returns: file synced, renamed over the old one, directory synced. A crash leaves
/// the old list or the new one, and perhaps a `.new` file that the next change overwrites.
pub(super) fn change(
    path: &Path,
    edit: impl FnOnce(&mut Vec<Operator>) -> Result<(), OperatorsError>,
) -> Result<(), OperatorsError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error(folder))?;
    let owner = fs::metadata(folder).map_err(io_error(folder))?;
    let lock_path = path.with_extension("lock");
    let lock = private().open(&lock_path).map_err(io_error(&lock_path))?;
    give_to(&lock, &owner).map_err(io_error(&lock_path))?;
    lock.lock().map_err(io_error(&lock_path))?;

    let mut operators = load(path)?;
    edit(&mut operators)?;
    let file = OperatorsFile { version: VERSION, operators };
    let mut text =
        serde_json::to_vec_pretty(&file).map_err(io::Error::from).map_err(io_error(path))?;
    text.push(b'\n');

    let new_path = path.with_extension("new");
    let mut new = private().truncate(true).open(&new_path).map_err(io_error(&new_path))?;
    new.write_all(&text)
        .and_then(|()| give_to(&new, &owner))
        .and_then(|()| new.sync_all())
        .map_err(io_error(&new_path))?;
    fs::rename(&new_path, path).map_err(io_error(path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder))
}

/// Makes `file` its folder's owner's: a list that root changes must stay readable for the server's own user.
fn give_to(file: &File, owner: &fs::Metadata) -> io::Result<()> {
    let is = file.metadata()?;
    if (is.uid(), is.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}
