//! Imports and exports of the registry: `dispatchd registry import|export|snapshot|stats`, on a stopped server's
//! files and on a running server, interrupted at any moment.

mod crashes;
mod earlier;
mod files;
mod foreign;
mod running;
mod snapshots;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use dispatchd::{
    clock::{Clock as _, SystemClock, Timestamp},
    ids::{AccountId, DeviceId},
};
use serde_json::Value;

use crate::harness::{Device, Server, dispatchd, run};

const HEADER: &str = "handle,account,device,platform,last_check_in_at,proved_at,token_hash";

/// A person in an import file: one account, one device with a known token, one handle.
struct Person {
    device: Device,
    handle: String,
    token_hash: String,
}

impl Person {
    /// The person with this number, always the same.
    fn number(n: u64) -> Self {
        let id = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let device = DeviceId::from_bits(id).to_string();
        let hash = |text: &str| digest(&SHA256, text.as_bytes());
        let secret = BASE64URL_NOPAD.encode(hash(&format!("secret {n}")).as_ref());
        let token = format!("dd_{}{secret}", &device[2..]);
        let token_hash = HEXLOWER.encode(&hash(&secret).as_ref()[..16]);
        let account = AccountId::from_bits(id).to_string();
        let device = Device { device, account, token };
        Self { device, handle: format!("person{n}@example.com"), token_hash }
    }

    fn holding(n: u64, handle: &str) -> Self {
        Self { handle: handle.to_owned(), ..Self::number(n) }
    }

    /// The person's row with a proof at `proved_at`.
    fn row(&self, proved_at: Timestamp) -> String {
        let (now, Device { device, account, .. }) = (SystemClock.now(), &self.device);
        let (handle, hash) = (&self.handle, &self.token_hash);
        format!("{handle},{account},{device},ios,{now},{proved_at},{hash}")
    }
}

fn ago(secs: u64) -> Timestamp {
    SystemClock.now().minus(std::time::Duration::from_secs(secs))
}

/// Writes an import file with these rows.
fn csv(path: &Path, rows: &[String]) {
    fs::write(path, format!("{HEADER}\n{}\n", rows.join("\n"))).unwrap();
}

/// Writes an import file of the first `count` people, who proved their handles an hour ago.
fn people(path: &Path, count: u64) {
    let proved_at = ago(3_600);
    csv(path, &(0..count).map(|n| Person::number(n).row(proved_at)).collect::<Vec<_>>());
}

/// `dispatchd registry …` on the files of a stopped server.
fn on_files(data: &Path, command: &str, rest: &[&Path]) -> Command {
    let mut dispatchd = dispatchd();
    dispatchd.arg("registry").args(command.split(' ')).args(rest).arg("--data").arg(data);
    dispatchd
}

/// `dispatchd registry …` on a running server.
fn on_server(server: &Server, token: &str, command: &str, rest: &[&Path]) -> Command {
    let mut dispatchd = dispatchd();
    dispatchd.arg("registry").args(command.split(' ')).args(rest);
    dispatchd.args(["--server", &server.operators]).env("DISPATCHD_TOKEN", token);
    dispatchd
}

/// The standard output of a command that succeeds.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The one JSON object that a successful command prints.
#[track_caller]
fn object(command: &mut Command) -> Value {
    serde_json::from_str(&printed(command.arg("--json"))).unwrap()
}

/// The message of a command that fails with this exit code.
#[track_caller]
fn fails(command: &mut Command, code: i32) -> String {
    let output = run(command);
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty() && !said.contains("panicked"), "{output:?}");
    said
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The statistics of a stopped server's registry, without the figures that depend on its history.
#[track_caller]
fn stats(data: &Path) -> Value {
    let mut figures = object(&mut on_files(data, "stats", &[]));
    figures.as_object_mut().unwrap().remove("memory");
    figures
}

/// A stopped server's registry as an export.
#[track_caller]
fn exported(data: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.csv");
    printed(&mut on_files(data, "export", &[&file]));
    fs::read_to_string(file).unwrap()
}

/// The names in a directory, or none if it does not exist.
fn left_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
