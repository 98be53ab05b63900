//! `kill -9` during one kind of change. No acknowledged change is lost, applied by half, or recorded twice. A change
//! in flight either took effect and has one record, or it did not and has none.
//!
//! In a round, every [`Actor`] prepares. Then all actors make changes while other threads look handles up, until the
//! test kills the server at a random moment. After the restart each actor reads everything it can, and compares it
//! with the records of the round. The state must be the acknowledged one, with or without the one change in flight.
//!
//! `DISPATCHD_TEST_KILLS` sets the rounds for each kind of change (10). `DISPATCHD_TEST_SEED` repeats a run as far as
//! scheduling allows.
//!
//! To test another change that phones make, add a [`Kind`](people::Kind), its preparation, and its effect in
//! [`World::after`](world::World::after). To test a change that operators make (an import, a snapshot), write another
//! [`Actor`]; it may start a process. Give it to [`crash_rounds`] together with some [`People`](people::People),
//! whose changes go on meanwhile.

mod people;
mod preparations;
mod world;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dispatchd::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::{
    connection::Wire,
    harness::{Server, say},
    load::Dice,
    variables::{from_env, seed},
};
use people::{Kind, People};
use world::Record;

/// Actors in each round.
const ACTORS: u64 = 5;
/// Threads that only look handles up.
const READERS: usize = 2;
/// The length of the first round. Later rounds adapt to how long the actors have changes to make.
const ROUND: Duration = Duration::from_millis(60);
const ROUND_MIN: Duration = Duration::from_millis(4);
const ROUND_MAX: Duration = Duration::from_millis(400);

/// A client that makes changes and knows which ones the server acknowledged.
trait Actor: Send {
    /// Prepares the next round. The server runs and answers everything.
    fn prepare(&mut self, wire: &mut Wire);

    /// Makes one change. Returns false when no prepared change is left. An error means that the server died.
    fn change(&mut self, wire: &mut Wire) -> io::Result<bool>;

    /// Reads everything that the restarted server shows.
    fn observe(&mut self, wire: &mut Wire);

    /// Compares what it read, and its own records among all records of the round, with what it knows.
    fn check(&mut self, records: &[Record]) -> Tally;
}

/// The result of the rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Acknowledged changes, with those of the preparations.
    acknowledged: usize,
    /// Of these, changes of the tested kind.
    of_kind: usize,
    /// Changes in flight when the server was killed.
    in_doubt: usize,
    /// Of these, changes that took effect.
    happened: usize,
    /// Records that the log must have.
    records: usize,
    /// Of these, records that are missing.
    lost: usize,
    /// Records that the log must not have.
    doubled: usize,
    /// Actors that read neither the state before the change in flight nor the state after it.
    torn: usize,
}

impl Tally {
    fn add(&mut self, part: Self) {
        self.acknowledged += part.acknowledged;
        self.of_kind += part.of_kind;
        self.in_doubt += part.in_doubt;
        self.happened += part.happened;
        self.records += part.records;
        self.lost += part.lost;
        self.doubled += part.doubled;
        self.torn += part.torn;
    }
}

