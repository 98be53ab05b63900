//! How a stopped node's data directory becomes that of a single machine again.
//!
//! ```text
//! 1  change the registry, in one transaction     crash after: the server refuses to start until this is finished
//! 2  destroy the keys of entries, and those of other nodes' hours: the same
//! 3  remove cluster.json                         done
//! ```
//!
//! Each step can be repeated.

use std::path::{Path, PathBuf};

use super::{
    entry_keys::ClusterKeys,
    hour_keys::{MemberKeyFiles, MemberKeyrings},
    identity::{Identity, IdentityError},
};
use crate::{
    envelope::{Keyring, KeyringError},
    files::SharedDisk,
    operators::{CLUSTER_KINDS, remove_cluster},
    registry::{StoppedRegistry, StoreError},
};

/// Why a data directory cannot leave its cluster.
#[derive(Debug, thiserror::Error)]
pub enum LeavingError {
    /// It belongs to none.
    #[error("{}: belongs to no cluster", .0.display())]
    NoMember(PathBuf),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The registry.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Has the data directory `data` belong to no cluster. `root_key` is the file of the log's root key, if the configuration names one. The
/// caller has locked the directory. Returns the identity that it had, unless an interrupted run removed it.
///
/// # Errors
/// See [`LeavingError`]. Afterwards it can be run again.
pub fn leave(
    data: &Path,
    root_key: Option<&Path>,
    disk: &SharedDisk,
    registry: &mut StoppedRegistry,
) -> Result<Option<Identity>, LeavingError> {
    let identity = Identity::read(data)?;
    if identity.is_none() && registry.log_head().is_none() {
        return Err(LeavingError::NoMember(data.to_owned()));
    }
    registry.leave_log(&CLUSTER_KINDS, |rows| {
        remove_cluster(rows);
        Ok::<_, StoreError>(())
    })?;
    Keyring::remove(disk, ClusterKeys::files(data, root_key))?;
    MemberKeyrings::remove_all(disk, &MemberKeyFiles::new(data, root_key))?;
    Identity::remove(data)?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        clock::{Hour, ManualClock, SharedClock, Timestamp},
        cluster::{Founder, Giver},
        envelope::HourKey,
        files::OsDisk,
        registry::{self, NodeId, RowKind},
        shared_log::MemoryLog,
    };

    fn open(data: &Path) -> StoppedRegistry {
        let clock: SharedClock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        StoppedRegistry::open(&data.join("registry"), registry::Config::default(), clock).unwrap()
    }

    #[tokio::test]
    async fn a_directory_that_left_is_one_of_a_single_machine() {
        let folder = tempfile::tempdir().unwrap();
        let (data, log) = (folder.path(), MemoryLog::new());
        let keys = ClusterKeys::files(data, None);
        let refused = leave(data, None, &OsDisk::shared(), &mut open(data));
        assert!(matches!(refused, Err(LeavingError::NoMember(_))), "{refused:?}");
        let put = |rows: &mut crate::registry::Rows<'_>| {
            rows.put(RowKind::Operator, b"ann", None, vec![1]);
            Ok::<_, StoreError>(())
        };
        open(data).change_rows(RowKind::Operator, put).unwrap();
        let (name, address) = ("a".to_owned(), "http://a:1".to_owned());
        let now = Timestamp::from_secs(1_800_000_000);
        let founder = Founder { data, keys, disk: OsDisk::shared(), name, address, now };
        let founded = founder.found(&mut open(data), &log, None).await.unwrap();
        // What a crash after the first step leaves: the second run finishes it.
        open(data).leave_log(&[], |_| Ok::<_, StoreError>(())).unwrap();
        let members = MemberKeyFiles::new(data, None);
        let held = MemberKeyrings::open(OsDisk::shared(), members.clone()).unwrap();
        let (other, hour) = (NodeId(7), Hour::from_number(500_000));
        held.put(other, Giver::Other, vec![(hour, hour, HourKey::of(&[1; 32]))]).unwrap();
        assert!(members.of(other).keyring.exists());
        let left = leave(data, None, &OsDisk::shared(), &mut open(data)).unwrap();
        assert!(left == Some(founded));
        assert!(Identity::read(data).unwrap().is_none());
        assert_eq!(fs::read_dir(ClusterKeys::directory(data)).unwrap().count(), 0);
        assert!(!data.join("keys/members").exists());
        let registry = open(data);
        assert_eq!(registry.log_head(), None);
        let mut rows = Vec::new();
        for kind in CLUSTER_KINDS {
            registry.each_row(kind, |name, _| rows.push(name.to_vec())).unwrap();
        }
        assert_eq!(rows, [b"ann"], "people stay");
    }
}
