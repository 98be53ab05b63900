//! [`Identity`]: which node of which cluster a data directory belongs to.

use std::{
    io,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    files::{self, SharedDisk},
    ids,
    operators::is_node_name,
    redacted::redacted_debug,
    registry::{ClusterId, NodeId, NodeKey},
};

/// The file's name in the data directory.
pub const IDENTITY_FILE_NAME: &str = "cluster.json";
/// The name of the file that says that joining was begun.
const JOINING_FILE_NAME: &str = "cluster.joining";
/// The first one, of version 0.5.0, held a token that was given to every other node.
const FORMAT: u32 = 2;

/// Who a node is. A data directory that has it belongs to a cluster, and is served with `cluster.engine` only.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's number.
    pub node: NodeId,
    /// The node's name.
    pub name: String,
    /// The secret of its [`NodeKey`], by which the other members know what comes from it. No other node ever has it.
    pub secret: Zeroizing<[u8; 32]>,
}

redacted_debug!(Identity);

/// Why the identity cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file is not what was written.
    #[error(
        "{}: damaged; if other members run, remove the node there and join into a new data directory", .0.display()
    )]
    Damaged(PathBuf),
    /// A newer version wrote it.
    #[error("{}: format {format} is newer than this version reads; upgrade dispatchd", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// Version 0.5.0 wrote it.
    #[error(
        "{}: format 1 is no longer read; make the cluster anew, as docs/operators/cluster.md says under \"From version 0.5.0\"",
        .0.display()
    )]
    Former(PathBuf),
    /// Others than the owner may read the secret.
    #[error("{}: mode {mode:03o} lets others read it; run: chmod 600 {}", .path.display(), .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The operating system refuses.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file in the data directory `data` that says that joining was begun, and that what lies beside it may be removed. It means nothing
/// beside an identity.
pub(super) fn joining_marker(data: &Path) -> PathBuf {
    data.join(JOINING_FILE_NAME)
}

/// What the names of a node's objects in a store begin with.
pub(super) fn store_name(name: &str, node: NodeId) -> String {
    format!("{name}-{:016x}", node.0)
}

#[derive(Serialize, Deserialize)]
struct FileV2 {
    format: u32,
    cluster: String,
    node: u64,
    name: String,
    secret: Zeroizing<String>,
}

#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl Identity {
    /// The first node of a new cluster.
    pub fn first(name: String) -> Self {
        let mut cluster = [0; 16];
        ids::fill_random(&mut cluster);
        Self::joining(ClusterId(cluster), name)
    }

    /// A new node of a cluster.
    pub fn joining(cluster: ClusterId, name: String) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        ids::fill_random(secret.as_mut());
        Self { cluster, node: NodeId(ids::random_u64()), name, secret }
    }

    /// The node's key.
    pub fn key(&self) -> NodeKey {
        NodeKey::new(&self.secret)
    }

    /// What the names of the node's objects in a store begin with. A node that joins later under the same name has another one.
    pub fn store_name(&self) -> String {
        store_name(&self.name, self.node)
    }

    /// Where it lies in the data directory `data`.
    pub fn path(data: &Path) -> PathBuf {
        data.join(IDENTITY_FILE_NAME)
    }

    /// The identity of the data directory `data`. None if it belongs to no cluster.
    ///
    /// # Errors
    /// If the file is there and cannot be used.
    pub fn read(data: &Path) -> Result<Option<Self>, IdentityError> {
        let path = Self::path(data);
        let io_at = |source| IdentityError::Io { path: path.clone(), source };
        let read = files::if_exists(files::read_small(&path).map(Zeroizing::new)).map_err(io_at)?;
        let Some(text) = read else { return Ok(None) };
        if let Some(mode) = files::mode_if_open_to_others(&path).map_err(io_at)? {
            return Err(IdentityError::TooOpen { path, mode });
        }
        match serde_json::from_slice::<AnyFormat>(&text) {
            Ok(AnyFormat { format }) if FORMAT < format => {
                return Err(IdentityError::Newer { path, format });
            }
            Ok(AnyFormat { format: 1 }) => return Err(IdentityError::Former(path)),
            _ => {}
        }
        let file = serde_json::from_slice::<FileV2>(&text).ok();
        file.and_then(Self::of_file).map(Some).ok_or(IdentityError::Damaged(path))
    }

    fn of_file(file: FileV2) -> Option<Self> {
        let cluster = HEXLOWER.decode(file.cluster.as_bytes()).ok()?;
        let secret = Zeroizing::new(HEXLOWER.decode(file.secret.as_bytes()).ok()?);
        let is_sound = file.format == FORMAT && is_node_name(&file.name);
        is_sound.then_some(Self {
            cluster: ClusterId(cluster.try_into().ok()?),
            node: NodeId(file.node),
            name: file.name,
            secret: Zeroizing::new(secret.as_slice().try_into().ok()?),
        })
    }

    /// Makes it the identity of the data directory `data`, durably. It appears complete.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, disk: &SharedDisk, data: &Path) -> Result<(), IdentityError> {
        let file = FileV2 {
            format: FORMAT,
            cluster: HEXLOWER.encode(&self.cluster.0),
            node: self.node.0,
            name: self.name.clone(),
            secret: Zeroizing::new(HEXLOWER.encode(self.secret.as_ref())),
        };
        let text = Zeroizing::new(serde_json::to_vec(&file).expect("it has a JSON form"));
        let path = Self::path(data);
        let written = files::replace_secret(disk, &path, &text);
        written.map_err(|source| IdentityError::Io { path, source })
    }

    /// Has the data directory `data` belong to no cluster, durably.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn remove(data: &Path) -> Result<(), IdentityError> {
        let path = Self::path(data);
        // Without the identity it would say that the data may be removed.
        let marker = files::remove_if_exists(&joining_marker(data));
        let removed = marker
            .and_then(|()| files::remove_if_exists(&path))
            .and_then(|()| files::sync_dir(data));
        removed.map_err(|source| IdentityError::Io { path, source })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::files::OsDisk;

    #[test]
    fn a_directory_has_the_identity_that_was_written_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert!(Identity::read(data).unwrap().is_none());
        let first = Identity::first("a".to_owned());
        first.write(&OsDisk::shared(), data).unwrap();
        assert!(Identity::read(data).unwrap() == Some(first.clone()));
        let mode = fs::metadata(Identity::path(data)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{first:?}"), "Identity(…)");
        let other = Identity::joining(first.cluster, "b".to_owned());
        assert!(other.node != first.node && other.secret != first.secret);
        Identity::remove(data).unwrap();
        assert!(Identity::read(data).unwrap().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_trusted_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (data, path) = (folder.path(), Identity::path(folder.path()));
        let identity = Identity::first("a".to_owned());
        identity.write(&OsDisk::shared(), data).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (from, to, expected) in [
            ("\"format\":2", "\"format\":3", "format 3 is newer"),
            ("\"format\":2", "\"format\":1", "make the cluster anew"),
            ("\"secret\":\"", "\"secret\":\"00", "damaged"),
            ("\"cluster\":\"", "\"cluster\":\"0", "damaged"),
            ("\"name\":\"a\"", "\"name\":\"a b\"", "damaged"),
            ("}", "", "damaged"),
        ] {
            assert!(text.contains(from), "{from}");
            fs::write(&path, text.replace(from, to)).unwrap();
            let error = Identity::read(data).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains(&HEXLOWER.encode(identity.secret.as_ref())));
        }
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Identity::read(data).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
