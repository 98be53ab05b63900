//! Calls of a node that follows a shared log: they wait until the node has every change, or are refused. The test tells what the log
//! answers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock,
        atomic::{
            AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
    time::{Duration, Instant},
};

use dispatchd::{
    registry::{ClusterId, EntryFormat, EntryKey, EntryKeys, LogMember, NodeId, NodeKey, genesis},
    shared_log::{Appended, EngineError, Entry, Head, MemoryLog, SharedLog},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::Method;
use serde_json::json;
use tokio::{runtime::Runtime, sync::watch, task::JoinSet};

use crate::{
    harness::{PATIENCE, Server},
    metrics::Scrape,
    openapi::described::kept,
    timed::Timed,
    wire::{Reply, batch},
};

const HANDLE: &str = "+14155550123";
const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
/// A registry's thread, which calls the log as the fence does.
const WRITER: Option<&str> = Some("registry-writer");

/// Runs the registries' calls of logs. It has no end, since it must outlive the registries.
static CALLS: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
});

/// What the log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// What it holds.
    All,
    /// Its head, but no entries for as long as this holds.
    Head,
    /// Nothing, for as long as this holds.
    Nothing,
    /// A head that no node has appended.
    Other,
}

/// The log of a cluster.
pub(crate) struct ToldLog {
    log: MemoryLog,
    told: watch::Sender<Told>,
    /// How often a fence asked for the head.
    asked: AtomicU64,
    nodes: AtomicU64,
}

impl ToldLog {
    /// A new one.
    pub(crate) fn new() -> Arc<Self> {
        let log = MemoryLog::new();
        let begun = log.append(Head::EMPTY, &genesis(CLUSTER)).now_or_never();
        assert_eq!(begun, Some(Ok(Appended::Mine)));
        let (asked, nodes) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { log, told: watch::Sender::new(Told::All), asked, nodes })
    }

    /// Another member.
    pub(crate) fn member(self: &Arc<Self>) -> LogMember {
        self.member_by(Arc::clone(self) as _)
    }

    /// Another member, which is told everything.
    fn undisturbed_member(&self) -> LogMember {
        self.member_by(Arc::new(self.log.handle()))
    }

    fn member_by(&self, log: Arc<dyn SharedLog>) -> LogMember {
        LogMember {
            log,
            runtime: CALLS.handle().clone(),
            cluster: CLUSTER,
            node: NodeId(self.nodes.fetch_add(1, Relaxed)),
            key: Arc::new(node_key()),
            authors: |_, _| Some(node_key().public()),
            keys: Arc::new(OneKey(Arc::new(EntryKey::new(1, &[1; 32])))),
            format: EntryFormat::NEWEST,
        }
    }

    pub(crate) fn tell(&self, told: Told) {
        self.told.send_replace(told);
    }

    /// Waits until a fence has asked for the head more often than so.
    async fn asked_after(&self, before: u64) {
        let started = Instant::now();
        while self.asked.load(SeqCst) <= before {
            assert!(started.elapsed() < PATIENCE, "the fence does not ask");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The one key of all members.
fn node_key() -> NodeKey {
    NodeKey::new(&[2; 32])
}

/// The one key of all entries.
struct OneKey(Arc<EntryKey>);

impl EntryKeys for OneKey {
    fn newest(&self) -> Arc<EntryKey> {
        Arc::clone(&self.0)
    }

    fn find(&self, _: u32) -> Option<Arc<EntryKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl SharedLog for ToldLog {
    fn head(&self) -> BoxFuture<'_, Result<Head, EngineError>> {
        if thread::current().name() != WRITER {
            self.asked.fetch_add(1, SeqCst);
        }
        let mut told = self.told.subscribe();
        let head = async move {
            let told = *told.wait_for(|told| *told != Told::Nothing).await.unwrap();
            let head = self.log.head().await?;
            Ok(if told == Told::Other { Head { hash: [7; 32], ..head } } else { head })
        };
        head.boxed()
    }

    fn append<'a>(
        &'a self,
        expected: Head,
        entry: &'a [u8],
    ) -> BoxFuture<'a, Result<Appended, EngineError>> {
        self.log.append(expected, entry)
    }

    fn read(&self, first: u64, bytes: usize) -> BoxFuture<'_, Result<Vec<Entry>, EngineError>> {
        let mut told = self.told.subscribe();
        let read = async move {
            drop(told.wait_for(|told| *told == Told::All).await.unwrap());
            self.log.read(first, bytes).await
        };
        read.boxed()
    }

    fn trim(&self, below: u64) -> BoxFuture<'_, Result<(), EngineError>> {
        self.log.trim(below)
    }
}

