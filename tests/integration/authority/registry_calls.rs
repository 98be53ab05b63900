//! Calls that give accounts out or take them in are audited, and so are their refusals.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    audit::{begun, end_of_last},
    harness::{Server, dispatchd, run},
    metrics::Scrape,
    wire::Reply,
};

const ROWS: &str = "handle,account,device,platform,last_check_in_at\n\
                    ann@example.com,account 1,device 1,ios,2026-11-01T00:00:00Z\n\
                    +14155550123,account 2,device 2,ios,2026-11-01T00:00:00Z\n";

/// The call of the last entry, and who made it.
fn last(data: &Path) -> (Value, Value) {
    let begin = begun(data).pop().unwrap();
    (begin["operator"].clone(), begin["call"].clone())
}

fn ended(records: u64, of: usize) -> Value {
    json!({"of": of, "records": records, "whole": true})
}

#[tokio::test]
async fn a_running_server_notes_who_copied_or_filled_the_registry_and_who_was_refused() {
    let server = Server::start().await;
    let [admin, reader] = ["admin", "reader"].map(|role| server.operator_token(role, role));
    let file = server.data.with_extension("csv");
    fs::write(&file, ROWS).unwrap();
    let ask = |words: &[&str]| {
        let mut command = dispatchd();
        command.args(words).args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &admin);
        run(&mut command)
    };
    let imported = ask(&["registry", "import", file.to_str().unwrap()]);
    assert!(imported.status.success(), "{imported:?}");
    assert_eq!(last(&server.data), ("admin".into(), "import".into()));
    assert_eq!(end_of_last(&server.data).await, ended(2, 1));

    let snapshot = Reply::to(server.operator(&admin, "/v1/registry/snapshot")).await;
    assert_eq!(snapshot.status, 200);
    assert_eq!(last(&server.data), ("admin".into(), "snapshot".into()));
    assert_eq!(end_of_last(&server.data).await, ended(2, 3));
    let exported = ask(&["registry", "export", "-"]);
    assert!(exported.status.success(), "{exported:?}");
    assert_eq!(
        (last(&server.data).1, end_of_last(&server.data).await),
        ("snapshot".into(), ended(2, 5))
    );

    // What is refused leaves the operator's name and the reason, but a token of nobody leaves nothing.
    let import = |token: &str, body: &'static str| {
        let url = format!("{}/v1/registry/import", server.operators);
        server.client.request(Method::POST, url).bearer_auth(token).body(body)
    };
    let role = "role-insufficient";
    Reply::to(server.operator(&reader, "/v1/registry/snapshot")).await.refuses(403, role);
    assert_eq!(last(&server.data), ("reader".into(), "snapshot".into()));
    assert_eq!(end_of_last(&server.data).await["refused"], role);
    Reply::to(import(&reader, "")).await.refuses(403, role);
    assert_eq!(last(&server.data), ("reader".into(), "import".into()));
    assert_eq!(end_of_last(&server.data).await["refused"], role);
    Reply::to(import(&admin, "no staged file")).await.refuses(422, "import-invalid");
    assert_eq!(last(&server.data), ("admin".into(), "import".into()));
    let refused = json!({"of": 11, "records": 0, "whole": false, "refused": "import-invalid"});
    assert_eq!(end_of_last(&server.data).await, refused);
    let entries = begun(&server.data).len();
    Reply::to(server.operator("do_nobody", "/v1/registry/snapshot"))
        .await
        .refuses(401, "token-invalid");
    Reply::to(import("do_nobody", "")).await.refuses(401, "token-invalid");
    assert_eq!(begun(&server.data).len(), entries);
    let table = run(dispatchd().args(["audit", "list", "--data"]).arg(&server.data));
    let table = String::from_utf8(table.stdout).unwrap();
    assert_eq!(table.matches("refused").count(), 3, "{table}");
    assert!(
        run(dispatchd().args(["audit", "verify", "--data"]).arg(&server.data)).status.success()
    );
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_refused_operator_writes_few_entries_and_every_refusal_is_counted() {
    const REFUSALS: usize = 50;
    let server = Server::start().await;
    let [scraper, reader] = ["metrics", "reader"].map(|role| server.operator_token(role, role));
    let refused = async |token: &str, path: &str| {
        let reply = Reply::to(server.operator(token, path)).await;
        reply.refuses(403, "role-insufficient");
    };
    let calls = [("/v1/registry/snapshot", "snapshot"), ("/v1/registry/import", "import")];
    let begun_at = std::time::Instant::now();
    for _ in 0..REFUSALS {
        for (path, _) in calls {
            refused(&scraper, path).await;
        }
    }
    refused(&reader, calls[0].0).await;
    // On a machine that is so slow that another minute has begun, there may be more.
    let minutes = 1 + begun_at.elapsed().as_secs() as usize / 60;
    let entries = begun(&server.data);
    for (_, call) in calls {
        let of_it = |it: &&Value| it["call"] == call && it["operator"] == "metrics";
        let noted = entries.iter().filter(of_it).count();
        assert!((1..=minutes).contains(&noted), "{noted} entries of {call}");
    }
    assert_eq!(last(&server.data), ("reader".into(), "snapshot".into()));
    let counted = Scrape::of(&server).await;
    for (call, refusals) in [("snapshotRegistry", REFUSALS + 1), ("getImport", REFUSALS)] {
        let found = counted.sum("http_requests_total", &format!("call=\"{call}\""));
        assert_eq!(found as usize, refusals, "{call}");
    }
}

#[tokio::test]
async fn without_its_entry_no_account_leaves_or_comes() {
    let server = Server::start().await;
    let admin = server.operator_token("admin", "admin");
    fs::write(server.data.join("audit"), "in the way").unwrap();
    let code = "audit-unwritable";
    Reply::to(server.operator(&admin, "/v1/registry/snapshot")).await.refuses(503, code);
    let url = format!("{}/v1/registry/import", server.operators);
    let import =
        server.client.request(Method::POST, url).bearer_auth(&admin).body("no staged file");
    Reply::to(import).await.refuses(503, code);
}

#[tokio::test]
async fn a_stopped_servers_files_note_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("people.csv"));
    fs::write(&file, ROWS).unwrap();
    let on_files = |command: &str, file: &Path| {
        run(dispatchd().args(["registry", command]).arg(file).arg("--data").arg(&data))
    };
    // Into a directory that had no server yet, so that there is no key of the log either.
    for (command, file, call) in [
        ("import", file, "import"),
        ("export", folder.path().join("out.csv"), "registry-export"),
        ("snapshot", folder.path().join("out.redb"), "snapshot"),
    ] {
        let output = on_files(command, &file);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (by, noted) = last(&data);
        assert_eq!(noted, call);
        assert!(by.as_str().unwrap().starts_with("local:"), "{by}");
        let end = end_of_last(&data).await;
        assert_eq!((&end["records"], &end["whole"]), (&2.into(), &true.into()), "{command}");
    }
    let refused = on_files("export", Path::new("no/such/place/out.csv"));
    assert!(!refused.status.success());
    fs::remove_dir_all(data.join("audit")).unwrap();
    fs::write(data.join("audit"), "in the way").unwrap();
    let refused = on_files("export", &folder.path().join("other.csv"));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("the audit log must note"), "{said}");
    assert!(!folder.path().join("other.csv").exists());
}
