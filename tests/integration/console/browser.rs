//! The browser that all tests of the console share, and the scripts that use it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    panic::resume_unwind,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    thread::JoinHandle,
};

use serde_json::Value;

use crate::{
    harness::Server,
    python::{node_packages, node_tool},
    repository::{debian_folder, file},
};

const FOLDER: &str = "tests/integration/console";
/// What a script prints before the word that it asks with. Other lines are for people.
const ASKS: &str = "> ";

fn node(script: &str) -> Command {
    let mut node = node_tool("node");
    node.arg(file(&format!("{FOLDER}/{script}")));
    node.env("NODE_PACKAGES", node_packages()).stdin(Stdio::piped()).stdout(Stdio::piped());
    node
}

/// The address of the browser, which is started on first use. It ends with this process, which holds its standard input.
fn browser() -> &'static str {
    static BROWSER: OnceLock<(String, Child)> = OnceLock::new();
    let (address, _) = BROWSER.get_or_init(|| {
        // It installs what the script below starts.
        debian_folder();
        let mut start = node("serve.mjs");
        start.arg(file("tests/tools/browser/chromium"));
        let mut child = start.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("ws://"), "the browser does not start; see the messages above");
        (address.trim().to_owned(), child)
    });
    address
}

/// A script that runs.
pub(crate) struct Case {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    told: JoinHandle<String>,
}

/// Starts `cases/<name>.mjs` with a server's console and what it needs to know, such as tokens and handles.
pub(crate) fn case(name: &str, server: &Server, facts: Value) -> Case {
    let mut script = node(&format!("cases/{name}.mjs"));
    script.env("BROWSER", browser()).env("CONSOLE", &server.operators);
    script.env("FACTS", facts.to_string()).env("PICTURES", pictures());
    let mut child = script.stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let told = std::thread::spawn(move || {
        let mut told = Vec::new();
        let _ = errors.read_to_end(&mut told);
        String::from_utf8_lossy(&told).into_owned()
    });
    Case {
        name: name.to_owned(),
        input: child.stdin.take().unwrap(),
        output: BufReader::new(child.stdout.take().unwrap()),
        child,
        told,
    }
}

/// Where scripts put pictures of pages.
pub(crate) fn pictures() -> PathBuf {
    let folder = file("target/console-pictures");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Case {
    /// What the script asks for next; `None` once it has ended well. Fails the test when the script fails.
    fn asked(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            match line.trim_end().strip_prefix(ASKS) {
                Some(word) => return Some(word.to_owned()),
                None => print!("{line}"),
            }
            line.clear();
        }
        let status = self.child.wait().unwrap();
        let reader = std::mem::replace(&mut self.told, std::thread::spawn(String::new));
        let told = reader.join().unwrap();
        assert!(status.success(), "cases/{}.mjs: {status}\n{told}", self.name);
        None
    }

    /// Answers what the script asked for last.
    fn answer(&mut self, answer: &Value) {
        writeln!(self.input, "{answer}").unwrap();
    }

    /// Waits for the end of a script that asks for nothing.
    pub(crate) async fn passes(self) {
        self.passes_with(async |word| panic!("the script asks for {word}")).await;
    }

    /// Waits for the end of a script, and does what it asks for on the way. The server may run in this process, so the wait has
    /// a thread of its own.
    pub(crate) async fn passes_with(mut self, mut act: impl AsyncFnMut(&str) -> Value) {
        loop {
            let waiting = tokio::task::spawn_blocking(move || {
                let word = self.asked();
                (self, word)
            });
            let word;
            (self, word) =
                waiting.await.unwrap_or_else(|failed| resume_unwind(failed.into_panic()));
            match word {
                Some(word) => self.answer(&act(&word).await),
                None => return,
            }
        }
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
