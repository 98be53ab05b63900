//! Commands post what they ask: proxies log the lines of requests, and no line holds a handle.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::harness::{dispatchd, run};

const HANDLE: &str = "+14155550123";

/// Every command that takes a handle, with more words, and where it posts.
const COMMANDS: [(&str, &[&str], &str); 6] = [
    ("ask", &[HANDLE], "/v1/lookup"),
    ("audit list", &["--handle", HANDLE], "/v1/audit/search"),
    ("log export", &["--handle", HANDLE, "--format", "ndjson", "--output", "-"], "/v1/log/export"),
    ("log search", &["--handle", HANDLE, "--limit", "1"], "/v1/log/search"),
    ("log tail", &["--handle", HANDLE], "/v1/log/tail"),
    ("why", &[HANDLE], "/v1/timeline"),
];

/// A server at this address that refuses what it is asked. Gives its URL, and what came so far.
pub(crate) fn record(address: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(address).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let to = Arc::clone(&requests);
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let to = Arc::clone(&to);
            thread::spawn(move || refuse(socket, &to));
        }
    });
    (url, requests)
}

fn refuse(mut socket: TcpStream, to: &Mutex<Vec<String>>) {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while let Ok(read @ 1..) = socket.read(&mut buffer) {
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.map_or(0, |length| length.parse().unwrap()) <= body.len() {
            break;
        }
    }
    to.lock().unwrap().push(text);
    let _ = socket.write_all(
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
}

#[test]
fn no_request_line_of_a_command_holds_a_handle() {
    for (command, more, path) in COMMANDS {
        let (url, requests) = record("127.0.0.1:0");
        let mut asking = dispatchd();
        asking.args(command.split(' ')).args(more).args(["--server", &url]);
        asking.env("DISPATCHD_TOKEN", "do_x").env("DISPATCHD_DEVICE_TOKEN", "dd_x");
        let output = run(&mut asking);
        assert_eq!(output.status.code(), Some(1), "{command}: {output:?}");
        let requests = requests.lock().unwrap().clone();
        assert!(!requests.is_empty(), "{command} asked nothing");
        for request in requests {
            let (line, rest) = request.split_once("\r\n").unwrap();
            assert_eq!(line, format!("POST {path} HTTP/1.1"), "{command}");
            assert!(rest.contains(HANDLE), "{command} asked otherwise: {request}");
        }
    }
}

#[test]
fn every_command_that_takes_a_handle_is_known() {
    fn takes_handles(command: &clap::Command, words: &str, found: &mut BTreeSet<String>) {
        let mut ids = command.get_arguments().map(|argument| argument.get_id().as_str());
        if ids.any(|id| id.contains("handle")) {
            found.insert(words.to_owned());
        }
        for below in command.get_subcommands() {
            takes_handles(below, format!("{words} {}", below.get_name()).trim_start(), found);
        }
    }
    let mut found = BTreeSet::new();
    takes_handles(&dispatchd::cli::command(), "", &mut found);
    assert_eq!(found, COMMANDS.map(|(command, ..)| command.to_owned()).into());
}
