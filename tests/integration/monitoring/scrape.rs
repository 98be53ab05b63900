//! A real Prometheus reads a server with the repository's configuration. Every alert and every panel finds what it names.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    dashboard::{self, Target},
    prometheus::Prometheus,
    query::{Selector, selectors},
    text_format,
};
use crate::{
    docs::documents,
    harness::{Device, PATIENCE, Server, json_of},
    nodes::Trio,
};

/// Panels and annotations without series on this server, and why.
const EMPTY: &[(&str, &str)] = &[
    ("annotation Alerts", "nothing is wrong"),
    ("annotation Starts", "the server was not restarted"),
];

/// Values of labels that this server has no reason for.
const UNMET_VALUES: &[(&str, &str)] = &[
    ("instance", ".*"),
    ("status", "5.."),
    ("problem", "internal"),
    ("problem", "delivery-failed"),
    ("outcome", "failed"),
    ("outcome", "unknown"),
    ("outcome", "refused"),
];

/// Alerts that depend on the machine that runs the tests: its disks, its clock, and its load.
const OF_THE_MACHINE: &[&str] = &[
    "DispatchdDown",
    "DispatchdLookupsSlow",
    "DispatchdSyncsSlow",
    "DispatchdDiskNearReserve",
    "DispatchdDiskFillsUp",
    "DispatchdRegistryLowOnSpace",
    "DispatchdClockNotFollowed",
];

