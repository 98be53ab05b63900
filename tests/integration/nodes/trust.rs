//! What a node shows to another one is good there only, and nobody joins at a node that lacks a key.

use std::{
    sync::{Arc, LazyLock},
    thread,
    time::{Duration, Instant},
};

use data_encoding::HEXLOWER;
use dispatchd::{
    clock::{Clock as _, SystemClock, Timestamp},
    cluster::{ClusterKeys, Identity, JoinRequest, Member},
    files::OsDisk,
    operators::node_token,
    registry::{self, ChangeError, EntryFormat, LogMember, Registry, RowKind, Rows},
    shared_log::etcd::Fence,
};
use reqwest::StatusCode;
use tokio::runtime::Runtime;

use super::trio::{PREFIX, Trio, good};
use crate::{
    flagged::NoLog,
    harness::{PATIENCE, Server, run},
    wire::Reply,
};

/// Runs the calls of a registry in this process. It has no end, since it must outlive the registry.
static CALLS: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
});

fn identity(node: &Server) -> Identity {
    Identity::read(&node.data).unwrap().expect("it is a node")
}

/// What one node shows to another one.
fn token(by: &Server, to: &Server) -> String {
    token_of(by, to, SystemClock.now())
}

fn token_of(by: &Server, to: &Server, now: Timestamp) -> String {
    let by = identity(by);
    node_token(&by.key(), by.cluster, identity(to).node, now).to_string()
}

/// Nodes may ask nothing that people ask.
const OF_PEOPLE: [&str; 4] = ["/metrics", "/v1/log", "/v1/audit", "/v1/registry/snapshot"];
const PATHS: [&str; 3] = ["/v1/cluster/member", "/v1/cluster/keys", "/v1/cluster/snapshot"];

