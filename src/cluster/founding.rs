//! How a cluster begins: a stopped server's data directory becomes that of its first node.
//!
//! ```text
//! 1  write cluster.json                          crash after: the server refuses to start until this is finished
//! 2  make the first key, the receiving key       the same
//! 3  append the genesis to the log               the same; the log's head tells that it is this cluster's
//! 4  change the registry, in one transaction     done
//! ```
//!
//! Each step can be repeated. The genesis holds the cluster's number alone, so it has the same bytes in each run. No node ever opens
//! it: the first one has it applied by step 4, and each other one begins with a copy of a store that has it.

use std::path::{Path, PathBuf};

use super::{
    entry_keys::ClusterKeys,
    identity::{Identity, IdentityError},
    key_rows,
    member::Member,
};
use crate::{
    clock::Timestamp,
    envelope::{KeyFiles, KeyringError},
    files::SharedDisk,
    operators::{CLUSTER_KINDS, OperatorsError, add_node, operator_name},
    registry::{EntryFormat, RowKind, StoppedRegistry, StoreError, genesis},
    shared_log::{Appended, EngineError, Head, SharedLog},
};

/// Why a cluster cannot begin, or an interrupted beginning cannot be finished.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// The directory belongs to a cluster.
    #[error("{}: belongs to a cluster already; start it with `dispatchd serve`", .0.display())]
    Member(PathBuf),
    /// The directory's registry follows a log, and nobody knows which.
    #[error(
        "{}: its registry follows a shared log, but cluster.json is missing; put the file back, or run `dispatchd cluster leave`",
        .0.display()
    )]
    IdentityMissing(PathBuf),
    /// The engine holds another log.
    #[error(
        "cluster.engine holds something under cluster.prefix already ({0}); if it is another cluster's, choose another prefix; if \
         that cluster is this one, run `dispatchd cluster join`"
    )]
    EngineNotEmpty(String),
    /// An operator has the name that the node's own operator needs.
    #[error("there is an operator {0} already; revoke it, or choose another cluster.node")]
    NameTaken(String),
    /// The engine gave no answer, or refused.
    #[error("cluster.engine: {0}")]
    Engine(#[from] EngineError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// The registry.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The list of operators.
    #[error(transparent)]
    Operators(#[from] OperatorsError),
}

/// The first node of a cluster, in its stopped server's data directory.
pub struct Founder<'a> {
    /// The data directory, which the caller has locked.
    pub data: &'a Path,
    /// Where its keys lie.
    pub keys: KeyFiles,
    /// The disk of its keys.
    pub disk: SharedDisk,
    /// The node's name.
    pub name: String,
    /// The origin at which other members will reach it.
    pub address: String,
    /// The time.
    pub now: Timestamp,
}

