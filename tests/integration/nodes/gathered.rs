//! One question to one node is answered over the logs of all nodes, and what is missing is named.

use std::collections::{BTreeMap, BTreeSet};

use dispatchd::{
    clock::{Clock as _, SystemClock},
    cluster::Identity,
    operators::node_token,
};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::time::Instant;

use super::trio::{Trio, good, said};
use crate::{
    harness::{Device, PATIENCE, run},
    wire::batch,
};

const NDJSON: &str = "application/x-ndjson";
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Lookups of each node.
const LOOKUPS: usize = 9;
/// Batches of 1,000 lookups: more than the connections hold.
const BATCHES: usize = 60;

/// Three nodes with lookups of their own and changes of all, and a reader's token.
struct Logs {
    trio: Trio,
    token: String,
    ann: Device,
    /// Later than all of that.
    until: String,
}

impl Logs {
    async fn start() -> Self {
        let trio = Trio::start().await;
        let token = trio.nodes[0].operator_token("ann", "reader");
        let ann = trio.nodes[0].sign_up().await;
        trio.nodes[1].prove(&ann, "+14155550123").await;
        for lookup in 0..LOOKUPS {
            for server in &trio.nodes {
                server.route(&ann, &format!("+1415555{lookup:04}")).await;
            }
        }
        trio.nodes[2].sign_up().await;
        let until = "2100-01-01T00:00:00Z".to_owned();
        let mut logs = Self { trio, token, ann, until };
        logs.settle().await;
        logs.until = SystemClock.now().to_string();
        logs
    }

    /// Waits until every log has every change.
    async fn settle(&self) {
        let begun = Instant::now();
        loop {
            let mut logs = Vec::new();
            for node in 0..3 {
                let mut log = changes(&self.rows(node, "kind=change&scope=node").await);
                log.sort();
                logs.push(log);
            }
            // A sign-up is acknowledged once the log of its node has it.
            if logs.iter().all(|log| *log == logs[2]) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{logs:?}");
        }
    }

    fn ask(&self, node: usize, query: &str) -> RequestBuilder {
        let path = format!("/v1/log?until={}&{query}", self.until);
        self.trio.nodes[node].operator(&self.token, &path)
    }

