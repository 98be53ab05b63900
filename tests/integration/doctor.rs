//! `dispatchd doctor` and `GET /v1/doctor`: a good deployment has no fault, and each bad thing is found.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use dispatchd::{
    api::Check,
    clock::{Clock as _, SystemClock},
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::harness::{Server, dispatchd, json_of, run};

/// What a machine of the tests may lack: a time service, and disks with space for the log and for a snapshot.
const OF_THE_MACHINE: &[&str] = &["clock", "space"];
/// It also has one file system only.
const ONE_FILE_SYSTEM: &str = "the root key lies on the file system of the data directory";

fn doctor(words: &str) -> Command {
    let mut command = dispatchd();
    command.arg("doctor").args(words.split_whitespace());
    command
}

/// The check and the severity of each finding, without those of the machine.
fn found(findings: &[Value]) -> Vec<(String, String)> {
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let of_one_file_system = |finding: &&Value| text(finding, "what").starts_with(ONE_FILE_SYSTEM);
    let others = findings.iter().filter(|finding| !of_one_file_system(finding));
    let found = others.map(|finding| (text(finding, "check"), text(finding, "severity")));
    found.filter(|(check, _)| !OF_THE_MACHINE.contains(&&**check)).collect()
}

/// The findings of a command with `--json`. Its exit code says whether there are any.
#[track_caller]
fn findings(output: &Output) -> Vec<Value> {
    let lines = String::from_utf8(output.stdout.clone()).unwrap();
    let findings: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(i32::from(!findings.is_empty())), "{said}");
    findings
}

/// A server as the documents advise, with quotas, a root key outside of its data, a reader and an admin.
async fn good(folder: &Path, more: &[(&str, &str)]) -> (Server, String) {
    fs::create_dir(folder.join("root")).unwrap();
    let root_key = folder.join("root/root.key");
    let mut env = vec![("QUOTA__ENABLED", "true"), ("KEYS__ROOT_KEY", root_key.to_str().unwrap())];
    env.extend(more);
    let server = Server::on(&folder.join("data"), &env).await;
    server.operator_token("root", "admin");
    let token = server.operator_token("ann", "reader");
    (server, token)
}

fn has(found: &[(String, String)], check: &str, severity: &str) -> bool {
    found.iter().any(|(c, s)| c == check && s == severity)
}

#[tokio::test]
async fn a_good_deployment_has_no_fault_whoever_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, token) = good(folder.path(), &[]).await;
    let (status, report) = json_of(server.operator(&token, "/v1/doctor")).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    let listed = report["findings"].as_array().unwrap().clone();
    assert_eq!(found(&listed), [], "{report}");
    assert_eq!(report.to_string().matches(ONE_FILE_SYSTEM).count(), 1, "{report}");

    let mut asked = doctor("--json --server");
    asked.arg(&server.operators).env("DISPATCHD_TOKEN", &token);
    let asked = findings(&run(&mut asked));
    let checks = |findings: &[Value]| -> Vec<Value> {
        findings.iter().map(|finding| finding["check"].clone()).collect()
    };
    assert_eq!(checks(&asked), checks(&listed));
    let mut told = doctor("--server");
    let told = run(told.arg(&server.operators).env("DISPATCHD_TOKEN", &token));
    let paragraphs = String::from_utf8(told.stdout).unwrap().matches("To do: ").count();
    assert_eq!(paragraphs, asked.len());

    let socket = server.data.join("operators.sock");
    fs::set_permissions(&socket, Permissions::from_mode(0o606)).unwrap();
    let (_, report) = json_of(server.operator(&token, "/v1/doctor")).await;
    let kinds = found(report["findings"].as_array().unwrap());
    assert!(has(&kinds, "file-modes", "error"), "{report}");
    assert!(report.to_string().contains("operators.sock (mode 606)"), "{report}");

    assert!(server.stop().await.success());
    let root_key = folder.path().join("root/root.key");
    let mut stopped = doctor("--json --data");
    stopped.arg(&server.data).env("DISPATCHD_KEYS__ROOT_KEY", &root_key);
    let output = run(&mut stopped);
    assert_eq!(found(&findings(&output)), []);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for check in ["descriptors", "roles"] {
        assert!(said.contains(&format!("{check} cannot be checked with --data")), "{said}");
    }
}

