//! The log in etcd, with real members: the contract, members that die and pause, and what a stale read would do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dispatchd::shared_log::{
    EngineError, Head, SharedLog as _,
    etcd::{Etcd, Fence},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Log, RETRY_PAUSE,
    cluster::Cluster,
    contract,
    relays::{Answers, relay},
    workload::{self, appended},
};
use crate::harness::{PATIENCE, client};

/// How long the nemesis leaves a member dead.
const DEAD: Duration = Duration::from_millis(300);
/// Longer than an election, and than one try of a call.
const PAUSED: Duration = Duration::from_secs(3);
/// More entries than one transaction deletes.
const MANY: u64 = 600;
/// How often a member is paused. A serializable read is stale nearly each time.
const PAUSES: u64 = 20;

/// A maker of logs in `cluster`, each below a prefix of its own.
fn fresh(cluster: &Cluster, fence: Fence) -> impl AsyncFn() -> [Log; 2] {
    let count = AtomicUsize::new(0);
    async move || {
        let prefix = format!("/{fence:?}/{}/", count.fetch_add(1, Ordering::SeqCst));
        let node = || Etcd::new(&cluster.config(0, &prefix, fence)).unwrap();
        [node(), node()].map(|log| Arc::new(log) as Log)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    let cluster = Cluster::start(1, &[]).await;
    for fence in [Fence::Write, Fence::Read] {
        contract::holds(fresh(&cluster, fence)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_with_client_certificates() {
    let cluster = Cluster::start_with_tls().await;
    contract::holds(fresh(&cluster, Fence::Auto)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_entries_are_read_and_trimmed_in_pieces() {
    let cluster = Cluster::start(1, &[]).await;
    let log: Log = Arc::new(cluster.log_of(0, "/many/", Fence::Write));
    let mut head = Head::EMPTY;
    for n in 0..MANY {
        head = appended(&log, head, &n.to_be_bytes()).await;
    }
    let mut next = 1;
    while next <= MANY {
        let page = log.read(next, 1_000_000).await.unwrap();
        assert!(
            page.iter()
                .zip(next..)
                .all(|(entry, place)| entry.place == place
                    && entry.bytes == (place - 1).to_be_bytes())
        );
        next += page.len() as u64;
    }
    log.trim(MANY).await.unwrap();
    let first = MANY;
    assert_eq!(log.read(first - 1, 0).await, Err(EngineError::Trimmed { first }));
    assert_eq!(log.read(first, 0).await.unwrap()[0].place, first);
    assert_eq!(log.head().await, Ok(head));
    // Another log in the same cluster is not touched, and neither are the keys beside this one.
    let (keys, _) = range(cluster.url(0), "/many/", "/many0").await;
    assert_eq!(keys, 2, "the head and the last entry");
}

/// A page of all entries takes longer than a try may.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_gets_smaller_pages() {
    const ENTRIES: u8 = 16;
    const ENTRY_BYTES: usize = 250_000;
    let cluster = Cluster::start(1, &[]).await;
    let log: Log = Arc::new(cluster.log_of(0, "/", Fence::Write));
    let mut head = Head::EMPTY;
    for n in 0..ENTRIES {
        head = appended(&log, head, &vec![n; ENTRY_BYTES]).await;
    }
    let (url, _tasks) = relay(cluster.url(0), Answers::Slow(2_500)).await;
    let mut config = cluster.config(0, "/", Fence::Write);
    config.urls = vec![url];
    let slow = Etcd::new(&config).unwrap();
    let (mut next, mut failures) = (1, 0);
    while next <= u64::from(ENTRIES) {
        match slow.read(next, usize::from(ENTRIES) * ENTRY_BYTES).await {
            Ok(page) => next += page.len() as u64,
            Err(EngineError::Unknown(_)) => failures += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(failures < 10, "{next} is not reached");
    }
    assert!(failures > 0, "the link was not slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_stale_when_members_die_and_pause() {
    let mut cluster = Cluster::start(3, &[]).await;
    let nodes = [0, 1, 2].map(|n| Etcd::new(&cluster.config(n, "/", Fence::Auto)).unwrap());
    for node in &nodes {
        node.probe().await.unwrap();
    }
    let handles = nodes.map(|log| Arc::new(log) as Log);
    let nemesis = async || {
        for follows in [1, 0] {
            let member = (cluster.leader().await + follows) % 3;
            cluster.kill(member);
            sleep(DEAD).await;
            cluster.restart(member);
            cluster.until_it_answers(member).await;
        }
        let leader = cluster.leader().await;
        cluster.pause(leader);
        sleep(PAUSED).await;
        cluster.resume(leader);
        cluster.until_it_answers(leader).await;
    };
    workload::holds(&handles, 10, nemesis).await;
}

/// How many keys lie from `key` to before `end`, and the value of the first: a read of one member that asks no other.
async fn range(url: &str, key: &str, end: &str) -> (usize, String) {
    let text = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
    let body = json!({"key": text(key), "range_end": text(end), "serializable": true});
    let client = client().timeout(PATIENCE).build().unwrap();
    let answer = client.post(format!("{url}/v3/kv/range")).json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    // Absent if there are none.
    let pairs = answer["kvs"].as_array().cloned().unwrap_or_default();
    let first = pairs.first().and_then(|pair| pair["value"].as_str()).unwrap_or_default();
    let value = data_encoding::BASE64.decode(first.as_bytes()).unwrap();
    (pairs.len(), String::from_utf8(value).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_shows_what_was_acknowledged_while_a_member_paused_and_a_serializable_read_does_not()
{
    let cluster = Cluster::start(3, &[]).await;
    let paused = (cluster.leader().await + 1) % 3;
    let log: Log =
        Arc::new(Etcd::new(&cluster.config((paused + 1) % 3, "/", Fence::Auto)).unwrap());
    let asked = cluster.log_of(paused, "/", Fence::Write);
    let (mut head, mut stale) = (Head::EMPTY, 0);
    for n in 0..PAUSES {
        cluster.pause(paused);
        head = appended(&log, head, &n.to_be_bytes()).await;
        // Both questions are there before the member hears of the entry.
        let resumed = async {
            sleep(RETRY_PAUSE).await;
            cluster.resume(paused);
        };
        let read = range(cluster.url(paused), "/head", "");
        let (told, (_, read), ()) = tokio::join!(asked.head(), read, resumed);
        assert!(told.is_err() || told == Ok(head), "{told:?} after {head:?}");
        let place = read.split(' ').next().unwrap().parse().unwrap_or(0);
        stale += usize::from(head.place > place);
    }
    assert!(stale > 0, "the control was right each time");
    cluster.until_it_answers(paused).await;
    assert_eq!(asked.head().await, Ok(head));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_a_majority_tells_no_head() {
    let mut cluster = Cluster::start(3, &[]).await;
    let log: Log = Arc::new(Etcd::new(&cluster.config(0, "/", Fence::Auto)).unwrap());
    let head = appended(&log, Head::EMPTY, b"entry").await;
    [1, 2].into_iter().for_each(|member| cluster.kill(member));
    for fence in [Fence::Read, Fence::Write] {
        let told = cluster.log_of(0, "/", fence).head().await;
        assert!(matches!(told, Err(EngineError::Unknown(_))), "{fence:?}: {told:?}");
    }
    [1, 2].into_iter().for_each(|member| cluster.restart(member));
    cluster.until_it_answers(0).await;
    for fence in [Fence::Read, Fence::Write] {
        assert_eq!(cluster.log_of(0, "/", fence).head().await, Ok(head));
    }
}
