//! Entries under keys that no member uses: one that was destroyed, and one that was never made.

use super::*;
use crate::registry::{EntryKey, EntryKeys};

/// Keys of a node that writes under another one than it may.
struct Liar {
    keys: Arc<ClusterKeys>,
    writes_under: Arc<EntryKey>,
}

impl EntryKeys for Liar {
    fn newest(&self) -> Arc<EntryKey> {
        Arc::clone(&self.writes_under)
    }

    fn find(&self, id: u32) -> Option<Arc<EntryKey>> {
        self.keys.find(id)
    }
}

/// Has the member b append an entry under this key, and gives its row's key.
async fn append_under(cluster: &Cluster, key: EntryKey, row: &'static [u8]) {
    let folder = tempfile::tempdir().unwrap();
    let (store, data) = ("registry/registry.redb", &cluster.b.folder);
    fs::create_dir(folder.path().join("registry")).unwrap();
    cluster.b.registry.close();
    fs::copy(data.path().join(store), folder.path().join(store)).unwrap();
    let identity = &cluster.b.rotation.identity;
    let keys = Liar { keys: Arc::clone(&cluster.b.keys), writes_under: Arc::new(key) };
    let member = LogMember {
        key: Arc::new(identity.key()),
        authors: Member::author,
        log: Arc::new(cluster.log.handle()),
        runtime: Handle::current(),
        cluster: identity.cluster,
        node: identity.node,
        keys: Arc::new(keys),
        format: EntryFormat::NEWEST,
    };
    let (path, clock) = (folder.path().join("registry"), Arc::clone(&cluster.clock) as _);
    let registry = Registry::open(&path, registry::Config::default(), clock).unwrap();
    let registry = registry.following(member).unwrap();
    registry.load().unwrap();
    registry.start(Arc::new(NoLog), &|_| Default::default()).unwrap();
    let put = move |rows: &mut Rows<'_>| {
        rows.put(RowKind::LinkCode, row, None, Vec::new());
        Ok::<_, ChangeError>(())
    };
    registry.change_rows(put).await.unwrap();
    registry.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_under_a_key_that_no_member_uses_changes_nothing_and_ends_nobody() {
    for is_of_a_destroyed_key in [true, false] {
        let cluster = Cluster::new().await;
        let (number, bytes) = cluster.a.keys.reveal().remove(0);
        for _ in 0..2 {
            cluster.clock.advance(DAY);
            cluster.rounds(true).await;
        }
        assert_eq!(cluster.a.keys.numbers(), [number + 1, number + 2]);
        let key = match is_of_a_destroyed_key {
            true => EntryKey::new(number, &bytes),
            false => EntryKey::new(number + 9_000, &[7; 32]),
        };
        append_under(&cluster, key, b"nobody sees it").await;
        let a = &cluster.a.registry;
        let head = cluster.log.head().await.unwrap();
        a.nudge(head.place);
        let reached = timeout(Duration::from_secs(60), a.reached(head.place)).await;
        assert_eq!(reached.expect("it goes on").map(|head| head.place), Ok(head.place));
        assert!(a.rows_so_far().get(RowKind::LinkCode, b"nobody sees it").is_none());
        cluster.a.put(b"it goes on").await;
        assert!(a.rows_so_far().get(RowKind::LinkCode, b"it goes on").is_some());
    }
}
