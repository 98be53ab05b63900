//! README's tour and the demo, run as they are written. Only ports and spans are replaced, and `cargo run --release --` by
//! the binary under test.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::harness::{PATIENCE, dispatchd, own_port, quoted, run, wait_until};

const CARGO_RUN: &str = "cargo run --release --";

/// A fenced block: the text after the backticks, and the lines.
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block { kind: kind.to_owned(), text: text.join("\n") });
        }
    }
    blocks
}

pub(crate) fn readme() -> Vec<Block> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    blocks(&fs::read_to_string(path).expect("there is a README"))
}

/// Whether `text` matches `pattern`, in which `…` matches anything within a line.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    let mut is_open = false;
    for part in parts {
        is_open = part.is_empty();
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    is_open || rest.is_empty()
}

/// A server that a line of the README started. Dropping it kills the process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The binary under test, as a word of a script.
fn binary() -> String {
    quoted(env!("CARGO_BIN_EXE_dispatchd"))
}

/// In README the live view is read for three seconds, and its reader is there after half of them. On a busy machine it may
/// take longer: the view has begun once the audit log says so.
const SPANS: [(&str, &str); 2] = [
    ("timeout 3 ", "timeout 10 "),
    (
        "sleep 1.5",
        "until grep -qs '\"call\":\"tail\"' data/audit/*.ndjson; do sleep 0.1; done; sleep 0.5",
    ),
];

/// Commands of the README as a shell runs them here.
struct Here<'a> {
    folder: &'a Path,
    phones: u16,
    operators: u16,
}

impl Here<'_> {
    fn translate(&self, script: &str) -> String {
        let in_time = |script: String, (said, here): (&str, &str)| script.replace(said, here);
        let script = SPANS.into_iter().fold(script.to_owned(), in_time);
        script
            .replace(CARGO_RUN, &binary())
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", self.phones))
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{}", self.operators))
    }

    fn bash(&self, script: &str) -> Command {
        let mut bash = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("DISPATCHD_")) {
                bash.env_remove(name);
            }
        }
        bash.args(["-e", "-c", &self.translate(script)])
            .env("no_proxy", "*")
            .current_dir(self.folder)
            .env("DISPATCHD_SERVER__PHONES", format!("127.0.0.1:{}", self.phones))
            .env("DISPATCHD_SERVER__OPERATORS", format!("127.0.0.1:{}", self.operators))
            .env("DISPATCHD_SERVER", format!("http://127.0.0.1:{}", self.operators));
        bash
    }

    fn serve(&self, line: &str) -> Running {
        let mut bash = self.bash(&format!("exec {line}"));
        let child = bash.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Running(child);
        let addresses = self.folder.join("data/addresses.json");
        wait_until("the server has started", || addresses.exists());
        running
    }
}

#[test]
fn the_tour_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let here = Here { folder: folder.path(), phones: own_port(), operators: own_port() };
    let blocks = readme();
    let server =
        blocks.iter().find(|block| block.kind == "sh server").expect("a server is started");
    let _running = here.serve(&server.text);
    // One shell runs all blocks, as in the reader's terminal. A marker line separates the outputs of the blocks.
    let steps: Vec<_> = blocks.iter().filter(|block| block.kind == "sh").collect();
    let script: String =
        steps.iter().map(|step| format!("{}\nprintf '\\n=====\\n'\n", step.text)).collect();
    let output = run(&mut here.bash(&script));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let printed: Vec<_> = printed.split("\n=====\n").collect();

    let mut checked = 0;
    let mut step = 0;
    for (block, next) in blocks.iter().zip(blocks.iter().skip(1)) {
        if block.kind != "sh" {
            continue;
        }
        if next.kind == "text" {
            let (is, said) = (printed[step].trim_end(), &next.text);
            let is_so = is.lines().count() == said.lines().count()
                && said.lines().zip(is.lines()).all(|(pattern, line)| matches(pattern, line));
            assert!(is_so, "after\n{}\nREADME says\n{said}\nbut the output is\n{is}", block.text);
            checked += 1;
        }
        step += 1;
    }
    assert!(steps.len() >= 6 && checked >= 5, "{checked} of {} steps", steps.len());
}

#[test]
fn the_two_commands_are_there() {
    let blocks = readme();
    let one = |kind: &str| blocks.iter().find(|block| block.kind == kind).unwrap().text.clone();
    assert_eq!(one("sh demo"), format!("{CARGO_RUN} serve --demo"));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join(one("sh tests"));
    assert!(tests.is_file());
}

#[test]
fn the_demo_prints_commands_that_work() {
    use std::io::{BufRead as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo = dispatchd();
    demo.args(["serve", "--demo"])
        .env("DISPATCHD_SERVER__PHONES", "127.0.0.1:0")
        .env("DISPATCHD_SERVER__OPERATORS", "127.0.0.1:0")
        .env("DISPATCHD_SERVER__DATA", &data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut running = Running(demo.spawn().unwrap());
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let shown: Vec<_> =
        lines.map(Result::unwrap).take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let at = shown.iter().position(|line| line.starts_with("Try it")).expect("commands to paste");
    for answer in ["imessage", "sms", "none", "device-removed", "never-registered"] {
        assert!(
            shown[..at].iter().any(|line| line.contains(answer)),
            "the demo does not show {answer}"
        );
    }
    let commands = shown[at + 1..].join("\n").replace("\\\n", " ");
    let commands: Vec<_> = commands.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(commands.len(), 5, "{commands:#?}");
    // Pasted into a shell, it runs the binary that printed it.
    assert!(commands[4].contains(env!("CARGO_BIN_EXE_dispatchd")), "{commands:#?}");
    for (command, expected) in commands.into_iter().zip([
        "\"route\":\"imessage\"",
        "\"together\":\"mixed\"",
        "\"route\":\"sms\"",
        "",
        "REASON",
    ]) {
        // A live view ends only because it is cut off (28).
        let is_live = command.contains("/log/tail");
        let (seconds, code) = if is_live { (2, 28) } else { (PATIENCE.as_secs(), 0) };
        let local = command.replace("curl ", &format!("curl --fail --max-time {seconds} "));
        let output = run(Command::new("bash").args(["-c", &local]).env("no_proxy", "*"));
        assert_eq!(output.status.code(), Some(code), "{command}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains(expected), "{command}\n{printed}");
        if command.contains("/v1/l") && code == 0 {
            serde_json::from_str::<Value>(&printed).expect("JSON");
        }
    }
}

#[test]
fn a_demo_does_not_touch_what_is_not_its_own() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data/registry")).unwrap();
    let mut demo = dispatchd();
    demo.args(["serve", "--demo"]).env("DISPATCHD_SERVER__DATA", folder.path().join("data"));
    let output = run(&mut demo);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Name another directory"));
}

#[test]
fn a_pattern_is_what_it_looks_like() {
    for (pattern, text, is_so) in [
        ("a…c", "abbc", true),
        ("a…c", "abbcd", false),
        ("a…", "abc", true),
        ("…c", "abd", false),
        ("abc", "abc", true),
        ("abc", "abcd", false),
    ] {
        assert_eq!(matches(pattern, text), is_so, "{pattern} {text}");
    }
}
