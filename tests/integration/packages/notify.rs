//! The service manager is told what it must know: sd_notify(3).

use std::{fs, os::unix::net::UnixDatagram, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    connection::{Wire, request},
    harness::{PATIENCE, Server, shared_library, wait_until},
};

/// A service manager: the socket that it reads.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { socket, folder }
    }

    /// A server that it starts later, with further variables of the process.
    fn server(&self, settings: &[(&str, &str)], variables: &[(&str, &str)]) -> Server {
        let mut server = Server::stopped(&self.folder.path().join("data"), settings);
        let socket = self.folder.path().join("notify");
        let mut all = vec![("NOTIFY_SOCKET", socket.to_str().unwrap())];
        all.extend(variables);
        server.set_process_env(&all);
        server
    }

    /// The next message within `patience`.
    fn next_within(&self, patience: Duration) -> Option<String> {
        let mut buffer = [0; 1_024];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    fn next(&self) -> String {
        self.next_within(PATIENCE).expect("a message of the server")
    }

    /// The messages until one holds the line `line`, with that one.
    fn until(&self, line: &str) -> Vec<String> {
        let mut messages = Vec::new();
        loop {
            let message = self.next();
            let is_it = message.lines().any(|found| found == line);
            messages.push(message);
            if is_it {
                return messages;
            }
        }
    }

    /// Takes what has arrived.
    fn drain(&self) -> Vec<String> {
        std::iter::from_fn(|| self.next_within(Duration::from_millis(1))).collect()
    }
}

#[tokio::test]
async fn ready_comes_once_lookups_are_answered_and_stopping_before_the_end() {
    let manager = Manager::new();
    let mut server = manager.server(&[], &[]);
    server.spawn().await;
    let ann = server.sign_up().await;
    assert!(server.stop().await.success());
    manager.drain();

    server.launch();
    let told = manager.until("READY=1");
    // Whoever asks now is answered: nothing is awaited but the message.
    assert!(server.data.join("addresses.json").exists(), "{told:?}");
    server.ready().await;
    assert_eq!(server.route(&ann, "+14155550123").await, "sms");
    let extended = told.iter().position(|told| told.starts_with("EXTEND_TIMEOUT_USEC="));
    assert!(extended.is_some_and(|at| at + 1 < told.len()), "before it is ready: {told:?}");
    let address = server.phones.trim_start_matches("http://");
    assert!(told.last().unwrap().contains(&format!("Answering phones at {address}")), "{told:?}");

    assert!(server.stop().await.success());
    let told = manager.next();
    // Twice the grace of 20 s, and a minute to close the files.
    assert!(told.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=100000000\n"), "{told}");
}

#[tokio::test]
async fn a_start_that_fails_is_never_ready() {
    let manager = Manager::new();
    let mut server = manager.server(&[], &[]);
    fs::create_dir(&server.data).unwrap();
    fs::write(server.data.join("format"), "1\n").unwrap();
    server.launch();
    assert!(!server.wait().await.success());
    let told = manager.drain();
    assert!(!told.is_empty() && told.iter().all(|told| !told.contains("READY")), "{told:?}");
}

#[tokio::test]
async fn the_watchdog_hears_a_server_that_runs_and_none_that_is_stopped() {
    let manager = Manager::new();
    let mut server = manager.server(&[], &[("WATCHDOG_USEC", "600000")]);
    server.launch();
    manager.until("READY=1");
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    server.signal("STOP");
    let stat = format!("/proc/{}/stat", server.pid());
    wait_until("the process is stopped", || {
        let stat = fs::read_to_string(&stat).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    });
    manager.drain();
    // Five spans between two messages.
    assert_eq!(manager.next_within(Duration::from_secs(1)), None);
    server.signal("CONT");
    assert_eq!(manager.next(), "WATCHDOG=1");
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn a_watchdog_of_another_process_is_not_fed() {
    let manager = Manager::new();
    let mut server = manager.server(&[], &[("WATCHDOG_USEC", "600000"), ("WATCHDOG_PID", "1")]);
    server.launch();
    manager.until("READY=1");
    assert!(server.stop().await.success());
    let told = manager.drain();
    assert!(told.len() == 1 && told[0].starts_with("STOPPING=1"), "{told:?}");
}

/// With `log.durability = "os"` a phones' thread writes to the log itself, so a disk that hangs holds it up.
#[tokio::test]
async fn the_watchdog_hears_nothing_while_a_phones_thread_is_held_up() {
    const HELD_UP: &str = "a thread that answers phones does not respond";
    let manager = Manager::new();
    let control = manager.folder.path().join("control");
    fs::write(&control, "").unwrap();
    let library = shared_library("disk_faults");
    let mut server = manager.server(
        &[("SERVER__THREADS", "1"), ("LOG__DURABILITY", "os")],
        &[
            ("WATCHDOG_USEC", "600000"),
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("DISK_FAULTS", control.to_str().unwrap()),
        ],
    );
    server.launch();
    server.ready().await;
    let ann = server.sign_up().await;
    assert!(!server.output().contains(HELD_UP), "{}", server.output());

    let met = manager.folder.path().join("control.met");
    fs::write(&control, "write .frames 0 1 stall 4000\n").unwrap();
    let mut wire = Wire::connect(&server.phones).unwrap();
    let lookup = request("GET", "/v1/lookup/%2B14155550123", &ann.token, &Value::Null);
    wire.send(lookup.as_bytes()).unwrap();
    wait_until("the write hangs", || met.exists());
    // Each round reports to the watchdog, or logs this.
    wait_until("the watchdog is not fed", || server.output().matches(HELD_UP).count() >= 3);
    let reply = wire.reply().unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    manager.drain();
    assert_eq!(manager.next(), "WATCHDOG=1");
    assert!(server.stop().await.success());
}