#[tokio::test]
async fn prometheus_reads_a_server_and_every_query_finds_its_series() {
    // A node of a cluster has the metrics of a single server, and more.
    let store = tempfile::tempdir().unwrap();
    let store = format!("file://{}", store.path().display());
    let env = [("QUOTA__ENABLED", "true"), ("LOG__STORE__URL", &*store)];
    let mut cluster = Trio::begin_with(&env).await;
    let server = &mut cluster.nodes[0];
    use_every_part(server, &server.operator_token("ann", "reader")).await;
    let token = server.operator_token("prometheus", "metrics");
    let address = server.operators.strip_prefix("http://").unwrap().to_owned();
    let proxy = text_format::proxy(address.clone(), token.clone()).to_string();

    let prometheus = Prometheus::start(&token, &[address.clone(), proxy.clone()]).await;
    // A rate takes two readings.
    prometheus.wait_for(2, r#"sum_over_time(up{job="dispatchd"}[1m]) >= 2"#).await;
    prometheus.wait_for(2, r#"up{job="dispatchd"} == 1"#).await;

    both_formats_are_read(&prometheus, &address, &proxy).await;
    let rules = rules(&prometheus).await;
    alerts_are_quiet(&rules);
    let (panels, documents) = (dashboard::targets(), expressions_of_documents());
    let queries = rules.iter().map(|rule| rule["query"].as_str().unwrap());
    let queries = queries.chain(panels.iter().map(|panel| panel.expression.as_str()));
    let queries: Vec<_> = queries.chain(documents.iter().map(String::as_str)).collect();
    names_exist(&prometheus, &queries).await;
    for query in &queries {
        let given = prometheus.query(query).await;
        assert!(given.is_ok(), "{query}: {given:?}");
    }
    panels_show_something(&prometheus, &panels).await;
    assert!(server.stop().await.success());
}

/// The blocks `promql` of the documents.
fn expressions_of_documents() -> Vec<String> {
    let documents = documents();
    let blocks = documents.iter().flat_map(|document| document.of_kind("promql"));
    let blocks: Vec<_> = blocks.map(|block| block.text.clone()).collect();
    assert!(blocks.len() >= 5, "{blocks:?}");
    blocks
}

/// Calls of phones and operators, so that the server has something of everything to count.
async fn use_every_part(server: &Server, token: &str) {
    for probe in ["/livez", "/readyz"] {
        expect(200, server.phone(Method::GET, probe)).await;
    }
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    let me = |method: Method, path: &str| {
        server.phone(method, &format!("/v1/devices/me{path}")).bearer_auth(&ann.token)
    };
    let own = "/handles/+14155550123";
    expect(200, me(Method::POST, "/check-in")).await;
    expect(200, me(Method::PATCH, own).json(&json!({"discoverable": true}))).await;
    for handle in ["+14155550123", "+14155550124", "nobody@example.org"] {
        assert_eq!(server.lookup(&ben, handle).await.0, StatusCode::OK);
    }
    let batch = server.phone(Method::POST, "/v1/lookup").bearer_auth(&ben.token);
    expect(200, batch.json(&json!({"handles": ["+14155550123", "+14155550125"]}))).await;
    assert_eq!(server.lookup(&ben, "12").await.0, StatusCode::BAD_REQUEST);
    let stranger = Device { token: "dd_unknown".into(), ..ben };
    assert_eq!(server.lookup(&stranger, "+14155550123").await.0, StatusCode::UNAUTHORIZED);
    expect(204, me(Method::DELETE, own)).await;
    expect(204, me(Method::DELETE, "")).await;
    assert!(!server.records(token, "kind=lookup").await.is_empty());
    let deregister = server.phone(Method::POST, "/v1/deregistrations");
    expect(202, deregister.json(&json!({"handle": "somebody@example.org"}))).await;
}

async fn expect(status: u16, request: reqwest::RequestBuilder) {
    let (given, body) = json_of(request).await;
    assert_eq!(given.as_u16(), status, "{body}");
}

/// Prometheus reads OpenMetrics from the server itself, and the older format from the proxy: the same metrics.
async fn both_formats_are_read(prometheus: &Prometheus, openmetrics: &str, text: &str) {
    let mut names = Vec::new();
    for (instance, counter) in
        [(openmetrics, "dispatchd_lookups"), (text, "dispatchd_lookups_total")]
    {
        // The formats name the family of a counter differently.
        let target = format!("{{instance=\"{instance}\"}}");
        let parameters = [("match_target", target.as_str()), ("metric", counter)];
        let family = prometheus.get("targets/metadata", &parameters).await.unwrap();
        assert_eq!(family[0]["type"], "counter", "{instance} has no {counter}: {family}");
        assert!(!family[0]["help"].as_str().unwrap().is_empty());
        let own = format!("{{instance=\"{instance}\",__name__=~\"dispatchd_.*|process_.*\"}}");
        let series = prometheus.get("series", &[("match[]", &own)]).await.unwrap();
        let series = series.as_array().unwrap().iter();
        names.push(series.map(|it| it["__name__"].to_string()).collect::<BTreeSet<_>>());
    }
    assert_eq!(names[0], names[1]);
    assert!(names[0].len() > 30, "{names:?}");
}

/// All rules that Prometheus has loaded.
async fn rules(prometheus: &Prometheus) -> Vec<Value> {
    let data = prometheus.get("rules", &[("type", "alert")]).await.unwrap();
    let groups = data["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let rules: Vec<_> = rules.cloned().collect();
    assert!(rules.len() >= 20, "{rules:?}");
    rules
}

/// Nothing is wrong with this server.
fn alerts_are_quiet(rules: &[Value]) {
    for rule in rules {
        let name = rule["name"].as_str().unwrap();
        assert_ne!(rule["health"], "err", "{name}: {}", rule["lastError"]);
        if !OF_THE_MACHINE.contains(&name) {
            assert_eq!(rule["state"], "inactive", "{name}: {}", rule["alerts"]);
        }
    }
}

/// Every metric, every label and every value that a query names exists.
async fn names_exist(prometheus: &Prometheus, queries: &[&str]) {
    let mut labels: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    let all = [("match[]", r#"{job="dispatchd"}"#)];
    for series in prometheus.get("series", &all).await.unwrap().as_array().unwrap() {
        let series = series.as_object().unwrap();
        let metric = labels.entry(series["__name__"].as_str().unwrap().to_owned()).or_default();
        for (label, value) in series {
            metric.entry(label.clone()).or_default().insert(value.as_str().unwrap().to_owned());
        }
    }
    let mut faults = BTreeSet::new();
    let selectors = queries.iter().flat_map(|query| selectors(query));
    for Selector { metric, matchers } in selectors {
        let Some(found) = labels.get(&metric) else {
            faults.insert(format!("there is no {metric}"));
            continue;
        };
        for (label, values) in matchers {
            let Some(met) = found.get(&label) else {
                faults.insert(format!("{metric} has no {label}"));
                continue;
            };
            let is_known = |value: &String| {
                met.contains(value) || UNMET_VALUES.contains(&(label.as_str(), value.as_str()))
            };
            for value in values.iter().filter(|value| !is_known(value)) {
                faults.insert(format!("{metric}: {label} is never {value}, but {met:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Every panel has series. After a reading that took too long there are none until the next one.
async fn panels_show_something(prometheus: &Prometheus, panels: &[Target]) {
    let expected: BTreeSet<_> = EMPTY.iter().map(|(panel, _)| *panel).collect();
    let started = Instant::now();
    loop {
        let mut empty = BTreeSet::new();
        for Target { panel, expression } in panels {
            if prometheus.query(expression).await.unwrap().is_empty() {
                empty.insert(panel.as_str());
            }
        }
        if empty == expected {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "empty: {empty:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
