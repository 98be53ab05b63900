//! The mistakes that people make first, in the API and on the command line. Each answer says what is wrong, what came, and
//! what to do instead.

use std::{
    io::{Read as _, Write as _},
    process::Command,
    time::Duration,
};

use dispatchd::{
    api::Problem,
    clock::{Clock as _, SystemClock},
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::{
    harness::{Server, dispatchd, run},
    wire::Reply,
};

const REASONS: &str = "one of live-device, never-registered, lease-expired, undiscoverable, ";
const PLATFORMS: &str = "one of ios, ipados, macos, watchos, visionos, other";

/// The status and the text of a refusal.
async fn refused(request: RequestBuilder) -> (u16, String) {
    let reply = Reply::to(request).await;
    let problem: Problem = serde_json::from_str(&reply.text).unwrap();
    (reply.status, problem.detail.into_owned())
}

#[track_caller]
fn assert_says((status, said): &(u16, String), expected: u16, parts: &[&str]) {
    assert_eq!(*status, expected, "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

#[tokio::test]
async fn the_api_answers_each_with_what_to_do() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let reader = server.operator_token("reader", "reader");
    let phone = |method, path: &str| server.phone(method, path).bearer_auth(&ben.token);
    let lookup = || phone(Method::POST, "/v1/lookup");
    let log = |query: &str| server.operator(&reader, &format!("/v1/log?{query}"));
    let handles = json!({"handles": ["+14155550123"]});
    let to_phones = |path: &str| server.client.get(format!("{}{path}", server.phones));
    let to_operators = |path: &str| server.client.get(format!("{}{path}", server.operators));
    let form =
        lookup().header("content-type", "application/x-www-form-urlencoded").body("handles=x");
    let sign_up = |body| server.phone(Method::POST, "/v1/devices").json(&body);
    let mistakes: [(RequestBuilder, u16, &[&str]); 21] = [
        (
            sign_up(json!({"platform": "android"})),
            400,
            &["platform: \"android\" is not", PLATFORMS],
        ),
        (sign_up(json!({"platform": "iOS"})), 400, &[PLATFORMS, "did you mean `ios`?"]),
        (log("route=green"), 400, &["route: \"green\" is not one of imessage, sms, none"]),
        (log("route=iMessage"), 400, &["none; did you mean `imessage`?"]),
        (log("reason=lapsed"), 400, &["reason: \"lapsed\" is not", REASONS]),
        (phone(Method::GET, "/v1/lookup/4155550123?region=UK"), 400, &["`region`", "two letters"]),
        (log("handle=4155550123&region=UK"), 400, &["region: \"UK\" is not the two letters"]),
        (form, 415, &["a form", "`curl --json`"]),
        (lookup().body(handles.to_string()), 415, &["Content-Type: application/json"]),
        (to_phones("/v1/lookup/x"), 401, &["Authorization: Bearer", "the device's token"]),
        (to_operators("/v1/log"), 401, &["`dispatchd operator add`"]),
        (
            to_phones("/v1/lookup/x").bearer_auth(&reader),
            401,
            &["an operator's token, for the operators' listener (server.operators"],
        ),
        (
            to_operators("/v1/log").bearer_auth(&ben.token),
            401,
            &["a device's token, for the phones' listener (server.phones"],
        ),
        (to_phones("/v1/log").bearer_auth(&reader), 404, &["the operators' listener", "8081"]),
        (
            to_operators("/v1/lookup/x").bearer_auth(&ben.token),
            404,
            &["the phones' listener", "8080"],
        ),
        (
            log("since=2027-13-01"),
            400,
            &[
                "`since` takes an RFC 3339 instant such as 2026-11-23T08:41:07Z, a date or a date and time in UTC",
                "90m, 7d or \"1 hour ago\"",
            ],
        ),
        (log("since=lately"), 400, &["since: \"lately\" is not an RFC 3339 instant"]),
        (log("since=5m&until=10m"), 400, &["the window is empty", "must lie before"]),
        (log("limit=many"), 400, &["limit: \"many\" is not a whole number from 1 on"]),
        (log("rout=sms"), 400, &["the parameter `rout` is unknown", "did you mean `route`?"]),
        (
            phone(Method::GET, "/v1/lookup/x?country=US"),
            400,
            &["`country` is unknown", "takes region"],
        ),
    ];
    for (request, status, parts) in mistakes {
        assert_says(&refused(request).await, status, parts);
    }
    let unknown = phone(Method::PUT, "/v1/lookup");
    assert_says(&refused(unknown).await, 405, &["takes POST"]);
}

#[tokio::test]
async fn the_command_line_answers_each_with_what_to_do() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let reader = server.operator_token("reader", "reader");
    let (phones, operators) = (server.phones.as_str(), server.operators.as_str());
    let no_scheme = operators.trim_start_matches("http://");
    let nowhere = server.data.join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let search = |words: &'static str| {
        [&["log", "search"][..], &words.split(' ').collect::<Vec<_>>()].concat()
    };
    let mistakes: [(Vec<&str>, &str, u16, &[&str]); 18] = [
        (
            search("--route green"),
            &reader,
            2,
            &["--route: \"green\" is not one of imessage, sms, none"],
        ),
        (search("--route smss"), &reader, 2, &["none; did you mean `sms`?"]),
        (search("--reason lapsed"), &reader, 2, &["reason: \"lapsed\" is not", REASONS]),
        (
            search("--kind change --order up"),
            &reader,
            2,
            &["order: \"up\" is not one of asc, desc"],
        ),
        (search("--handle 4155550123"), &reader, 2, &["needs a region", "`--region`, such as US"]),
        (search("--handle 4155550123 --region UK"), &reader, 2, &["region: \"UK\" is not the two"]),
        (search("--since tomorrow"), &reader, 2, &["since: \"tomorrow\" is not", "90m, 7d or"]),
        (search("--since 5m --until 10m"), &reader, 2, &["the window is empty"]),
        (search("--limit 0"), &reader, 2, &["limit: \"0\" is not a whole number from 1 on"]),
        (search("--limit -1"), &reader, 2, &["limit: \"-1\" is not a whole number from 1 on"]),
        (search("--rout sms"), &reader, 2, &["'--rout'", "similar argument exists: '--route'"]),
        (vec!["log", "searc"], &reader, 2, &["'searc'", "similar subcommand exists: 'search'"]),
        (
            search("--json"),
            "",
            1,
            &["DISPATCHD_TOKEN is empty, which counts as unset", "--role reader"],
        ),
        (search("--json"), &ben.token, 1, &["a device's token", "`dispatchd operator add`"]),
        (vec!["log", "search", "--server", phones], &reader, 1, &["but the phones'", "port 8081"]),
        (
            search("--server http://127.0.0.1:1 --config /no/such/file"),
            &reader,
            64,
            &["/no/such/file"],
        ),
        (
            vec!["log", "search", "--server", no_scheme],
            &reader,
            2,
            &["did you mean http://127.0.0.1"],
        ),
        (
            vec!["operator", "add", "ann", "--role", "reader", "--data", nowhere],
            "",
            1,
            &["it does not exist", "--data", "`dispatchd serve` makes"],
        ),
    ];
    for (words, token, code, parts) in mistakes {
        let mut command = dispatchd();
        command.args(&words).env("DISPATCHD_SERVER", operators).env("DISPATCHD_TOKEN", token);
        let output = run(&mut command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "{words:?}");
        assert_says(&(output.status.code().unwrap().try_into().unwrap(), said), code, parts);
    }
}

