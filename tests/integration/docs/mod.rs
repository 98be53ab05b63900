//! README and every file below `docs`: each block does what it says, and the words are plain.
//!
//! A new document needs no line here: it is found. Its blocks say by their kind how they are checked; see [`run_all`].

mod by_hand;
mod demo;
mod document;
mod links;
mod pattern;
mod phones;
mod prose;
mod shell;

use std::{sync::Mutex, thread};

pub(crate) use document::{Block, Document, document, documents, files_below};
pub(crate) use pattern::matches;
use serde_json::Value;
use shell::Place;

use crate::repository::file;

/// Blocks that are only shown: output, and files of other programs. `text` right after a block that runs is its output.
const SHOWN: &[&str] = &["text", "ini", "nginx", "caddy", "yaml", "csv", "http", "promql", "rust"];
/// Blocks with a test of their own: `sh by-hand` is listed in `by_hand.rs`, and `sql` runs in `export`.
const ELSEWHERE: &[&str] = &["sh by-hand", "sql"];
/// Blocks of README only: the two commands to begin with. Another test compares them.
const README_ONLY: &[&str] = &["sh demo", "sh tests"];
/// Documents that run at once. Most wait for their server.
const AT_ONCE: usize = 3;

/// The faults of a document's blocks.
fn faults_of(document: &Document) -> Vec<String> {
    let mut place = Place::new();
    let mut faults = place.run_shell(document);
    for block in &document.blocks {
        let kind = block.kind.as_str();
        let fault = match kind {
            "sh" | "sh server" | "ts" | "python" => None,
            "toml" => place.check_configuration(&block.text).err(),
            "json" => serde_json::from_str::<Value>(&block.text).err().map(|e| e.to_string()),
            _ if SHOWN.contains(&kind) || ELSEWHERE.contains(&kind) => None,
            _ if document.name == "README.md" && README_ONLY.contains(&kind) => None,
            _ => Some(format!("blocks of the kind {kind:?} are not known")),
        };
        faults.extend(fault.map(|fault| format!("{}:{}: {fault}", document.name, block.line)));
    }
    if document.of_kind("sh server").count() > 1 {
        faults.push(format!("{}: one server is enough", document.name));
    }
    faults
}

/// The faults of all documents, some of which run at once.
fn run_all(documents: &[Document]) -> Vec<String> {
    let next = Mutex::new(documents.iter());
    let take = || next.lock().unwrap().next();
    thread::scope(|scope| {
        let work = || std::iter::from_fn(take).flat_map(faults_of).collect::<Vec<_>>();
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn every_block_does_what_it_says() {
    let documents = documents();
    let count: usize = documents.iter().map(|document| document.blocks.len()).sum();
    assert!(documents.len() >= 3 && count >= 10, "{count} blocks in {}", documents.len());
    let faults = run_all(&documents);
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn a_block_of_a_wrong_kind_is_refused() {
    for (text, fault) in [
        ("```\nls\n```\n", "a.md:2: blocks of the kind \"\" are not known"),
        ("```shell\nls\n```\n", "a.md:2: blocks of the kind \"shell\" are not known"),
        ("```sh demo\nls\n```\n", "a.md:2: blocks of the kind \"sh demo\" are not known"),
        ("```json\n{,}\n```\n", "a.md:2: key must be a string"),
        ("```toml\n[log]\nretention = \"1\"\n```\n", "a.md:2: [log]"),
    ] {
        let faults = run_all(&[Document::parse("a.md", text).unwrap()]);
        assert!(faults.len() == 1 && faults[0].starts_with(fault), "{faults:?}");
    }
}

#[test]
fn readme_is_a_front_door() {
    let readme = document("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= 150, "{lines} lines");
    let one = |kind: &str| {
        let blocks: Vec<_> = readme.of_kind(kind).collect();
        assert_eq!(blocks.len(), 1, "{kind}");
        blocks[0].text.clone()
    };
    assert_eq!(one("sh demo"), "cargo run --release -- serve --demo");
    assert!(file(&one("sh tests")).is_file());
}
