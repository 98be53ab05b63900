//! Exports that fail midway, and exports that do not start.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use dispatchd::{
    clock::Timestamp,
    query_log::LogRow,
    vocabulary::{Cause, ChangeKind},
};

use super::{Planted, change, done, export_to, said};
use crate::harness::{own_port, run, wait_until};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\
                    transfer-encoding: chunked\r\ntrailer: dispatchd-records\r\n\r\n";
const LAST: &str = "0\r\n\r\n";

/// A row as a server sends it, without the line's end.
fn row() -> String {
    let record = change(ChangeKind::HandleBound, Some("ann@example.com"), Some(2), Cause::Proof);
    LogRow { at: Timestamp::from_secs(1_795_420_800), record }.to_json()
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Starts a server that answers one request with these bytes. Joining the thread returns the open connection.
fn server_of(answer: String) -> (String, thread::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Of a request that is not read to its end, the answer would be lost.
        let (mut text, mut byte) = (String::new(), [0]);
        while !text.ends_with("\r\n\r\n{}") {
            stream.read_exact(&mut byte).unwrap();
            text.push(byte[0].into());
        }
        assert!(
            text.starts_with("POST /v1/log/export ") && text.contains("te: trailers"),
            "{text}"
        );
        stream.write_all(answer.as_bytes()).unwrap();
        stream
    });
    (url, serving)
}

fn export_from(url: &str, file: &Path) -> Command {
    let mut command = export_to(file, &["--server", url]);
    command.env("DISPATCHD_TOKEN", "token");
    command
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_answer_that_breaks_off_leaves_no_file() {
    let row = row();
    let rows = chunk(&format!("{row}\n{row}\n"));
    let whole = format!("{HEAD}{rows}0\r\ndispatchd-records: 2\r\n\r\n");
    for (answer, expected) in [
        (whole.clone(), ""),
        (whole.replace("records: 2", "records: 3"), "not as many records"),
        (format!("{HEAD}{rows}"), "breaks off"),
        (format!("{HEAD}{rows}ff\r\n{row}"), "breaks off"),
        (format!("{HEAD}{rows}0\r\n"), "breaks off"),
        (format!("{HEAD}{}{LAST}", chunk(&row)), "within a line"),
        (format!("{HEAD}{rows}{}{LAST}", chunk("{\"at\":1}\n")), "this command cannot read"),
        (format!("{HEAD}{rows}{LAST}"), "a proxy kept back"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n".to_owned() + &row, "breaks off"),
    ] {
        for name in ["log.parquet", "log.csv", "log.ndjson"] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(name);
            let (url, serving) = server_of(answer.clone());
            let exporting = export_from(&url, &file).stderr(Stdio::piped()).spawn().unwrap();
            // The server has written its answer. Dropping the stream closes the connection.
            drop(serving.join().unwrap());
            let output = exporting.wait_with_output().unwrap();
            let said = said(&output);
            assert!(said.contains(expected), "{expected}: {said}");
            assert!(!said.contains("ann@example.com"), "{said}");
            let is_whole = expected.is_empty() || expected.contains("proxy");
            assert_eq!(output.status.code(), Some(if is_whole { 0 } else { 1 }), "{said}");
            let left = files_in(folder.path());
            assert_eq!(left, if is_whole { vec![name] } else { vec![] }, "{expected}");
        }
    }
}

/// A running export. Dropping it kills the process.
struct Exporting(Child);

impl Drop for Exporting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_killed_export_leaves_no_file_of_its_name_and_the_next_one_cleans_up() {
    let planted = Planted::new();
    for name in ["log.parquet", "log.csv", "log.ndjson"] {
        let file = planted.file(name);
        let fresh = planted.file(&format!("{name}.new"));
        // More than the writer buffers, so the file already has some of it when the export dies.
        let rows = chunk(&format!("{}\n", row()).repeat(2_000));
        let (url, serving) = server_of(format!("{HEAD}{rows}"));
        let mut exporting = Exporting(export_from(&url, &file).spawn().unwrap());
        let _open = serving.join().unwrap();
        // Parquet keeps a whole row group back.
        let least = u64::from(!name.ends_with("parquet"));
        wait_until("something is written", || {
            assert!(exporting.0.try_wait().unwrap().is_none(), "it ended by itself");
            fs::metadata(&fresh).is_ok_and(|meta| meta.len() >= least)
        });
        // While it goes on nobody else writes the same file.
        let other = run(&mut planted.export(name, &[]));
        assert_eq!(other.status.code(), Some(1));
        assert!(said(&other).contains("another process is writing"), "{}", said(&other));
        assert!(!file.exists());
        exporting.0.kill().unwrap();
        exporting.0.wait().unwrap();
        assert!(!file.exists() && fresh.exists());
        done(&mut planted.export(name, &[]));
        assert!(file.exists() && !fresh.exists());
    }
}

#[test]
fn what_cannot_be_exported_is_said_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (there, empty) = (folder.path().join("there.csv"), folder.path().join("empty"));
    fs::write(&there, "mine").unwrap();
    fs::write(&empty, "# nobody\n\n").unwrap();
    let wrong = folder.path().join("wrong");
    let identity = Identity::generate();
    fs::write(&wrong, format!("# one\n{}\nage1x\n", identity.to_public())).unwrap();
    let secret = identity.to_string();
    let secret = secret.expose_secret();
    let (empty, wrong) = (empty.to_str().unwrap(), wrong.to_str().unwrap());
    let nowhere = format!("http://127.0.0.1:{}", own_port());
    // Not the device itself: a command that replaces it would break the machine.
    symlink("/dev/null", folder.path().join("null.csv")).unwrap();
    for (name, words, code, message) in [
        ("log", &[][..], 2, "which format?"),
        ("log.age", &[], 2, "which format?"),
        ("log.csv", &["--format", "xml"], 2, "xml"),
        ("log.csv", &["--encrypt-to", "age1x"], 2, "--encrypt-to, number 1: not an age recipient"),
        ("log.csv", &["--encrypt-to", secret], 2, "secret key"),
        ("log.csv", &["--encrypt-to-file", wrong], 2, "wrong, line 3: not an age recipient"),
        ("log.csv", &["--encrypt-to-file", empty], 2, "names no recipient"),
        ("log.csv", &["--encrypt-to-file", "/no/such/file"], 1, "/no/such/file"),
        ("log.csv.age", &[], 2, "no recipient is named"),
        ("log.csv", &["--since", "tomorrow"], 2, "since: "),
        ("null.csv", &["--force"], 2, "this is a link, which is never replaced"),
        ("there.csv", &[], 1, "is there already; --force replaces it"),
        ("no/such/log.csv", &[], 1, "the directory does not exist"),
    ] {
        // Nothing listens on that port. A command that tried to connect would say so.
        let mut command = export_to(&folder.path().join(name), words);
        command.args(["--server", &nowhere]).env("DISPATCHD_TOKEN", "token");
        let output = run(&mut command);
        let said = said(&output);
        assert!(output.status.code() == Some(code) && said.contains(message), "{words:?}: {said}");
        assert!(!said.contains(secret) && !said.contains("is the server running"), "{said}");
    }
    let mut no_server = export_from(&nowhere, &folder.path().join("log.csv"));
    let output = run(&mut no_server);
    assert!(output.status.code() == Some(1) && said(&output).contains("is the server running"));
    assert_eq!(files_in(folder.path()).len(), 4);
    assert_eq!(fs::read_link(folder.path().join("null.csv")).unwrap(), Path::new("/dev/null"));
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
}
