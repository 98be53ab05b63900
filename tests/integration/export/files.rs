//! Complete exports, from a server and from files, opened by common readers.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use dispatchd::{
    clock::Timestamp,
    ids::{AccountId, DeviceId},
};
use serde_json::{Value, json};

use super::{BULK, HOUR, Planted, done, export_to, said};
use crate::{
    docs::documents,
    harness::{Server, bytes_below, dispatchd, parity_start, run},
    python::python,
};

/// Runs `tests/tools/check_export.py` and returns its output.
#[track_caller]
fn check(what: &str, folder: &Path, input: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/check_export.py");
    let mut child = Command::new(python())
        .args([Path::new(script), Path::new(what), folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn each_form_says_what_the_log_says_from_a_server_and_from_files() {
    let planted = Planted::new();
    let server = Server::on(&planted.data(), &[]).await;
    let token = server.operator_token("reader", "reader");
    let request = server.operator(&token, "/v1/log?order=asc");
    let request = request.header("accept", "application/x-ndjson");
    let rows = request.send().await.unwrap().bytes().await.unwrap();
    fs::write(planted.file("rows.ndjson"), &rows).unwrap();

    let identity = Identity::generate();
    fs::write(planted.file("identity"), identity.to_string().expose_secret()).unwrap();
    let recipients = planted.file("recipients");
    let recipient = identity.to_public();
    fs::write(&recipients, format!("# who may\n\n  {recipient} \n")).unwrap();
    let sealed = ["--encrypt-to-file", recipients.to_str().unwrap()];
    for (name, words) in [
        ("log.parquet", &[][..]),
        ("log.csv", &[]),
        ("log.ndjson", &[]),
        ("log.parquet.age", &sealed),
    ] {
        let file = planted.file(name);
        let mut command = export_to(&file, words);
        command.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &token);
        let said = done(&mut command);
        let told = format!("dispatchd: {} records are in {}\n", BULK + 18, file.display());
        assert!(said.starts_with(&told) && said.contains("does not expire"), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    check("same", planted.folder.path(), "");
    for name in ["log.parquet", "log.csv", "log.ndjson"] {
        let beside = format!("beside-{name}");
        done(&mut planted.export(&beside, &[]));
        let (one, other) = (fs::read(planted.file(name)), fs::read(planted.file(&beside)));
        assert_eq!(one.unwrap(), other.unwrap(), "{name} from files");
    }
}

#[test]
fn the_queries_of_the_documents_answer() {
    let planted = Planted::new();
    let until = planted.start.plus(2 * HOUR).to_string();
    for name in ["log.parquet", "log.csv"] {
        done(&mut planted.export(name, &["--until", &until]));
    }
    // The statements of one document run in order, in a session of their own.
    let mut all: Vec<(String, Value)> = Vec::new();
    for document in documents() {
        let queries: Vec<_> = document.of_kind("sql").map(|block| block.text.clone()).collect();
        if !queries.is_empty() {
            let answers = check("ask", planted.folder.path(), &json!(queries).to_string());
            all.extend(queries.into_iter().zip(serde_json::from_str::<Vec<_>>(&answers).unwrap()));
        }
    }
    let answer = |part: &str| {
        let found: Vec<_> = all.iter().filter(|(query, _)| query.contains(part)).collect();
        assert_eq!(found.len(), 1, "{part}");
        &found[0].1
    };
    let csv = answer("FROM 'log.csv'");
    let (askers, hours) = (answer("GROUP BY account"), answer("date_trunc('hour'"));
    let (green, flips) = (answer("route = 'sms'"), answer("lag(route)"));
    let (refusals, took) = (answer("kind <> 'change'"), answer("quantile_disc"));
    assert_eq!(csv.as_array().unwrap().len(), 18);
    for handle in ["+14155550123", "'quoted@example.com"] {
        assert!(csv.as_array().unwrap().iter().any(|row| row["handle"] == handle), "{handle}");
    }
    let account = |bits: u64| AccountId::from_bits(bits).to_string();
    assert_eq!(
        askers,
        &json!([
            {"account": account(2), "lookups": 8, "handles": 6, "addresses": 2},
            {"account": account(1), "lookups": 4, "handles": 2, "addresses": 1},
        ])
    );
    let instant = |at: Timestamp| at.to_string().replace(".000000Z", "+00:00");
    let (first, second) = (instant(planted.start), instant(planted.start.plus(HOUR)));
    assert_eq!(
        hours,
        &json!([
            {"hour": first, "route": "imessage", "lookups": 2},
            {"hour": first, "route": "none", "lookups": 4},
            {"hour": first, "route": "sms", "lookups": 1},
            {"hour": second, "route": "refused", "lookups": 4},
            {"hour": second, "route": "sms", "lookups": 3},
        ])
    );
    assert_eq!(
        green,
        &json!([
            {"reason": "device-removed", "lookups": 2, "handles": 1},
            {"reason": "lease-expired", "lookups": 1, "handles": 1},
            {"reason": "never-registered", "lookups": 1, "handles": 1},
        ])
    );
    let flips = flips.as_array().unwrap();
    assert_eq!(flips.len(), 1, "{flips:?}");
    let found = ["handle", "changes", "route", "reason"].map(|name| &flips[0][name]);
    assert_eq!(found, [&json!("+14155550123"), &json!(3), &json!("sms"), &json!("device-removed")]);
    assert_eq!(
        refusals,
        &json!([
            {"reason": "token-invalid", "status": 401, "lookups": 1002, "addresses": 2},
            {"reason": "handle-invalid", "status": 400, "lookups": 1, "addresses": 1},
            {"reason": "lookup-quota", "status": 429, "lookups": 1, "addresses": 1},
        ])
    );
    assert_eq!(took, &json!([{"lookups": 14, "p50": 70, "p99": 140, "longest": 140}]));
}

#[test]
fn the_filters_of_a_search_choose_and_nothing_found_is_a_valid_file() {
    let planted = Planted::new();
    let until = planted.start.plus(HOUR).to_string();
    let device = DeviceId::from_bits(2).to_string();
    for (words, count) in [
        (vec!["--handle", "+1 415 555 0123"], 5),
        (vec!["--kind", "change"], 3),
        (vec!["--ip", "2001:db8::/32", "--route", "sms"], 3),
        (vec!["--device", &device, "--until", &until], 5),
        (vec!["--reason", "token-invalid"], 3),
    ] {
        done(&mut planted.export("some.ndjson", &[&words[..], &["--force"]].concat()));
        let text = fs::read_to_string(planted.file("some.ndjson")).unwrap();
        assert_eq!(text.lines().count(), count, "{words:?}");
    }
    for name in ["empty.parquet", "empty.csv", "empty.ndjson"] {
        let said = done(&mut planted.export(name, &["--handle", "nobody@example.com"]));
        assert!(said.contains("dispatchd: no record matches"), "{said}");
    }
    check("empty", planted.folder.path(), "");
}

#[tokio::test]
async fn what_could_not_be_read_is_reported_by_a_server_and_by_files() {
    let planted = Planted::new();
    let largest = bytes_below(&planted.data().join("log"));
    let (segment, mut bytes) = largest.into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let parity = parity_start(&segment).expect("the largest file is a sealed one");
    // Damage one chunk and its parity.
    bytes[parity / 2] ^= 0xFF;
    bytes[parity..].iter_mut().rev().skip(1_024).for_each(|byte| *byte ^= 0xFF);
    fs::write(segment, bytes).unwrap();
    let told = " and 0 unreadable segments were passed over";
    let of_files = done(&mut planted.export("files.csv", &[]));
    assert!(of_files.contains(told), "{of_files}");
    let server = Server::on(&planted.data(), &[]).await;
    let token = server.operator_token("reader", "reader");
    let mut command = export_to(&planted.file("server.csv"), &[]);
    command.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &token);
    let of_server = done(&mut command);
    assert!(of_server.contains(told), "{of_server}");
    let mut search = dispatchd();
    search.args(["log", "search", "--json", "--server", &server.operators]);
    let found = run(search.env("DISPATCHD_TOKEN", &token));
    assert!(found.status.success() && said(&found).contains(told), "{}", said(&found));
    let lines = found.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!(of_server.contains(&format!("{lines} records are in")), "{lines}, {of_server}");
    let (one, other) = (fs::read(planted.file("files.csv")), fs::read(planted.file("server.csv")));
    assert_eq!(one.unwrap(), other.unwrap());
    assert!(!run(&mut planted.export("files.csv", &[])).status.success());
}