impl Founder<'_> {
    /// Begins a cluster with what `registry` holds, or finishes what an interrupted run began. `found` is a key that lies where the log
    /// will be, if there is one.
    ///
    /// # Errors
    /// See [`FoundingError`]. Afterwards it can be run again.
    pub async fn found(
        &self,
        registry: &mut StoppedRegistry,
        log: &dyn SharedLog,
        found: Option<String>,
    ) -> Result<Identity, FoundingError> {
        let begun = Identity::read(self.data)?;
        if registry.log_head().is_some() {
            let data = self.data.to_owned();
            return Err(match begun {
                Some(_) => FoundingError::Member(data),
                None => FoundingError::IdentityMissing(data),
            });
        }
        self.check_name(registry)?;
        let head = log.head().await?;
        let is_begun = |identity: &Identity| head == Head::EMPTY.after(&genesis(identity.cluster));
        if !begun.as_ref().is_some_and(is_begun) {
            if head != Head::EMPTY {
                let place = head.place;
                return Err(FoundingError::EngineNotEmpty(format!("a log of {place} entries")));
            }
            if let Some(found) = found {
                return Err(FoundingError::EngineNotEmpty(format!("the key {found}")));
            }
        }
        let name = self.name.clone();
        let identity = match begun {
            Some(begun) => Identity { name, ..begun },
            None => Identity::first(name),
        };
        identity.write(&self.disk, self.data)?;
        let keys = ClusterKeys::open_or_create(SharedDisk::clone(&self.disk), self.keys.clone())?;
        keys.ensure_first()?;
        self.append_genesis(&identity, log).await?;
        self.enter(&identity, &keys, registry)?;
        Ok(identity)
    }

    /// Whether the node's operator can have its name.
    fn check_name(&self, registry: &StoppedRegistry) -> Result<(), FoundingError> {
        let (own, mut is_taken) = (operator_name(&self.name), false);
        registry.each_row(RowKind::Operator, |name, _| is_taken |= name == own.as_bytes())?;
        if is_taken { Err(FoundingError::NameTaken(own)) } else { Ok(()) }
    }

    async fn append_genesis(
        &self,
        identity: &Identity,
        log: &dyn SharedLog,
    ) -> Result<(), FoundingError> {
        let entry = genesis(identity.cluster);
        match log.append(Head::EMPTY, &entry).await? {
            Appended::Taken(head) if head != Head::EMPTY.after(&entry) => {
                let place = head.place;
                Err(FoundingError::EngineNotEmpty(format!("a log of {place} entries")))
            }
            // An earlier run appended it.
            Appended::Mine | Appended::Taken(_) => Ok(()),
        }
    }

    /// Has the registry follow the log, with this node as its one member.
    fn enter(
        &self,
        identity: &Identity,
        keys: &ClusterKeys,
        registry: &mut StoppedRegistry,
    ) -> Result<(), FoundingError> {
        let member = Member {
            name: identity.name.clone(),
            node: identity.node,
            address: self.address.clone(),
            format: EntryFormat::NEWEST as u8,
            joined_at: self.now,
            key: keys.newest_number(),
            receiving: keys.receiving()?,
            public: identity.key().public(),
        };
        registry.follow_log(identity.cluster, &CLUSTER_KINDS, |rows| {
            member.put(rows);
            key_rows::put_time(rows, member.key, self.now);
            Ok(add_node(rows, &identity.name, &member.public)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        clock::{ManualClock, SharedClock},
        cluster::KeyRows,
        files::OsDisk,
        registry::{self, EntryKeys as _, NodePublicKey},
        shared_log::{Call, Fault, MemoryLog},
    };

    fn open(data: &Path) -> StoppedRegistry {
        let clock: SharedClock = ManualClock::at(now());
        StoppedRegistry::open(&data.join("registry"), registry::Config::default(), clock).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    fn founder(data: &Path) -> Founder<'_> {
        let (name, address) = ("a".to_owned(), "http://a:1".to_owned());
        let keys = ClusterKeys::files(data, None);
        Founder { data, keys, disk: OsDisk::shared(), name, address, now: now() }
    }

    async fn found(data: &Path, log: &MemoryLog) -> Result<Identity, FoundingError> {
        founder(data).found(&mut open(data), log, None).await
    }

    /// The store follows the log from the genesis on, with this node as the one member.
    fn assert_founded(data: &Path, log: &MemoryLog, identity: &Identity) {
        let head = Head::EMPTY.after(&genesis(identity.cluster));
        let registry = open(data);
        assert_eq!(registry.log_head(), Some(head));
        assert!(log.head().now_or_never() == Some(Ok(head)));
        assert!(Identity::read(data).unwrap().as_ref() == Some(identity));
        let (mut members, mut operators) = (Vec::new(), Vec::new());
        let each = |name: &[u8], row: &[u8]| members.push(Member::read(name, row).unwrap());
        registry.each_row(RowKind::Member, each).unwrap();
        registry.each_row(RowKind::Operator, |name, _| operators.push(name.to_vec())).unwrap();
        let keys =
            ClusterKeys::open(OsDisk::shared(), ClusterKeys::files(data, None)).unwrap().unwrap();
        let [member] = &members[..] else { panic!("{members:?}") };
        assert_eq!(
            (&*member.name, member.node, &*member.address),
            ("a", identity.node, "http://a:1")
        );
        assert_eq!((member.key, member.receiving), (keys.newest().id(), keys.receiving().unwrap()));
        assert_eq!(member.key, 1);
        let (mut rows, first) = (KeyRows::default(), 1_u32.to_be_bytes());
        rows.add(&first, &now().as_micros().to_be_bytes());
        let mut found = KeyRows::default();
        registry.each_row(RowKind::EntryKey, |key, row| found.add(key, row)).unwrap();
        assert_eq!(found, rows);
        assert_eq!(operators, [b"member-a"]);
    }

    #[tokio::test]
    async fn an_interrupted_run_is_finished_by_the_next_one() {
        for fault in [Fault::RequestLost, Fault::AnswerLost, Fault::Refused] {
            let (folder, log) = (tempfile::tempdir().unwrap(), MemoryLog::new());
            log.fail(Call::Append, fault);
            assert!(found(folder.path(), &log).await.is_err());
            let begun = Identity::read(folder.path()).unwrap().unwrap();
            assert_eq!(open(folder.path()).log_head(), None);
            assert!(found(folder.path(), &log).await.unwrap() == begun, "{fault:?}");
            assert_founded(folder.path(), &log, &begun);
        }
        // A crash after the first file.
        let (folder, log) = (tempfile::tempdir().unwrap(), MemoryLog::new());
        let begun = Identity::first("b".to_owned());
        begun.write(&OsDisk::shared(), folder.path()).unwrap();
        let founded = found(folder.path(), &log).await.unwrap();
        assert!(founded == Identity { name: "a".to_owned(), ..begun }, "the name may change");
        assert_founded(folder.path(), &log, &founded);
        let again = found(folder.path(), &log).await;
        assert!(matches!(again, Err(FoundingError::Member(_))), "{again:?}");
    }

    #[tokio::test]
    async fn what_is_there_already_stays() {
        let (folder, log) = (tempfile::tempdir().unwrap(), MemoryLog::new());
        log.append(Head::EMPTY, b"other").await.unwrap();
        let refused = found(folder.path(), &log).await;
        assert!(matches!(refused, Err(FoundingError::EngineNotEmpty(_))), "{refused:?}");
        let log = MemoryLog::new();
        let key = Some("dispatchd/log/7".to_owned());
        let refused = founder(folder.path()).found(&mut open(folder.path()), &log, key).await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("dispatchd/log/7"), "{text}");
        log.fail(Call::Head, Fault::RequestLost);
        let refused = found(folder.path(), &log).await;
        assert!(matches!(refused, Err(FoundingError::Engine(_))), "{refused:?}");
        assert!(Identity::read(folder.path()).unwrap().is_none());
        assert_eq!(log.count(Call::Append), 0);

        let row = |rows: &mut crate::registry::Rows<'_>| {
            Ok::<_, FoundingError>(add_node(rows, "a", &NodePublicKey([0; 32]))?)
        };
        open(folder.path()).change_rows(RowKind::Operator, row).unwrap();
        let refused = found(folder.path(), &log).await;
        assert!(matches!(refused, Err(FoundingError::NameTaken(_))), "{refused:?}");
        assert!(Identity::read(folder.path()).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_registry_that_left_the_log_does_not_begin_it_anew() {
        let (folder, log) = (tempfile::tempdir().unwrap(), MemoryLog::new());
        let founded = found(folder.path(), &log).await.unwrap();
        let genesis = log.head().await.unwrap();
        log.append(genesis, b"the next entry").await.unwrap();
        open(folder.path())
            .leave_log(&CLUSTER_KINDS, |rows| {
                crate::operators::remove_cluster(rows);
                Ok::<_, FoundingError>(())
            })
            .unwrap();
        let refused = found(folder.path(), &log).await;
        assert!(matches!(refused, Err(FoundingError::EngineNotEmpty(_))), "{refused:?}");
        assert!(Identity::read(folder.path()).unwrap() == Some(founded));
    }
}
