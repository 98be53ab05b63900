//! `metrics.md`: every family that a server shows after some traffic, from what `/metrics` says of it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::json;

use super::{code, compare, head, section, sentence, table, wrapped};
use crate::{
    fenced::ToldLog,
    harness::{Server, send},
    timed::Timed,
    wire::Reply,
};

/// Labels whose values the format itself defines.
const LABELS_OF_THE_FORMAT: [&str; 2] = ["le", "quantile"];
/// The families of all programs, under the usual names.
const PROCESS: &str = "process_";

#[derive(Clone, Default)]
struct Family {
    help: String,
    kind: String,
    labels: BTreeSet<String>,
}

/// The families in Prometheus's text format, by name.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            help.clone_into(&mut families.entry(name.to_owned()).or_default().help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let endings = ["", "_total", "_bucket", "_sum", "_count"];
            let base = endings.iter().filter_map(|ending| name.strip_suffix(ending));
            let base = base.into_iter().find(|base| families.contains_key(*base));
            let family = families.get_mut(base.expect("a sample of a family")).unwrap();
            let labels = line.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels);
            let names = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0));
            let names = names.filter(|name| !LABELS_OF_THE_FORMAT.contains(name));
            family.labels.extend(names.map(str::to_owned));
        }
    }
    families
}

/// Uses each kind of call once, so that each family with labels has a sample.
async fn scrape() -> String {
    let store = tempfile::tempdir().unwrap();
    let store = format!("file://{}", store.path().display());
    let env = [("QUOTA__ENABLED", "true"), ("LOG__STORE__URL", &*store)];
    let server = Server::start_with(&env).await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    server.prove(&ann, "ann@example.com").await;
    for handle in ["+14155550123", "+14155550124", "nobody@example.com", "nonsense"] {
        server.lookup(&ann, handle).await;
    }
    let batch = server.phone(Method::POST, "/v1/lookup").bearer_auth(&ann.token);
    send(batch.json(&json!({"handles": ["+14155550123", "+14155550125"]}))).await;
    // The pause between two codes is a limit.
    let open = || {
        server.phone(Method::POST, "/v1/deregistrations").json(&json!({"handle": "+14155550126"}))
    };
    send(open()).await;
    send(open()).await;
    let token = server.operator_token("admin", "admin");
    server.records(&token, "kind=lookup").await;
    let (_, _, text) = send(server.operator(&token, "/metrics")).await;
    String::from_utf8(text.to_vec()).unwrap()
}

/// What a node that follows a shared log shows.
async fn scrape_following() -> String {
    let timed = Timed::following(ToldLog::new().member()).await;
    timed.server.sign_up().await;
    Reply::to(timed.server.scrape()).await.text
}

fn page(text: &str, following: &str) -> String {
    let about = "What `GET /metrics` of the operators' listener shows. [Monitoring](../operators/monitoring.md) has alerts and a \
                 dashboard. No label holds a handle, an address, a device or an account.";
    let mut page = head("Metrics", about);
    let alone = families(text);
    let (mut shared, mut process) = (families(following), alone.clone());
    shared.retain(|name, _| !alone.contains_key(name));
    let mut own = process.clone();
    own.retain(|name, _| !name.starts_with(PROCESS));
    process.retain(|name, _| name.starts_with(PROCESS));
    let all =
        [("Of dispatchd", own), ("Of a node of a cluster", shared), ("Of the process", process)];
    for (title, families) in all {
        let rows: Vec<_> = families
            .into_iter()
            .map(|(name, family)| {
                let labels: Vec<_> = family.labels.iter().map(code).collect();
                vec![code(name), family.kind, labels.join(", "), sentence(&family.help)]
            })
            .collect();
        if !rows.is_empty() {
            section(&mut page, 2, title, &table(&["name", "type", "labels", "meaning"], rows));
        }
    }
    let note = "A histogram has the series `_bucket` with the label `le`, `_sum` and `_count`. Names that end in `_total` are \
                counters since the start.";
    section(&mut page, 2, "Types", &wrapped(note));
    page
}

#[tokio::test]
async fn metrics() {
    compare("metrics.md", &page(&scrape().await, &scrape_following().await));
}

#[test]
fn a_family_is_read_with_its_labels() {
    let text = "# HELP a_total What is counted\n# TYPE a_total counter\na_total{x=\"1\",y=\"a,b\"} 1\n\
                # HELP b_seconds Spans\n# TYPE b_seconds histogram\nb_seconds_bucket{le=\"1\",z=\"1\"} 2\nb_seconds_sum 1.5\n";
    let families = families(text);
    let labels = |name: &str| families[name].labels.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!((labels("a_total"), labels("b_seconds")), (vec!["x", "y"], vec!["z"]));
    assert_eq!(
        (&*families["b_seconds"].kind, &*families["a_total"].help),
        ("histogram", "What is counted")
    );
}
