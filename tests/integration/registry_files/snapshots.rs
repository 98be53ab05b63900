//! Snapshots of a registry that changes meanwhile, and their restoration.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use dispatchd::files::DataDirectory;
use serde_json::Value;

use super::{Person, exported, left_in, on_files, on_server, people, printed, stats};
use crate::{
    connection::Wire,
    harness::{Server, say},
    load::{Client, Dice},
    wire::Reply,
};

/// Restores as `docs/operators/backup.md` describes: stop, put the file in place, start.
#[tokio::test]
async fn a_snapshot_taken_under_load_restores_a_registry_that_is_sound() {
    let mut server = Server::start().await;
    let admin = server.operator_token("admin", "admin");
    let folder = tempfile::tempdir().unwrap();
    let [file, copy] = ["people.csv", "copy.redb"].map(|name| folder.path().join(name));
    people(&file, 2_000);
    printed(&mut on_server(&server, &admin, "import", &[&file]));
    let ann = server.sign_up().await;
    server.prove(&ann, "before@example.com").await;

    let stop = AtomicBool::new(false);
    let mut clients: Vec<_> =
        (0..4).map(|n| Client::new(n, 7, server.data.join("outbox.ndjson"))).collect();
    thread::scope(|scope| {
        for client in &mut clients {
            let (stop, mut wire) = (&stop, Wire::connect(&server.phones).expect("it accepts"));
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    client.step(&mut wire).expect("the connection holds");
                }
            });
        }
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(100));
            printed(&mut on_server(&server, &admin, "snapshot --force", &[&copy]));
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(left_in(folder.path()).len(), 2, "{:?}", left_in(folder.path()));
    server.prove(&ann, "after@example.com").await;
    assert!(server.stop().await.success());

    fs::copy(&copy, server.data.join("registry/registry.redb")).unwrap();
    let figures = stats(&server.data);
    let rows = exported(&server.data);
    assert_eq!(rows.matches("before@example.com").count(), 1);
    assert!(!rows.contains("after@example.com"));
    assert_eq!(rows.matches("person").count(), 2_000);
    server.spawn().await;
    assert_eq!(server.route(&ann, "before@example.com").await, "imessage");
    assert_eq!(server.route(&ann, "after@example.com").await, "none");
    // Whoever was revoked since the snapshot does not come back with it.
    Reply::to(server.operator(&admin, "/v1/registry")).await.refuses(401, "token-invalid");
    let admin = server.operator_token("admin", "admin");
    let running: Value =
        server.operator(&admin, "/v1/registry").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&running["handles"], &running["devices"]),
        (&figures["handles"], &figures["devices"])
    );
    // The registry accepts changes again, and a stopped server's snapshot equals it.
    server.prove(&ann, "later@example.com").await;
    assert!(server.stop().await.success());
    let again = folder.path().join("again.redb");
    printed(&mut on_files(&server.data, "snapshot", &[&again]));
    let before = exported(&server.data);
    fs::copy(&again, server.data.join("registry/registry.redb")).unwrap();
    assert_eq!(exported(&server.data), before);
}

#[tokio::test]
async fn a_kill_during_a_snapshot_leaves_a_whole_file_or_none() {
    let seed = super::crashes::seed();
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let [file, copy] = ["people.csv", "copy.redb"].map(|name| folder.path().join(name));
    people(&file, 3_000);
    printed(&mut on_files(&data, "import", &[&file]));
    let rows = exported(&data);
    let mut server = Server::on(&data, &[]).await;
    let admin = server.operator_token("admin", "admin");
    let started = Instant::now();
    printed(&mut on_server(&server, &admin, "snapshot", &[&copy]));
    fs::remove_file(&copy).unwrap();
    let whole_ms = started.elapsed().as_millis() as u64;
    let (mut whole, mut none) = (0, 0);
    for round in 0..super::crashes::rounds() {
        let mut child = on_server(&server, &admin, "snapshot --force", &[&copy])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(dice.below(whole_ms)));
        let is_server = round % 2 == 0;
        if is_server {
            server.kill();
        } else {
            child.kill().unwrap();
        }
        child.wait().unwrap();
        if copy.exists() {
            whole += 1;
            let restored = tempfile::tempdir().unwrap();
            DataDirectory::prepare(restored.path()).unwrap();
            fs::create_dir(restored.path().join("registry")).unwrap();
            fs::rename(&copy, restored.path().join("registry/registry.redb")).unwrap();
            assert_eq!(exported(restored.path()), rows);
        } else {
            none += 1;
        }
        if is_server {
            // A kill during the write leaves such a file. Create one, in case this kill came at another moment.
            fs::write(data.join("registry/snapshot-0.tmp"), "a part").unwrap();
            server.spawn().await;
            let left = left_in(&data.join("registry"));
            assert!(!left.iter().any(|name| name.ends_with(".tmp")), "{left:?}");
        }
        assert_eq!(
            server.route(&Person::number(0).device, &Person::number(1).handle).await,
            "imessage"
        );
    }
    say(&format!("kills during snapshots: {whole} files whole, {none} not there"));
}
