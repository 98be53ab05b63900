//! Whose a file is, and who may use it.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{directory::names, open::if_exists};

/// Directories below a listed one are listed, too, down to this depth. The data directory has two levels.
const DEPTH_MAX: usize = 4;
/// What a file system keeps at its top, and what is not the server's.
const NOT_OURS: &str = "lost+found";

/// The owner and the permissions of a file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where it is.
    pub path: PathBuf,
    /// The number of the user whose it is.
    pub owner: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl Access {
    /// Of one file or directory. A link counts as what it leads to.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self { path: path.to_owned(), owner: metadata.uid(), mode: metadata.mode() & 0o777 })
    }

    /// Of a directory and of everything below it, in the order of the names. What disappears meanwhile is left out.
    pub fn of_all(path: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        list(path, 0, &mut found)?;
        Ok(found)
    }

    /// Whether others than the owner and its group may read or change it.
    pub const fn is_open_to_all(&self) -> bool {
        self.mode & 0o007 != 0
    }

    /// Whether others than the owner may read or change it.
    pub const fn is_open_to_others(&self) -> bool {
        self.mode & 0o077 != 0
    }
}

fn list(path: &Path, depth: usize, found: &mut Vec<Access>) -> io::Result<()> {
    let Some(access) = if_exists(Access::of(path))? else { return Ok(()) };
    found.push(access);
    // A link may lead out of the directory, or back.
    if depth == DEPTH_MAX || path.is_symlink() && depth > 0 || !path.is_dir() {
        return Ok(());
    }
    let mut below = if_exists(names(path))?.unwrap_or_default();
    below.sort();
    below
        .into_iter()
        .filter(|name| name != NOT_OURS)
        .try_for_each(|name| list(&path.join(name), depth + 1, found))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    #[test]
    fn everything_below_a_directory_is_listed_once_and_links_are_not_followed_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("data/keys")).unwrap();
        fs::create_dir_all(at("data/lost+found")).unwrap();
        fs::create_dir(at("elsewhere")).unwrap();
        for (name, mode) in [("data/keys/a", 0o600), ("data/b", 0o640), ("elsewhere/c", 0o604)] {
            fs::write(at(name), "x").unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        }
        symlink(at("elsewhere"), at("data/link")).unwrap();
        symlink(at("nowhere"), at("data/dangling")).unwrap();
        let found = Access::of_all(&at("data")).unwrap();
        let names: Vec<_> =
            found.iter().map(|it| it.path.strip_prefix(at("data")).unwrap()).collect();
        assert_eq!(names, ["", "b", "keys", "keys/a", "link"].map(Path::new));
        let open: Vec<_> =
            found.iter().map(|it| (it.is_open_to_others(), it.is_open_to_all())).collect();
        assert_eq!((open[1], open[3]), ((true, false), (false, false)));
        let all = Access::of(&at("elsewhere/c")).unwrap();
        assert!(all.is_open_to_all() && all.is_open_to_others() && all.mode == 0o604);
        assert_eq!(Access::of_all(&at("nowhere")).unwrap(), []);
    }
}
