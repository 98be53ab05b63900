//! Copies of the log in an object store: real S3 calls to moto, a real server that is killed while it copies, and `log fetch`.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{PATIENCE, Server, json_of, own_port, run, wait_until},
    python::python_tool,
};

/// A server that speaks the protocol of S3, with one bucket.
pub(crate) struct S3 {
    child: Child,
    pub(crate) url: String,
}

impl S3 {
    pub(crate) async fn start(folder: &Path) -> Self {
        let port = own_port();
        let log = fs::File::create(folder.join("moto.log")).unwrap();
        let mut moto = python_tool("moto_server");
        moto.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null());
        let child = moto.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let s3 = Self { child, url: format!("http://127.0.0.1:{port}") };
        let (client, began) = (reqwest::Client::new(), Instant::now());
        loop {
            let made = client.put(format!("{}/logs", s3.url)).send().await;
            if made.is_ok_and(|made| made.status().is_success()) {
                return s3;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{}",
                fs::read_to_string(folder.join("moto.log")).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A key of the store, as no real one is.
pub(crate) fn key_file(folder: &Path) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("store.key");
    fs::write(&path, "[default]\naws_access_key_id = test\naws_secret_access_key = s3cret\n")
        .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn lag(server: &Server) -> f64 {
    let text = server.scrape().send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("dispatchd_log_store_lag_seconds "));
    line.unwrap().parse().unwrap()
}

pub(crate) async fn until_copied(server: &Server) {
    let began = Instant::now();
    while lag(server).await > 0.0 {
        assert!(began.elapsed() < PATIENCE, "{}", server.output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn requests(records: &[Value]) -> BTreeSet<String> {
    records.iter().map(|record| record["request"].as_str().unwrap().to_owned()).collect()
}

/// The lookups in a data directory.
fn records_of(server: &Server, data: &Path) -> BTreeSet<String> {
    let arguments = ["log", "search", "--kind", "lookup", "--limit", "1000", "--json", "--data"];
    let output = run(server.command_for(&arguments).arg(data));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    requests(&records)
}

fn copy_without_log(from: &Path, to: &Path) {
    for part in ["keys", "registry", "audit"] {
        fs::create_dir_all(to.join(part)).unwrap();
        for entry in fs::read_dir(from.join(part)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    for file in ["format", "clock"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(to.join("keys"), private).unwrap();
}

#[tokio::test]
async fn after_kill_9_all_records_but_the_last_come_back_from_s3() {
    let folder = TempDir::new().unwrap();
    let s3 = S3::start(folder.path()).await;
    let key = key_file(folder.path());
    let env = [
        ("LOG__STORE__URL", "s3://logs/phones"),
        ("LOG__STORE__ENDPOINT", &*s3.url),
        ("LOG__STORE__CREDENTIALS_FILE", &*key),
        ("LOG__COPY_INTERVAL", "1s"),
    ];
    let mut server = Server::on(&folder.path().join("data"), &env).await;
    let reader = server.operator_token("rea", "reader");
    let device = server.sign_up().await;
    for round in 0..3 {
        for number in 0..20 {
            server.lookup(&device, &format!("+141555501{round}{}", number % 10)).await;
        }
        until_copied(&server).await;
    }
    let copied = requests(&server.records(&reader, "kind=lookup&limit=1000").await);
    assert_eq!(copied.len(), 60);
    // More, of which the store may have a part when the process ends.
    for _ in 0..50 {
        server.lookup(&device, "+14155550199").await;
    }
    server.kill();
    let all = records_of(&server, &server.data);
    assert_eq!(all.len(), 110);

    let other = folder.path().join("other");
    copy_without_log(&server.data, &other);
    let fetched = run(server.command_for(&["log", "fetch", "--data"]).arg(&other));
    let said = String::from_utf8_lossy(&fetched.stderr).into_owned();
    assert!(fetched.status.success(), "{said}");
    let found = records_of(&server, &other);
    assert!(found.is_superset(&copied) && all.is_superset(&found), "{}: {said}", found.len());
    for arguments in [["log", "verify"], ["log", "prove-forgotten"]] {
        let output = run(server.command_for(&arguments).arg("--data").arg(&other));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    assert!(!server.output().contains("s3cret"));

    // The same server goes on where it was, and what is left is copied.
    server.spawn().await;
    until_copied(&server).await;
    let (_, report) = json_of(server.operator(&reader, "/v1/log/forgotten")).await;
    assert!(report["proved"] == true && report["copies"].as_u64().unwrap() > 3, "{report}");
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn a_store_that_is_away_holds_nothing_up_and_is_named_until_it_is_back() {
    let folder = TempDir::new().unwrap();
    let mount = folder.path().join("mount");
    let url = format!("file://{}", mount.display());
    let env = [("LOG__STORE__URL", &*url), ("LOG__COPY_INTERVAL", "1s")];
    let mut server = Server::on(&folder.path().join("data"), &env).await;
    let reader = server.operator_token("rea", "reader");
    let device = server.sign_up().await;
    server.lookup(&device, "+14155550100").await;
    let said =
        |server: &Server| server.output().matches("is not copied to the object store").count();
    wait_until("the failure is told", || said(&server) == 1);
    let of_store = |report: &Value| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings
            .filter(|it| it["check"] == "store")
            .map(|it| it["what"].to_string())
            .collect::<Vec<_>>()
    };
    let (_, report) = json_of(server.operator(&reader, "/v1/doctor")).await;
    assert!(of_store(&report).iter().any(|what| what.contains("is not copied")), "{report}");
    let (_, report) = json_of(server.operator(&reader, "/v1/log/forgotten")).await;
    assert!(report["proved"] == false && report["findings"][0]["what"] == "store", "{report}");
    let forgotten =
        run(server.command_for(&["log", "prove-forgotten", "--data"]).arg(&server.data));
    assert_eq!(forgotten.status.code(), Some(1));

    fs::create_dir(&mount).unwrap();
    until_copied(&server).await;
    let (_, report) = json_of(server.operator(&reader, "/v1/doctor")).await;
    // The mount of this test is a directory of the same disk.
    assert!(of_store(&report).iter().all(|what| what.contains("loses both")), "{report}");
    assert_eq!(said(&server), 1, "a failure that lasts is told once");
    // What was not copied yet is copied by the stop.
    server.lookup(&device, "+14155550101").await;
    let all = requests(&server.records(&reader, "kind=lookup&limit=1000").await);
    assert!(server.stop().await.success());
    let other = folder.path().join("other");
    copy_without_log(&server.data, &other);
    assert!(run(server.command_for(&["log", "fetch", "--data"]).arg(&other)).status.success());
    assert_eq!(records_of(&server, &other), all);
}
