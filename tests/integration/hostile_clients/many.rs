//! Ten thousand clients that are silent, drip or never read, beside phones that look handles up.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{connect_from, descriptors, resident_bytes};
use crate::{
    connection::Wire,
    harness::{PATIENCE, Server, say},
};

/// How long the clients hold on. Each connection that the server closes is opened again.
const SPAN: Duration = Duration::from_secs(30);
/// About as long as the server keeps one of them, so that they are closed and opened again one by one, too.
const OPENED_WITHIN: Duration = Duration::from_secs(10);
/// The most memory for each connection.
const BYTES_MAX: u64 = 32 * 1024;
/// How long the server may keep connections that nobody renews.
const HELD_MAX: Duration = Duration::from_secs(15);

/// How many clients there are; `HOSTILE_CLIENTS` changes it.
fn clients() -> usize {
    std::env::var("HOSTILE_CLIENTS").map_or(10_000, |text| text.parse().unwrap())
}

#[derive(Clone, Copy)]
enum Kind {
    /// Sends nothing.
    Silent,
    /// Sends a line of its head each second.
    Dripping,
    /// Sends requests and reads no answer.
    NeverReading,
}

struct Client {
    kind: Kind,
    stream: TcpStream,
}

impl Client {
    fn new(url: &str, number: usize) -> Self {
        let kind = [Kind::Silent, Kind::Dripping, Kind::NeverReading][number % 3];
        let [_, _, high, low] = u32::try_from(number).unwrap().to_be_bytes();
        let mut stream = connect_from(url, [1, high, low.max(1)]);
        stream.set_nonblocking(true).unwrap();
        // The server may have closed the connection already.
        _ = match kind {
            Kind::Silent => Ok(()),
            Kind::Dripping => stream.write_all(b"GET /v1/lookup/x HTTP/1.1\r\nhost: 127.0.0.1\r\n"),
            Kind::NeverReading => {
                let request = b"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
                stream.write_all(&request.repeat(400))
            }
        };
        Self { kind, stream }
    }

    /// Goes on as its kind does. False once the server has closed the connection.
    fn go_on(&mut self) -> bool {
        let is_waiting = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
        let mut send =
            |bytes: &[u8]| self.stream.write_all(bytes).map_or_else(is_waiting, |()| true);
        let is_sent = match self.kind {
            Kind::Silent => true,
            Kind::Dripping => send(b"x-more: 1\r\n"),
            Kind::NeverReading => return send(b"GET / HTTP/1.1\r\n"),
        };
        is_sent && self.stream.read(&mut [0]).map_or_else(is_waiting, |count| count > 0)
    }
}

/// Asks again and again until `is_over`; the sorted times that it took.
pub(crate) fn asked(mut ask: impl FnMut(), is_over: impl Fn() -> bool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !is_over() {
        let began = Instant::now();
        ask();
        took.push(began.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
    took.sort();
    took
}

/// The same with lookups of one handle.
fn looked_up(url: &str, token: &str, is_over: impl Fn() -> bool) -> Vec<Duration> {
    let mut wire = Wire::connect(url).unwrap();
    let ask = || {
        let reply = wire.ask("GET", "/v1/lookup/%2B14155550123", token, &Value::Null);
        assert_eq!(reply.unwrap().status, 200);
    };
    asked(ask, is_over)
}

/// Does something for each of `count` clients, evenly over `span`: clients of the internet do not act together.
pub(crate) fn spread(count: usize, span: Duration, mut act: impl FnMut(usize)) {
    let begun = Instant::now();
    for number in 0..count {
        let due = span.mul_f64(number as f64 / count as f64);
        // Shorter pauses take longer than they should.
        if let Some(early) = due.checked_sub(begun.elapsed())
            && early > Duration::from_micros(200)
        {
            thread::sleep(early);
        }
        act(number);
    }
}

/// Lets the server and its phones have the processors first, as if this thread's clients had machines of their own. They would
/// otherwise wait for this thread's turns, which are as long as the times that are measured.
pub(crate) fn give_way() {
    rustix::process::nice(19).unwrap();
}

pub(crate) fn p99(took: &[Duration]) -> Duration {
    took[took.len() * 99 / 100]
}

#[tokio::test]
#[ignore = "takes two minutes; `tests/run --long` runs it"]
async fn long_ten_thousand_clients_hold_nothing_that_others_need() {
    let server = Server::start().await;
    let ann = server.sign_up().await;
    let url = &server.phones;
    let begun = Instant::now();
    let undisturbed = looked_up(url, &ann.token, || begun.elapsed() > Duration::from_secs(10));
    let (idle_descriptors, idle_bytes) = (descriptors(&server), resident_bytes(&server));

    let is_over = AtomicBool::new(false);
    let (mut most, mut most_bytes) = (0, 0);
    let (clients, disturbed) = thread::scope(|scope| {
        let phone = scope.spawn(|| looked_up(url, &ann.token, || is_over.load(Ordering::Relaxed)));
        let hostile = scope.spawn(|| {
            give_way();
            let count = self::clients();
            let mut clients = Vec::with_capacity(count);
            spread(count, OPENED_WITHIN, |number| clients.push(Client::new(url, number)));
            let begun = Instant::now();
            while begun.elapsed() < SPAN {
                spread(count, Duration::from_secs(1), |number| {
                    if !clients[number].go_on() {
                        clients[number] = Client::new(url, number);
                    }
                });
                most = most.max(descriptors(&server) - idle_descriptors);
                most_bytes = most_bytes.max(resident_bytes(&server));
            }
            is_over.store(true, Ordering::Relaxed);
            clients
        });
        (hostile.join().unwrap(), phone.join().unwrap())
    });
    thread::sleep(HELD_MAX);
    let held = descriptors(&server).saturating_sub(idle_descriptors);
    let of_each = most_bytes.saturating_sub(idle_bytes) / most as u64;
    say(&format!(
        "{} clients: {most} held at once, {of_each} bytes each; lookups: p99 {:?} undisturbed, {:?} disturbed; {held} \
         descriptors held {HELD_MAX:?} after",
        clients.len(),
        p99(&undisturbed),
        p99(&disturbed),
    ));
    assert!(most > clients.len() * 9 / 10, "only {most} connections were held");
    assert!(of_each <= BYTES_MAX, "{of_each} bytes a connection");
    assert_eq!(held, 0);
    assert!(begun.elapsed() < PATIENCE);
}