#[tokio::test]
async fn each_bad_thing_of_a_running_server_is_found_and_nothing_personal_is_in_the_texts() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("SERVER__PHONES", "0.0.0.0:0"),
        ("SERVER__OPERATORS", "0.0.0.0:0"),
        ("SERVER__TRUSTED_PROXIES", "[\"0.0.0.0/1\", \"128.0.0.0/1\"]"),
        ("TELEMETRY__METRICS_OPEN", "true"),
        ("LOG__DURABILITY", "os"),
        ("QUOTA__ENABLED", "false"),
        ("OWNERSHIP__OUTBOX", "stdout"),
        ("CLOCK__TRUST", "always"),
    ];
    let mut server = Server::stopped(&folder.path().join("data"), &settings);
    server.limit_open_files(1_600);
    server.spawn().await;
    for url in [&mut server.phones, &mut server.operators] {
        *url = url.replace("0.0.0.0", "127.0.0.1");
    }
    let token = server.operator_token("root", "admin");
    let ann = server.sign_up().await;
    assert_eq!(server.route(&ann, "+14155550123").await, "sms");
    fs::set_permissions(server.data.join("outbox.ndjson"), Permissions::from_mode(0o644)).ok();
    fs::set_permissions(server.data.join("clock"), Permissions::from_mode(0o644)).unwrap();
    let copy = folder.path().join("copy");
    let copied = run(Command::new("cp").arg("-r").arg(&server.data).arg(&copy));
    assert!(copied.status.success());

    let (status, report) = json_of(server.operator(&token, "/v1/doctor")).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    let listed = report["findings"].as_array().unwrap();
    let kinds = found(listed);
    for (check, severity) in [
        ("file-modes", "error"),
        ("keys", "warning"),
        ("descriptors", "warning"),
        ("proxies", "error"),
        ("hosts", "warning"),
        ("roles", "warning"),
        ("metrics", "error"),
        ("delivery", "error"),
        ("quotas", "warning"),
        ("durability", "warning"),
    ] {
        assert!(has(&kinds, check, severity), "{check}: {report}");
    }
    let always = listed.iter().any(|it| it["what"].as_str().unwrap().contains("clock.trust"));
    assert!(always, "{report}");
    assert!(report.to_string().contains(copy.to_str().unwrap()), "{report}");
    for personal in ["4155550123", &token, &ann.token, "127.0.0.1"] {
        assert!(!report.to_string().contains(personal), "{personal}: {report}");
    }
}

/// A certificate for `localhost` with its key in one file, valid for so many days from now on.
fn certificate(path: &Path, days: u64) {
    let end = SystemClock.now().plus(Duration::from_secs(days * 86_400)).to_string();
    let part = |from: usize, to: usize| end[from..to].parse::<u8>().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(end[..4].parse().unwrap(), part(5, 7), part(8, 10));
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(path, certificate.pem() + &key.serialize_pem()).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_certificate_that_nobody_renewed_is_found_before_clients_refuse_it() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("pair.pem");
    certificate(&pem, 30);
    let path = pem.to_str().unwrap();
    let tls = [("TLS__CERTIFICATE", path), ("TLS__KEY", path), ("TLS__LISTENERS", "phones")];
    let (mut server, token) = good(folder.path(), &tls).await;
    let ask = async |server: &Server| {
        let (_, report) = json_of(server.operator(&token, "/v1/doctor")).await;
        found(report["findings"].as_array().unwrap())
    };
    let finding = |severity: &str| [("certificates".to_owned(), severity.to_owned())];
    assert_eq!(ask(&server).await, []);
    // The files are read again by each call.
    certificate(&pem, 10);
    assert_eq!(ask(&server).await, finding("warning"));
    fs::set_permissions(&pem, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(ask(&server).await, finding("error"));
    assert!(server.stop().await.success());
    let mut stopped = doctor("--json --data");
    stopped.arg(&server.data).env("DISPATCHD_KEYS__ROOT_KEY", folder.path().join("root/root.key"));
    stopped.env("DISPATCHD_TLS__CERTIFICATE", path).env("DISPATCHD_TLS__KEY", path);
    assert_eq!(found(&findings(&run(&mut stopped))), finding("error"));
}

#[tokio::test]
async fn a_proxy_that_nobody_named_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (server, token) = good(folder.path(), &[]).await;
    let request = server.phone(Method::GET, "/livez").header("x-forwarded-for", "198.51.100.7");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let (_, report) = json_of(server.operator(&token, "/v1/doctor")).await;
    let listed = found(report["findings"].as_array().unwrap());
    assert_eq!(listed, [("proxies".to_owned(), "warning".to_owned())], "{report}");
    assert!(!report.to_string().contains("198.51.100.7"));
}

#[tokio::test]
async fn only_an_operator_who_may_read_gets_the_findings() {
    let server = Server::start().await;
    let metrics = server.operator_token("scraper", "metrics");
    let (status, problem) = json_of(server.operator(&metrics, "/v1/doctor")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &"role-insufficient".into()));
    let (status, _) = json_of(server.operator("nonsense", "/v1/doctor")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let reader = server.operator_token("ann", "reader");
    let (status, _) = json_of(server.operator(&reader, "/v1/doctor?deep=1")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[test]
fn the_help_and_the_document_list_the_checks_of_the_code() {
    let codes: Vec<_> = Check::ALL.iter().map(|check| check.code()).collect();
    let document = include_str!("../../docs/operators/doctor.md");
    let (_, table) = document.split_once("| check | warning | error |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let listed: Vec<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(listed, codes, "docs/operators/doctor.md");
    let help = run(&mut doctor("--help"));
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, lines) = help.split_once("Checks:\n").unwrap();
    let lines = lines.lines().take_while(|line| !line.is_empty());
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let listed: Vec<_> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, codes, "{help}");
}

#[test]
fn what_is_no_data_directory_is_said_with_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(doctor("--data").arg(folder.path().join("nowhere")));
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is no data directory"));
}