    async fn page(&self, node: usize, query: &str) -> Value {
        let answer = self.ask(node, query).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// What a client gets that takes no trailers.
    async fn text(&self, node: usize, query: &str) -> String {
        let answer = self.ask(node, query).header("accept", NDJSON).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    }

    async fn rows(&self, node: usize, query: &str) -> Vec<Value> {
        lines(&self.text(node, query).await)
    }

    /// All pages of a search, each asked of the next node.
    async fn pages(&self, query: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        for turn in 0.. {
            let page = self.page(turn % 3, &format!("{query}{cursor}")).await;
            assert!(page["missing"].is_null(), "{}", page["missing"]);
            rows.extend(page["records"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        rows
    }

    /// The command with its arguments, for a node.
    fn command(&self, node: usize, words: &[&str]) -> std::process::Output {
        let server = &self.trio.nodes[node];
        let mut command = server.command_for(words);
        command.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &self.token);
        run(&mut command)
    }

    /// Waits until a page of a node names what is missing. Returns the page.
    async fn until_missing(&self, node: usize, missing: &[&str]) -> Value {
        let begun = Instant::now();
        loop {
            let page = self.page(node, "limit=1000").await;
            if names(&page["missing"]) == missing {
                return page;
            }
            assert!(begun.elapsed() < PATIENCE, "{}", page["missing"]);
        }
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(missing: &Value) -> Vec<&str> {
    let missing = missing.as_array().map(Vec::as_slice).unwrap_or_default();
    missing.iter().map(|node| node["node"].as_str().unwrap()).collect()
}

/// How many lookups of each node there are.
fn lookups(rows: &[Value]) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    for row in rows.iter().filter(|row| row["kind"] == "lookup") {
        *found.entry(row["node"].as_str().unwrap()).or_default() += 1;
    }
    found
}

/// The changes, without what differs from node to node.
fn changes(rows: &[Value]) -> Vec<String> {
    let changes = rows.iter().filter(|row| row["kind"] == "change").map(|row| {
        let mut row = row.clone();
        for field in ["at", "node", "place", "id"] {
            row.as_object_mut().unwrap().remove(field);
        }
        row.to_string()
    });
    changes.collect()
}

#[tokio::test]
async fn every_node_gives_the_same_rows_and_pages_are_the_whole_list() {
    let logs = Logs::start().await;
    let whole = logs.text(0, "order=asc").await;
    let rows = lines(&whole);
    assert_eq!(lookups(&rows), BTreeMap::from(NAMES.map(|name| (name, LOOKUPS))));
    assert!(rows.is_sorted_by_key(|row| row["at"].as_str().unwrap().to_owned()), "{whole}");
    // Each change stands in every log, and in the answer once.
    let of_b = logs.rows(1, "order=asc&scope=node").await;
    assert!(of_b.iter().all(|row| row["node"] == "b" && row["place"].is_string()));
    let (mut all, mut own) = (changes(&rows), changes(&of_b));
    assert!(own.len() >= 3, "{own:?}");
    // Changes that one command makes may be in another order.
    all.sort();
    own.sort();
    assert_eq!(all, own);

    let mut newest_first = rows.clone();
    newest_first.reverse();
    for node in 0..3 {
        assert_eq!(logs.text(node, "order=asc").await, whole);
        assert_eq!(logs.rows(node, "order=desc").await, newest_first);
    }
    for size in [1, 7, 1000] {
        assert_eq!(logs.pages(&format!("order=asc&limit={size}")).await, rows, "{size} a page");
        assert_eq!(logs.pages(&format!("limit={size}")).await, newest_first, "{size} a page");
    }
    assert_eq!(logs.text(0, &format!("order=asc&limit={}", u64::MAX)).await, whole);
    // A limit counts what all nodes give.
    let first: Vec<_> = newest_first.iter().take(10).cloned().collect();
    assert_eq!(logs.rows(2, "limit=10").await, first);
    let of_c = logs.page(2, "scope=node&limit=4").await;
    let foreign = format!("limit=4&cursor={}", of_c["next_cursor"].as_str().unwrap());
    assert_eq!(logs.ask(2, &foreign).send().await.unwrap().status(), 400);

    let table = logs.command(1, &["log", "search", "--limit", "3"]);
    good(&table);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.lines().next().unwrap().ends_with("NODE"), "{table}");
    let exported = logs.command(
        2,
        &["log", "export", "--format", "ndjson", "--output", "-", "--until", &*logs.until],
    );
    good(&exported);
    let exported = lines(&String::from_utf8(exported.stdout).unwrap());
    assert_eq!(exported.len(), rows.len());
    assert_eq!(lookups(&exported), lookups(&rows));
}

#[tokio::test]
async fn each_node_notes_who_asked_and_a_node_asks_for_an_operator_only() {
    let logs = Logs::start().await;
    logs.page(0, "case=INC-7").await;
    let admin = logs.trio.nodes[0].operator_token("adm", "admin");
    for (node, by) in [(0, "ann"), (1, "ann@a"), (2, "ann@a")] {
        let asked = logs.trio.nodes[node].operator(&admin, "/v1/audit?operator=ann&scope=node");
        let noted = lines(&asked.send().await.unwrap().text().await.unwrap());
        let searches: Vec<_> = noted.iter().filter(|it| it["case"] == "INC-7").collect();
        let [search] = searches.as_slice() else { panic!("{noted:?}") };
        assert_eq!((&search["operator"], &search["call"]), (&by.into(), &"search".into()));
    }

    let [of_a, of_b] =
        [0, 1].map(|node| Identity::read(&logs.trio.nodes[node].data).unwrap().unwrap());
    let token = node_token(&of_b.key(), of_b.cluster, of_a.node, SystemClock.now());
    let ask = async |operator: Option<&str>, path: &str| {
        let asked = logs.trio.nodes[0].operator(&token, path);
        let asked =
            operator.into_iter().fold(asked, |it, name| it.header("dispatchd-operator", name));
        asked.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(Some("ann"), "/v1/log?scope=node").await, 200);
    assert_eq!(ask(Some("ann"), "/v1/log").await, 400);
    assert_eq!(ask(None, "/v1/log?scope=node").await, 403);
    assert_eq!(ask(Some("nobody"), "/v1/log?scope=node").await, 403);
    assert_eq!(ask(Some("member-b"), "/v1/log?scope=node").await, 403);
    assert_eq!(ask(Some("adm"), "/v1/registry").await, 403);
    let named = logs.trio.nodes[0].operator(&logs.token, "/v1/log?scope=node");
    let named = named.header("dispatchd-operator", "adm").send().await.unwrap();
    assert_eq!(named.status(), 200, "a person asks in the own name");

    assert_eq!(ask(Some("ann"), "/v1/audit?scope=node").await, 403);
    let asked = logs.trio.nodes[0].operator(&admin, "/v1/audit?scope=node");
    let noted = lines(&asked.send().await.unwrap().text().await.unwrap());
    assert!(noted.iter().any(|it| it["operator"] == "ann@b" && it["call"] == "audit-list"));
    assert!(!noted.iter().any(|it| it["operator"] == "adm" && it["call"] == "search"), "{noted:?}");
}

#[tokio::test]
async fn a_node_that_is_gone_or_paused_is_named() {
    let mut logs = Logs::start().await;
    let whole = logs.page(0, "limit=1000").await;
    assert!(whole["missing"].is_null());
    logs.trio.nodes[2].signal("STOP");
    let page = logs.until_missing(0, &["c"]).await;
    assert_eq!(
        lookups(page["records"].as_array().unwrap()),
        BTreeMap::from([("a", LOOKUPS), ("b", LOOKUPS)])
    );
    logs.trio.nodes[2].signal("CONT");
    let again = logs.until_missing(0, &[]).await;
    assert_eq!(again, whole);

    // A page that was asked for while the node was there, and the next one without it.
    let first = logs.page(1, "limit=7").await;
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    logs.trio.nodes[2].kill();
    let rest = logs.page(0, &format!("limit=1000&cursor={cursor}")).await;
    assert_eq!(names(&rest["missing"]), ["c"]);
    let rows =
        [first["records"].as_array().unwrap().clone(), rest["records"].as_array().unwrap().clone()]
            .concat();
    let found = lookups(&rows);
    assert_eq!((found["a"], found["b"]), (LOOKUPS, LOOKUPS));
    let each: BTreeSet<_> = rows.iter().map(Value::to_string).collect();
    assert_eq!(each.len(), rows.len(), "a row came twice");

    let searched = logs.command(0, &["log", "search", "--json", "--until", &*logs.until]);
    assert_eq!(searched.status.code(), Some(1));
    assert!(said(&searched).contains("the node c"), "{}", said(&searched));
    assert_eq!(lookups(&lines(&String::from_utf8(searched.stdout).unwrap())).len(), 2);
    // Nothing is found, and that is not said.
    let nothing = logs.command(0, &["log", "search", "--handle", "+14155559999"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(!said(&nothing).contains("no record matches"), "{}", said(&nothing));
    let export = ["log", "export", "--format", "csv", "--handle", "+14155559999", "--output"];
    let file = logs.trio.nodes[0].data.with_file_name("log.csv");
    let nothing = logs.command(0, &[&export[..], &[file.to_str().unwrap()]].concat());
    assert_eq!(nothing.status.code(), Some(1));
    assert!(said(&nothing).contains("no record came"), "{}", said(&nothing));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.ends_with(",node\r\n") && text.lines().count() == 1, "{text}");
    let rows = logs.rows(1, "order=asc").await;
    let last = rows.last().unwrap();
    assert_eq!((&last["kind"], &last["node"]), (&"missing".into(), &"c".into()));
    let own = logs.rows(1, "order=asc&scope=node").await;
    assert!(own.iter().all(|row| row["kind"] != "missing" && row["node"] == "b"));
}

#[tokio::test]
async fn a_node_that_goes_in_the_middle_of_an_answer_is_named_and_the_rest_is_found() {
    let mut logs = Logs::start().await;
    for call in 0..BATCHES {
        let numbers: Vec<_> =
            (0..1_000).map(|n| format!("+1415{:07}", 2_000_000 + 1_000 * call + n)).collect();
        let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
        assert_eq!(batch(&logs.trio.nodes[2], &logs.ann, &numbers).await.status, 200);
    }
    logs.trio.nodes[0].route(&logs.ann, "+14155550001").await;
    let path = "/v1/log?order=asc&kind=lookup";
    let asked = logs.trio.nodes[0]
        .client
        .request(Method::GET, format!("{}{path}", logs.trio.nodes[0].operators));
    let asked = asked.bearer_auth(&logs.token).header("accept", NDJSON).timeout(PATIENCE);
    let mut answer = asked.send().await.unwrap();
    let mut text = Vec::new();
    // Behind the records that all three have.
    while text.len() < 64 * 1024 {
        text.extend_from_slice(&answer.chunk().await.unwrap().unwrap());
    }
    logs.trio.nodes[2].kill();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let rows = lines(std::str::from_utf8(&text).unwrap());
    let (last, rows) = rows.split_last().unwrap();
    assert_eq!((&last["kind"], &last["node"]), (&"missing".into(), &"c".into()), "{last}");
    let found = lookups(rows);
    assert_eq!((found["a"], found["b"]), (LOOKUPS + 1, LOOKUPS));
    assert!(LOOKUPS < found["c"] && found["c"] < LOOKUPS + 1_000 * BATCHES, "{found:?}");
}