#[tokio::test]
async fn what_a_node_shows_to_another_one_is_good_nowhere_else() {
    let trio = Trio::start().await;
    let [a, b, c] = &trio.nodes[..] else { unreachable!() };
    let status = async |at: &Server, token: &str, path: &str| {
        at.operator(token, path).send().await.unwrap().status()
    };
    for path in PATHS {
        let shown_to_c = token(b, c);
        assert_eq!(status(c, &shown_to_c, path).await, StatusCode::OK);
        // Whoever runs c may have kept it.
        Reply::to(a.operator(&shown_to_c, path)).await.refuses(401, "token-invalid");
        // The public part alone is nobody's token.
        Reply::to(c.operator(&shown_to_c[..46], path)).await.refuses(401, "token-invalid");
    }
    let [of_b, of_c] = [token(b, a), token(c, a)];
    for path in OF_PEOPLE {
        Reply::to(a.operator(&of_b, path)).await.refuses(403, "role-insufficient");
    }
    good(&run(&mut a.command_for(&["cluster", "remove", "c"])));
    for path in PATHS {
        Reply::to(a.operator(&of_c, path)).await.refuses(401, "token-invalid");
        // It gives no keys until it has the new one.
        let begun = Instant::now();
        let known = loop {
            match status(a, &of_b, path).await {
                StatusCode::SERVICE_UNAVAILABLE if begun.elapsed() < PATIENCE => {}
                known => break known,
            }
        };
        assert_eq!(known, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_a_node_shows_is_good_for_about_an_hour_but_its_clock_is_told_always() {
    let trio = Trio::begin().await;
    let [a, b, _] = &trio.nodes[..] else { unreachable!() };
    good(&trio.join(1, &trio.invite("b")));
    let now = SystemClock.now();
    let hours = |hours: u32| Duration::from_secs(3_600) * hours;
    for stale in [now.minus(hours(3)), now.plus(hours(3)), now.plus(hours(9_000))] {
        let stale = token_of(b, a, stale);
        assert_eq!(Reply::to(a.operator(&stale, PATHS[0])).await.status, 200);
        for path in &PATHS[1..] {
            let refused = Reply::to(a.operator(&stale, path)).await;
            assert!(refused.body["detail"].as_str().unwrap().contains("its clock"));
            refused.refuses(401, "token-invalid");
        }
        let url = format!("{}/v1/cluster/quota", a.operators);
        Reply::to(a.client.post(url).bearer_auth(&stale)).await.refuses(401, "token-invalid");
    }
    assert_eq!(Reply::to(a.operator(&token(b, a), PATHS[1])).await.status, 200);
    Reply::to(a.operator(&token(a, a), OF_PEOPLE[0])).await.refuses(403, "role-insufficient");
}

/// The registry of a node that joined and does not run, in this process.
async fn in_process(trio: &Trio, node: &Server) -> (Arc<Registry>, ClusterKeys) {
    let open = || {
        let files = ClusterKeys::files(&node.data, None);
        ClusterKeys::open(OsDisk::shared(), files).unwrap().expect("it has keys")
    };
    let identity = identity(node);
    let log = {
        let _in = CALLS.enter();
        trio.etcd.log_of(0, PREFIX, Fence::Write)
    };
    let member = LogMember {
        log: Arc::new(log),
        runtime: CALLS.handle().clone(),
        cluster: identity.cluster,
        node: identity.node,
        key: Arc::new(identity.key()),
        authors: Member::author,
        keys: Arc::new(open()),
        format: EntryFormat::NEWEST,
    };
    let (folder, config) = (node.data.join("registry"), registry::Config::default());
    let registry = Registry::open(&folder, config, Arc::new(SystemClock)).unwrap();
    let registry = Arc::new(registry.following(member).unwrap());
    registry.load().unwrap();
    registry.start(Arc::new(NoLog), &|_| Default::default()).unwrap();
    (registry, open())
}

#[tokio::test]
async fn who_joins_at_a_node_that_lacks_the_newest_key_waits_for_it() {
    let trio = Trio::begin().await;
    good(&trio.join(2, &trio.invite("c")));
    let [a, _, c] = &trio.nodes[..] else { unreachable!() };
    let (registry, keys) = in_process(&trio, c).await;
    // Node c says that it has a key which is sealed to nobody else, so node a never has it.
    let number = keys.newest_number() + 1;
    let says = move |rows: &mut Rows<'_>, key: u32| {
        let own = rows.get(RowKind::Member, b"c").and_then(|row| Member::read(b"c", row)).unwrap();
        Member { key, ..own }.put(rows);
    };
    let put = move |rows: &mut Rows<'_>| {
        let micros = rows.now().as_micros().to_be_bytes().to_vec();
        rows.put(RowKind::EntryKey, &number.to_be_bytes(), None, micros);
        says(rows, number);
        Ok::<_, ChangeError>(())
    };
    registry.change_rows(put).await.unwrap();
    // Then it has applied that.
    a.sign_up().await;

    let shown = token(c, a);
    Reply::to(a.operator(&shown, "/v1/cluster/keys")).await.refuses(503, "registry-behind");
    let invite = trio.invite("b");
    let request = |public: String| JoinRequest {
        name: "b".to_owned(),
        address: "http://127.0.0.1:9".to_owned(),
        public,
        format: EntryFormat::NEWEST as u8,
        receiving: "22".repeat(32),
        cluster: HEXLOWER.encode(&identity(a).cluster.0),
    };
    let join = async |public: String| {
        let join = reqwest::Client::new().post(format!("{}/v1/cluster/join", a.operators));
        Reply::to(join.bearer_auth(&invite).json(&request(public))).await
    };
    join("11".repeat(32)).await.refuses(503, "registry-behind");
    // Anybody could sign for this key.
    join(format!("01{}", "00".repeat(31))).await.refuses(400, "request-invalid");

    // The command asks again until it comes.
    let pause = Duration::from_millis(1_500);
    let (removed, begun) = (Arc::clone(&registry), Instant::now());
    let comes = thread::spawn(move || {
        thread::sleep(pause);
        let remove = move |rows: &mut Rows<'_>| {
            rows.remove(RowKind::EntryKey, &number.to_be_bytes());
            says(rows, number - 1);
            Ok::<_, ChangeError>(())
        };
        CALLS.block_on(removed.change_rows(remove)).unwrap();
    });
    good(&trio.join(1, &invite));
    assert!(pause <= begun.elapsed(), "it did not wait");
    comes.join().unwrap();
    registry.close();
}
