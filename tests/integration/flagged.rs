//! Flagged accounts: listed, cleared by an operator or by a proof, audited and counted.

use std::{path::Path, sync::Arc};

use dispatchd::{
    clock::SystemClock,
    files::DataDirectory,
    registry::{ChangeSink, Config, Recording, Registry, SignUp, SinkFailed, Unrecorded},
    vocabulary::{FlagReason, Platform},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Device, Server, dispatchd, run},
    metrics::Scrape,
    wire::{Reply, has_exactly},
};

/// Takes changes and records none: these tests begin with a log that is empty.
pub(crate) struct NoLog;

impl ChangeSink for NoLog {
    fn is_writable(&self) -> bool {
        true
    }

    fn record(&self, _: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        Ok(Box::pin(async { Ok(()) }))
    }
}

/// Signs a device up in the registry of a server that is not started yet, one for each reason, and flags its account.
pub(crate) async fn plant(data: &Path, reasons: &[FlagReason]) -> Vec<Device> {
    DataDirectory::prepare(data).unwrap();
    let directory = data.join("registry");
    let registry = Registry::open(&directory, Config::default(), Arc::new(SystemClock)).unwrap();
    registry.load().unwrap();
    registry.start(Arc::new(NoLog), &|_| Default::default()).unwrap();
    let mut devices = Vec::new();
    for reason in reasons {
        let request = SignUp { platform: Platform::Ios, name: None, link: None };
        let device = registry.sign_up(request).await.unwrap();
        assert!(registry.flag_account(device.account, *reason).await.unwrap());
        devices.push(Device {
            device: device.device.to_string(),
            account: device.account.to_string(),
            token: device.token.expose().to_owned(),
        });
    }
    registry.close();
    devices
}

