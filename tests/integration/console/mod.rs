//! The operators' console in a real browser. Each test starts a server with data of its own, then runs a script of `cases` that uses
//! the console as a person does. The script compares what is shown with what the test did and with what the API says.
//!
//! All tests share one browser; each page has a context of its own. The scripts hold every page to the same rules: no request
//! leaves the listener, no policy is violated, no error is logged, and no address holds a handle. `cases/browser.mjs` says how.

mod browser;
mod types;

use browser::case;
mod world;

use serde_json::{Value, json};

use self::world::{History, of_today};
use crate::harness::{Server, dispatchd, own_port, run};

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
