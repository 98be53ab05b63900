//! `kill -9` at any moment of an import.
//!
//! `DISPATCHD_TEST_KILLS` sets the number of kills (4). `DISPATCHD_TEST_SEED` repeats a run as far as scheduling
//! allows.

use std::{
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Person, exported, object, on_files, on_server, people, printed, stats};
use crate::{
    handles::own_handles,
    harness::{PATIENCE, Server, run, say},
    load::Dice,
    scenarios::sign_out,
    variables::{self, from_env},
};

pub(super) fn rounds() -> u64 {
    from_env("DISPATCHD_TEST_KILLS", 4)
}

pub(super) fn seed() -> u64 {
    let seed = variables::seed();
    say(&format!("{} kills, DISPATCHD_TEST_SEED={seed}", rounds()));
    seed
}

#[tokio::test]
async fn an_import_into_files_that_is_killed_came_in_whole_or_not_at_all() {
    const PEOPLE: u64 = 4_000;
    let mut dice = Dice::new(seed());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    people(&file, PEOPLE);
    let reference = folder.path().join("reference");
    let started = Instant::now();
    printed(&mut on_files(&reference, "import", &[&file]));
    let whole_ms = started.elapsed().as_millis() as u64;
    let (rows, mut found, mut after) = (exported(&reference), 0, 0);
    for round in 0..rounds() {
        let data = folder.path().join(format!("data{round}"));
        // The directory already has an account, which must survive every kill.
        let here = folder.path().join("here.csv");
        super::csv(&here, &[Person::number(PEOPLE).row(super::ago(60))]);
        printed(&mut on_files(&data, "import", &[&here]));
        let before = exported(&data);
        let mut whole = before.lines().chain(rows.lines().skip(1)).collect::<Vec<_>>();
        whole.sort_unstable();
        let mut child = on_files(&data, "import", &[&file])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(dice.below(whole_ms + whole_ms / 8)));
        child.kill().unwrap();
        child.wait().unwrap();
        let left = exported(&data);
        let mut left_lines: Vec<_> = left.lines().collect();
        left_lines.sort_unstable();
        assert!(
            left == before || left_lines == whole,
            "round {round}: the import is applied in part"
        );
        after += u64::from(left != before);
        let again = run(on_files(&data, "import", &[&file]).arg("--json"));
        let said = super::errors(&again);
        assert_eq!(again.status.code(), Some(0), "{said}");
        found += u64::from(said.contains("found what an earlier run had staged"));
        let now = exported(&data);
        let mut lines: Vec<_> = now.lines().collect();
        lines.sort_unstable();
        assert!(lines == whole, "round {round}: a second run did not complete the import");
        assert!(super::left_in(&data.join("registry/import")).is_empty());
    }
    say(&format!("{} kills: {after} had come in, {found} went on from the staged file", rounds()));
}

/// Waits until the server applies no import.
async fn applied(server: &Server, admin: &str) {
    let started = Instant::now();
    loop {
        let state: Value = server
            .operator(admin, "/v1/registry/import")
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        if state["state"] == "none" {
            return;
        }
        assert!(started.elapsed() < PATIENCE * 2, "{state}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the server has accepted the import.
fn accepted(data: &Path) {
    let started = Instant::now();
    while !data.join("registry/import/accepted.staged").exists() {
        assert!(started.elapsed() < PATIENCE * 2, "the server never accepts the import");
        thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn an_accepted_import_completes_by_itself_whatever_happens_to_the_server() {
    const PEOPLE: u64 = 20_000;
    let mut dice = Dice::new(seed());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    people(&file, PEOPLE);
    let mut interrupted = 0;
    for round in 0..rounds().div_ceil(2) {
        let data = folder.path().join(format!("data{round}"));
        let mut server = Server::on(&data, &[]).await;
        let admin = server.operator_token("admin", "admin");
        let mut child = on_server(&server, &admin, "import", &[&file])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        accepted(&data);
        // The first imported person makes a change before the import ends, and the server acknowledges it.
        let first = first_to_come(&server).await;
        sign_out(&server, &first.device).await;
        let mut proved = Vec::new();
        for kill in 0..3 {
            let device = server.sign_up().await;
            let handle = format!("new{round}-{kill}@example.com");
            server.prove(&device, &handle).await;
            proved.push((device, handle));
            thread::sleep(Duration::from_millis(dice.below(60)));
            interrupted += u64::from(data.join("registry/import/accepted.staged").exists());
            if kill == 1 {
                assert!(server.stop().await.success());
            } else {
                server.kill();
            }
            child.wait().unwrap();
            half_accounts(&data);
            server.spawn().await;
        }
        applied(&server, &admin).await;
        assert!(super::left_in(&data.join("registry/import")).is_empty());
        for (device, handle) in &proved {
            assert_eq!(own_handles(&server, device).await, [handle.as_str()]);
        }
        let asker = &proved[0].0;
        assert_eq!(server.route(asker, &first.handle).await, "none", "a sign-out was undone");
        assert_eq!(server.lookup(&first.device, &first.handle).await.0, 401);
        let figures = object(&mut on_server(&server, &admin, "stats", &[]));
        assert_eq!(figures["accounts"], PEOPLE - 1 + 3, "{figures}");
    }
    let ends = rounds().div_ceil(2) * 3;
    say(&format!("an import was under way at {interrupted} of {ends} ends of the server"));
    assert!(interrupted > 0, "no kill interrupted an import");
}

/// Waits for the first person of the import. The server applies accounts in the order of their ids.
async fn first_to_come(server: &Server) -> Person {
    let people = (0..6_000).map(Person::number);
    let first = people.min_by(|one, other| one.device.account.cmp(&other.device.account)).unwrap();
    let started = Instant::now();
    while server.lookup(&first.device, &first.handle).await.0 != 200 {
        assert!(started.elapsed() < PATIENCE, "nobody comes");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first
}

/// Every imported account that exists must have its one device and its one handle.
fn half_accounts(data: &Path) {
    let figures = stats(data);
    assert_eq!(figures["live"]["handles"], figures["handles"]);
    let rows = exported(data);
    let alone = rows.lines().filter(|line| line.starts_with(',')).count();
    assert_eq!(alone, 0, "an imported device has no handle");
}
