//! Nodes that are removed: their copies in the object store stand for them.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use axum::Router;
use tokio::{runtime::Handle as Runtime, task::spawn_blocking};

use super::lies::{Said, answered, placed};
use crate::{
    api::RecordFilter,
    clock::SharedClock,
    cluster::{
        Giver, HourKeys, Identity, LostNodes, MemberKeyFiles, MemberKeyrings, Others, Peers,
        peers_tests::{member, peers, remove, served},
    },
    envelope::{KeyFiles, Keyring},
    files::{SharedDisk, tests::sim_disk::UnsyncedDisk},
    object_storage::faulty::FaultyStore,
    query_log::{
        CopyOptions, Filter, Kind, LogOptions, LostLog, LostLogs, Order, QueryLog,
        tests::{
            copied::copy_options,
            support::{Bench, lookup, put},
        },
    },
    reading::{
        call::Stop,
        gather::{
            GatheredExport,
            lost_part::{LostNode, LostPart},
        },
    },
    registry::{ClusterId, NodeId},
    shutdown::Shutdown,
};

/// The number of node b.
const NODE: NodeId = NodeId(2);
/// What the names of its objects begin with.
const FOLDER: &str = "b-0000000000000002";

/// The log of node b, and the store that it is copied to. Its calls wait for the store.
struct Copied {
    bench: Bench,
    store: FaultyStore,
}

impl Copied {
    fn new() -> Self {
        Self { bench: Bench::new(), store: FaultyStore::default() }
    }

    fn options(&self) -> CopyOptions {
        let options = copy_options(&self.store, Arc::new(|_| true));
        CopyOptions { node: FOLDER.to_owned(), ..options }
    }

    fn open(&self) -> QueryLog {
        let options = LogOptions { copies: Some(self.options()), ..self.bench.options() };
        QueryLog::open(options, &Shutdown::new()).unwrap().0
    }

    /// The copies, as another node with the directory `data` reads them: it holds all keys of `log`.
    fn lost(&self, log: &QueryLog, data: &Path) -> LostNodes {
        let disk: SharedDisk = Arc::new(UnsyncedDisk);
        let clock: SharedClock = Arc::clone(&self.bench.clock) as _;
        let retention = self.bench.config.retention;
        let keyring = log.keyring();
        let keys = keyring.hours().into_iter().map(|hour| (hour, hour, keyring.get(hour).unwrap()));
        let files = MemberKeyFiles::new(data, None);
        let members = MemberKeyrings::open(SharedDisk::clone(&disk), files).unwrap();
        members.put(NODE, Giver::Origin, keys.collect()).unwrap();
        let own = Keyring::open(disk, KeyFiles::new(&data.join("keys"), None), false).unwrap();
        let identity = Identity::joining(ClusterId([1; 16]), "a".to_owned());
        let held = SharedClock::clone(&clock);
        let keys = HourKeys::open(identity, Arc::new(own), members, held, retention).unwrap();
        let dir = data.join("lost");
        let logs = LostLogs::open(&self.options(), dir, 0, clock, retention).unwrap();
        LostNodes::new(logs, keys)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_removed_while_an_export_is_read_counts_once() {
    let data = tempfile::tempdir().unwrap();
    let data_of_a = data.path().to_owned();
    let copy = move || {
        let copied = Copied::new();
        let log = copied.open();
        (0..3).for_each(|n| put(&log, &lookup(n)));
        log.copy(&|| false);
        let lost = copied.lost(&log, &data_of_a);
        (copied, log, lost)
    };
    let (_copied, log, lost) = spawn_blocking(copy).await.unwrap();
    let rows = placed(&log.reader(), Order::Asc);

    // Node b is removed as soon as it is asked. It answers all the same.
    let known: Arc<OnceLock<Peers>> = Arc::default();
    let of_node = Arc::clone(&known);
    let answer = move || {
        let (known, rows) = (Arc::clone(&of_node), rows.clone());
        async move {
            remove(known.get().unwrap(), "b").await;
            answered(Said::whole(rows))
        }
    };
    let b = member("b", NODE.0, served(Router::new().fallback(answer)).await);
    let folder = tempfile::tempdir().unwrap();
    let members = peers(folder.path(), vec![b]).await;
    assert!(known.set(members.clone()).is_ok());
    let others = Others::new(members).with_lost(Some(lost));

    let bench = Bench::new();
    let own = bench.open();
    let kind = Kind::Lookup;
    let export = GatheredExport {
        request: RecordFilter { kind: Some(kind.code().to_owned()), ..RecordFilter::default() },
        filter: Filter { kind: Some(kind), ..Filter::default() },
        operator: "ann".to_owned(),
        others: others.clone(),
        reader: own.reader(),
        runtime: Runtime::current(),
    };
    let read = move || {
        let (stop, mut rows): (Stop, _) = (Arc::new(|| false), 0);
        let take = &mut |_| {
            rows += 1;
            true
        };
        let outcome = export.read(&stop, take).unwrap().unwrap();
        assert_eq!(others.removed(&|| false).len(), 1, "its copies can be read");
        (rows, outcome)
    };
    let (rows, outcome) = spawn_blocking(read).await.unwrap();
    assert_eq!((rows, outcome.missing().len()), (3, 0));
}

#[test]
fn few_gaps_of_a_node_are_named_and_all_are_counted() {
    let copied = Copied::new();
    // One hour in so many files.
    let files = 12;
    let mut log = copied.open();
    for n in 0..files {
        put(&log, &lookup(n));
        log.close();
        drop(log);
        log = copied.open();
    }
    put(&log, &lookup(files));
    log.copy(&|| false);
    assert!(log.copy_figures().unwrap().lag.is_zero());
    let of_last = format!("/{:06}-", files + 1);
    let mut gone: Vec<_> = copied.store.contents().into_keys().collect();
    gone.retain(|name| name.contains(".frames/") && !name.contains(&of_last));
    copied.store.objects().delete(&gone, &|| false).unwrap();

    let data = tempfile::tempdir().unwrap();
    let lost = copied.lost(&log, data.path());
    let node: LostNode = lost.removed(&[], &|| false).remove(0).into();
    assert_eq!(node.name, FOLDER);
    let read = |log: &LostLog, stop| log.walk(&Filter::default(), stop);
    let stop: Stop = Arc::new(|| false);
    let mut part = LostPart::new(node, None, read, &stop);
    assert_eq!(std::iter::from_fn(|| part.next()).count(), 1);
    assert_eq!(part.passed_over().unreadable_segments, files);
    let stored = part.in_store().unwrap();
    // Trailers are short.
    assert_eq!((stored.gaps.len(), stored.complete), (8, false));
}
