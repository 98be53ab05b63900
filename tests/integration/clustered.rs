//! One node of a cluster, by the real binary and with real etcd members: it begins, serves, waits for etcd, leaves, recovers.

use std::{fs, path::Path, process::Output, time::Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{Device, PATIENCE, Server, dispatchd, json_of, run, send},
    shared_log::cluster::Cluster,
};

const HANDLE: &str = "+14155550123";

/// Settings of the one node, whose log lies in `etcd`.
fn settings(etcd: &Cluster) -> Vec<(String, String)> {
    let engine = json!(etcd.urls()).to_string();
    // Nobody joins, so nobody connects there.
    let pairs = [
        ("CLUSTER__ENGINE", &*engine),
        ("CLUSTER__NODE", "a"),
        ("CLUSTER__ADDRESS", "http://127.0.0.1:1"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn stopped(data: &Path, settings: &[(String, String)]) -> Server {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
    Server::stopped(data, &settings)
}

/// Runs `dispatchd cluster` with more words, for the node in `data`.
fn cluster(data: &Path, settings: &[(String, String)], words: &[&str]) -> Output {
    let mut command = dispatchd();
    command.arg("cluster").args(words).env("DISPATCHD_SERVER__DATA", data);
    for (name, value) in settings {
        command.env(format!("DISPATCHD_{name}"), value);
    }
    run(&mut command)
}

/// What a command said that must succeed, or must fail.
fn said(output: &Output, succeeds: bool) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.success(), succeeds, "{text}");
    assert!(!text.contains("do_"), "no token is told: {text}");
    text
}

/// Starts a server that must refuse to start, and returns what it said.
async fn refuses_to_start(server: &mut Server) -> String {
    let before = fs::read_to_string(server.output_file()).map_or(0, |text| text.len());
    server.launch();
    assert_eq!(server.wait().await.code(), Some(1));
    server.output()[before..].to_owned()
}

/// The answer to a lookup, with its `Retry-After`.
async fn looked_up(server: &Server, device: &Device) -> (StatusCode, Option<String>, Value) {
    let path = format!("/v1/lookup/%2B{}", &HANDLE[1..]);
    let request = server.phone(Method::GET, &path).bearer_auth(&device.token);
    let (status, headers, body) = send(request).await;
    let after = headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (status, after, serde_json::from_slice(&body).unwrap())
}

/// A lookup and a sign-up get 503 and say when to come again. Nothing is answered from what the node has.
async fn assert_behind(server: &Server, device: &Device) {
    let (status, after, body) = looked_up(server, device).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("registry-behind"))
    );
    assert_eq!(after.as_deref(), Some("1"), "{body}");
    let sign_up = server.phone(Method::POST, "/v1/devices").json(&json!({"platform": "ios"}));
    let (status, body) = json_of(sign_up).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    let ready = server.client.get(format!("{}/readyz", server.phones));
    assert_eq!(json_of(ready).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

/// Waits until the handle is found again. Meanwhile the node must say that it cannot tell.
async fn until_found(server: &Server, device: &Device) {
    let begun = Instant::now();
    loop {
        let (status, _, body) = looked_up(server, device).await;
        if status == StatusCode::OK {
            assert_eq!(body["route"], "imessage", "{body}");
            return;
        }
        assert_eq!(body["code"], "registry-behind", "{body}");
        assert!(begun.elapsed() < PATIENCE, "{}", server.output());
    }
}

#[tokio::test]
async fn a_node_begins_a_cluster_and_answers_only_while_etcd_does() {
    let mut etcd = Cluster::start(3, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let (data, settings) = (folder.path().join("data"), settings(&etcd));
    let mut server = stopped(&data, &settings);
    // It is a single machine's directory first.
    let mut alone = stopped(&data, &[]);
    alone.spawn().await;
    let device = alone.sign_up().await;
    alone.prove(&device, HANDLE).await;
    assert!(said(&cluster(&data, &settings, &["init"]), false).contains("in use"));
    assert!(alone.stop().await.success());

    let text = refuses_to_start(&mut server).await;
    assert!(text.contains("dispatchd cluster init"), "{text}");
    assert!(said(&cluster(&data, &settings, &["init"]), true).contains("has begun"));
    assert!(said(&cluster(&data, &settings, &["init"]), false).contains("already"));
    let other = cluster(&folder.path().join("other"), &settings, &["init"]);
    assert!(said(&other, false).contains("a log of 1 entries"));

    server.spawn().await;
    assert_eq!(server.route(&device, HANDLE).await, "imessage", "it kept what it had");
    let second = server.sign_up().await;
    server.kill();
    server.spawn().await;
    assert_eq!(server.route(&second, HANDLE).await, "imessage", "what was acknowledged survives");

    (0..3).for_each(|member| etcd.kill(member));
    assert_behind(&server, &second).await;
    // It starts without etcd, too, and waits for it.
    server.kill();
    server.spawn().await;
    assert_behind(&server, &second).await;
    (0..3).for_each(|member| etcd.restart(member));
    until_found(&server, &second).await;
    server.sign_up().await;

    assert!(server.stop().await.success());
    // A change of the files alone would take the node out of the log.
    let mut add = dispatchd();
    let added = run(add.args(["operator", "add", "ann", "--role", "reader", "--data"]).arg(&data));
    assert!(said(&added, false).contains("no server runs"));
    let text = refuses_to_start(&mut alone).await;
    assert!(text.contains("cluster.engine is empty"), "{text}");
    assert!(said(&cluster(&data, &settings, &["leave"]), true).contains("cluster remove a"));
    assert!(said(&cluster(&data, &settings, &["leave"]), false).contains("no cluster"));
    alone.spawn().await;
    assert_eq!(alone.route(&second, HANDLE).await, "imessage");
}

#[tokio::test]
async fn a_lost_log_goes_on_behind_what_a_member_has() {
    let etcd = Cluster::start(1, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let (data, before) = (folder.path().join("data"), settings(&etcd));
    said(&cluster(&data, &before, &["init"]), true);
    let mut server = stopped(&data, &before);
    server.spawn().await;
    let device = server.sign_up().await;
    server.prove(&device, HANDLE).await;
    assert!(server.stop().await.success());
    assert!(said(&cluster(&data, &before, &["recover"]), true).contains("nothing to do"));

    // Another etcd, which has nothing.
    let etcd = Cluster::start(1, &[]).await;
    let settings = settings(&etcd);
    let mut server = stopped(&data, &settings);
    server.spawn().await;
    let (status, _, body) = looked_up(&server, &device).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("registry-diverged"))
    );
    server.kill();
    assert!(said(&cluster(&data, &settings, &["recover"]), false).contains("--yes"));
    assert!(
        said(&cluster(&data, &settings, &["recover", "--yes"]), true).contains("goes on behind")
    );
    server.spawn().await;
    until_found(&server, &device).await;
    server.sign_up().await;
}
