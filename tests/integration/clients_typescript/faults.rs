//! The package against the real server, through a proxy that drops, delays, cuts and truncates connections, while handles change,
//! quotas are small, and the server is killed. The program is in `clients/typescript/tests/faults`; it knows what was true when.

use std::fs;

use serde_json::Value;

use super::node::{PACKAGE, Program};
use crate::{
    harness::{Server, own_port, say},
    python::node_tool,
    repository::file,
    variables::seed,
};

/// Handles that are answered at least.
const LOOKUPS: u64 = 10_500;

/// Codes with which a call may fail here.
const EXPECTED: &[&str] = &[
    "aborted",
    "answer-unreadable",
    "handle-invalid",
    "no-answer",
    "rate-limited",
    "registry-loading",
    "log-unwritable",
];

#[tokio::test]
async fn every_answer_was_true_or_is_still_valid_whatever_fails() {
    let address = format!("127.0.0.1:{}", own_port());
    let mut server = Server::start_with(&[
        // The proxy finds it again after each start.
        ("SERVER__PHONES", &address),
        // The least span: answers must expire within the test.
        ("DISPATCH__REUSE_LIVE", "1m"),
        ("DISPATCH__REUSE_OTHER", "1m"),
        ("QUOTA__ENABLED", "true"),
        ("QUOTA__NEW_HANDLES_PER_DAY", "1000"),
        ("QUOTA__REQUESTS_PER_MINUTE", "300"),
    ])
    .await;
    let errors = server.data.with_extension("errors");
    let mut node = node_tool("node");
    node.arg(file(PACKAGE).join("tests/faults/main.ts")).arg(&server.phones);
    node.arg(server.data.join("outbox.ndjson")).args([seed().to_string(), LOOKUPS.to_string()]);
    let program = Program::start(&mut node, &errors);
    let mut kills = 0;
    let told = loop {
        let line = program.line();
        let line = line.unwrap_or_else(|| panic!("{}", fs::read_to_string(&errors).unwrap()));
        if line != "kill" {
            break line;
        }
        server.kill();
        server.spawn().await;
        kills += 1;
    };
    say(&format!("{kills} kills, {told}"));
    let told: Value = serde_json::from_str(&told).unwrap();
    let number = |path: &str| told.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    for wrong in ["/differing", "/sms_invented", "/together_wrong"] {
        assert_eq!(told.pointer(wrong), Some(&Value::from(0)), "{wrong}: {}", told["examples"]);
    }
    assert!(number("/answered") >= LOOKUPS && kills == 4, "{told}");
    let failed = told["failed"].as_object().unwrap();
    assert!(failed.keys().all(|code| EXPECTED.contains(&code.as_str())), "{failed:?}");
    // All of this was met.
    for met in ["cut", "truncate", "drop", "delay", "mute", "page", "gateway"] {
        assert!(number(&format!("/faults/{met}")) > 0, "{met}: {told}");
    }
    for met in
        ["/statuses/429", "/statuses/503", "/failed/no-answer", "/cached", "/sms", "/imessage"]
    {
        assert!(number(met) > 0, "{met}: {told}");
    }
    assert!(number("/changes") > 30, "{told}");
}