/// The calls that wait behind the fence.
const FENCED: [&str; 38] = [
    "checkIn",
    "claimHandle",
    "clearFlag",
    "confirmVerification",
    "createLinkCode",
    "deregisterHandle",
    "exportLog",
    "exportLogByBody",
    "getDevice",
    "getImport",
    "getQuota",
    "getRegistryCounts",
    "getSharedKeys",
    "getTimeline",
    "getTimelineByBody",
    "importAccounts",
    "joinCluster",
    "listAuditEntries",
    "listAuditEntriesByBody",
    "listFlipParts",
    "listFlips",
    "listSegments",
    "lookUpBatch",
    "lookup",
    "proveForgotten",
    "releaseHandle",
    "searchLog",
    "searchLogByBody",
    "signOut",
    "signUp",
    "snapshotForMember",
    "snapshotRegistry",
    "tailLog",
    "tailLogByBody",
    "trustClock",
    "updateHandle",
    "verifyAudit",
    "verifyLog",
];

/// Sends each described call to each listener that has it, with each of the tokens `(of phones, of operators)`. Returns the answers to
/// each call.
async fn send_every_call(
    server: &Server,
    tokens: &[(String, String)],
) -> BTreeMap<String, Vec<Reply>> {
    let mut requests = JoinSet::new();
    for (path, item) in kept()["paths"].as_object().unwrap() {
        let example = path.replace("{handle}", HANDLE).replace("{account}", "a_0000000000000");
        let example = example.replace("{verification}", "v_0000000000000");
        let servers = item["servers"].as_array().unwrap();
        for (method, operation) in item.as_object().unwrap().iter().filter(|it| it.0 != "servers") {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let method: Method = method.to_uppercase().parse().unwrap();
            for (listener, (phones, operators)) in
                servers.iter().flat_map(|it| tokens.iter().map(move |tokens| (it, tokens)))
            {
                let is_phones = listener["url"].as_str().unwrap().ends_with(":8080");
                let (base, token) = match is_phones {
                    true => (&server.phones, phones),
                    false => (&server.operators, operators),
                };
                let request = server.client.request(method.clone(), format!("{base}{example}"));
                let request = request.bearer_auth(token);
                let request = match operation.get("requestBody") {
                    Some(_) => request.json(&json!({"handles": [HANDLE]})),
                    None => request,
                };
                let id = id.clone();
                requests.spawn(async move { (id, Reply::to(request).await) });
            }
        }
    }
    let mut answers: BTreeMap<String, Vec<Reply>> = BTreeMap::new();
    for (id, reply) in requests.join_all().await {
        answers.entry(id).or_default().push(reply);
    }
    answers
}

/// Tokens that the server knows, tokens that it does not know, and no tokens.
async fn tokens(server: &Server) -> [(String, String); 3] {
    let known = (server.sign_up().await.token, server.operator_token("root", "admin"));
    let unknown = known.clone();
    let changed = |token: String| token.chars().rev().collect::<String>();
    [known, (changed(unknown.0), changed(unknown.1)), Default::default()]
}

/// Asserts that exactly the calls of [`FENCED`] are refused with `code`, in the same words whatever the token.
fn only_fenced_calls_are_refused(answers: &BTreeMap<String, Vec<Reply>>, code: &str) {
    for (id, replies) in answers {
        for reply in replies {
            if !FENCED.contains(&id.as_str()) {
                assert!(id == "readyz" || reply.body["code"] != code, "{id}: {reply:?}");
                continue;
            }
            reply.refuses(503, code);
            assert_eq!((reply.header("retry-after"), &reply.body["retry"]), ("1", &json!("later")));
            assert_eq!(reply.text, replies[0].text, "{id} tells tokens apart");
        }
    }
    for id in FENCED {
        assert_eq!(answers[id].len(), 3, "{id}");
    }
}

