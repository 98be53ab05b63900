//! Imports into and exports from a stopped server's files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Person, ago, csv, exported, fails, left_in, object, on_files, on_server, people, printed, stats,
};
use crate::{
    handles::discoverable,
    harness::{Device, Server, run},
    wire::{call, link},
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The rows of an export, sorted. The file's order differs: a new device comes last in its account until an export.
fn rows(data: &Path) -> Vec<String> {
    let mut rows: Vec<_> = exported(data).lines().map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

/// What each phone sees: its own handles and those of the others.
async fn seen(server: &Server, phones: &[Device], handles: &[&str]) -> Vec<Value> {
    let mut seen = Vec::new();
    for phone in phones {
        let mut me = call(server, Method::GET, "/v1/devices/me", Some(&phone.token), None).await;
        assert_eq!(me.status, 200, "{me:?}");
        // The remaining seconds of the lease change with time. Nothing renews the lease here.
        me.body.as_object_mut().unwrap().remove("expires_in");
        seen.push(std::mem::take(&mut me.body));
        for handle in handles {
            seen.push(server.lookup(phone, handle).await.1);
        }
    }
    seen
}

async fn round_trip(kind: &str) {
    let mut server = Server::start().await;
    let (ann, ben) = (server.sign_up().await, server.sign_up().await);
    let handles = ["+14155550123", "ann@example.com", "+14155550124", "hidden@example.com"];
    server.prove(&ann, handles[0]).await;
    server.prove(&ann, handles[1]).await;
    server.prove(&ben, handles[2]).await;
    server.prove(&ben, handles[3]).await;
    assert_eq!(discoverable(&server, &ben, "hidden%40example.com", false).await.status, 200);
    let (mac, alone) = (link(&server, &ann).await, server.sign_up().await);
    let phones = [ann, ben, mac, alone];
    let before = seen(&server, &phones, &handles).await;
    let subjects = before.iter().filter(|answer| answer["subject"].is_string()).count();
    assert!(subjects >= 10, "{before:#?}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all").with_extension(kind);
    let beside = folder.path().join("beside").with_extension(kind);
    let admin = server.operator_token("admin", "admin");
    printed(&mut on_server(&server, &admin, "export", &[&beside]));
    assert!(server.stop().await.success());
    printed(&mut on_files(&server.data, "export", &[&file]));
    assert_eq!(
        fs::read(&file).unwrap(),
        fs::read(&beside).unwrap(),
        "exports of a running and of a stopped server differ"
    );
    let key = |file: &Path| file.with_extension(format!("{kind}.subject-key"));
    assert_eq!(fs::read(key(&file)).unwrap(), fs::read(key(&beside)).unwrap());
    assert_eq!((mode(&file), mode(&key(&file)), mode(&beside)), (0o600, 0o600, 0o600));
    assert_eq!(left_in(folder.path()).len(), 4, "{:?}", left_in(folder.path()));

    let data = folder.path().join("data");
    let came = object(&mut on_files(&data, "import", &[&file]));
    assert_eq!((&came["accounts"], &came["devices"]), (&json!(3), &json!(4)), "{came}");
    assert_eq!((&came["handles"], &came["bad_rows"]["total"]), (&json!(4), &json!(0)));
    assert_eq!(stats(&data), stats(&server.data));
    assert_eq!(rows(&data), rows(&server.data));
    assert!(left_in(&data.join("registry/import")).is_empty());
    let copy = Server::on(&data, &[]).await;
    assert_eq!(seen(&copy, &phones, &handles).await, before);
}

#[tokio::test]
async fn what_is_exported_as_csv_comes_in_as_it_was() {
    round_trip("csv").await;
}

#[tokio::test]
async fn what_is_exported_as_parquet_comes_in_as_it_was() {
    round_trip("parquet").await;
}

#[tokio::test]
async fn without_its_key_an_import_keeps_the_registry_s_own() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    let file = folder.path().join("people.csv");
    people(&file, 3);
    printed(&mut on_files(&one, "import", &[&file]));
    let out = folder.path().join("out.csv");
    printed(&mut on_files(&one, "export", &[&out]));
    printed(&mut on_files(&other, "import", &[&file]));
    // The registry has accounts now, so their subjects must not change.
    let output = run(&mut on_files(&other, "import", &[&out]));
    assert_eq!(output.status.code(), Some(0));
    assert!(super::errors(&output).contains("keeps its own subject key"));
    // The same key needs no message.
    assert_eq!(super::errors(&run(&mut on_files(&one, "import", &[&out]))), "");
    fs::write(folder.path().join("out.csv.subject-key"), "nonsense\n").unwrap();
    let said = fails(&mut on_files(&folder.path().join("third"), "import", &[&out]), 1);
    assert!(said.contains("is no subject key"), "{said}");
}

#[tokio::test]
async fn a_bad_row_is_named_and_nothing_comes_in_unless_it_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("people.csv"));
    let mut rows: Vec<_> = (0..30).map(|n| Person::number(n).row(ago(60))).collect();
    rows[1] = rows[1].replace(",ios,", ",telex,");
    rows[4] = rows[4].replace("person4@example.com", "(415) 555-0123");
    csv(&file, &rows);
    let said = fails(&mut on_files(&data, "import", &[&file]), 1);
    for part in
        ["line 3: the platform is not one of ios", "line 6: the handle", "2 bad rows", "--skip-bad"]
    {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("telex") && !said.contains("555"), "{said}");
    assert_eq!(stats(&data)["accounts"], 0);
    assert!(left_in(&data.join("registry/import")).is_empty());

    let server = Server::start().await;
    let admin = server.operator_token("admin", "admin");
    let refused = fails(&mut on_server(&server, &admin, "import", &[&file]), 1);
    assert!(refused.contains("line 3: the platform is not one of ios"), "{refused}");
    assert_eq!(left_in(folder.path()).len(), 2, "{:?}", left_in(folder.path()));
    assert!(left_in(&server.data.join("registry/import")).is_empty());

    let came = object(&mut on_files(&data, "import --skip-bad --region US", &[&file]));
    assert_eq!((&came["accounts"], &came["bad_rows"]["total"]), (&json!(29), &json!(1)), "{came}");
    assert_eq!(came["bad_rows"]["first"][0]["line"], 3);
    let table = printed(&mut on_files(&data, "import --skip-bad", &[&file]));
    assert!(table.contains("28  accounts were here already"), "{table}");
    assert!(table.contains("2  bad rows left out"), "{table}");
}