#[tokio::test]
async fn the_command_line_takes_times_as_people_write_them() {
    let server = Server::start().await;
    server.sign_up().await;
    let reader = server.operator_token("reader", "reader");
    let day = past_day();
    let minute = format!("{day} 08:00");
    for since in ["-1h", "1h", "90m", "1 hour ago", "yesterday", "yesterday 00:30", &day, &minute] {
        let mut command = dispatchd();
        command.args(["log", "search", "--json", "--since", since]);
        command.env("DISPATCHD_SERVER", &server.operators).env("DISPATCHD_TOKEN", &reader);
        let output = run(&mut command);
        assert!(output.status.success() && !output.stdout.is_empty(), "{since}: {output:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_the_servers_is_refused_with_what_it_takes() {
    let server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    let path = format!("{}/v1/log", server.operators);
    let meant = format!(
        "takes no path, and no more than a host and a port; did you mean {}?",
        server.operators
    );
    let https = server.operators.replace("http:", "https:");
    for (address, code, parts) in [
        (&path, 2, &[&*meant][..]),
        (
            &https,
            1,
            &["does not speak TLS; give --server http://", "or set tls.certificate of the server"],
        ),
    ] {
        let mut command = dispatchd();
        command.args(["log", "search", "--server", address]).env("DISPATCHD_TOKEN", &reader);
        let output = run(&mut command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_says(&(output.status.code().unwrap().try_into().unwrap(), said), code, parts);
    }
}

/// A server that redirects must not get what was meant for another.
#[test]
fn a_variable_that_nothing_reads_is_refused_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for words in
        ["log search", "why +14155550123", "ask +14155550123", "operator list --data", "doctor"]
    {
        for (variable, meant) in [
            ("DISPATCHD_SERVER_PHONES", "DISPATCHD_SERVER__PHONES"),
            ("DISPATCHD_LOG_DURABILITY", "DISPATCHD_LOG__DURABILITY"),
            ("DISPATCHD_TOKENS", "DISPATCHD_TOKEN"),
            ("DISPATCHD_DEVICE__TOKEN", "DISPATCHD_DEVICE_TOKEN"),
        ] {
            let mut command = dispatchd();
            command.args(words.split(' ')).env(variable, "x");
            if words.ends_with("--data") {
                command.arg(data);
            }
            let output = run(&mut command);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(64), "{words}: {said}");
            for part in [variable, &format!("did you mean {meant}?")] {
                assert!(said.contains(part), "{words}: `{part}` is not in: {said}");
            }
        }
    }
    // A shell runs this at each start.
    let completions = run(dispatchd().args(["completions", "bash"]).env("DISPATCHD_TOKENS", "x"));
    assert!(completions.status.success() && completions.stderr.is_empty());
    // The configuration that is named knows it.
    let file = folder.path().join("dispatchd.toml");
    std::fs::write(&file, "[ownership.delivery.mail]\npassword_env = \"DISPATCHD_SMTP\"\n")
        .unwrap();
    let mut search = dispatchd();
    search.args(["log", "search", "--server", "http://127.0.0.1:1"]).env("DISPATCHD_SMTP", "x");
    let code = |command: &mut Command| run(command).status.code();
    assert_eq!(code(&mut search), Some(64));
    assert_eq!(code(search.env("DISPATCHD_CONFIG", file)), Some(1));
}

#[test]
fn a_missing_key_is_one_fault() {
    let mut check = dispatchd();
    check.args(["config", "check"]).env("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__HOST", "x");
    let output = run(&mut check);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert_eq!(said.matches("ownership.delivery.mail.from").count(), 1, "{said}");
    assert!(!said.contains("faults") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_redirect_is_not_followed() {
    let [first, second] = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [here, there] = [&first, &second].map(|it| format!("http://{}", it.local_addr().unwrap()));
    let to = there.clone();
    let redirecting = std::thread::spawn(move || {
        let (mut socket, _) = first.accept().unwrap();
        let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}/v1/log\r\n");
        assert!(socket.read(&mut [0; 4096]).unwrap() > 0);
        socket.write_all((head + "content-length: 0\r\n\r\n").as_bytes()).unwrap();
    });
    let mut command = dispatchd();
    command.args(["log", "search", "--server", &here]).env("DISPATCHD_TOKEN", "do_x");
    let output = run(&mut command);
    redirecting.join().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains(&format!("names {there}. No")),
        "{said}"
    );
    second.set_nonblocking(true).unwrap();
    assert!(second.accept().is_err(), "it was followed");
}

/// The date of two days ago, UTC.
fn past_day() -> String {
    let at = SystemClock.now().minus(Duration::from_secs(2 * 24 * 3600));
    at.to_string().chars().take("2026-11-23".len()).collect()
}

/// A mistyped directory must not look like the server's.
#[test]
fn an_import_says_that_it_makes_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.csv");
    let at = SystemClock.now();
    let rows =
        format!("handle,account,device,platform,last_check_in_at\n+14155550123,a,d,ios,{at}\n");
    std::fs::write(&file, rows).unwrap();
    let data = folder.path().join("dta");
    for is_new in [true, false] {
        let output =
            run(dispatchd().args(["registry", "import"]).arg(&file).arg("--data").arg(&data));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains("dta did not exist: made a new data directory"), is_new, "{said}");
    }
    let output = run(dispatchd()
        .args(["operator", "list", "--config", "/no/such/file", "--data"])
        .arg(&data));
    assert_eq!(output.status.code(), Some(64), "{output:?}");
}