async fn readiness(server: &Server) -> [Reply; 2] {
    let of = |listener: &str| Reply::to(server.client.get(format!("{listener}/readyz")));
    [of(&server.phones).await, of(&server.operators).await]
}

#[tokio::test]
async fn a_node_that_cannot_tell_whether_it_is_behind_refuses_whoever_asks() {
    let log = ToldLog::new();
    let timed = Timed::following(log.member()).await;
    let server = &timed.server;
    let tokens = tokens(server).await;
    readiness(server).await.iter().for_each(|reply| assert_eq!(reply.status, 200, "{reply:?}"));
    log.tell(Told::Nothing);
    let answers = send_every_call(server, &tokens).await;
    only_fenced_calls_are_refused(&answers, "registry-behind");
    for reply in readiness(server).await {
        assert_eq!(reply.refuses(503, "registry-behind")["missing"], json!(["registry"]));
        assert_eq!(reply.header("retry-after"), "1");
    }
    for listener in [&server.phones, &server.operators] {
        let alive = Reply::to(server.client.get(format!("{listener}/livez"))).await;
        assert_eq!(alive.status, 200);
    }
    let scrape = Scrape::of(server).await;
    assert_eq!(scrape.value("registry_current"), 0.0);
    assert!(scrape.value("fence_rounds_failed_total{reason=\"unanswered\"}") >= 1.0);
    // Each lookup counts as one handle.
    for name in ["lookups_total{route=\"refused\",", "lookups_unrecorded_total{"] {
        assert_eq!(scrape.value(&format!("{name}reason=\"registry-behind\"}}")), 6.0, "{name}");
    }

    log.tell(Told::All);
    let [(known, _), (unknown, _), _] = &tokens;
    let me = |token| server.phone(Method::GET, "/v1/devices/me").bearer_auth(token);
    assert_eq!(Reply::to(me(known)).await.status, 200);
    Reply::to(me(unknown)).await.refuses(401, "token-invalid");
    readiness(server).await.iter().for_each(|reply| assert_eq!(reply.status, 200, "{reply:?}"));
    assert_eq!(Scrape::of(server).await.value("registry_current"), 1.0);
}

#[tokio::test]
async fn a_node_that_contradicts_the_log_refuses_until_it_is_started_again() {
    let log = ToldLog::new();
    let mut timed = Timed::following(log.member()).await;
    let tokens = tokens(&timed.server).await;
    log.tell(Told::Other);
    for told in [Told::Other, Told::All] {
        log.tell(told);
        let answers = send_every_call(&timed.server, &tokens).await;
        only_fenced_calls_are_refused(&answers, "registry-diverged");
        for reply in readiness(&timed.server).await {
            assert_eq!(reply.refuses(503, "registry-diverged")["missing"], json!(["registry"]));
        }
        let scrape = Scrape::of(&timed.server).await;
        assert_eq!(scrape.value("registry_current"), 0.0);
        assert_eq!(scrape.value("fence_rounds_failed_total{reason=\"diverged\"}"), 1.0);
    }
    timed.restart().await;
    readiness(&timed.server).await.iter().for_each(|reply| assert_eq!(reply.status, 200));
    let me = timed.server.phone(Method::GET, "/v1/devices/me").bearer_auth(&tokens[0].0);
    assert_eq!(Reply::to(me).await.status, 200);
}

#[tokio::test]
async fn a_node_that_cannot_apply_the_next_entry_says_that_it_has_stopped() {
    let log = ToldLog::new();
    let timed = Timed::following(log.member()).await;
    let ann = timed.server.sign_up().await;
    let head = log.log.head().await.unwrap();
    log.log.append(head, b"no entry").await.unwrap();
    for reply in readiness(&timed.server).await {
        let problem = reply.refuses(503, "registry-diverged");
        assert_eq!(problem["missing"], json!(["registry"]));
        assert!(problem["title"].as_str().unwrap().contains("has stopped following"));
    }
    let refused = batch(&timed.server, &ann, &[HANDLE]).await;
    let problem = refused.refuses(503, "registry-diverged");
    assert!(problem["detail"].as_str().unwrap().contains("has stopped following"));
}

