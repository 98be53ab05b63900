//! `clients/typescript/examples/phone.ts`, typed at as its reader does.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use super::{built, node::Program};
use crate::{
    harness::{Server, run},
    python::node_tool,
};

const ANN: &str = "+14155550123";

fn phone(server: &Server, folder: &Path, name: &str) -> Program {
    let mut node = node_tool("node");
    node.arg(built().join("examples/phone.ts")).arg(&server.phones).arg(folder.join(name));
    Program::start(&mut node, &folder.join("errors"))
}

#[track_caller]
fn answers(phone: &mut Program, command: &str, expected: &[&str]) {
    phone.say(command);
    for expected in expected {
        let line = phone.line().expect("the phone goes on");
        assert!(line.starts_with(expected), "{command}: {line:?} is not {expected:?}");
    }
}

#[test]
fn the_example_says_how_it_is_used() {
    let output = run(node_tool("node").arg(built().join("examples/phone.ts")));
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "usage: node phone.ts SERVER TOKEN-FILE\n");
}

#[tokio::test]
async fn the_example_signs_up_proves_a_number_asks_and_signs_out() {
    let mut server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (mut ann, mut ben) =
        (phone(&server, folder.path(), "ann"), phone(&server, folder.path(), "ben"));
    answers(&mut ann, "claim (415) 555-0123", &["a code was sent by sms"]);
    let code = server.outbox().last().unwrap()["code"].as_str().unwrap().to_owned();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    answers(&mut ann, &format!("code {wrong}"), &["refused: code-wrong"]);
    answers(&mut ann, &format!("code {code}"), &["+14155550123 is yours"]);
    answers(&mut ann, "check-in", &["live for 14 days"]);
    let mode = folder.path().join("ann").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others can read the token");

    let blue = format!("{ANN}: blue, thread ");
    answers(&mut ben, &format!("ask {ANN}"), &[&blue, "together: imessage"]);
    let group = format!("ask {ANN} 4155550124 x@example.com 12");
    let others = ["4155550124: green", "x@example.com: no route: ask", "12: no handle: too-short"];
    answers(&mut ben, &group, &[&blue, others[0], others[1], others[2], "together: none"]);

    // The token file makes the same phone of another process.
    drop(ann);
    let mut ann = phone(&server, folder.path(), "ann");
    answers(&mut ann, "sign-out", &["signed out"]);
    assert!(ann.line().is_none() && !folder.path().join("ann").exists());
    answers(&mut ben, &format!("ask {ANN}"), &[&blue, "together: imessage"]);
    answers(&mut ben, &format!("failed {ANN}"), &["green"]);
    answers(&mut ben, &format!("ask {ANN}"), &["+14155550123: green", "together: sms"]);
    server.kill();
    answers(&mut ben, "failed 4155550125", &["not now (no-answer): the message waits"]);
}
