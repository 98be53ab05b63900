//! Commands change the list of operators of a running server by its socket, and that of a stopped one in its files.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use dispatchd::{
    files::DataDirectory,
    operators::{NewOperator, OperatorsError, Reached, Role, SOCKET_FILE_NAME},
};

use crate::{
    harness::{Server, dispatchd, run, say, wait_until},
    load::Dice,
    variables::seed,
    wire::Reply,
};

fn operator(words: &str, data: &Path) -> Command {
    let mut command = dispatchd();
    command.arg("operator").args(words.split(' ')).arg("--data").arg(data);
    command
}

#[track_caller]
fn done(words: &str, data: &Path) -> String {
    let output = run(&mut operator(words, data));
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names on the list, in no order.
fn names(data: &Path) -> Vec<String> {
    let list = Reached::find(data).unwrap().list().unwrap();
    let mut names: Vec<_> = list.into_iter().map(|operator| operator.name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_list_is_the_same_whether_the_server_runs_is_stopped_or_was_killed() {
    let mut server = Server::start().await;
    let socket = server.data.join(SOCKET_FILE_NAME);
    let found = fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket() && found.permissions().mode() & 0o777 == 0o600);
    let token = server.operator_token("ann", "reader");
    assert_eq!(Reply::to(server.operator(&token, "/v1/log")).await.status, 200);
    assert!(matches!(Reached::find(&server.data), Ok(Reached::Running { .. })));

    assert!(server.stop().await.success());
    assert!(!socket.exists());
    assert!(matches!(Reached::find(&server.data), Ok(Reached::Stopped(_))));
    done("add bob --role admin", &server.data);
    assert_eq!(names(&server.data), ["ann", "bob"]);

    server.spawn().await;
    assert_eq!(Reply::to(server.operator(&token, "/v1/log")).await.status, 200);
    done("add eve --role metrics", &server.data);
    server.kill();
    // A crash leaves the socket. Nobody answers there.
    assert!(socket.exists());
    assert_eq!(names(&server.data), ["ann", "bob", "eve"]);
    done("revoke ann", &server.data);

    server.spawn().await;
    Reply::to(server.operator(&token, "/v1/log")).await.refuses(401, "token-invalid");
    assert!(matches!(Reached::find(&server.data), Ok(Reached::Running { .. })));
    assert_eq!(names(&server.data), ["bob", "eve"]);
}

#[tokio::test]
async fn a_command_waits_for_a_server_that_starts_and_for_other_commands() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let adding: Vec<_> = (0..4)
        .map(|n| {
            let mut command = operator(&format!("add n{n} --role reader"), &data);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for command in adding {
        let output = command.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(names(&data), ["n0", "n1", "n2", "n3"]);

    let mut server = Server::stopped(&data, &[]);
    server.launch();
    let pid = server.pid();
    wait_until(
        "the server holds the lock",
        || matches!(DataDirectory::user(&data), Ok(Some(Some(holder))) if holder == pid),
    );
    done("add late --role reader", &data);
    assert_eq!(names(&data).len(), 5);
}

#[tokio::test]
async fn a_request_is_carried_out_once_it_is_whole_and_nobody_blocks_the_socket() {
    let server = Server::start().await;
    done("add ann --role reader", &server.data);
    let connect = || UnixStream::connect(server.data.join(SOCKET_FILE_NAME)).unwrap();
    let answer = |sent: &[u8]| {
        let mut stream = connect();
        // The server may have closed its end already.
        let _ = stream.write_all(sent);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let revoke = r#"{"revoke":{"name":"ann"}}"#;
    assert_eq!(answer(revoke.as_bytes()), "", "it has no end");
    assert_eq!(answer(&[b'x'; 100_000]), "");
    for unknown in
        ["{}\n", "\n", "{\"revoke\":{\"name\":\"ann\",\"force\":true}}\n", "{\"drop\":\"all\"}\n"]
    {
        assert!(answer(unknown.as_bytes()).contains("does not know this request"), "{unknown}");
    }
    let bad = r#"{"add":{"name":"a b","role":"admin","token_sha256":"5lL82Nd5flMLMY0ZdvqlzxTWs4IDJteXvkYrqmqrj1I"}}"#;
    assert_eq!(answer(format!("{bad}\n").as_bytes()), "{\"Err\":\"name\"}\n");
    assert_eq!(names(&server.data), ["ann"]);
    let silent = connect();
    assert_eq!(answer(format!("{revoke}\n").as_bytes()), "{\"Ok\":[]}\n");
    drop(silent);
    assert!(names(&server.data).is_empty());
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_said_and_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("x".repeat(110));
    let mut server = Server::on(&data, &[]).await;
    assert!(server.output().contains("operators.sock cannot be made"), "{}", server.output());
    let refused = run(&mut operator("add ann --role reader", &data));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!((refused.status.code(), refused.stdout), (Some(1), Vec::new()), "{said}");
    assert!(said.contains("so long a path") && said.contains("shorter path"), "{said}");
    assert!(server.stop().await.success());
    let token = done("add ann --role reader", &data);
    server.spawn().await;
    assert_eq!(Reply::to(server.operator(token.trim(), "/v1/log")).await.status, 200);
}

/// What one client did with the list of a server that is killed meanwhile.
#[derive(Default)]
struct Done {
    added: Vec<NewOperator>,
    revoked: Vec<NewOperator>,
    /// Whether each of these is on the list, nobody knows.
    doubted: Vec<String>,
}

fn change(running: &mut Reached, client: u64, is_over: &AtomicBool, count: impl Fn()) -> Done {
    let mut did = Done::default();
    for number in 0.. {
        count();
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let new = NewOperator::new(&format!("n{client}-{number}"), Role::Reader).unwrap();
        // Every second one is revoked again.
        let outcome = running.add(&new).and_then(|()| {
            if number % 2 == 0 { Ok(()) } else { running.revoke(&format!("n{client}-{number}")) }
        });
        match outcome {
            Ok(()) if number % 2 == 0 => did.added.push(new),
            Ok(()) => did.revoked.push(new),
            Err(OperatorsError::Unanswered(_)) => did.doubted.push(format!("n{client}-{number}")),
            Err(error) => panic!("{error}"),
        }
        if !did.doubted.is_empty() || number > 100 {
            break;
        }
    }
    did
}

#[tokio::test]
async fn kill_9_at_any_moment_loses_no_change_that_was_acknowledged() {
    const ROUNDS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let seed = seed();
    say(&format!("{ROUNDS} kills, DISPATCHD_TEST_SEED={seed}"));
    let mut dice = Dice::new(seed);
    let (mut acknowledged, mut doubted) = (0, 0);
    for round in 0..ROUNDS {
        let mut server = Server::on(&folder.path().join(format!("data{round}")), &[]).await;
        let socket = server.data.join(SOCKET_FILE_NAME);
        let is_over = AtomicBool::new(false);
        // So many changes come first, and then a moment.
        let (least, delay) = (dice.below(30), Duration::from_millis(dice.below(10)));
        let changes = AtomicU64::new(0);
        let all: Vec<_> = thread::scope(|scope| {
            let change = |client| {
                let (socket, is_over, changes) = (socket.clone(), &is_over, &changes);
                let count = move || _ = changes.fetch_add(1, Ordering::SeqCst);
                let mut running = Reached::Running { socket };
                scope.spawn(move || change(&mut running, client, is_over, count))
            };
            let clients: Vec<_> = (0..2).map(change).collect();
            wait_until("changes are acknowledged", || changes.load(Ordering::SeqCst) > least + 2);
            thread::sleep(delay);
            server.kill();
            is_over.store(true, Ordering::SeqCst);
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        server.spawn().await;
        let names = names(&server.data);
        let mut known = 0;
        for did in &all {
            for new in &did.added {
                let reply = Reply::to(server.operator(new.token().reveal(), "/v1/log?limit=1"));
                assert_eq!(reply.await.status, 200, "an operator was lost");
            }
            for new in &did.revoked {
                let reply = Reply::to(server.operator(new.token().reveal(), "/v1/log?limit=1"));
                reply.await.refuses(401, "token-invalid");
            }
            known += did.added.len();
            acknowledged += did.added.len() + did.revoked.len();
            doubted += did.doubted.len();
        }
        let in_doubt = all.iter().flat_map(|did| &did.doubted);
        let unclear = in_doubt.filter(|name| names.contains(name)).count();
        assert_eq!(names.len(), known + unclear, "{names:?}");
    }
    say(&format!("{acknowledged} changes acknowledged, {doubted} in doubt"));
    assert!(acknowledged > 0, "nothing was done");
}