#[tokio::test]
async fn an_answer_waits_for_a_change_that_was_acknowledged_before() {
    let log = ToldLog::new();
    let timed = Timed::following(log.member()).await;
    let ann = timed.server.sign_up().await;
    let other = Timed::following(log.undisturbed_member()).await;
    let before = Scrape::of(&timed.server).await;
    let places = ["shared_log_applied_place", "shared_log_lag"];
    let [applied, lag] = places.map(|name| before.value(name));
    assert_eq!(lag, 0.0);
    log.tell(Told::Head);
    other.server.sign_up().await;
    let asked = log.asked.load(SeqCst);
    let apply = async {
        log.asked_after(asked).await;
        let scrape = Scrape::of(&timed.server).await;
        assert_eq!(scrape.value("shared_log_applied_place"), applied);
        log.tell(Told::All);
    };
    let lookup = async {
        assert_eq!(timed.server.lookup(&ann, HANDLE).await.0, 200);
        assert_eq!(*log.told.borrow(), Told::All);
    };
    tokio::join!(lookup, apply);
    assert_eq!(batch(&timed.server, &ann, &[HANDLE]).await.status, 200);
    let after = Scrape::of(&timed.server).await;
    let grew = |name: &str| after.value(name) - before.value(name);
    assert_eq!((grew("fence_seconds_count"), grew("fence_rounds_total")), (2.0, 2.0));
    assert_eq!(places.map(|name| after.value(name)), [applied + 1.0, 0.0]);
}

/// Reads an answer until it ends or breaks off.
async fn ended(mut answer: reqwest::Response) {
    while let Ok(Some(_)) = answer.chunk().await {}
}

#[tokio::test]
async fn a_long_answer_of_a_node_ends_once_the_node_is_cut_off() {
    let log = ToldLog::new();
    let timed = Timed::following(log.member()).await;
    let reader = timed.server.operator_token("ann", "reader");
    let tail = async || {
        let answer = timed.server.operator(&reader, "/v1/log/tail").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer
    };
    // Longer than the pause between two looks at the fence, and what it may take.
    let while_current = tokio::time::timeout(Duration::from_secs(4), ended(tail().await)).await;
    assert!(while_current.is_err(), "the tail ended although the node is current");
    let open = tail().await;
    log.tell(Told::Nothing);
    let begun = Instant::now();
    tokio::time::timeout(PATIENCE, ended(open)).await.expect("the tail goes on");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    Reply::to(timed.server.operator(&reader, "/v1/log/tail")).await.refuses(503, "registry-behind");
}

#[tokio::test]
async fn a_stop_lets_requests_pass_that_wait() {
    let log = ToldLog::new();
    let mut timed = Timed::following(log.member()).await;
    let ann = timed.server.sign_up().await;
    log.tell(Told::Nothing);
    let asked = log.asked.load(SeqCst);
    let request = timed.server.phone(Method::GET, &format!("/v1/lookup/{HANDLE}"));
    let mut waiting = JoinSet::new();
    waiting.spawn(Reply::to(request.bearer_auth(&ann.token)));
    log.asked_after(asked).await;
    let shutdown = timed.running().shutdown().clone();
    let answer = async {
        shutdown.stopping().await;
        log.tell(Told::All);
    };
    tokio::join!(timed.stop(), answer);
    assert_eq!(waiting.join_next().await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn one_machine_has_no_fence_and_shows_none() {
    let timed = Timed::start().await;
    timed.server.sign_up().await;
    let text = Reply::to(timed.server.scrape()).await.text;
    for family in ["fence", "shared_log", "registry_current"] {
        assert!(!text.contains(&format!("dispatchd_{family}")), "{family}");
    }
}
