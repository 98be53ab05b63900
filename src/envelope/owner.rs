//! Whose a new file is: its directory's owner's. Root may read and write beside a server that runs as another user, and
//! what root makes there must stay that user's to read and to change.

use std::{
    fs::{File, metadata},
    io,
    os::unix::fs::{MetadataExt as _, fchown},
    path::Path,
};

/// Makes `file` the owner's of `dir`; nothing to do in the common case that it is already.
pub(super) fn give_to_owner_of(dir: &Path, file: &File) -> io::Result<()> {
    let (owner, is) = (metadata(dir)?, file.metadata()?);
    // Only root can give away. Anybody else writes in a directory that was opened to a group on purpose.
    if is.uid() != 0 || (owner.uid(), owner.gid()) == (is.uid(), is.gid()) {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// The directory that `path` lies in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
