//! [`StoreNames`]: what this machine's objects are named in the object store, now and before.
//!
//! A node of a cluster has a name and a number. Another machine takes a random number when it copies for the first time, so that two machines
//! never share a prefix. The names lie beside the keys: whoever keeps a copy of `keys/` finds the copies of the log by it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::{
    cluster::Identity,
    files::{self, SharedDisk},
    ids,
};

const FILE: &str = "store.names";
/// Begins the name of a machine that is no node of a cluster.
const SINGLE: &str = "single-";

/// The names of one data directory's objects.
pub(super) struct StoreNames {
    path: PathBuf,
    /// That of the node, if the directory is one of a cluster.
    node: Option<String>,
    /// Those that were used, in the order of their first use.
    used: Vec<String>,
}

impl StoreNames {
    /// Those of the data directory `data`.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn read(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("keys").join(FILE);
        let node = Identity::read(data)?.map(|identity| identity.store_name());
        let text = files::if_exists(files::read_text(&path));
        let text = text.with_context(|| path.display().to_string())?.unwrap_or_default();
        let used: Vec<_> = text.lines().map(str::to_owned).collect();
        let is_part = |name: &String| {
            !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
        };
        ensure!(used.iter().all(is_part), "{}: a line is no name of a node", path.display());
        Ok(Self { path, node, used })
    }

    /// Notes the present name before something is copied under it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn note(mut self, disk: &SharedDisk) -> anyhow::Result<()> {
        let name = self.present().unwrap_or_else(|| format!("{SINGLE}{:016x}", ids::random_u64()));
        if !self.used.contains(&name) {
            self.used.push(name);
            let mut text = self.used.join("\n");
            text.push('\n');
            files::create_dir(files::parent(&self.path))
                .and_then(|()| files::replace(disk, &self.path, text.as_bytes()))
                .with_context(|| self.path.display().to_string())?;
        }
        Ok(())
    }

    /// The name that counts now, and the others. Nothing is in the store under the one of a machine that has noted none.
    pub(super) fn in_order(self) -> (String, Vec<String>) {
        let present = self.present().unwrap_or_else(|| SINGLE.trim_end_matches('-').to_owned());
        let former = self.used.into_iter().filter(|name| *name != present).collect();
        (present, former)
    }

    fn present(&self) -> Option<String> {
        let single = || self.used.iter().find(|name| name.starts_with(SINGLE)).cloned();
        self.node.clone().or_else(single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::OsDisk;

    #[test]
    fn a_machine_keeps_its_random_name_and_one_that_becomes_a_node_keeps_it_as_a_former_one() {
        let folder = tempfile::tempdir().unwrap();
        let (data, disk) = (folder.path(), OsDisk::shared());
        let read = || StoreNames::read(data).unwrap();
        assert_eq!(read().in_order(), ("single".to_owned(), Vec::new()));
        read().note(&disk).unwrap();
        let (single, former) = read().in_order();
        assert!(single.len() == "single-".len() + 16 && former.is_empty(), "{single}");
        read().note(&disk).unwrap();
        assert_eq!(read().in_order().0, single);

        let as_node = || StoreNames { node: Some("a-00c0ffee".to_owned()), ..read() };
        as_node().note(&disk).unwrap();
        assert_eq!(as_node().in_order(), ("a-00c0ffee".to_owned(), vec![single.clone()]));
        // It left the cluster.
        assert_eq!(read().in_order(), (single, vec!["a-00c0ffee".to_owned()]));

        let other = tempfile::tempdir().unwrap();
        StoreNames::read(other.path()).unwrap().note(&disk).unwrap();
        assert_ne!(StoreNames::read(other.path()).unwrap().in_order().0, read().in_order().0);
    }
}
