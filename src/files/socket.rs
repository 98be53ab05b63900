//! A socket of this machine that only its owner may connect to.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, lchown},
        net::UnixListener,
    },
    path::Path,
};

use super::{directory::parent, open::remove_if_exists};

/// Listens at a socket with mode 0600. It appears with this mode, in the place of one that a crash left. A crash may leave
/// `<name>.new` beside it, which the next call replaces.
///
/// # Errors
/// What the operating system says; `InvalidInput` if the path is longer than the kernel takes, which is 107 bytes on Linux.
pub fn bind_private(path: &Path) -> io::Result<UnixListener> {
    // No longer than the path itself.
    let unfinished = path.with_extension("new");
    remove_if_exists(&unfinished)?;
    let listener = UnixListener::bind(&unfinished)?;
    fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
    let (owner, is) = (fs::metadata(parent(path))?, fs::symlink_metadata(&unfinished)?);
    // As every file that root creates. The directory's owner may have put a link in its place meanwhile.
    if is.uid() == 0 && owner.uid() != 0 {
        lchown(&unfinished, Some(owner.uid()), Some(owner.gid()))?;
    }
    fs::rename(&unfinished, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_socket_is_its_owners_alone_and_takes_the_place_of_a_dead_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.sock");
        drop(bind_private(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err(), "nobody listens");
        // A crash between the two steps.
        drop(UnixListener::bind(folder.path().join("it.new")).unwrap());
        let listener = bind_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap().write_all(b"x").unwrap();
        drop(listener.accept().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_is_too_long_is_said_to_be_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(120));
        assert_eq!(bind_private(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
