//! Why a handle is blue or green: the timeline over HTTP on a manual clock, and `dispatchd why` on a server and on
//! files.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dispatchd::{
    clock::{Clock as _, ManualClock, SystemClock, Timestamp},
    server,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    handles::{discoverable, give_up},
    harness::{Device, Server, dispatchd, run},
    scenarios::{check_in, deregister},
    wire::{Reply, batch, call, link},
};

const NUMBER: &str = "+14155550123";
const ENCODED: &str = "%2B14155550123";
const HELD: &[&str] = &["handle", "proved_at", "discoverable"];
const MINUTE: Duration = Duration::from_secs(60);
/// 2026-11-23T09:00:00Z.
const NINE: Timestamp = Timestamp::from_secs(1_795_424_400);

/// A server on a manual clock, and the token of an operator with the reader role.
struct World {
    clock: Arc<ManualClock>,
    running: server::Server,
    server: Server,
    reader: String,
    _folder: TempDir,
}

impl World {
    async fn at_nine() -> Self {
        Self::at(NINE).await
    }

    async fn at(start: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let clock = ManualClock::at(start);
        let (running, _) = crate::wire::in_process(&data, &clock).await;
        let server = Server::within(&data, running.addresses());
        let reader = server.operator_token("reader", "reader");
        Self { clock, running, server, reader, _folder: folder }
    }

    fn minutes_pass(&self, minutes: u32) {
        self.clock.advance(MINUTE * minutes);
    }

    async fn timeline(&self, handle: &str, query: &str) -> Value {
        let path = format!("/v1/handles/{handle}/timeline?{query}");
        let reply = Reply::to(self.server.operator(&self.reader, &path)).await;
        reply.is(200, &["entries", "summary"]).clone()
    }

    async fn told(&self, query: &str) -> (Vec<String>, Value) {
        let body = self.timeline(ENCODED, query).await;
        (sentences(&body["entries"]), body["summary"].clone())
    }
}

fn sentences(of: &Value) -> Vec<String> {
    let items = of.as_array().unwrap().iter();
    items.map(|item| item["sentence"].as_str().unwrap().to_owned()).collect()
}

fn line(of: &Value) -> &str {
    of["sentence"].as_str().unwrap()
}

async fn sign_out(server: &Server, device: &Device) {
    let path = "/v1/devices/me";
    call(server, Method::DELETE, path, Some(&device.token), None).await.is(204, &[]);
}

/// Ann proves the number at 09:00, Ben and Cat look it up at 09:10. Ann signs out at 09:20, Ben looks it up at 09:25.
/// It is 09:30.
async fn signed_out() -> (World, [Device; 3]) {
    let world = World::at_nine().await;
    let server = &world.server;
    let [ann, ben, cat] = [server.sign_up().await, server.sign_up().await, server.sign_up().await];
    server.prove(&ann, NUMBER).await;
    world.minutes_pass(10);
    assert_eq!(server.route(&ben, NUMBER).await, "imessage");
    batch(server, &cat, &[NUMBER, "nobody@example.com"]).await;
    world.minutes_pass(10);
    sign_out(server, &ann).await;
    world.minutes_pass(5);
    assert_eq!(server.route(&ben, NUMBER).await, "sms");
    world.minutes_pass(5);
    (world, [ann, ben, cat])
}

