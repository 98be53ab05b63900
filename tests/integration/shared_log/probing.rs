//! What a node finds out about its engine at start, and how it says so.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use dispatchd::{
    limits::SHARED_LOG_ENTRY_MAX,
    shared_log::{
        Appended, EngineError, Head, SharedLog as _,
        etcd::{Config, Etcd, Fence, Tls},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{
    Log,
    cluster::{Cluster, both},
    relays::{Answers, broken_peer, relay},
};
use crate::harness::{PATIENCE, own_port};

/// What a probe of `config` says of an engine that cannot be used, and whether it is refused for good.
async fn fault(config: &Config) -> (bool, String) {
    let probed = match Etcd::new(config) {
        Ok(log) => log.probe().await,
        Err(error) => Err(error),
    };
    let error = probed.expect_err("the probe finds a fault");
    (matches!(error, EngineError::Refused(_)), error.to_string())
}

fn config(url: &str) -> Config {
    Config::new(vec![url.to_owned()], "/".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_can_be_used_says_which_fence_it_allows() {
    let cluster = Cluster::start(1, &[]).await;
    let log = Etcd::new(&cluster.config(0, "/", Fence::Auto)).unwrap();
    assert_eq!(log.fence(), Fence::Write, "nothing is known before the first probe");
    let probed = log.probe().await.unwrap();
    assert_eq!(probed.versions[0].0, cluster.url(0));
    assert!(probed.silent.is_empty() && log.fence() == probed.fence);
    let reads = Etcd::new(&cluster.config(0, "/", Fence::Read)).unwrap().probe().await;
    let writes = Etcd::new(&cluster.config(0, "/", Fence::Write)).unwrap().probe().await;
    assert_eq!(writes.unwrap().fence, Fence::Write);
    // Debian 12 and 13 have versions whose reads can be stale; a later one may not.
    match probed.fence {
        Fence::Write => assert!(reads.unwrap_err().to_string().contains("20418")),
        fence => assert_eq!(reads.unwrap().fence, fence),
    }
    assert_eq!(log.head().await, Ok(Head::EMPTY), "it leaves nothing behind");

    // A member that is away may have any version.
    let mut config = cluster.config(0, "/", Fence::Auto);
    config.urls.push(format!("http://127.0.0.1:{}", own_port()));
    let log = Etcd::new(&config).unwrap();
    let probed = log.probe().await.unwrap();
    assert_eq!((probed.versions.len(), probed.silent.len()), (1, 1));
    assert_eq!(log.fence(), Fence::Write);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_not_configured_are_asked_too() {
    let mut cluster = Cluster::start(3, &[]).await;
    let log = cluster.log_of(0, "/", Fence::Auto);
    let probed = log.probe().await.unwrap();
    let mut urls: Vec<_> = probed.versions.iter().map(|(url, _)| url.as_str()).collect();
    urls.sort_unstable();
    let mut all = [0, 1, 2].map(|member| cluster.url(member));
    all.sort_unstable();
    assert_eq!((urls, probed.silent.as_slice()), (all.to_vec(), &[][..]));
    // It may have any version now.
    cluster.kill(2);
    // If it led the others, they choose another one first.
    let asked = Instant::now();
    let probed = loop {
        match log.probe().await {
            Err(EngineError::Unknown(_)) if asked.elapsed() < PATIENCE => {}
            probed => break probed.unwrap(),
        }
    };
    assert_eq!((probed.versions.len(), probed.silent.len()), (2, 1));
    assert_eq!((probed.silent[0].0.as_str(), probed.fence), (cluster.url(2), Fence::Write));
    log.look_at_members().await;
    assert_eq!(log.fence(), Fence::Write);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_does_not_make_a_good_engine_a_bad_one() {
    let cluster = Cluster::start(1, &[]).await;
    let (url, _tasks) = relay(cluster.url(0), Answers::LostOnceProbed).await;
    let mut config = cluster.config(0, "/", Fence::Auto);
    config.urls.insert(0, url.clone());
    let log = Etcd::new(&config).unwrap();
    log.probe().await.expect("the second try of the same transaction is judged as itself");
    // Alone it gives no answer, which is no refusal.
    config.urls.truncate(1);
    let error = Etcd::new(&config).unwrap().probe().await.unwrap_err();
    assert!(matches!(&error, EngineError::Unknown(text) if text.contains(&url)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_breaks_the_rules_of_grpc_gives_no_answer() {
    let (url, _tasks) = broken_peer().await;
    let log = Etcd::new(&config(&url)).unwrap();
    for told in [log.head().await.unwrap_err(), log.probe().await.unwrap_err()] {
        let EngineError::Unknown(text) = told else { panic!("{told}") };
        assert!(text.contains(&url) && text.contains("no gRPC"), "{text}");
    }
}

/// A listener that says `answer` to whatever comes, or nothing.
async fn impostor(answer: &'static [u8]) -> (String, tokio::task::JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            // The preface of HTTP/2.
            socket.read_exact(&mut [0; 24]).await.unwrap();
            socket.write_all(answer).await.unwrap();
            if answer.is_empty() {
                open.push(socket);
            }
        }
    });
    (url, tasks)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_etcd_is_told() {
    let closed = format!("http://127.0.0.1:{}", own_port());
    let (is_refused, text) = fault(&config(&closed)).await;
    assert!(!is_refused && text.contains(&closed) && text.contains("refused"), "{text}");

    let (silent, _tasks) = impostor(b"").await;
    let (is_refused, text) = fault(&config(&silent)).await;
    assert!(!is_refused && text.contains("no answer within 1s"), "{text}");

    let (web, _tasks) = impostor(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let (_, text) = fault(&config(&web)).await;
    assert!(text.contains(&web) && text.contains("client URLs of etcd"), "{text}");

    for wrong in ["127.0.0.1:2379", "https://127.0.0.1:2379", "ftp://127.0.0.1", "", "http://"] {
        let (is_refused, text) = fault(&config(wrong)).await;
        assert!(is_refused, "{wrong}: {text}");
    }
    let none = Config::new(Vec::new(), String::new());
    assert!(fault(&none).await.1.contains("no URL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_two_clusters_are_told() {
    let (one, other) = (Cluster::start(1, &[]).await, Cluster::start(1, &[]).await);
    let mut config = one.config(0, "/", Fence::Auto);
    config.urls.push(other.url(0).to_owned());
    let (is_refused, text) = fault(&config).await;
    assert!(is_refused && text.contains("another etcd cluster"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_fails_is_told() {
    let cluster = Cluster::start_with_tls().await;
    let authority = cluster.authority.as_ref().unwrap();
    let good = cluster.config(0, "/", Fence::Auto);
    Etcd::new(&good).unwrap().probe().await.unwrap();
    let with = |authority: Vec<u8>, identity: Option<&str>| {
        let identity = identity.map(both);
        Config { tls: Some(Tls { authority, identity }), ..good.clone() }
    };
    let ca = fs::read(&authority.ca).unwrap();
    let foreign = fs::read(&authority.cert).unwrap();
    for (config, said) in [
        (with(foreign, Some(&authority.operator)), "invalid peer certificate"),
        (with(ca.clone(), None), "accept each other's certificates"),
        (with(ca, Some(&authority.stranger)), "accept each other's certificates"),
        (config(&good.urls[0].replace("https://", "http://")), "without TLS"),
    ] {
        let (_, text) = fault(&config).await;
        assert!(text.contains(said), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_requests_are_too_short_is_told() {
    let cluster = Cluster::start(1, &["--max-request-bytes", "700000"]).await;
    let (is_refused, text) = fault(&cluster.config(0, "/", Fence::Auto)).await;
    assert!(is_refused && text.contains("--max-request-bytes"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_room_is_told_and_loses_nothing() {
    let cluster = Cluster::start(1, &["--quota-backend-bytes", "3000000"]).await;
    let log: Log = Arc::new(cluster.log_of(0, "/", Fence::Write));
    let mut head = Head::EMPTY;
    // etcd carries out the transaction that finds too little room, and answers that it has none.
    let (entry, error) = loop {
        let entry = vec![u8::try_from(head.place).unwrap(); SHARED_LOG_ENTRY_MAX];
        match log.append(head, &entry).await {
            Ok(told) => assert_eq!(told, Appended::Mine),
            Err(error) => break (entry, error),
        }
        head = head.after(&entry);
        assert!(head.place < 20, "there is room without end");
    };
    assert!(matches!(&error, EngineError::Unknown(text) if text.contains("space")), "{error}");
    let newest = log.head().await.unwrap();
    assert!([head, head.after(&entry)].contains(&newest), "{newest:?}");
    let (is_refused, text) = fault(&cluster.config(0, "/", Fence::Auto)).await;
    assert!(is_refused && text.contains("no space"), "{text}");
    // Reading and trimming need no room.
    assert_eq!(log.read(1, 0).await.unwrap()[0].place, 1);
    log.trim(newest.place).await.unwrap();
    assert_eq!(log.head().await, Ok(newest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_ends_in_time_and_the_next_member_answers() {
    let cluster = Cluster::start(1, &[]).await;
    let (silent, _tasks) = impostor(b"").await;
    let mut config = cluster.config(0, "/", Fence::Auto);
    config.urls.insert(0, silent.clone());
    // A real member commits within that also while the machine is busy.
    config.try_timeout = Duration::from_secs(2);
    let log = Etcd::new(&config).unwrap();
    assert_eq!(log.append(Head::EMPTY, b"entry").await, Ok(Appended::Mine));
    assert_eq!(log.head().await, Ok(Head::EMPTY.after(b"entry")));
    config.urls.truncate(1);
    config.try_timeout = Duration::from_millis(200);
    let log = Etcd::new(&config).unwrap();
    for told in [log.head().await.unwrap_err(), log.trim(1).await.unwrap_err()] {
        assert_eq!(told, EngineError::Unknown(format!("{silent}: no answer within 200ms")));
    }
}
