//! `clients/rust` against the real server, and the program that the guide shows.

mod changing;
mod faults;
mod proxy;
mod truth;

use std::{path::Path, process::Command};

use dispatchd_client::{Batch, Options, Server as Client, Token};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    docs::document,
    harness::{Server, json_of, run},
    repository::{ROOT, text},
};

const EXAMPLE: &str = "docs/examples/phone.rs";

/// Builds the example beside the binary under test, with what that was built from.
fn example() -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_dispatchd")).parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--offline", "--example", "phone", "--target-dir"]);
    build.arg(built.parent().unwrap()).current_dir(ROOT);
    if built.ends_with("release") {
        build.arg("--release");
    }
    let output = run(&mut build);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Command::new(built.join("examples/phone"))
}

#[tokio::test]
async fn the_program_of_the_guide_prints_what_the_guide_shows() {
    let guide = document("docs/client.md");
    let [program] = &guide.of_kind("rust").collect::<Vec<_>>()[..] else {
        panic!("the guide has one program in Rust");
    };
    assert_eq!(format!("{}\n", program.text), text(EXAMPLE), "docs/client.md shows {EXAMPLE}");
    let shown = &guide.output_of(program).expect("the guide shows what it prints").text;
    let server = Server::start().await;
    let output = run(example().arg(&server.phones));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*told), (Some(0), ""));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), shown);
}

/// The client computes `together` from the items. The server says it, too.
#[tokio::test]
async fn the_client_reads_an_answer_as_the_server_means_it() {
    let server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    server.prove(&ann, "+14155550123").await;
    server.prove(&ann, "ann@example.com").await;
    let options = || Options { kept_answers: 0, ..Options::default() };
    let client = Client::new(&server.phones, options()).unwrap();
    let phone = client.phone(Token::new(&ben.token).unwrap());
    let (blue, green) =
        (["+1 (415) 555-0123", "ann@EXAMPLE.com"], ["+447700900123", "415 555 0124"]);
    let none = ["nobody@example.com", "12"];
    for group in [
        &blue[..],
        &green[..],
        &none[..1],
        &none[1..],
        &[blue[0], green[0]],
        &[blue[0], green[0], none[0]],
        &[green[1], none[1]],
        &[blue[0], blue[0]],
    ] {
        let request = server.phone(Method::POST, "/v1/lookup").bearer_auth(&ben.token);
        let (_, theirs) = json_of(request.json(&json!({"handles": group, "region": "US"}))).await;
        let ours: Batch = phone.look_up_batch(group, Some("US")).await.unwrap();
        assert_eq!(serde_json::to_value(&ours).unwrap(), theirs, "{group:?}");
    }
    // Without a region it is another question, although an answer with one is kept.
    let phone = Client::new(&server.phones, Options::default()).unwrap();
    let phone = phone.phone(Token::new(&ben.token).unwrap());
    let subject = phone.look_up(blue[0], Some("US")).await.unwrap().subject;
    assert!(subject.is_some());
    assert_eq!(phone.look_up(blue[1], None).await.unwrap().subject, subject);
    let _ = phone.look_up(green[1], Some("US")).await.unwrap();
    phone.look_up(green[1], None).await.unwrap_err();
    let reader = server.operator_token("reader", "reader");
    let before = server.records(&reader, "kind=lookup").await.len();
    assert_eq!(phone.look_up("+14155550124", None).await.unwrap().input, "+14155550124");
    let after: Vec<Value> = server.records(&reader, "kind=lookup").await;
    assert_eq!(after.len(), before, "an answer that is reused leaves no record");
}
