//! A proxy that drops, delays, cuts and truncates connections by its dice.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::load::Dice;

/// What happens to a connection, and how often it did.
type Counts = BTreeMap<String, u64>;

/// A proxy in front of a server whose address may change. Its threads end with the test's process.
pub(super) struct Proxy {
    pub(super) url: String,
    target: Arc<Mutex<String>>,
    counts: Arc<Mutex<Counts>>,
}

/// What becomes of one direction of a connection.
#[derive(Clone, Copy)]
enum Fate {
    /// Every byte passes, after a pause for each piece.
    Delayed(Duration),
    /// After so many bytes the connection ends, as if the other side had closed it.
    Cut(usize),
    /// After so many bytes nothing passes any more, and the connection stays.
    Silent(usize),
}

impl Proxy {
    pub(super) fn start(target: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            target: Arc::default(),
            counts: Arc::default(),
        };
        proxy.lead_to(target);
        let (target, counts) = (Arc::clone(&proxy.target), Arc::clone(&proxy.counts));
        thread::spawn(move || {
            let mut dice = Dice::new(seed);
            for client in listener.incoming().map_while(Result::ok) {
                let target = target.lock().unwrap().clone();
                accept(client, &target, &mut dice, &counts);
            }
        });
        proxy
    }

    /// The server is at another URL now.
    pub(super) fn lead_to(&self, url: &str) {
        url.trim_start_matches("http://").clone_into(&mut self.target.lock().unwrap());
    }

    /// How often each fault happened, and each status was answered.
    pub(super) fn counts(&self) -> Counts {
        self.counts.lock().unwrap().clone()
    }

    pub(super) fn count(&self, what: &str) -> u64 {
        self.counts().get(what).copied().unwrap_or_default()
    }
}

fn add(counts: &Mutex<Counts>, what: &str) {
    *counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
}

/// Half of the connections have a fault. A request and its answer have 500 bytes or more each, and a connection many of them.
fn accept(client: TcpStream, target: &str, dice: &mut Dice, counts: &Arc<Mutex<Counts>>) {
    let clean = Fate::Delayed(Duration::ZERO);
    let place = dice.below(3_000) as usize;
    let (asking, answering, what) = match dice.below(20) {
        0 => return add(counts, "dropped"),
        1..=3 => (clean, Fate::Delayed(Duration::from_millis(dice.below(20))), "delayed"),
        4 => (Fate::Cut(place), clean, "cut while asking"),
        5..=8 => (clean, Fate::Cut(place), "cut while answering"),
        9 => (clean, Fate::Silent(place), "silent"),
        // It ends some time, too. Otherwise no new connection would be made.
        _ => (clean, Fate::Cut(20_000 + place), "without a fault"),
    };
    add(counts, what);
    let Ok(server) = TcpStream::connect(target) else {
        return add(counts, "without a server");
    };
    let copies = client.try_clone().and_then(|client| Ok((client, server.try_clone()?)));
    let Ok((client_too, server_too)) = copies else { return };
    let counts = Arc::clone(counts);
    thread::spawn(move || pump(client, server, asking, |_| {}));
    thread::spawn(move || {
        pump(server_too, client_too, answering, |piece| {
            if let Some(status) = piece.strip_prefix(b"HTTP/1.1 ") {
                add(&counts, &String::from_utf8_lossy(&status[..3]));
            }
        });
    });
}

/// Passes bytes on until one side ends or fate does. Then both directions end.
fn pump(mut from: TcpStream, mut to: TcpStream, fate: Fate, mut see: impl FnMut(&[u8])) {
    let mut piece = [0; 4096];
    let mut passed = 0;
    while let Ok(length @ 1..) = from.read(&mut piece) {
        let piece = &piece[..length];
        see(piece);
        let left = match fate {
            Fate::Delayed(pause) => {
                thread::sleep(pause);
                length
            }
            Fate::Cut(at) | Fate::Silent(at) => length.min(at.saturating_sub(passed)),
        };
        passed += length;
        if to.write_all(&piece[..left]).is_err() || (left < length && matches!(fate, Fate::Cut(_)))
        {
            break;
        }
    }
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}