/// An empty answer looks the same for every window, so it names the one that was read.
#[tokio::test]
async fn a_window_without_records_is_named() {
    let server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    let (since, until) = ("2100-01-01T00:00:00.000000Z", "2100-01-02T00:00:00.000000Z");
    let window = format!("read from {since} to {until}");
    let cases: [(&[&str], &[&str]); 5] = [
        (&["--since", "2100-01-01", "--until", "2100-01-02"], &["lies in the future", &window]),
        (
            &["--since", "2020-01-01"],
            &["since: 2020-01-01T00:00:00.000000Z lies before the retention"],
        ),
        (
            &["--until", "2020-01-01"],
            &["until: 2020-01-01T00:00:00.000000Z lies before the retention"],
        ),
        (&["--since", "1m"], &["read from 20", "Z to now"]),
        (&[], &["(the retention) to now"]),
    ];
    for (words, parts) in cases {
        for is_running in [true, false] {
            let mut command = dispatchd();
            command.args(["log", "search", "--handle", "nobody@example.com"]).args(words);
            match is_running {
                true => command.args(["--server", &server.operators]),
                false => command.arg("--data").arg(&server.data),
            };
            let output = run(command.env("DISPATCHD_TOKEN", &reader));
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success() && output.stdout.is_empty(), "{said}");
            assert!(said.ends_with("dispatchd: no record matches\n"), "{said}");
            for part in parts {
                assert!(said.contains(part), "`{part}` is not in: {said}");
            }
        }
    }
}

