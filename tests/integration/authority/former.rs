//! The list of operators of versions before 0.5.0 was a file. The registry takes it over, and nobody is lost, doubled or revived.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{Server, dispatchd, run},
    wire::Reply,
};

/// What 0.4.0 wrote for the tokens `do_ann` and `do_bob`.
const FORMER: &str = r#"{
  "version": 1,
  "operators": [
    {"name": "bob", "role": "admin", "added_at": "2026-11-01T08:00:00.000000Z", "token_sha256": "GZ1QpmJH0GGx08BLzL5eNj1iVm_e1UXba2z27zOVKXI"},
    {"name": "ann", "role": "reader", "added_at": "2026-11-02T09:30:00.123456Z", "token_sha256": "5lL82Nd5flMLMY0ZdvqlzxTWs4IDJteXvkYrqmqrj1I"}
  ]
}
"#;

/// A data directory of 0.4.0 with two operators, whose server is stopped.
async fn former() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::on(&folder.path().join("data"), &[]).await;
    assert!(server.stop().await.success());
    fs::write(server.data.join("format"), "4\n").unwrap();
    leave_list(&server.data);
    (folder, server)
}

fn leave_list(data: &Path) {
    fs::write(data.join("registry/operators.json"), FORMER).unwrap();
    fs::write(data.join("registry/operators.lock"), "").unwrap();
}

fn is_taken_over(data: &Path) {
    for name in ["operators.json", "operators.lock"] {
        assert!(!data.join("registry").join(name).exists(), "{name} is still there");
    }
    assert_eq!(fs::read_to_string(data.join("format")).unwrap(), "5\n");
}

/// The list as `operator list` shows it.
fn listed(data: &Path) -> Vec<Value> {
    let output = run(dispatchd().args(["operator", "list", "--json", "--data"]).arg(data));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn both() -> Vec<Value> {
    let mut list: Value = serde_json::from_str(FORMER).unwrap();
    let mut operators = list["operators"].take();
    for operator in operators.as_array_mut().unwrap() {
        operator.as_object_mut().unwrap().remove("token_sha256");
    }
    operators.as_array().unwrap().clone()
}

#[tokio::test]
async fn the_first_start_takes_the_list_over() {
    let (_folder, mut server) = former().await;
    server.spawn().await;
    is_taken_over(&server.data);
    assert_eq!(listed(&server.data), both());
    assert_eq!(Reply::to(server.operator("do_ann", "/v1/log")).await.status, 200);
    assert_eq!(Reply::to(server.operator("do_bob", "/v1/audit")).await.status, 200);
    Reply::to(server.operator("do_ann", "/v1/audit")).await.refuses(403, "role-insufficient");
}

#[tokio::test]
async fn the_first_command_takes_the_list_over_and_the_revoked_stay_so() {
    let (_folder, mut server) = former().await;
    super::revoke(&server.data, "ann");
    is_taken_over(&server.data);
    assert_eq!(listed(&server.data), both()[..1]);
    server.spawn().await;
    Reply::to(server.operator("do_ann", "/v1/log")).await.refuses(401, "token-invalid");
    assert_eq!(Reply::to(server.operator("do_bob", "/v1/log")).await.status, 200);
}

#[tokio::test]
async fn a_crash_before_the_file_is_removed_doubles_nobody() {
    let (_folder, mut server) = former().await;
    assert_eq!(listed(&server.data), both());
    // The registry has both, and the file is still there.
    leave_list(&server.data);
    server.spawn().await;
    is_taken_over(&server.data);
    assert_eq!(listed(&server.data), both());
    assert_eq!(Reply::to(server.operator("do_ann", "/v1/log")).await.status, 200);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_and_stays() {
    let (_folder, mut server) = former().await;
    let file = server.data.join("registry/operators.json");
    for damaged in
        ["{\"version\":1,\n!", "{\"version\":2,\"operators\":[]}", &FORMER.replace("GZ", "G")]
    {
        fs::write(&file, damaged).unwrap();
        let list = run(dispatchd().args(["operator", "list", "--data"]).arg(&server.data));
        // The usual ports may be in use.
        let mut serve = dispatchd();
        serve.arg("serve").env("DISPATCHD_SERVER__DATA", &server.data);
        for listener in ["PHONES", "OPERATORS"] {
            serve.env(format!("DISPATCHD_SERVER__{listener}"), "127.0.0.1:0");
        }
        let start = run(&mut serve);
        for output in [list, start] {
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            for part in ["registry/operators.json", "not a list of operators", "move it away"] {
                assert!(said.contains(part), "{said}");
            }
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), damaged);
    }
    fs::rename(&file, server.data.join("moved-away")).unwrap();
    server.spawn().await;
    assert!(listed(&server.data).is_empty());
}
