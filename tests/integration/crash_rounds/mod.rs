//! `kill -9` in the middle of one kind of change: no acknowledged change is lost, none is there by half or twice, and
//! what was under way either happened, with its one record, or did not.
//!
//! A round: every [`Player`] prepares, then all play at once beside phones that only look up, until the server is killed
//! at a random moment. After the restart each looks at all that it can read, and then judges it together with the
//! records of the round: it must be what was acknowledged, or that and the one thing that was under way.
//!
//! `DISPATCHD_TEST_KILLS` says how many rounds each kind of change has (10), `DISPATCHD_TEST_SEED` repeats a run as far
//! as scheduling allows.
//!
//! For another kind of change that phones make, add a [`Kind`](people::Kind): what it prepares, and what
//! [`World::after`](world::World::after) says of its act. For one that operators make (an import, a snapshot), write
//! another [`Player`], which may well be one process that it starts, and give it to [`strike`] beside some
//! [`People`](people::People), whose changes go on meanwhile.

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
};
use people::{Kind, People};
use world::Record;

/// Players of one strike.
const PEOPLE: u64 = 5;
/// Threads that only look up.
const LOOKERS: usize = 2;
/// How long a round is at first; later, about as long as the players have something to do.
const ROUND: Duration = Duration::from_millis(60);
const ROUND_MIN: Duration = Duration::from_millis(4);
const ROUND_MAX: Duration = Duration::from_millis(400);

/// Somebody who changes something, and knows what was acknowledged.
trait Player: Send {
    /// Gets ready. The server is well: everything is answered.
    fn prepare(&mut self, wire: &mut Wire);

    /// Does one thing; an error is the server's end. False if all that was prepared is done.
    fn play(&mut self, wire: &mut Wire) -> io::Result<bool>;

    /// Looks at all that the new server says.
    fn see(&mut self, wire: &mut Wire);

    /// Judges what was seen, and the records of the changes of this round, its own among others.
    fn judge(&mut self, told: &[Record]) -> Tally;
}

/// What a strike came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Changes that were acknowledged, those of the preparations included.
    acknowledged: usize,
    /// Of these, of the kind that the strike is about.
    of_kind: usize,
    /// Changes under way when the server was killed.
    in_doubt: usize,
    /// Of these, those that happened.
    happened: usize,
    /// Records that should be there.
    records: usize,
    /// Of these, not there.
    lost: usize,
    /// Records too many.
    doubled: usize,
    /// Players for whom what is seen is neither what was before nor what was to be.
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

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Has `players` play and the server killed, round after round.
async fn strike<P: Player>(what: &str, players: impl Fn(&Path, u64) -> Vec<P>) {
    let kills = from_env("DISPATCHD_TEST_KILLS", 10);
    let seed = from_env("DISPATCHD_TEST_SEED", u64::from(std::process::id()));
    println!("{what}: DISPATCHD_TEST_SEED={seed}");
    let (started, folder) = (Instant::now(), tempfile::tempdir().unwrap());
    let env = [("REGISTRY__DEVICES_PER_ACCOUNT", "250")];
    let mut server = Server::on(&folder.path().join("data"), &env).await;
    let reader = server.operator_token("reader", "reader");
    let asker = server.sign_up().await;
    let mut players = players(&server.data.join("outbox.ndjson"), seed);
    let (mut dice, mut tally, mut span) = (Dice::new(seed), Tally::default(), ROUND);
    for round in 0..kills {
        let since = SystemClock.now();
        each(&server, &mut players, |player, wire| player.prepare(wire));
        let delay = Duration::from_micros(dice.below(span.as_micros() as u64));
        let busy = play(&mut server, &mut players, &asker.token, delay);
        span = if busy { span * 9 / 8 } else { span * 3 / 4 }.clamp(ROUND_MIN, ROUND_MAX);
        server.spawn().await;
        each(&server, &mut players, |player, wire| player.see(wire));
        let told = server.records(&reader, &format!("kind=change&order=asc&since={since}")).await;
        let told: Vec<_> = told.iter().map(Record::read).collect();
        let mut found = Tally::default();
        players.iter_mut().for_each(|player| found.add(player.judge(&told)));
        let is_sound = (found.lost, found.doubled, found.torn) == (0, 0, 0);
        assert!(is_sound, "{what}, DISPATCHD_TEST_SEED={seed}, round {round}: {found:?}");
        tally.add(found);
    }
    say(&format!("{what}: {kills} kills in {:?}: {tally:?}", started.elapsed()));
    assert!(tally.of_kind as u64 > kills && tally.in_doubt as u64 > kills / 4, "hardly any load");
    // Nothing else is in the log but the asker's sign-up.
    let log = server.records(&reader, "kind=change&order=asc").await;
    assert_eq!(log.len(), tally.records + 1, "records of all rounds");
    assert!(server.stop().await.success());
}

/// Has every player do something, each on a thread and a connection of its own.
fn each<P: Player>(server: &Server, players: &mut [P], act: impl Fn(&mut P, &mut Wire) + Sync) {
    thread::scope(|scope| {
        for player in players {
            let act = &act;
            scope.spawn(move || {
                act(player, &mut Wire::connect(&server.phones).expect("it accepts"));
            });
        }
    });
}

/// Kills the server while all play. Whether somebody still had something to do.
fn play<P: Player>(server: &mut Server, players: &mut [P], asker: &str, delay: Duration) -> bool {
    let (is_busy, url) = (Arc::new(AtomicBool::new(false)), server.phones.clone());
    thread::scope(|scope| {
        for player in players {
            let mut wire = Wire::connect(&url).expect("it accepts");
            let is_busy = Arc::clone(&is_busy);
            scope.spawn(move || {
                loop {
                    match player.play(&mut wire) {
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
        for _ in 0..LOOKERS {
            let mut wire = Wire::connect(&url).expect("it accepts");
            scope.spawn(move || (0..).try_for_each(|number| look(&mut wire, asker, number)));
        }
        thread::sleep(delay);
        server.kill();
    });
    is_busy.load(Ordering::Relaxed)
}

/// Looks one handle after another up.
fn look(wire: &mut Wire, token: &str, handle: u64) -> io::Result<()> {
    let handle = people::handle(handle % PEOPLE, handle % people::HANDLES);
    let path = format!("/v1/lookup/{}", handle.replace('+', "%2B"));
    let reply = wire.ask("GET", &path, token, &Value::Null)?;
    assert_eq!(reply.status, 200, "{reply:?}");
    Ok(())
}

async fn strike_people(kind: Kind) {
    let people = |outbox: &Path, seed| -> Vec<People> {
        (0..PEOPLE).map(|number| People::new(kind, number, seed, outbox)).collect()
    };
    strike(&format!("{kind:?}"), people).await;
}

#[tokio::test]
async fn a_kill_during_moves_leaves_each_handle_with_one_account() {
    strike_people(Kind::Move).await;
}

#[tokio::test]
async fn a_kill_during_deregistrations_leaves_each_handle_held_or_not() {
    strike_people(Kind::TakeBack).await;
}

#[tokio::test]
async fn a_kill_while_handles_are_given_up_leaves_them_backed_or_not() {
    strike_people(Kind::GiveUp).await;
}

#[tokio::test]
async fn a_kill_during_sign_outs_leaves_devices_with_all_their_handles_or_gone() {
    strike_people(Kind::SignOut).await;
}

#[tokio::test]
async fn a_kill_while_devices_join_leaves_them_with_every_handle_or_unknown() {
    strike_people(Kind::Link).await;
}