/// A server with an account that is flagged for each reason, a reader's token and an admin's.
async fn server() -> (tempfile::TempDir, Server, Vec<Device>, [String; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let flagged = plant(&data, FlagReason::ALL).await;
    let server = Server::on(&data, &[("QUOTA__ENABLED", "true")]).await;
    let tokens = ["reader", "admin"].map(|role| server.operator_token(role, role));
    (folder, server, flagged, tokens)
}

async fn quota(server: &Server, token: &str, query: &str) -> Value {
    let reply = Reply::to(server.operator(token, &format!("/v1/quota{query}"))).await;
    reply.is(200, &["flagged", "flags", "account"]).clone()
}

async fn clear(server: &Server, token: &str, account: &str) -> Reply {
    let url = format!("{}/v1/quota/flags/{account}", server.operators);
    Reply::to(server.client.request(Method::DELETE, url).bearer_auth(token)).await
}

#[tokio::test]
async fn flags_are_listed_newest_first_and_an_operator_clears_them() {
    let (_folder, server, flagged, [reader, admin]) = server().await;
    let report = quota(&server, &reader, "").await;
    assert_eq!((&report["flagged"], &report["account"]), (&json!(3), &Value::Null));
    let listed = |report: &Value, field: &str| -> Vec<String> {
        let flags = report["flags"].as_array().unwrap();
        flags.iter().map(|flag| flag[field].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&report, "reason"), ["swept-numbers", "too-many-hits", "too-few-hits"]);
    let accounts: Vec<_> = flagged.iter().rev().map(|device| device.account.clone()).collect();
    assert_eq!(listed(&report, "account"), accounts);

    let first = &flagged[0].account;
    clear(&server, &reader, first).await.refuses(403, "role-insufficient");
    assert_eq!(clear(&server, &admin, first).await.status, 204);
    clear(&server, &admin, first).await.refuses(404, "account-not-flagged");
    let report = quota(&server, &reader, "").await;
    assert_eq!((report["flagged"].as_u64(), listed(&report, "account").len()), (Some(2), 2));

    let records = server.records(&reader, "kind=change&order=asc").await;
    let told: Vec<_> =
        records.iter().map(|it| (&it["change"], &it["cause"], &it["account"])).collect();
    assert_eq!(told, [(&json!("account-cleared"), &json!("operator"), &json!(first))]);
    let audit = Reply::to(server.operator(&admin, "/v1/audit")).await.text;
    let calls: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = calls.iter().map(|call| (&call["operator"], &call["call"])).collect();
    for (operator, call) in
        [("reader", "quota-show"), ("admin", "quota-clear"), ("reader", "quota-show")]
    {
        assert!(told.contains(&(&json!(operator), &json!(call))), "{told:?}");
    }
    assert!(!audit.contains(first.as_str()), "{audit}");
}

#[tokio::test]
async fn an_account_shows_its_flag_and_what_it_has_left() {
    let (_folder, server, flagged, [reader, admin]) = server().await;
    let (account, ben) = (&flagged[1].account, server.sign_up().await);
    for (account, flags) in [(account, 1), (&ben.account, 0)] {
        let report = quota(&server, &reader, &format!("?account={account}")).await;
        assert_eq!(
            (&report["flagged"], report["flags"].as_array().unwrap().len()),
            (&json!(3), flags)
        );
        let left = &report["account"];
        has_exactly(left, &["account", "standing", "daily", "import", "asked", "hits"]);
        has_exactly(&left["daily"], &["limit", "window_seconds", "remaining", "reset_seconds"]);
        assert_eq!((&left["account"], &left["standing"]), (&json!(account), &json!("unproven")));
        let daily = &left["daily"];
        assert_eq!((&daily["remaining"], &daily["reset_seconds"]), (&daily["limit"], &json!(0)));
        assert_eq!(left["import"], Value::Null);
    }
    server.lookup(&ben, "+14155550124").await;
    let daily = |report: &Value, field: &str| report["account"]["daily"][field].as_u64().unwrap();
    let report = quota(&server, &reader, &format!("?account={}", ben.account)).await;
    assert_eq!(daily(&report, "remaining") + 1, daily(&report, "limit"));
    assert!(daily(&report, "reset_seconds") > 0);
    server.prove(&ben, "+14155550125").await;
    let report = quota(&server, &reader, &format!("?account={}", ben.account)).await;
    let left = &report["account"];
    assert_eq!(left["standing"], "young");
    assert_eq!(left["import"]["remaining"], left["import"]["limit"]);

    let asked = |query: &str| server.operator(&reader, &format!("/v1/quota?{query}"));
    Reply::to(asked("account=a_0000000000000")).await.refuses(404, "account-unknown");
    Reply::to(asked("account=nonsense")).await.refuses(400, "request-invalid");
    Reply::to(asked("device=d_0000000000000")).await.refuses(400, "request-invalid");
    clear(&server, &admin, "nonsense").await.refuses(400, "request-invalid");
    clear(&server, &admin, "a_0000000000000").await.refuses(404, "account-not-flagged");
}

#[tokio::test]
async fn a_flagged_account_gets_no_new_handles_until_a_proof_clears_it() {
    let (_folder, server, flagged, [reader, _]) = server().await;
    let ann = &flagged[0];
    let asked = || async {
        let request = server.phone(Method::GET, "/v1/lookup/+14155550124").bearer_auth(&ann.token);
        Reply::to(request).await
    };
    let refused = asked().await;
    assert_eq!(refused.refuses(429, "lookup-quota")["limit"], "flagged");
    server.prove(ann, "+14155550123").await;
    assert_eq!(asked().await.status, 200);
    let report = quota(&server, &reader, &format!("?account={}", ann.account)).await;
    assert_eq!((&report["flags"], &report["account"]["standing"]), (&json!([]), &json!("young")));
    let records = server.records(&reader, "kind=change").await;
    let cleared = records.iter().find(|record| record["change"] == "account-cleared").unwrap();
    assert_eq!((&cleared["cause"], &cleared["account"]), (&json!("proof"), &json!(ann.account)));
}

#[tokio::test]
async fn flags_are_counted_with_why_they_ended() {
    let (_folder, server, flagged, [_, admin]) = server().await;
    let before = Scrape::of(&server).await;
    assert_eq!(before.value("flagged_accounts"), 3.0);
    for reason in FlagReason::ALL {
        // They were flagged before this server started.
        assert_eq!(before.value(&format!("flags_total{{reason=\"{reason}\"}}")), 0.0);
    }
    server.prove(&flagged[0], "+14155550123").await;
    assert_eq!(clear(&server, &admin, &flagged[1].account).await.status, 204);
    let after = Scrape::of(&server).await;
    assert_eq!(after.value("flagged_accounts"), 1.0);
    for cause in ["proof", "operator"] {
        assert_eq!(after.value(&format!("flags_cleared_total{{cause=\"{cause}\"}}")), 1.0);
    }
}

#[tokio::test]
async fn the_command_line_shows_and_clears_flags() {
    let (_folder, server, flagged, [reader, admin]) = server().await;
    let account = &flagged[2].account;
    let quota = |token: &str, words: &[&str]| {
        let mut command = dispatchd();
        command.arg("quota").args(words).args(["--server", &server.operators]);
        let output = run(command.env("DISPATCHD_TOKEN", token));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, listed, said) = quota(&reader, &["show"]);
    assert_eq!(
        (code, listed.lines().count(), &*said),
        (Some(0), 4, "dispatchd: 3 flagged accounts\n")
    );
    let (_, json, _) = quota(&reader, &["show", account, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["flags"][0]["reason"], "swept-numbers");
    let (_, shown, _) = quota(&reader, &["show", account]);
    assert!(shown.contains("swept-numbers since ") && shown.contains("unproven"), "{shown}");

    let wrong = "dispatchd: ACCOUNT takes an account id, such as a_1p3k8t5w7y2d4\n";
    for words in [["show", "ann"], ["clear", "ann"]] {
        assert_eq!(quota(&admin, &words), (Some(2), String::new(), wrong.to_owned()));
    }
    let (code, _, said) = quota(&reader, &["clear", account]);
    assert!(code == Some(1) && said.contains("role-insufficient"), "{said}");
    let cleared = format!("dispatchd: the flag of {account} is cleared\n");
    assert_eq!(quota(&admin, &["clear", account]), (Some(0), String::new(), cleared));
    let (code, _, said) = quota(&admin, &["clear", account]);
    assert!(code == Some(1) && said.contains("account-not-flagged"), "{said}");
}