/// A plus sign in a query is a space. People write it all the same.
#[tokio::test]
async fn the_api_takes_times_as_people_write_them() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    server.lookup(&ben, "+14155550123").await;
    let reader = server.operator_token("reader", "reader");
    let day = past_day();
    for since in [
        &*format!("{day}T08:00:00+02:00"),
        &format!("{day}%2008:00:00%2B00"),
        &format!("{day}%2008:00"),
        &day,
        "yesterday",
        "yesterday%2000:30",
        "-1h",
        "1%20hour%20ago",
        "1+hour+ago",
    ] {
        let found = server.records(&reader, &format!("since={since}&kind=lookup")).await;
        assert_eq!(found.len(), 1, "{since}");
    }
    assert_eq!(server.records(&reader, "ip=::ffff:7f00:1").await.len(), 1);
}

/// Every closed set is in the help of the argument that takes it.
#[test]
fn help_lists_what_an_argument_takes() {
    for (words, sets) in [
        (
            &["log", "search", "--help"][..],
            &[
                "imessage, sms, none",
                "lease-expired, undiscoverable",
                "lookup, change, refusals",
                "asc, desc",
            ][..],
        ),
        (&["log", "export", "--help"], &["- parquet:", "- csv:", "- ndjson:"]),
        (&["registry", "import", "--help"], &["ios, ipados, macos, watchos, visionos, other"]),
        (&["operator", "add", "--help"], &["metrics:", "reader:", "admin:"]),
    ] {
        let output = run(dispatchd().args(words));
        let help = String::from_utf8(output.stdout).unwrap();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for set in sets {
            assert!(help.contains(set), "`{set}` is not in: {help}");
        }
    }
}
