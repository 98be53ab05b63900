//! Proves promise 1: every answered query has its record. After `kill -9` at any moment, the log has each record of
//! an answered query and of an acknowledged change exactly once, in both durability modes.
//!
//! `DISPATCHD_TEST_KILLS` sets the number of kills (200). `DISPATCHD_TEST_SEED` repeats a run as far as scheduling
//! allows.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    connection::Wire,
    harness::{Server, dispatchd, run, say},
    ledger::Tally,
    load::{Client, Dice},
    variables::{from_env, seed},
};

const CONNECTIONS: u64 = 32;
/// Rounds between two reads of the whole log.
const ROUNDS_BETWEEN_TALLIES: u64 = 50;

#[tokio::test]
async fn kill_9_at_any_moment_loses_nothing_that_was_answered() {
    let started = Instant::now();
    let kills = from_env("DISPATCHD_TEST_KILLS", 200);
    let seed = seed();
    say(&format!("{kills} kills, DISPATCHD_TEST_SEED={seed}"));
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::on(&folder.path().join("data"), &[]).await;
    let start_ms = started.elapsed().as_millis() as u64;
    let reader = server.operator_token("reader", "reader");
    let outbox = server.data.join("outbox.ndjson");
    let client = |number| Client::new(number, seed, outbox.clone());
    let mut clients: Vec<_> = (0..CONNECTIONS).map(client).collect();
    let mut dice = Dice::new(seed);
    for round in 0..kills {
        reconcile(&server, &mut clients);
        if round > 0 && round % ROUNDS_BETWEEN_TALLIES == 0 {
            let tally = Tally::take(&server, &reader, &clients).await;
            say(&format!("{round} kills, {:?}: {tally:?}", started.elapsed()));
            tally.assert_sound();
        }
        kill_under_load(&mut server, &mut clients, &mut dice).await;
        if round % ROUNDS_BETWEEN_TALLIES == 0 || round + 1 == kills {
            assert_files_sound(&server);
        }
        let durability = ["os", "disk"][round as usize % 2];
        server.set_env(&[("LOG__DURABILITY", durability)]);
        if dice.below(8) == 0 {
            server.launch();
            thread::sleep(Duration::from_millis(dice.below(start_ms)));
            server.kill();
        }
        server.spawn().await;
    }
    let phones = clients.iter_mut().flat_map(|client| &mut client.ledger.phones);
    phones.for_each(|phone| phone.is_stale = true);
    reconcile(&server, &mut clients);
    let tally = Tally::take(&server, &reader, &clients).await;
    say(&format!(
        "{kills} kills in {:?}: answered = {}, lost = {}, duplicated = {}; changes = {}, wrong = {}",
        started.elapsed(),
        tally.answered,
        tally.lost,
        tally.duplicated,
        tally.changes,
        tally.changes_wrong,
    ));
    tally.assert_sound();
    assert!(tally.answered as u64 > kills * 20, "too little load: {tally:?}");
    assert!(
        clients.iter().all(|client| client.refused.is_empty()),
        "the server refused a request without a cause"
    );
    assert!(server.stop().await.success());
}

/// Each client compares its ledger with the server.
fn reconcile(server: &Server, clients: &mut [Client]) {
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || {
                let mut wire = Wire::connect(&server.phones).expect("it accepts");
                client.reconcile(&mut wire).expect("it answers");
            });
        }
    });
}

/// Kills the server some milliseconds into the load. In one round of eight it does so while the server drains after
/// SIGTERM.
async fn kill_under_load(server: &mut Server, clients: &mut [Client], dice: &mut Dice) {
    let delay = Duration::from_millis(5 + dice.below(146));
    let drains = (dice.below(8) == 0).then(|| Duration::from_micros(dice.below(12_000)));
    thread::scope(|scope| {
        let (connected, all) = mpsc::channel();
        for client in clients {
            let mut wire = Wire::connect(&server.phones).expect("it accepts");
            let connected = connected.clone();
            scope.spawn(move || {
                let _ = connected.send(());
                while client.step(&mut wire).is_ok() {}
            });
        }
        all.iter().take(CONNECTIONS as usize).for_each(drop);
        thread::sleep(delay);
        if let Some(delay) = drains {
            server.signal("TERM");
            thread::sleep(delay);
            server.kill_or_ended();
        } else {
            server.kill();
        }
    });
}

fn assert_files_sound(server: &Server) {
    let mut verify = dispatchd();
    verify.args(["log", "verify", "--data"]).arg(&server.data);
    let output = run(&mut verify);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "log verify: {text}{errors}");
}
