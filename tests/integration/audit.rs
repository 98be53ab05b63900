//! Audited reads: the audit log has an entry before an operator gets any record, and the entry holds no personal
//! data.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    harness::{Device, PATIENCE, Server, bytes_below, dispatchd, run},
    wire::{Reply, batch, has_exactly, instant},
};

const PHONE: &str = "+14085559731";
const EMAIL: &str = "zyxwv.planted@quuxmail.example";

/// Calls that return no records of the log and need no audit entry. Give the reason for each path that you add.
const NOT_AUDITED: &[&str] = &[
    // These return hours with their sizes, expired files that remain, and counts.
    "/v1/log/segments",
    "/v1/log/forgotten",
    "/v1/registry",
    "/metrics",
    // This returns how many accounts of an import are applied.
    "/v1/registry/import",
    // This says what is wrong with the deployment.
    "/v1/doctor",
    // These tell how far each node is, what it charged, which hours it holds and what it should have forgotten.
    // The others take the token of a node, which no person has.
    "/v1/cluster",
    "/v1/cluster/member",
    "/v1/cluster/quota",
    "/v1/cluster/hour-keys",
    "/v1/cluster/forgotten",
    "/v1/cluster/snapshot",
    "/v1/cluster/keys",
    // These return nothing about any person. (Who trusts the clock is noted all the same.)
    "/v1/clock",
    "/v1/clock/trust",
    "/livez",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/console/",
];

/// The lines of all audit files, oldest first.
fn lines(data: &Path) -> Vec<Value> {
    let Ok(entries) = fs::read_dir(data.join("audit")) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "ndjson"));
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    // A line without its end is still being written.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The entries that begin a call, in order.
pub(crate) fn begun(data: &Path) -> Vec<Value> {
    let begins = lines(data).into_iter().filter(|line| line["begin"].is_object());
    begins.map(|line| line["begin"].clone()).collect()
}