#[tokio::test]
async fn an_import_of_nothing_but_old_rows_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("people.csv"));
    let mut old = Person::number(0).row(ago(60));
    let now = old.split(',').nth(4).unwrap().to_owned();
    old = old.replace(&now, "1970-01-02T00:00:00Z");
    csv(&file, &[old.clone()]);
    let output = run(&mut on_files(&data, "import", &[&file]));
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains(" 1  device was silent for longer than"), "{table}");
    assert!(!table.contains("bad row"), "{table}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nothing was imported: everything in the file is too old"), "{said}");

    let server = Server::start().await;
    let admin = server.operator_token("admin", "admin");
    let output = run(&mut on_server(&server, &admin, "import", &[&file]));
    assert_eq!(output.status.code(), Some(1));
    assert!(super::errors(&output).contains("nothing was imported"));
    // One row that is not old makes an import.
    csv(&file, &[old, Person::number(1).row(ago(60))]);
    let table = printed(&mut on_files(&data, "import", &[&file]));
    assert!(table.contains(" 1  account came in"), "{table}");
}

#[tokio::test]
async fn importing_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("people.csv"));
    people(&file, 50);
    assert_eq!(object(&mut on_files(&data, "import", &[&file]))["accounts"], 50);
    let before = exported(&data);
    let again = object(&mut on_files(&data, "import", &[&file]));
    assert_eq!((&again["accounts"], &again["accounts_kept"]), (&json!(0), &json!(50)), "{again}");
    assert_eq!((&again["handles"], &again["moved"]), (&json!(0), &json!(0)));
    assert_eq!(exported(&data), before);
    let table = printed(&mut on_files(&data, "stats", &[]));
    for line in ["handles                    50             50", "  addresses                50"] {
        assert!(table.lines().any(|is| is == line), "{line:?} is not in\n{table}");
    }
    assert!(table.lines().any(|line| line.starts_with("total ")), "{table}");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_its_exit_code() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |name: &str| folder.path().join(name);
    let (file, data) = (in_folder("people.csv"), in_folder("data"));
    people(&file, 1);
    for (command, name, code, message) in [
        ("import", "people.txt", 2, ".csv or .parquet"),
        ("import", "nobody.csv", 1, "nobody.csv"),
        ("import --region UK", "people.csv", 2, "--region UK"),
        ("export", "out.txt", 2, ".csv or .parquet"),
        ("export", "out.csv", 1, "is no data directory"),
        ("snapshot", "out.redb", 1, "is no data directory"),
    ] {
        let said = fails(&mut on_files(&data, command, &[&in_folder(name)]), code);
        assert!(said.contains(message), "{command}: {said}");
    }
    fails(&mut on_files(&data, "stats", &[]), 1);
    assert_eq!(left_in(folder.path()), ["people.csv"]);
    for command in ["import", "export", "snapshot"] {
        let file = if command == "import" { file.clone() } else { in_folder("out.csv") };
        let said = fails(&mut on_files(&server.data, command, &[&file]), 1);
        assert!(said.contains("leave out --data"), "{command}: {said}");
    }
    let admin = server.operator_token("admin", "admin");
    for command in ["export", "snapshot"] {
        fs::write(in_folder("there.csv"), "mine").unwrap();
        let said = fails(&mut on_server(&server, &admin, command, &[&in_folder("there.csv")]), 1);
        assert!(said.contains("--force"), "{said}");
        assert_eq!(fs::read_to_string(in_folder("there.csv")).unwrap(), "mine");
        printed(&mut on_server(
            &server,
            &admin,
            &format!("{command} --force"),
            &[&in_folder("there.csv")],
        ));
        assert_ne!(fs::read(in_folder("there.csv")).unwrap(), b"mine");
    }
}
