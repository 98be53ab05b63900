//! A machine burns: its records are read from their copies in an object store, and the answer says so.

use std::{collections::BTreeSet, fs};

use reqwest::RequestBuilder;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use super::trio::{Trio, good, said};
use crate::{
    handles::give_up,
    harness::{Device, PATIENCE, run, wait_until},
    store::{S3, key_file, until_copied},
};

const HANDLE: &str = "+14155550123";
/// A handle whose route changes twice, which only the lookups of c tell.
const FLIPS: &str = "+14155550177";
const FLIPS_ENCODED: &str = "%2B14155550177";
/// Lookups of each node.
const LOOKUPS: usize = 20;

/// Three nodes that copy their logs to a store, with lookups of their own.
struct Copied {
    trio: Trio,
    _s3: S3,
    _folder: TempDir,
    token: String,
    ann: Device,
}

impl Copied {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let s3 = S3::start(folder.path()).await;
        let key = key_file(folder.path());
        let env = [
            ("LOG__STORE__URL", "s3://logs/phones"),
            ("LOG__STORE__ENDPOINT", &*s3.url),
            ("LOG__STORE__CREDENTIALS_FILE", &*key),
            ("LOG__COPY_INTERVAL", "1s"),
        ];
        let trio = Trio::start_with(&env).await;
        let token = trio.nodes[0].operator_token("ann", "reader");
        let ann = trio.nodes[0].sign_up().await;
        trio.nodes[1].prove(&ann, HANDLE).await;
        for number in 0..LOOKUPS {
            for node in &trio.nodes {
                node.route(&ann, &format!("+1415555{number:04}")).await;
            }
        }
        trio.nodes[2].route(&ann, HANDLE).await;
        trio.nodes[2].route(&ann, FLIPS).await;
        trio.nodes[1].prove(&ann, FLIPS).await;
        trio.nodes[2].route(&ann, FLIPS).await;
        give_up(&trio.nodes[1], &ann, FLIPS_ENCODED).await.is(204, &[]);
        trio.nodes[2].route(&ann, FLIPS).await;
        for node in &trio.nodes {
            until_copied(node).await;
        }
        Self { trio, _s3: s3, _folder: folder, token, ann }
    }

    fn ask(&self, node: usize, query: &str) -> RequestBuilder {
        let limit = if query.contains("limit=") { "" } else { "limit=1000&" };
        self.trio.nodes[node].operator(&self.token, &format!("/v1/log?{limit}{query}"))
    }

    async fn page(&self, node: usize, query: &str) -> Value {
        let answer = self.ask(node, query).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// Waits until a page names one node whose records come from the store. Returns the page and what it says of the node.
    async fn until_from_store(&self, node: usize) -> (Value, Value) {
        let begun = Instant::now();
        loop {
            let page = self.page(node, "").await;
            if let Some([gone]) = page["from_store"].as_array().map(Vec::as_slice) {
                return (page.clone(), gone.clone());
            }
            assert!(begun.elapsed() < PATIENCE, "{} {}", page["missing"], page["from_store"]);
        }
    }

    async fn flips(&self, node: usize) -> Value {
        let flips = self.trio.nodes[node].operator(&self.token, "/v1/log/flips?since=1h");
        flips.send().await.unwrap().json().await.unwrap()
    }

    /// The flips are those from before the node was lost.
    async fn assert_flips(&self, before: &Value, node: &str) {
        let flips = self.flips(1).await;
        assert_eq!(flips["flips"], before["flips"]);
        let summary = &flips["summary"];
        assert!(summary["missing"].is_null(), "{summary}");
        let from_store = summary["from_store"].as_array().unwrap();
        let [gone] = from_store.as_slice() else { panic!("{summary}") };
        assert_eq!((&gone["node"], &gone["complete"]), (&node.into(), &false.into()), "{gone}");
        assert!(gone["until"].is_string(), "{gone}");
        let printed = self.command(1, &["log", "flips", "--since", "1h"]);
        assert_eq!(printed.status.code(), Some(1), "{}", said(&printed));
        let told = format!("of the node {node} the answer has its records up to");
        assert!(said(&printed).contains(&told), "{}", said(&printed));
    }

    fn command(&self, node: usize, words: &[&str]) -> std::process::Output {
        let server = &self.trio.nodes[node];
        let mut command = server.command_for(words);
        run(command.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &self.token))
    }

    /// What lies below a node's directory for copies of others.
    fn fetched(&self, node: usize) -> usize {
        fs::read_dir(self.trio.nodes[node].data.join("lost")).map_or(0, Iterator::count)
    }
}

