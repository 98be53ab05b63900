//! [`WatchedSpace`]: the free space of directories as it was at the last look, to read without asking the disk.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::directory::{parent, space_of};

/// Directories whose free space is looked at now and then. A reader gets the last values at once, also while a disk hangs.
#[derive(Debug)]
pub struct WatchedSpace(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    name: &'static str,
    path: PathBuf,
    /// Bytes to leave to other programs, as configured.
    wanted: u64,
    free: AtomicU64,
    reserve: AtomicU64,
}

/// The space of one directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectorySpace {
    /// The name of the directory, for people.
    pub name: &'static str,
    /// Bytes that this process may still use.
    pub free: u64,
    /// Bytes that it leaves to other programs.
    pub reserve: u64,
}

impl WatchedSpace {
    /// Watches directories: the name, the path, and how many bytes to leave to other programs. Looks at them for the first time.
    pub fn new(directories: impl IntoIterator<Item = (&'static str, PathBuf, u64)>) -> Self {
        let watched = |(name, path, wanted)| {
            let (free, reserve) = Default::default();
            Watched { name, path, wanted, free, reserve }
        };
        let all = Self(directories.into_iter().map(watched).collect());
        all.look();
        all
    }

    /// Looks at all directories. Blocks while a disk hangs. The space of a directory that cannot be looked at stays as it was.
    pub fn look(&self) {
        for watched in &self.0 {
            // One that is made later will lie on the disk of its parent.
            let space = space_of(&watched.path).or_else(|_| space_of(parent(&watched.path)));
            if let Ok(space) = space {
                watched.free.store(space.free, Relaxed);
                watched.reserve.store(space.reserve(watched.wanted), Relaxed);
            }
        }
    }

    /// The space at the last look.
    pub fn last(&self) -> impl Iterator<Item = DirectorySpace> {
        self.0.iter().map(|watched| DirectorySpace {
            name: watched.name,
            free: watched.free.load(Relaxed),
            reserve: watched.reserve.load(Relaxed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_directory_has_the_space_of_its_parent_and_one_that_is_gone_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/log");
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let space = WatchedSpace::new([("log", path.clone(), 1), ("keys", path.clone(), 0)]);
        let before: Vec<_> = space.last().collect();
        assert_eq!(
            before.iter().map(|it| (it.name, it.reserve)).collect::<Vec<_>>(),
            [("log", 1), ("keys", 0)]
        );
        assert!(before.iter().all(|it| it.free > 0));
        std::fs::remove_dir(folder.path().join("data")).unwrap();
        space.look();
        assert_eq!(space.last().collect::<Vec<_>>(), before);
    }
}
