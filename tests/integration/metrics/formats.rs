//! The text: what `promtool` says to it, and what both formats have in common.

use std::{collections::BTreeSet, io::Write as _, process::Stdio};

use crate::{harness::Server, repository::debian_program, wire::Reply};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// A server of which most families have samples.
async fn used_server() -> Server {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    server.prove(&ann, "+14155550123").await;
    for handle in ["+14155550123", "nobody@example.com", "nonsense"] {
        server.lookup(&ann, handle).await;
    }
    let reader = server.operator_token("reader", "reader");
    server.records(&reader, "kind=lookup").await;
    server
}

async fn scrape(server: &Server, accept: &str) -> (String, String) {
    let reply = Reply::to(server.scrape().header("accept", accept)).await;
    assert_eq!(reply.header("vary"), "accept");
    (reply.header("content-type").to_owned(), reply.text)
}

#[tokio::test]
async fn promtool_finds_nothing_to_say() {
    let server = used_server().await;
    let (content_type, text) = scrape(&server, "*/*").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    let mut check = debian_program("usr/bin/promtool");
    check.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success() && told.trim().is_empty(), "{told}\n{text}");
}

/// Both formats have the same samples, but for those that change between two scrapes.
#[tokio::test]
async fn both_formats_have_the_same_samples() {
    let server = used_server().await;
    let samples = |text: &str| -> BTreeSet<_> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    // The first scrapes make series of their own.
    for accept in ["*/*", OPENMETRICS] {
        scrape(&server, accept).await;
    }
    let (_, plain) = scrape(&server, "*/*").await;
    let (content_type, open) = scrape(&server, OPENMETRICS).await;
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("# EOF\n") && !plain.contains("# EOF"));
    assert_eq!(samples(&plain), samples(&open));
}

/// Each family has one line of help, without a full stop, and its own samples below it.
#[tokio::test]
async fn each_family_is_explained_once_and_alike() {
    let server = used_server().await;
    let (_, text) = scrape(&server, "*/*").await;
    let (mut names, mut lines) = (BTreeSet::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(names.insert(name), "{name} is there twice");
        assert!(!help.ends_with('.') && help.starts_with(char::is_uppercase), "{help}");
        let kind = lines.next().unwrap();
        assert!(kind.starts_with(&format!("# TYPE {name} ")), "{kind}");
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            assert!(sample.starts_with(name), "{sample} is below {name}");
        }
        let is_ours = name.starts_with("dispatchd_") || name.starts_with("process_");
        assert!(is_ours, "{name}");
    }
    assert!(names.len() > 35, "{names:?}");
}