fn lines(text: &[u8]) -> Vec<Value> {
    std::str::from_utf8(text).unwrap().lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// The lookups that a node recorded, by their requests.
fn lookups(rows: &[Value], node: &str) -> BTreeSet<String> {
    let of_node = rows.iter().filter(|row| row["kind"] == "lookup" && row["node"] == node);
    of_node.map(|row| row["request"].to_string()).collect()
}

fn records(page: &Value) -> &[Value] {
    page["records"].as_array().unwrap()
}

#[tokio::test]
async fn a_burned_machine_is_read_from_the_store_and_named_with_its_reach() {
    let mut copied = Copied::start().await;
    let whole = copied.page(0, "").await;
    assert!(whole["missing"].is_null() && whole["from_store"].is_null(), "{whole}");
    let of_c = lookups(records(&whole), "c");
    assert_eq!(of_c.len(), LOOKUPS + 4);
    let last = records(&whole).iter().find(|row| row["node"] == "c" && row["kind"] == "lookup");
    let last = last.unwrap()["at"].as_str().unwrap().to_owned();

    let flips = copied.flips(1).await;
    assert_eq!(flips["flips"][0]["handle"], FLIPS, "{flips}");
    assert!(flips["summary"]["from_store"].is_null(), "{flips}");

    copied.trio.nodes[2].kill();
    fs::remove_dir_all(&copied.trio.nodes[2].data).unwrap();
    let (page, gone) = copied.until_from_store(0).await;
    assert!(page["missing"].is_null(), "{}", page["missing"]);
    copied.assert_flips(&flips, "c").await;
    assert_eq!(
        (&gone["node"], &gone["complete"], &gone["gaps"]),
        (&"c".into(), &false.into(), &Value::Null)
    );
    assert!(gone["until"].as_str().unwrap() >= last.as_str(), "{gone} {last}");
    assert_eq!(records(&page), records(&whole));
    assert!(copied.fetched(0) > 0);

    // Pages, each asked of the other node; the end of a stream names the node, too.
    let first = copied.page(1, "limit=7").await;
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    let rest = copied.page(0, &format!("cursor={cursor}")).await;
    let both = [records(&first), records(&rest)].concat();
    assert_eq!(both, records(&whole));
    let streamed = copied.ask(1, "order=asc").header("accept", "application/x-ndjson");
    let streamed = lines(&streamed.send().await.unwrap().bytes().await.unwrap());
    let end = streamed.last().unwrap();
    assert_eq!((&end["kind"], &end["node"]), (&"from_store".into(), &"c".into()), "{end}");
    assert_eq!(lookups(&streamed, "c"), of_c);
    let own = copied.page(0, "scope=node").await;
    assert!(own["from_store"].is_null() && lookups(records(&own), "c").is_empty());

    let searched = copied.command(1, &["log", "search", "--json", "--limit", "1000"]);
    assert_eq!(searched.status.code(), Some(1));
    assert!(
        said(&searched).contains("of the node c the answer has its records up to"),
        "{}",
        said(&searched)
    );
    assert_eq!(lookups(&lines(&searched.stdout), "c"), of_c);
    let exported = copied.command(1, &["log", "export", "--format", "ndjson", "--output", "-"]);
    assert_eq!(exported.status.code(), Some(1));
    assert_eq!(lookups(&lines(&exported.stdout), "c"), of_c);
    assert_eq!(lines(&exported.stdout).len(), records(&whole).len());
    let why = copied.command(0, &["why", HANDLE, "--all", "--json"]);
    assert_eq!(why.status.code(), Some(1), "{}", said(&why));
    let summary = lines(&why.stdout).pop().unwrap();
    assert_eq!(summary["from_store"][0]["node"], "c", "{summary}");
    assert_eq!((&summary["lookups"], &summary["missing"]), (&1.into(), &Value::Null), "{summary}");

    // Removed, it is still read, under a name that no later node has.
    good(&run(&mut copied.trio.nodes[0].command_for(&["cluster", "remove", "c"])));
    let is_removed = |gone: &Value| gone["why"].as_str().is_some_and(|why| why.contains("removed"));
    let begun = Instant::now();
    let (page, gone) = loop {
        let (page, gone) = copied.until_from_store(1).await;
        if is_removed(&gone) {
            break (page, gone);
        }
        assert!(begun.elapsed() < PATIENCE, "{gone}");
    };
    let name = gone["node"].as_str().unwrap();
    assert!(name.starts_with("c-") && gone["complete"] == false, "{gone}");
    assert_eq!(lookups(records(&page), name), of_c);
    copied.assert_flips(&flips, name).await;
    copied.trio.nodes[0].route(&copied.ann, HANDLE).await;
    assert!(copied.trio.nodes[0].stop().await.success());
    assert_eq!(copied.fetched(0), 0);
}

#[tokio::test]
async fn a_node_that_is_alone_copies_its_log() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("store");
    fs::create_dir(&store).unwrap();
    let url = format!("file://{}", store.display());
    let trio = Trio::begin_with(&[("LOG__STORE__URL", &*url), ("LOG__COPY_INTERVAL", "1s")]).await;
    let alone = &trio.nodes[0];
    let ann = alone.sign_up().await;
    alone.route(&ann, HANDLE).await;
    until_copied(alone).await;
    let mut folders = fs::read_dir(&store).unwrap().map(|it| it.unwrap().file_name());
    let name = folders.next().unwrap().into_string().unwrap();
    assert!(name.starts_with("a-") && folders.next().is_none(), "{name}");
    let hours = fs::read_dir(store.join(&name)).unwrap();
    assert!(hours.count() > 1, "the check of the store, and an hour");
    let names = fs::read_to_string(alone.data.join("keys/store.names")).unwrap();
    assert_eq!(names, format!("{name}\n"));
}

#[tokio::test]
async fn a_node_that_was_stopped_and_removed_is_read_whole() {
    let mut copied = Copied::start().await;
    let whole = copied.page(0, "kind=lookup").await;
    copied.trio.nodes[2].route(&copied.ann, HANDLE).await;
    assert!(copied.trio.nodes[2].stop().await.success());
    good(&run(&mut copied.trio.nodes[0].command_for(&["cluster", "remove", "c"])));
    fs::remove_dir_all(&copied.trio.nodes[2].data).unwrap();
    wait_until("c is removed", || {
        let searched =
            copied.command(1, &["log", "search", "--json", "--limit", "1000", "--kind", "lookup"]);
        searched.status.success() && {
            assert!(
                said(&searched).contains("all of its records from the object store"),
                "{}",
                said(&searched)
            );
            assert_eq!(lines(&searched.stdout).len(), records(&whole).len() + 1);
            true
        }
    });
    let (page, gone) = copied.until_from_store(0).await;
    assert_eq!((&gone["complete"], &page["missing"]), (&true.into(), &Value::Null), "{gone}");
}
