//! The operators' console in a real browser. Each test starts a server with data of its own, then runs a script of `cases` that uses
//! the console as a person does. The script compares what is shown with what the test did and with what the API says.
//!
//! All tests share one browser; each page has a context of its own. The scripts hold every page to the same rules: no request
//! leaves the listener, no policy is violated, no error is logged, and no address holds a handle. `cases/browser.mjs` says how.

mod browser;
mod long;
mod types;

use browser::case;
mod world;

use dispatchd::vocabulary::FlagReason;
use serde_json::{Value, json};

use self::world::{ADDRESS, History, NUMBER, hostile, many, of_today, tokens};
use crate::{
    flagged::plant,
    harness::{Server, dispatchd, own_port, run, wait_until},
    repository::file,
};

/// Takes away an operator's token.
fn revoke(server: &Server, name: &str) {
    let mut revoke = dispatchd();
    revoke.args(["operator", "revoke", name, "--data"]).arg(&server.data);
    assert!(run(&mut revoke).status.success());
}

#[tokio::test]
async fn a_token_opens_the_console_until_it_is_revoked() {
    let server = Server::start().await;
    let case = case("sign_in", &server, of_today(&server).await);
    case.passes_with(async |word| match word {
        "revoke the reader" => json!(revoke(&server, "reader")),
        _ => panic!("{word}"),
    })
    .await;
}

#[tokio::test]
async fn why_shows_routes_at_their_times_and_who_holds_an_older_answer() {
    let world = History::of_twelve_days().await;
    case("why", &world.timed.server, world.facts.clone()).passes().await;
}

#[tokio::test]
async fn a_server_that_goes_away_is_missed_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", own_port());
    let listener = [("SERVER__OPERATORS", address.as_str())];
    let mut server = Server::on(&folder.path().join("data"), &listener).await;
    let case = case("gone", &server, of_today(&server).await);
    case.passes_with(async |word| {
        match word {
            "stop" => assert!(server.stop().await.success()),
            "start" => server.spawn().await,
            _ => panic!("{word}"),
        }
        Value::Null
    })
    .await;
}

#[tokio::test]
async fn search_shows_the_records_that_match_and_saves_them() {
    let server = Server::start().await;
    case("search", &server, of_today(&server).await).passes().await;
}

#[tokio::test]
async fn a_hundred_thousand_records_are_one_table() {
    let server = Server::start_with(&[("LOG__DURABILITY", "os")]).await;
    many(&server, 100).await;
    let facts = json!({"tokens": tokens(&server), "records": 100_000});
    case("many", &server, facts).passes().await;
}

#[tokio::test]
async fn the_live_tail_shows_lookups_as_they_happen_and_can_be_paused() {
    let server = Server::start().await;
    let asker = server.sign_up().await;
    let facts = json!({"tokens": tokens(&server), "personal": [NUMBER, ADDRESS, "+1415555"], "number": NUMBER});
    case("tail", &server, facts)
        .passes_with(async |handle| {
            assert_eq!(server.lookup(&asker, handle).await.0, 200);
            Value::Null
        })
        .await;
}

#[tokio::test]
async fn a_flag_is_cleared_by_an_admin_and_a_reader_learns_who_may() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let flagged = plant(&data, &[FlagReason::TooFewHits, FlagReason::TooManyHits]).await;
    let server = Server::on(&data, &[("QUOTA__ENABLED", "true")]).await;
    let accounts: Vec<_> = flagged.iter().map(|device| &device.account).collect();
    let facts = json!({"tokens": tokens(&server), "accounts": accounts});
    case("flags", &server, facts).passes().await;
}

#[tokio::test]
async fn every_other_view_shows_what_the_api_says() {
    let world = History::of_twelve_days().await;
    case("views", &world.timed.server, world.facts.clone()).passes().await;
}

#[tokio::test]
async fn lists_of_a_cluster_show_the_nodes_and_warn_of_a_missing_one() {
    let server = Server::start().await;
    case("nodes", &server, of_today(&server).await).passes().await;
}

#[tokio::test]
async fn texts_of_strangers_are_text_and_nothing_else() {
    let server = Server::start().await;
    let facts = hostile(&server).await;
    case("hostile", &server, facts).passes().await;
}

#[tokio::test]
async fn a_case_is_asked_for_where_the_configuration_wants_it() {
    let server = Server::start_with(&[("OPERATORS__REQUIRE_CASE", "true")]).await;
    case("required_case", &server, of_today(&server).await).passes().await;
}

#[tokio::test]
async fn every_view_is_reached_and_used_by_keyboard() {
    let server = Server::start().await;
    case("keyboard", &server, of_today(&server).await).passes().await;
}

#[tokio::test]
async fn every_view_is_accessible_in_each_theme_and_width() {
    let world = History::of_twelve_days().await;
    case("accessible", &world.timed.server, world.facts.clone()).passes().await;
}

/// README's first command, then the console: from a handle of the demo to the reason in at most three clicks.
#[tokio::test]
async fn the_reason_of_a_demo_handle_is_three_clicks_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::stopped(&folder.path().join("data"), &[]);
    server.launch_with(&["--demo"]);
    server.ready().await;
    // The demo tells its commands once everything is signed up.
    wait_until("the demo is ready", || server.output().contains("Ctrl-C"));
    let facts = json!({"tokens": tokens(&server)});
    case("demo", &server, facts).passes().await;
}

/// Pictures of every view, for people to look at, in `target/console-pictures`. With `UPDATE_PICTURES`, those of README, too.
#[tokio::test]
#[ignore = "makes pictures"]
async fn pictures_of_every_view() {
    let world = History::of_twelve_days().await;
    let mut facts = world.facts.clone();
    facts["update"] = json!(std::env::var_os("UPDATE_PICTURES").map(|_| file("docs")));
    case("pictures", &world.timed.server, facts).passes().await;
}