/// Waits for the entry that ends the last call.
pub(crate) async fn end_of_last(data: &Path) -> Value {
    let started = Instant::now();
    loop {
        let lines = lines(data);
        let begin = lines.iter().rfind(|line| line["begin"].is_object()).unwrap();
        if let Some(end) = lines.iter().find(|line| line["end"]["of"] == begin["n"]) {
            return end["end"].clone();
        }
        assert!(started.elapsed() < PATIENCE, "no entry ends {begin}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn with_lookups(count: usize) -> (Server, Device) {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let numbers: Vec<_> = (0..count).map(|n| format!("+1415555{n:04}")).collect();
    for some in numbers.chunks(1_000) {
        batch(&server, &ben, &some.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    (server, ben)
}

fn command(words: &str, data: &Path) -> Command {
    let mut command = dispatchd();
    command.args(words.split(' ')).arg("--data").arg(data);
    command
}

fn on_files(words: &str, data: &Path) -> Output {
    run(&mut command(words, data))
}

fn ndjson(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_call_of_operators_is_audited_or_known_not_to_read_records() {
    let (server, _) = with_lookups(3).await;
    let admin = server.operator_token("adm", "admin");
    let described = Reply::to(server.operator(&admin, "/openapi.json")).await;
    let mut audited = 0;
    for (path, item) in described.body["paths"].as_object().unwrap() {
        let servers = item["servers"].as_array().unwrap();
        let is_operators = servers.iter().any(|s| s["url"].as_str().unwrap().ends_with("8081"));
        if !is_operators || !item["get"].is_object() {
            continue;
        }
        let before = begun(&server.data).len();
        let example = path.replace("{handle}", "%2B14155550001");
        let response = server.operator(&admin, &example).send().await.unwrap();
        let (status, after) = (response.status(), begun(&server.data));
        let is_free = NOT_AUDITED.contains(&path.as_str());
        assert!(is_free || status == 200, "the test calls {path} wrongly: {status}");
        assert_eq!(after.len() - before, usize::from(!is_free), "{path} reads without an entry");
        if !is_free {
            assert_eq!(after.last().unwrap()["operator"], "adm", "{path}");
            audited += 1;
        }
    }
    assert!(audited >= 8, "{audited}");
}

#[tokio::test]
async fn without_its_entry_nothing_is_read() {
    let (mut server, _) = with_lookups(3).await;
    let admin = server.operator_token("adm", "admin");
    // Not even root can write into a directory whose path is a file.
    fs::write(server.data.join("audit"), "in the way").unwrap();
    for path in ["/v1/log", "/v1/log/tail", "/v1/log/verify", "/v1/audit", "/v1/audit/verify"] {
        let reply = Reply::to(server.operator(&admin, path)).await;
        reply.refuses(503, "audit-unwritable");
        let stream = server.operator(&admin, path).header("accept", "application/x-ndjson");
        let reply = Reply::to(stream).await;
        reply.refuses(503, "audit-unwritable");
        assert!(!reply.text.contains("+1415555"), "{reply:?}");
    }
    for words in
        ["log search --json", "log tail --json", "log verify", "audit list", "audit verify"]
    {
        let output = on_files(words, &server.data);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{words}: {message}");
        assert!(message.contains("the audit log cannot be written"), "{words}: {message}");
    }
    // Calls that return no records still work. All calls work when the server can write the audit log again.
    assert_eq!(Reply::to(server.operator(&admin, "/v1/log/segments")).await.status, 200);
    fs::remove_file(server.data.join("audit")).unwrap();
    assert_eq!(server.records(&admin, "kind=lookup").await.len(), 3);
    assert_eq!(begun(&server.data).len(), 1);
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn an_entry_says_who_when_what_and_how_many_and_nothing_personal() {
    let mut server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, PHONE).await;
    for handle in [PHONE, EMAIL, PHONE] {
        server.lookup(&ben, handle).await;
    }
    let (reader, admin) =
        (server.operator_token("rea", "reader"), server.operator_token("adm", "admin"));
    let phone = PHONE.replace('+', "%2B");
    let (device, account) = (&ben.device, &ben.account);
    let query = format!(
        "handle={phone}&device={device}&account={account}&ip=127.0.0.1&route=imessage&since=1h&order=asc"
    );
    assert_eq!(server.records(&reader, &query).await.len(), 2);
    let page =
        Reply::to(server.operator(&reader, &format!("/v1/log?handle={EMAIL}&limit=7"))).await;
    assert_eq!(page.body["records"].as_array().unwrap().len(), 1);
    let words = format!("log search --json --handle {PHONE} --kind lookup");
    assert_eq!(ndjson(&on_files(&words, &server.data)).len(), 2);

    let listed = server.operator(&admin, "/v1/audit");
    let text = Reply::to(listed).await.text;
    let calls: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        calls.iter().map(|c| (c["call"].as_str().unwrap(), c["records"].clone())).collect();
    let counts = [2.into(), 1.into(), 2.into(), Value::Null];
    assert_eq!(
        told,
        ["search", "search", "search", "audit-list"].into_iter().zip(counts).collect::<Vec<_>>()
    );
    let fields = [
        "n", "at", "operator", "call", "filters", "case", "records", "whole", "refused", "ended_at",
    ];
    calls.iter().for_each(|call| has_exactly(call, &fields));
    assert!(instant(&calls[0]["at"]) <= instant(&calls[0]["ended_at"]));
    let names = ["handle", "device", "account", "ip", "route", "since", "order"];
    has_exactly(&calls[0]["filters"], &names);
    for personal in &names[..4] {
        has_exactly(&calls[0]["filters"][personal], &["hour", "fingerprint"]);
    }
    assert_eq!(
        (&calls[0]["filters"]["route"], &calls[0]["operator"]),
        (&"imessage".into(), &"rea".into())
    );
    assert!(calls[2]["operator"].as_str().unwrap().starts_with("local:"));
    assert_eq!(calls[1]["filters"]["limit"], "7");

    // The audit log finds the calls by handle, on the server and in the files.
    let by_handle = Reply::to(server.operator(&admin, &format!("/v1/audit?handle={phone}"))).await;
    assert_eq!(
        by_handle.text.lines().count(),
        3,
        "not two searches and this call: {}",
        by_handle.text
    );
    let found = ndjson(&on_files(&format!("audit list --json --handle {EMAIL}"), &server.data));
    assert_eq!(found.len(), 2, "{found:?}");
    let by_operator = ndjson(&on_files("audit list --json --operator rea", &server.data));
    assert_eq!(by_operator.len(), 2);

    assert!(server.stop().await.success());
    for (path, bytes) in bytes_below(&server.data.join("audit")) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for personal in [&PHONE[1..], "zyxwv", "quuxmail", "127.0.0.1", device, account] {
            assert!(!text.contains(personal), "{} holds {personal}", path.display());
        }
    }
}

#[tokio::test]
async fn the_audit_log_is_for_admins() {
    let (server, _) = with_lookups(1).await;
    let reader = server.operator_token("rea", "reader");
    for path in ["/v1/audit", "/v1/audit/verify"] {
        Reply::to(server.operator(&reader, path)).await.refuses(403, "role-insufficient");
        Reply::to(server.operator("nonsense", path)).await.refuses(401, "token-invalid");
    }
    // Only a node can ask for another operator.
    let sly = server.operator_token("sly", "reader");
    let asked = server.operator(&sly, "/v1/audit").header("dispatchd-operator", "rea");
    Reply::to(asked).await.refuses(403, "role-insufficient");
    // A token of nobody leaves nothing: everybody could fill the disk. An operator without the role leaves its try.
    let of_entry = |it: Value| (it["operator"].clone(), it["call"].clone());
    let told: Vec<_> = begun(&server.data).into_iter().map(of_entry).collect();
    let expected = [("rea", "audit-list"), ("rea", "audit-verify"), ("sly", "audit-list")];
    assert_eq!(told, expected.map(|(who, call)| (Value::from(who), Value::from(call))));
    let end = end_of_last(&server.data).await;
    let refused = json!({"of": 5, "records": 0, "whole": false, "refused": "role-insufficient"});
    assert_eq!(end, refused);
    let admin = server.operator_token("adm", "admin");
    for query in ["since=planted-415", "until=x", "operator=%2B14155550123", "handle=x", "x=1"] {
        let reply = Reply::to(server.operator(&admin, &format!("/v1/audit?{query}"))).await;
        reply.refuses(400, "request-invalid");
        assert!(!reply.text.contains("planted") && !reply.text.contains("4155550123"), "{reply:?}");
    }
}

#[tokio::test]
async fn records_are_counted_however_a_call_ends() {
    let (server, ben) = with_lookups(3_000).await;
    let token = server.operator_token("reader", "reader");
    let page = Reply::to(server.operator(&token, "/v1/log?limit=17")).await;
    assert_eq!(page.status, 200);
    assert_eq!(end_of_last(&server.data).await["records"], 17);
    let ndjson =
        |path: &str| server.operator(&token, path).header("accept", "application/x-ndjson");
    let whole = Reply::to(ndjson("/v1/log?kind=lookup")).await;
    assert_eq!(whole.text.lines().count(), 3_000);
    let end = end_of_last(&server.data).await;
    assert_eq!((&end["records"], &end["whole"]), (&3_000.into(), &true.into()));

    // A client that disconnects in the middle. The rest, about 20 MB, does not fit into the socket buffers.
    let numbers: Vec<_> = (0..1_000).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    for _ in 0..100 {
        batch(&server, &ben, &numbers).await;
    }
    let mut broken = ndjson("/v1/log").send().await.unwrap();
    assert_eq!(broken.status(), StatusCode::OK);
    let taken = broken.chunk().await.unwrap().unwrap();
    let taken = taken.iter().filter(|byte| **byte == b'\n').count() as u64;
    drop(broken);
    let end = end_of_last(&server.data).await;
    let given = end["records"].as_u64().unwrap();
    assert_eq!(end["whole"], false);
    assert!(given >= taken && given < 103_000, "{taken} were taken, {given} given");

    let mut tail = server.operator(&token, "/v1/log/tail").send().await.unwrap();
    assert_eq!(
        begun(&server.data).last().unwrap()["call"],
        "tail",
        "no entry before the first record"
    );
    batch(&server, &ben, &numbers[..30]).await;
    let mut text = String::new();
    while text.matches("data: ").count() < 30 {
        let chunk =
            tokio::time::timeout(PATIENCE, tail.chunk()).await.expect("the tail sends a chunk");
        text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
    }
    drop(tail);
    // The server notices the closed connection when it next writes. A record makes it write.
    let asking = async {
        loop {
            batch(&server, &ben, &numbers[..1]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let end = tokio::select! {
        end = end_of_last(&server.data) => end,
        () = asking => unreachable!("the lookups never stop"),
    };
    assert!(end["records"].as_u64().unwrap() >= 30 && end["whole"] == false, "{end}");
}

#[tokio::test]
async fn a_tail_under_way_has_its_end_when_the_server_stops() {
    let (mut server, _) = with_lookups(3).await;
    let token = server.operator_token("reader", "reader");
    let tail = server.operator(&token, "/v1/log/tail").send().await.unwrap();
    assert!(server.stop().await.success());
    drop(tail);
    let end = lines(&server.data).pop().unwrap();
    assert_eq!(end["end"], json!({"of": 1, "records": 0, "whole": false}));
}

#[tokio::test]
async fn the_command_line_on_files_is_audited_also_when_it_is_interrupted() {
    let (server, ben) = with_lookups(5).await;
    assert_eq!(ndjson(&on_files("log search --json --limit 4", &server.data)).len(), 4);
    let end = end_of_last(&server.data).await;
    assert_eq!((&end["records"], &end["whole"]), (&4.into(), &true.into()));
    assert!(on_files("log verify", &server.data).status.success());
    assert_eq!(begun(&server.data).last().unwrap()["call"], "verify");
    assert_eq!(end_of_last(&server.data).await["whole"], true);
    let segments = on_files("log segments", &server.data);
    assert!(segments.status.success() && begun(&server.data).len() == 2);

    let mut tail = command("log tail --json", &server.data);
    let mut tail = tail.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    let mut printed = std::io::BufRead::lines(std::io::BufReader::new(tail.stdout.take().unwrap()));
    let asking = async {
        loop {
            server.lookup(&ben, PHONE).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let first = tokio::task::spawn_blocking(move || (printed.next().unwrap().unwrap(), printed));
    let (_, printed) = tokio::select! {
        first = first => first.unwrap(),
        () = asking => unreachable!("the lookups never stop"),
    };
    assert_eq!(begun(&server.data).last().unwrap()["call"], "tail");
    let kill = Command::new("kill").args(["-INT", &tail.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(tail.wait().unwrap().code(), Some(130));
    let count = 1 + printed.count();
    let end = end_of_last(&server.data).await;
    assert_eq!((&end["records"], &end["whole"]), (&count.into(), &false.into()));
}

#[tokio::test]
async fn who_touches_a_line_is_found_out() {
    let (mut server, _) = with_lookups(3).await;
    let admin = server.operator_token("adm", "admin");
    for _ in 0..3 {
        server.records(&admin, "handle=%2B14155550001").await;
    }
    on_files("log search", &server.data);
    let report = Reply::to(server.operator(&admin, "/v1/audit/verify")).await;
    let fields =
        ["sound", "entries", "files", "from", "until", "head", "gaps", "torn", "changed", "places"];
    assert_eq!(report.is(200, &fields)["sound"], true);
    assert_eq!(report.body["entries"], 9);
    assert_eq!(report.body["head"].as_str().unwrap().len(), 64);
    assert!(server.stop().await.success());
    let sound = on_files("audit verify", &server.data);
    assert!(sound.status.success(), "{sound:?}");

    // Each day has a file, and the day may have changed meanwhile.
    let files = bytes_below(&server.data.join("audit")).into_iter();
    let texts = files.map(|(file, bytes)| (file, String::from_utf8_lossy(&bytes).into_owned()));
    let adm = "\"operator\":\"adm\"";
    let (file, text) = texts.into_iter().find(|(_, text)| text.contains(adm)).unwrap();
    // A line is found out by the one that follows it.
    let line = 2 + text[..text.find(adm).unwrap()].matches('\n').count();
    fs::write(&file, text.replacen(adm, "\"operator\":\"ben\"", 1)).unwrap();
    let output = on_files("audit verify", &server.data);
    let (printed, message) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(message.contains("the audit log is not sound"), "{message}");
    let place = format!("line {line}");
    assert!(printed.contains("changed  1\n") && printed.contains(&place), "{printed}");
    server.spawn().await;
    let report = Reply::to(server.operator(&admin, "/v1/audit/verify")).await;
    assert_eq!((&report.body["sound"], &report.body["changed"]), (&false.into(), &1.into()));
    let table = on_files("audit list", &server.data);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("TIME ") && table.contains("handle="), "{table}");
}