#[tokio::test]
async fn a_sign_out_is_named_with_its_time_and_so_is_who_still_believes_blue() {
    let (world, [ann, ben, cat]) = signed_out().await;
    let before = world.server.records(&world.reader, "").await.len();
    let (told, summary) = world.told("").await;
    let (d, a) = (&ann.device, &ann.account);
    let expected = [
        format!(
            "09:00:00: device {d} of account {a} backs it: the code sent to the handle was answered"
        ),
        "blue 2 times from 09:10:00 to 09:10:00, asked by 2 devices: a live device backs it \
         (bound 09:00:00 by proof)"
            .to_owned(),
        format!(
            "09:20:00: device {d} of account {a} no longer backs it: it signed out, by its owner"
        ),
        "green at 09:25:00: its last device signed out at 09:20:00, by its owner".to_owned(),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        line(&summary),
        "green since 09:20:00: its last device signed out at 09:20:00, by its owner"
    );
    assert_eq!((&summary["from"], &summary["handle"]), (&json!("registry"), &json!(NUMBER)));
    assert_eq!((&summary["route"], &summary["reason"]), (&json!("sms"), &json!("device-removed")));
    assert_eq!(
        (&summary["because"]["cause"], &summary["because"]["device"]),
        (&json!("sign-out"), &json!(d))
    );
    assert_eq!((&summary["changes"], &summary["lookups"]), (&json!(2), &json!(3)));
    // Ben got a newer answer, Cat did not.
    assert_eq!(summary["holders_count"], 1);
    let holder = &summary["holders"][0];
    assert_eq!((&holder["device"], &holder["account"]), (&json!(cat.device), &json!(cat.account)));
    assert!(
        line(holder).ends_with("was told blue at 09:10:00 and may go by it until 10:10:00 at most")
    );
    assert_eq!(line(&summary["last_lookup"]), expected[3]);
    let devices = &world.timeline(ENCODED, "").await["entries"][1]["devices"];
    assert_eq!(devices, &json!([ben.device, cat.device]));
    // Nobody has looked it up, so there is no record.
    assert_eq!(world.server.records(&world.reader, "").await.len(), before);
    world.minutes_pass(39);
    assert_eq!(world.told("").await.1["holders_count"], 1);
    world.minutes_pass(2);
    assert_eq!(world.told("").await.1["holders_count"], 0);
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn a_moment_that_is_past_is_explained_as_it_was_then() {
    let (world, [_, ben, _]) = signed_out().await;
    let (told, summary) = world.told("at=2026-11-23T09:15:00Z").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(line(&summary).starts_with(
        "blue at 2026-11-23 09:15:00, since 09:00:00: a live device backs it (bound 09:00:00 by proof)"
    ));
    assert_eq!((&summary["from"], &summary["holders_count"]), (&json!("log"), &json!(0)));
    let (_, summary) = world.told("at=9m").await;
    assert!(
        line(&summary).starts_with(
            "green at 2026-11-23 09:21:00, since 09:20:00: its last device signed out"
        )
    );
    assert_eq!(summary["holders_count"], 2);
    assert!(line(&summary["last_lookup"]).starts_with("blue at 09:10:00"));
    let (told, summary) = world.told("at=2026-11-23T08:00:00Z").await;
    assert!(told.is_empty() && summary["route"].is_null());
    assert_eq!(line(&summary), "unknown at 2026-11-23 08:00:00: the log has nothing about it");
    // The timeline cites the cause of an answer, however old it is.
    world.clock.advance(Duration::from_secs(24 * 3600));
    world.server.route(&ben, NUMBER).await;
    let (told, summary) = world.told("since=1m").await;
    let why = "its last device signed out at 2026-11-23 09:20:00, by its owner";
    assert_eq!(told, [format!("green at 09:30:00: {why}")]);
    assert_eq!((&summary["changes"], &summary["lookups"]), (&json!(0), &json!(1)));
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn a_moved_handle_stays_blue_and_names_both_accounts() {
    let world = World::at_nine().await;
    let server = &world.server;
    let [ann, ben, dan] = [server.sign_up().await, server.sign_up().await, server.sign_up().await];
    server.prove(&ann, NUMBER).await;
    server.route(&ben, NUMBER).await;
    world.minutes_pass(10);
    server.prove(&dan, NUMBER).await;
    server.route(&ben, NUMBER).await;
    world.minutes_pass(10);
    let (told, summary) = world.told("").await;
    assert!(told[0].contains(&ann.account) && told[2].contains(&dan.account), "{told:?}");
    assert!(told[2].ends_with("that account proved it later"), "{told:?}");
    let moved = "a live device backs it (moved 09:10:00 by a later proof than another account's)";
    assert_eq!(told[3], format!("blue at 09:10:00: {moved}"));
    assert_eq!(line(&summary), format!("blue since 09:00:00: {moved}"));
    // The blue answers before the move are still right.
    assert_eq!(summary["holders_count"], 0);
    assert!(summary["live_until"].as_str().unwrap().starts_with("2026-12-07T09:"));
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn a_lapse_is_exact_before_its_record_and_a_check_in_after_it_is_shown() {
    let world = World::at_nine().await;
    let server = &world.server;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, NUMBER).await;
    world.clock.advance(Duration::from_secs(14 * 24 * 3600));
    world.minutes_pass(1);
    assert_eq!(server.route(&ben, NUMBER).await, "sms");
    let (_, summary) = world.told("").await;
    let none = "none of its devices has checked in within the lease";
    assert_eq!(line(&summary), format!("green since 09:00:00: {none}"));
    world.running.tick_registry().await;
    let (told, summary) = world.told("").await;
    assert!(told[2].contains("no longer counts as live: it has not checked in"), "{told:?}");
    assert_eq!(line(&summary), format!("green since 09:00:00: {none} (recorded 09:01:00)"));
    let check_in = "/v1/devices/me/check-in";
    assert_eq!(call(server, Method::POST, check_in, Some(&ann.token), None).await.status, 200);
    world.minutes_pass(1);
    let (told, summary) = world.told("").await;
    assert!(told[3].contains("counts as live again: it checked in again"), "{told:?}");
    let back =
        "bound 2026-11-23 09:00:00 by proof; checked in again after its lease had lapsed, 09:01:00";
    assert_eq!(line(&summary), format!("blue since 09:01:00: a live device backs it ({back})"));
    // Ben may use his green answer for five minutes.
    assert_eq!(summary["holders"][0]["device"], ben.device);
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn what_its_owner_did_is_named_as_such() {
    let world = World::at_nine().await;
    let server = &world.server;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, NUMBER).await;
    let path = "/v1/deregistrations";
    let sent = call(server, Method::POST, path, None, Some(json!({"handle": NUMBER}))).await;
    let verification = sent.body["verification"].as_str().unwrap();
    server.confirm(verification, &server.code_for(verification)).await;
    let (_, summary) = world.told("").await;
    assert!(line(&summary).contains("its owner took it back at 09:00:00, without a device"));
    // Two devices back the handle. First one unbinds it, then the other.
    world.minutes_pass(1);
    server.prove(&ann, NUMBER).await;
    let second = link(server, &ann).await;
    give_up(server, &ann, ENCODED).await.is(204, &[]);
    let (told, summary) = world.told("").await;
    assert!(told.last().unwrap().ends_with("; another of its devices still does"), "{told:?}");
    assert!(line(&summary).contains("(bound 09:01:00 as it joined the account)"), "{summary}");
    // A hidden handle looks unregistered to strangers, and their earlier answers are wrong.
    server.route(&ben, NUMBER).await;
    discoverable(server, &second, ENCODED, false).await;
    server.route(&second, NUMBER).await;
    let (_, summary) = world.told("").await;
    let hidden = "green since 09:01:00: its owner hides it from strangers (since 09:01:00)";
    assert!(line(&summary).starts_with(hidden), "{summary}");
    let holders = summary["holders"].as_array().unwrap();
    assert_eq!(holders.len(), 1, "{holders:?}");
    assert_eq!(holders[0]["device"], ben.device);
    give_up(server, &second, ENCODED).await.is(204, &[]);
    let (_, summary) = world.told("").await;
    assert!(line(&summary).contains("its last device gave it up at 09:01:00"), "{summary}");
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn a_number_is_shown_with_its_other_spelling() {
    let world = World::at_nine().await;
    let server = &world.server;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    let (held, asked) = ("+5491123456789", "+541123456789");
    server.prove(&ann, held).await;
    server.route(&ben, asked).await;
    let body = world.timeline(asked, "").await;
    let found = "a live device backs it (bound 09:00:00 by proof); found by the number's other spelling +5491123456789";
    let told = sentences(&body["entries"]);
    assert_eq!(told[1], format!("blue at 09:00:00: {found}"));
    assert!(line(&body["summary"]).contains(found));
    assert_eq!(body["summary"]["other_spellings"], json!([held]));
    sign_out(server, &ann).await;
    // Ben looked up the spelling that nobody proved. His answer is wrong too, and the timeline of either spelling
    // shows it.
    for side in [asked, held] {
        let summary = world.timeline(side, "").await["summary"].clone();
        let holder = &summary["holders"][0];
        assert_eq!((&holder["device"], &holder["handle"]), (&json!(ben.device), &json!(asked)));
    }
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn a_handle_that_nobody_knows_has_nothing_in_the_log() {
    let world = World::at_nine().await;
    for (handle, colour) in [(ENCODED, "green"), ("nobody%40example.com", "no route")] {
        let body = world.timeline(handle, "").await;
        assert_eq!(body["entries"], json!([]));
        let never = "nobody ever proved it, or so long ago that it is forgotten";
        let expected = format!("{colour} at 09:00:00: {never}; nothing about it is in the log");
        assert_eq!(line(&body["summary"]), expected);
    }
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn the_latest_entries_come_first_to_be_kept_and_a_stream_has_them_all() {
    let world = World::at_nine().await;
    let server = &world.server;
    let ben = server.sign_up().await;
    for _ in 0..7 {
        server.route(&ben, NUMBER).await;
        world.minutes_pass(1);
    }
    let (told, summary) = world.told("detail=all&limit=3").await;
    assert_eq!((told.len(), &summary["omitted"]), (3, &json!(4)));
    assert!(told[0].starts_with("green at 09:04:00"));
    assert_eq!(world.told("").await.0.len(), 1);
    let window = "detail=all&since=2026-11-23T09:02:00Z&until=2026-11-23T09:04:00Z";
    assert_eq!(world.told(window).await.0.len(), 2);
    let path = format!("/v1/handles/{ENCODED}/timeline?detail=all");
    let request = server.operator(&world.reader, &path).header("accept", "application/x-ndjson");
    let reply = Reply::to(request).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/x-ndjson"));
    let kinds: Vec<String> = reply
        .text
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds, [vec!["lookups"; 7], vec!["summary"]].concat());
    assert!(world.running.stop().await);
}

#[tokio::test]
async fn it_takes_an_operator_a_handle_and_known_parameters() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let reader = server.operator_token("reader", "reader");
    let path = format!("/v1/handles/{ENCODED}/timeline");
    let url = format!("{}{path}", server.operators);
    Reply::to(server.client.get(&url)).await.refuses(401, "token-invalid");
    Reply::to(server.operator(&ben.token, &path)).await.refuses(401, "token-invalid");
    assert_eq!(Reply::to(server.operator(&reader, &path)).await.status, 200);
    for (handle, reason) in
        [("planted", "not-a-number"), ("5550123", "needs-region"), ("a%40b", "not-an-address")]
    {
        let path = format!("/v1/handles/{handle}/timeline");
        let reply = Reply::to(server.operator(&reader, &path)).await;
        assert_eq!(reply.refuses(400, "handle-invalid")["reason"], reason);
        assert!(!reply.text.contains("planted"), "{reply:?}");
    }
    for name in ["at", "since", "until", "detail", "limit"] {
        let reply =
            Reply::to(server.operator(&reader, &format!("{path}?{name}=planted-415"))).await;
        let detail = reply.refuses(400, "request-invalid")["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("`{name}` takes ")), "{detail}");
        assert!(!reply.text.contains("planted"), "{reply:?}");
    }
    for query in [
        "%2Bplanted=1",
        "since=1h&until=2h",
        "at=2100-01-01",
        "limit=0",
        "limit=1001",
        "at=1h&at=2h",
        "%ff=1",
    ] {
        let reply = Reply::to(server.operator(&reader, &format!("{path}?{query}"))).await;
        reply.refuses(400, "request-invalid");
        assert!(!reply.text.contains("planted"), "{reply:?}");
    }
}

fn why(words: &[&str]) -> std::process::Command {
    let mut command = dispatchd();
    command.arg("why").args(words);
    command
}

#[tokio::test]
async fn the_command_tells_it_from_a_server_and_from_its_files() {
    let mut server = Server::start().await;
    let [ann, ben, cat] = [server.sign_up().await, server.sign_up().await, server.sign_up().await];
    server.prove(&ann, NUMBER).await;
    server.route(&ben, NUMBER).await;
    server.route(&cat, NUMBER).await;
    sign_out(&server, &ann).await;
    server.route(&ben, NUMBER).await;
    let reader = server.operator_token("reader", "reader");
    let ask = |words: &[&str]| {
        let mut command = why(words);
        let output =
            run(command.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", &reader));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = ask(&[NUMBER]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 9, "{text}");
    assert!(
        lines[0].starts_with("  ") && lines[0].contains("the code sent to the handle was answered")
    );
    assert!(lines[1].starts_with("  blue 2 times from ") && lines[3].starts_with("  green at "));
    assert!(
        lines[5].starts_with("green since ") && lines[5].contains("its last device signed out at ")
    );
    assert_eq!(lines[6], "1 asker may still go by another answer:");
    assert!(lines[7].contains(&cat.device) && lines[7].contains("was told blue"));
    assert_eq!(lines[8], "Times are UTC; without a date, of today.");
    assert!(!text.contains('\x1b'), "the output to a pipe has colours");
    assert!(
        ask(&[NUMBER, "--limit", "1"]).contains("(3 earlier lines left out; --limit N shows more)")
    );

    let parsed = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let asked = parsed(&ask(&[NUMBER, "--json"]));
    let all = parsed(&ask(&[NUMBER, "--json", "--all", "--since", "1h"]));
    assert_eq!((asked.len(), all.len()), (5, 6));
    assert!(server.stop().await.success());
    let read = |words: &[&str]| run(why(words).arg("--data").arg(&server.data));
    let output = read(&[NUMBER, "--json"]);
    let on_files = parsed(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(asked[..4], on_files[..4]);
    let (live, still) = (&asked[4], &on_files[4]);
    assert_eq!((&live["from"], &still["from"]), (&json!("registry"), &json!("log")));
    for field in ["kind", "handle", "route", "reason", "because", "holders", "last_lookup"] {
        assert_eq!(live[field], still[field], "{field}");
    }
    let after_time = |of: &Value| line(of).split_once(": ").unwrap().1.to_owned();
    assert_eq!(after_time(live), after_time(still));
    let past = asked[2]["at"].as_str().unwrap();
    let at = |time: &str| String::from_utf8(read(&[NUMBER, "--at", time]).stdout).unwrap();
    assert!(at(past).contains("\ngreen at "), "{}", at(past));
    let bound = asked[0]["at"].as_str().unwrap();
    assert!(at(bound).contains("\nblue at "), "{}", at(bound));

    for wrong in [&["planted"][..], &[NUMBER, "--at", "planted-415"], &[NUMBER, "--limit", "0"]] {
        let output = read(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty());
        assert!(!String::from_utf8_lossy(&output.stderr).contains("planted"), "{output:?}");
    }
}

#[tokio::test]
async fn answers_end_as_the_configuration_says() {
    let server = Server::start_with(&[("DISPATCH__REUSE_LIVE", "15m")]).await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, NUMBER).await;
    server.route(&ben, NUMBER).await;
    sign_out(&server, &ann).await;
    let reader = server.operator_token("reader", "reader");
    let path = format!("/v1/handles/{ENCODED}/timeline");
    let body = Reply::to(server.operator(&reader, &path)).await.body;
    let holder = &body["summary"]["holders"][0];
    let instant = |field: &str| crate::wire::instant(&holder[field]);
    assert_eq!(instant("until_at_most").since(instant("told_at")), MINUTE * 15);
    // On files, the given configuration applies.
    let output = run(why(&[NUMBER, "--json", "--data"])
        .arg(&server.data)
        .env("DISPATCHD_DISPATCH__REUSE_LIVE", "1h"));
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let holder = &summary["holders"][0];
    let instant = |field: &str| crate::wire::instant(&holder[field]);
    assert_eq!(instant("until_at_most").since(instant("told_at")), MINUTE * 60);
}

/// A file of one account with `NUMBER`, proved at `proved_at`.
fn file_of(folder: &Path, name: &str, account: &str, proved_at: Timestamp) -> PathBuf {
    let file = folder.join(format!("{name}.csv"));
    let header = "handle,account,device,platform,last_check_in_at,proved_at";
    let row = format!("{NUMBER},{account},phone of {account},ios,{proved_at},{proved_at}");
    std::fs::write(&file, format!("{header}\n{row}\n")).unwrap();
    file
}

/// What a life of one handle consists of: each step with what its sentence says, and the colour that Ben sees after it.
const LIFE: &[(&str, &str)] = &[
    ("backs it: the code sent to the handle was answered", "blue"),
    ("hides it from strangers: its owner asked for it on a device that backs it", "green"),
    ("shows it to strangers again: its owner asked for it on a device that backs it", "blue"),
    ("no longer counts as live: it has not checked in for too long", "green"),
    ("counts as live again: it checked in again after its lease had lapsed", "blue"),
    ("it moved to account a_", "blue"),
    ("it moved to account a_", "blue"),
    ("it was taken back from every device of account a_", "green"),
    ("it came in for account a_", "blue"),
    ("it was taken back from every device of account a_", "green"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_is_explained_step_by_step_and_the_same_by_a_server_and_its_files() {
    // Everything lies within the retention of the files' reader, whose clock is the system's.
    let world = World::at(SystemClock.now().minus(MINUTE * 60 * 24 * 20)).await;
    let server = &world.server;
    let admin = server.operator_token("admin", "admin");
    let [ann, ben] = [server.sign_up().await, server.sign_up().await];
    let import = |name: &str| {
        let file = file_of(world._folder.path(), name, name, world.clock.now());
        let mut command = dispatchd();
        command.args(["registry", "import"]).arg(file).args(["--server", &server.operators]);
        let output = run(command.env("DISPATCHD_TOKEN", &admin));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for (step, (_, colour)) in LIFE.iter().enumerate() {
        world.minutes_pass(1);
        match step {
            0 => server.prove(&ann, NUMBER).await,
            1 | 2 => _ = discoverable(server, &ann, ENCODED, step == 2).await.is(200, HELD),
            3 => {
                world.clock.advance(MINUTE * 60 * 24 * 14);
                world.running.tick_registry().await;
            }
            4 => check_in(server, &ann).await,
            5 => server.prove(&server.sign_up().await, NUMBER).await,
            6 => import("cat"),
            8 => import("eve"),
            _ => deregister(server, NUMBER).await,
        }
        world.minutes_pass(1);
        let route = server.route(&ben, NUMBER).await;
        assert_eq!(route == "imessage", *colour == "blue", "step {step}: {route}");
    }
    world.minutes_pass(1);
    let moment = world.clock.now().to_string();
    // The server takes the present from its registry, and files do not have one. Both read on the same day.
    world.clock.advance(SystemClock.now().since(world.clock.now()));
    let ask = |extra: &[&str], of: &[&str]| {
        let mut command = why(&[NUMBER, "--limit", "100"]);
        let output = run(command.args(extra).args(of).env("DISPATCHD_TOKEN", &world.reader));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (at_server, past) = (["--server", &server.operators], ["--at", &moment]);
    let told = [ask(&past, &at_server), ask(&[&past[..], &["--json"]].concat(), &at_server)];
    let lines: Vec<_> = told[0].lines().collect();
    assert_eq!(lines[LIFE.len() * 2], "", "{}", told[0]);
    for (step, (says, colour)) in LIFE.iter().enumerate() {
        let [change, lookup] = [lines[step * 2], lines[step * 2 + 1]];
        assert!(change.contains(says), "step {step}: {change}");
        assert!(lookup.trim_start().starts_with(&format!("{colour} at ")), "step {step}: {lookup}");
        assert!(!lookup.contains("still holds"), "step {step}: {lookup}");
    }
    let headline = lines[LIFE.len() * 2 + 1];
    assert!(headline.starts_with("green at ") && headline.contains("its owner took it back at"));
    assert!(!told[0].contains("as far as the log shows"), "{}", told[0]);
    let data = world.server.data.clone();
    assert!(world.running.stop().await);
    let on_files = ["--data", data.to_str().unwrap()];
    assert_eq!(ask(&past, &on_files), told[0]);
    assert_eq!(ask(&[&past[..], &["--json"]].concat(), &on_files), told[1]);
}