/// Runs rounds: the actors make changes, the server is killed, and the actors check.
async fn crash_rounds<P: Actor>(what: &str, actors: impl Fn(&Path, u64) -> Vec<P>) {
    let kills = from_env("DISPATCHD_TEST_KILLS", 10);
    let seed = seed();
    println!("{what}: DISPATCHD_TEST_SEED={seed}");
    let (started, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let env = [("REGISTRY__DEVICES_PER_ACCOUNT", "250")];
    let mut server = Server::on(&folder.path().join("data"), &env).await;
    let reader = server.operator_token("reader", "reader");
    let asker = server.sign_up().await;
    let mut actors = actors(&server.data.join("outbox.ndjson"), seed);
    let (mut dice, mut tally, mut span) = (Dice::new(seed), Tally::default(), ROUND);
    for round in 0..kills {
        let since = SystemClock.now();
        each(&server, &mut actors, |actor, wire| actor.prepare(wire));
        let delay = Duration::from_micros(dice.below(span.as_micros() as u64));
        let busy = kill_during_changes(&mut server, &mut actors, &asker.token, delay);
        span = if busy { span * 9 / 8 } else { span * 3 / 4 }.clamp(ROUND_MIN, ROUND_MAX);
        server.spawn().await;
        each(&server, &mut actors, |actor, wire| actor.observe(wire));
        let records =
            server.records(&reader, &format!("kind=change&order=asc&since={since}")).await;
        let records: Vec<_> = records.iter().map(Record::read).collect();
        let mut found = Tally::default();
        actors.iter_mut().for_each(|actor| found.add(actor.check(&records)));
        let is_sound = (found.lost, found.doubled, found.torn) == (0, 0, 0);
        assert!(is_sound, "{what}, DISPATCHD_TEST_SEED={seed}, round {round}: {found:?}");
        tally.add(found);
    }
    say(&format!("{what}: {kills} kills in {:?}: {tally:?}", started.elapsed()));
    assert!(tally.of_kind as u64 > kills && tally.in_doubt as u64 > kills / 4, "too little load");
    // Besides, the log has only the sign-up of the asker.
    let log = server.records(&reader, "kind=change&order=asc").await;
    assert_eq!(log.len(), tally.records + 1, "records of all rounds");
    assert!(server.stop().await.success());
}

/// Runs `act` for every actor, each on a thread and a connection of its own.
fn each<P: Actor>(server: &Server, actors: &mut [P], act: impl Fn(&mut P, &mut Wire) + Sync) {
    thread::scope(|scope| {
        for actor in actors {
            let act = &act;
            scope.spawn(move || {
                act(actor, &mut Wire::connect(&server.phones).expect("the server accepts"));
            });
        }
    });
}

/// Kills the server while all actors make changes. Returns whether any actor had changes left.
fn kill_during_changes<P: Actor>(
    server: &mut Server,
    actors: &mut [P],
    asker: &str,
    delay: Duration,
) -> bool {
    let (is_busy, url) = (Arc::new(AtomicBool::new(false)), server.phones.clone());
    thread::scope(|scope| {
        for actor in actors {
            let mut wire = Wire::connect(&url).expect("the server accepts");
            let is_busy = Arc::clone(&is_busy);
            scope.spawn(move || {
                loop {
                    match actor.change(&mut wire) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(_) => {
                            is_busy.store(true, Ordering::Relaxed);
                            break;
                        }
                    }
                }
            });
        }
        for _ in 0..READERS {
            let mut wire = Wire::connect(&url).expect("the server accepts");
            scope.spawn(move || (0..).try_for_each(|number| look_up(&mut wire, asker, number)));
        }
        thread::sleep(delay);
        server.kill();
    });
    is_busy.load(Ordering::Relaxed)
}

/// Looks up one handle after another.
fn look_up(wire: &mut Wire, token: &str, handle: u64) -> io::Result<()> {
    let handle = people::handle(handle % ACTORS, 0, handle % people::HANDLES);
    let path = format!("/v1/lookup/{}", handle.replace('+', "%2B"));
    let reply = wire.ask("GET", &path, token, &Value::Null)?;
    assert_eq!(reply.status, 200, "{reply:?}");
    Ok(())
}

async fn crash_rounds_of(kind: Kind) {
    let people = |outbox: &Path, seed| -> Vec<People> {
        (0..ACTORS).map(|number| People::new(kind, number, seed, outbox)).collect()
    };
    crash_rounds(&format!("{kind:?}"), people).await;
}

#[tokio::test]
async fn a_kill_during_moves_leaves_each_handle_with_one_account() {
    crash_rounds_of(Kind::Move).await;
}

#[tokio::test]
async fn a_kill_during_deregistrations_leaves_each_handle_held_or_not() {
    crash_rounds_of(Kind::TakeBack).await;
}

#[tokio::test]
async fn a_kill_while_handles_are_given_up_leaves_them_backed_or_not() {
    crash_rounds_of(Kind::GiveUp).await;
}

#[tokio::test]
async fn a_kill_during_sign_outs_leaves_devices_with_all_their_handles_or_gone() {
    crash_rounds_of(Kind::SignOut).await;
}

#[tokio::test]
async fn a_kill_while_devices_join_leaves_them_with_every_handle_or_unknown() {
    crash_rounds_of(Kind::Link).await;
}
