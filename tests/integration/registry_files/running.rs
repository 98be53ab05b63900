//! Imports into a running server while it serves other requests.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, RequestBuilder};
use serde_json::json;

use super::{Person, fails, left_in, object, on_server, people, stats};
use crate::{
    disk_full::SmallDisk,
    handles::own_handles,
    harness::{PATIENCE, Server, say},
    scenarios::check_in,
    wire::Reply,
};

const PEOPLE: u64 = 6_000;

/// A POST to the server's imports.
pub(super) fn post(server: &Server, token: &str, body: impl Into<Body>) -> RequestBuilder {
    let post = server.client.post(format!("{}/v1/registry/import", server.operators));
    post.bearer_auth(token).timeout(PATIENCE).body(body)
}

#[tokio::test]
async fn lookups_and_changes_go_on_while_an_import_comes_in() {
    let mut server = Server::start().await;
    let asker = server.sign_up().await;
    server.prove(&asker, "here@example.com").await;
    let admin = server.operator_token("admin", "admin");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    people(&file, PEOPLE);
    let mut import = on_server(&server, &admin, "import", &[&file]);
    let importing = tokio::task::spawn_blocking(move || object(&mut import));

    let (mut asked, mut changed) = (0_u64, 0_u64);
    let mut is_here = [false; 40];
    while !importing.is_finished() {
        let at = asked as usize % is_here.len();
        let handle = Person::number(at as u64 * 100).handle;
        // Panics at anything but 200.
        let route = server.route(&asker, &handle).await;
        assert!(route == "imessage" || !is_here[at], "{handle} was here and is gone");
        is_here[at] = route == "imessage";
        assert_eq!(server.route(&asker, "here@example.com").await, "imessage");
        if asked.is_multiple_of(8) {
            let device = server.sign_up().await;
            server.prove(&device, &format!("new{changed}@example.com")).await;
            changed += 1;
        }
        asked += 1;
    }
    let came = importing.await.unwrap();
    say(&format!("{asked} lookups and {changed} changes beside an import"));
    assert_eq!((&came["accounts"], &came["handles"]), (&json!(PEOPLE), &json!(PEOPLE)), "{came}");
    assert!(asked > 4 && changed > 0, "nothing beside it");

    let person = Person::number(1_234);
    check_in(&server, &person.device).await;
    assert_eq!(own_handles(&server, &person.device).await, [person.handle.as_str()]);
    let running = object(&mut on_server(&server, &admin, "stats", &[]));
    assert_eq!(running["handles"], PEOPLE + changed + 1);
    assert!(
        left_in(folder.path()).len() == 1
            && left_in(&server.data.join("registry/import")).is_empty()
    );
    assert!(server.stop().await.success());
    let mut running = running;
    running.as_object_mut().unwrap().remove("memory");
    assert_eq!(stats(&server.data), running);
    server.spawn().await;
    assert_eq!(server.route(&asker, &Person::number(PEOPLE - 1).handle).await, "imessage");
}

#[tokio::test]
async fn only_an_admin_takes_accounts_in_or_out() {
    let server = Server::start().await;
    let reader = server.operator_token("reader", "reader");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.csv");
    people(&file, 1);
    for command in ["import", "export --force", "snapshot --force"] {
        let said = fails(&mut on_server(&server, &reader, command, &[&file]), 1);
        assert!(said.contains("role-insufficient"), "{said}");
    }
    for (token, status, code) in
        [(reader.as_str(), 403, "role-insufficient"), ("nonsense", 401, "token-invalid")]
    {
        // More than the socket buffers hold.
        let post = post(&server, token, vec![b'x'; 6 * 1024 * 1024]);
        Reply::to(post).await.refuses(status, code);
        for path in ["/v1/registry/import", "/v1/registry/snapshot"] {
            Reply::to(server.operator(token, path)).await.refuses(status, code);
        }
    }
    assert_eq!(object(&mut on_server(&server, &reader, "stats", &[]))["accounts"], 0);
}

#[tokio::test]
async fn an_upload_that_is_no_staged_file_is_refused_and_leaves_nothing() {
    let server = Server::start().await;
    let admin = server.operator_token("admin", "admin");
    let state = || server.operator(&admin, "/v1/registry/import");
    for body in [&b""[..], b"nonsense", b"DDSTAGED", &[0; 100_000]] {
        Reply::to(post(&server, &admin, body)).await.refuses(422, "import-invalid");
        let none = Reply::to(state()).await;
        assert_eq!(none.is(200, &["state", "accounts", "total"])["state"], "none");
        assert!(left_in(&server.data.join("registry/import")).is_empty());
    }
}

#[tokio::test]
async fn a_second_import_at_once_is_refused() {
    let mut server = Server::start().await;
    let admin = server.operator_token("admin", "admin");
    // The upload does not end until its client disconnects.
    let endless = async {
        let body = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        let answer = post(&server, &admin, Body::wrap_stream(body)).send().await;
        panic!("the endless upload got an answer: {answer:?}");
    };
    let second = async {
        let upload = server.data.join("registry/import/accepted.staged.new");
        while !upload.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let reply = Reply::to(post(&server, &admin, "second")).await;
        reply.refuses(503, "overloaded");
    };
    tokio::select! {
        () = endless => {}
        () = second => {}
    }
    // After the first client disconnected, the server deletes the partial upload and accepts another.
    let started = Instant::now();
    while !left_in(&server.data.join("registry/import")).is_empty() {
        assert!(started.elapsed() < PATIENCE, "a partial upload stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Reply::to(post(&server, &admin, "third")).await.refuses(422, "import-invalid");

    // The next start deletes a partial upload that a crash left.
    let left = server.data.join("registry/import/accepted.staged.new");
    std::fs::write(&left, "a part").unwrap();
    server.restart().await;
    assert!(!left.exists());
}

#[tokio::test]
async fn an_upload_that_fills_the_disk_is_refused_and_nothing_is_accepted() {
    let test =
        "registry_files::running::an_upload_that_fills_the_disk_is_refused_and_nothing_is_accepted";
    let Some(disk) = SmallDisk::mount("data/registry", test) else {
        return;
    };
    let server = Server::on(disk.path.parent().unwrap(), &[]).await;
    let admin = server.operator_token("admin", "admin");
    // More than the disk holds.
    let reply = Reply::to(post(&server, &admin, vec![b'x'; 40 * 1024 * 1024])).await;
    let detail = reply.refuses(503, "registry-unwritable")["detail"].to_string();
    assert!(detail.contains("disk full"), "{detail}");
    assert!(left_in(&server.data.join("registry/import")).is_empty());
    let device = server.sign_up().await;
    assert_eq!(server.route(&device, "+14155550123").await, "sms");
}
