//! `dispatchd serve --demo`, the first command of README.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::harness::{PATIENCE, dispatchd, run};

/// A demo. Dropping it kills the process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_prints_commands_that_work() {
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
