//! What commands print besides tables: messages, reports and the demo.

use std::process::Command;

use super::{
    NARROW, WIDE, is_kept,
    stable::stable,
    tables::{Shop, fits},
    terminal::{Streams, on_terminal},
};
use crate::harness::dispatchd;

/// Commands in their order, the names of their files, and their exit codes on the first terminal and on the second.
const COMMANDS: [(&str, &str, [i32; 2]); 9] = [
    ("config show", "config-show", [0, 0]),
    ("log export --until 30m --output log.csv --force", "log-export", [0, 0]),
    ("registry export accounts.csv --force", "registry-export", [0, 0]),
    ("registry snapshot registry.snapshot --force", "registry-snapshot", [0, 0]),
    ("operator add bob --role reader --data data", "operator-add", [0, 0]),
    ("operator revoke bob --data data", "operator-revoke", [0, 0]),
    // The second time there is nothing left to clear.
    ("quota clear FLAGGED", "quota-clear", [0, 1]),
    ("man pages", "man", [0, 0]),
    ("completions tcsh", "completions", [2, 2]),
];

/// What a terminal shows at last: progress bars are taken away.
fn settled(text: &str) -> String {
    const CLEAR_LINE: &str = "\r\x1b[2K";
    text.split_inclusive('\n')
        .map(|line| line.rsplit(CLEAR_LINE).next().unwrap_or_default())
        .collect()
}

/// The text without where the folder lies: a path is as long as the machine wants.
fn without_folder(text: &str, folder: &str) -> String {
    text.replace(&format!("\n  {folder}"), &format!(" {folder}")).replace(folder, "FOLDER")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_kept() {
    let shop = Shop::open().await;
    std::fs::create_dir(shop.file("pages")).unwrap();
    let folder = shop.folder.path().canonicalize().unwrap().display().to_string();
    for (at, (columns, form)) in [(NARROW, "80"), (WIDE, "wide")].into_iter().enumerate() {
        // What it finds depends on the machine.
        let findings = on_terminal(shop.command("doctor"), columns, Streams::Both, |_| false);
        assert_eq!(findings.code, Some(1), "{}", findings.text);
        fits(&findings.text, columns);
        for (words, name, codes) in COMMANDS {
            let command = shop.command(&words.replace("FLAGGED", &shop.flagged));
            let screen = on_terminal(command, columns, Streams::Both, |_| false);
            assert_eq!(screen.code, Some(codes[at]), "{words}: {}", screen.text);
            let text = settled(&screen.text);
            assert!(!text.contains('\x1b'), "{text:?}");
            is_kept(&format!("{name}.{form}"), &stable(&without_folder(&text, &folder)));
        }
    }
}

/// The rows of an export to a terminal begin where no bar is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_to_a_terminal_begins_at_the_beginning_of_a_line() {
    let shop = Shop::open().await;
    let screen = on_terminal(shop.command("registry export -"), NARROW, Streams::Both, |_| false);
    assert_eq!(screen.code, Some(0), "{}", screen.text);
    assert!(screen.text.contains("downloading"), "no bar: {:?}", screen.text);
    assert!(settled(&screen.text).starts_with("handle,account,device,"), "{:?}", screen.text);
    let end = settled(&screen.text);
    assert!(end.ends_with("written, without the key of their subjects\n"), "{end:?}");
}

/// What stands for the addresses, the program and the subjects of a demo. Its lines are not cut, so the width may change.
fn of_any_demo(text: &str, program: &str) -> String {
    let mut text = text.replace(program, "dispatchd");
    for (path, port) in [("/docs and", "8080"), ("/docs.", "8081")] {
        let (before, _) = text.split_once(path).expect("the demo names its pages");
        let (_, found) = before.rsplit_once(':').unwrap();
        let found = format!("127.0.0.1:{found}");
        text = text.replace(&found, &format!("127.0.0.1:{port}"));
    }
    let line = |line: &str| match line.split_once("  imessage  ") {
        Some((before, subject)) if subject.trim_end().len() == SUBJECT_CHARS => {
            format!("{before}  imessage  {}\n", "s".repeat(SUBJECT_CHARS))
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

const SUBJECT_CHARS: usize = 22;

#[test]
fn the_demo_is_kept() {
    for (columns, form) in [(NARROW, "80"), (WIDE, "wide")] {
        let folder = tempfile::tempdir().unwrap();
        let mut demo: Command = dispatchd();
        demo.args(["serve", "--demo"]).env("NO_COLOR", "1").env("TERM", "xterm-256color");
        for (name, value) in [("PHONES", "127.0.0.1:0"), ("OPERATORS", "127.0.0.1:0")] {
            demo.env(format!("DISPATCHD_SERVER__{name}"), value);
        }
        demo.env("DISPATCHD_SERVER__DATA", folder.path().join("data"));
        let program = demo.get_program().to_str().unwrap().to_owned();
        let is_whole = |text: &str| text.contains("Ctrl-C stops the server.\n");
        let screen = on_terminal(demo, columns, Streams::Output, is_whole);
        let (tables, _) = screen.text.split_once("\nA browser").expect("commands follow");
        fits(tables, columns);
        is_kept(&format!("demo.{form}"), &stable(&of_any_demo(&screen.text, &program)));
    }
}
