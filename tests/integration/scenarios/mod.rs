//! Known problems of such directories, as users meet them, tested with the real server.

mod cold_start;
mod groups;
mod leases;
mod owners;
mod spellings;
mod threads;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{Device, Server},
    wire::{batch, call},
};

/// Deregisters a handle with a code alone, without its phone.
pub(crate) async fn deregister(server: &Server, handle: &str) {
    let body = Some(json!({"handle": handle}));
    let sent = call(server, Method::POST, "/v1/deregistrations", None, body).await;
    let verification = sent.body["verification"].as_str().unwrap();
    let (status, body) = server.confirm(verification, &server.code_for(verification)).await;
    assert_eq!((status, &body["deregistered"]), (StatusCode::OK, &json!(true)));
}

pub(crate) async fn check_in(server: &Server, device: &Device) {
    let path = "/v1/devices/me/check-in";
    let renewed = call(server, Method::POST, path, Some(&device.token), None).await;
    let renewed = renewed.is(200, &["expires_in", "lease_expires_at"]);
    assert!(renewed["expires_in"].as_u64() > Some(0), "{renewed}");
}

/// The handles that the device's account has lost, with time and reason.
async fn lost(server: &Server, device: &Device) -> Vec<Value> {
    let me = call(server, Method::GET, "/v1/devices/me", Some(&device.token), None).await;
    me.body["lost_handles"].as_array().unwrap().clone()
}

pub(crate) async fn sign_out(server: &Server, device: &Device) {
    let gone = call(server, Method::DELETE, "/v1/devices/me", Some(&device.token), None).await;
    gone.is(204, &[]);
}

/// The answer for one handle. A lookup and a batch must give the same answer.
async fn answer(server: &Server, asker: &Device, handle: &str) -> Value {
    let (status, alone) = server.lookup(asker, handle).await;
    assert_eq!(status, StatusCode::OK, "{alone}");
    let group = batch(server, asker, &[handle]).await;
    assert_eq!(group.body["answers"][0], alone);
    assert_eq!(group.body["together"], alone["route"]);
    alone
}

/// The subject of a blue handle, as the asker sees it.
pub(crate) async fn subject(server: &Server, asker: &Device, handle: &str) -> String {
    let answer = answer(server, asker, handle).await;
    assert_eq!(answer["route"], "imessage", "{answer}");
    answer["subject"].as_str().unwrap().to_owned()
}

/// The changes of one handle in the log, oldest first, as kind, account and cause.
pub(crate) async fn changes(
    server: &Server,
    reader: &str,
    handle: &str,
) -> Vec<(String, String, String)> {
    let handle = handle.replace('+', "%2B");
    let query = format!("kind=change&order=asc&handle={handle}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told =
        |record: Value| (text(&record["change"]), text(&record["account"]), text(&record["cause"]));
    server.records(reader, &query).await.into_iter().map(told).collect()
}
