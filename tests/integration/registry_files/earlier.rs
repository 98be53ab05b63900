//! An import describes the state at the time of its file. It does not undo later changes in this registry.

use serde_json::json;

use super::{Person, ago, csv, object, on_files, on_server};
use crate::{
    handles::{give_up, own_handles},
    harness::Server,
    scenarios::{changes, check_in, deregister, sign_out, subject},
};

/// Handles that ended in this registry, one in each way.
const GIVEN_UP: &str = "+14155550121";
const SIGNED_OUT: &str = "+14155550122";
const DEREGISTERED: &str = "+14155550123";
const MOVED: &str = "+14155550124";

#[tokio::test]
async fn what_ended_or_moved_here_since_stays_so() {
    for is_running in [true, false] {
        let mut server = Server::start().await;
        let (ann, ben) = (server.sign_up().await, server.sign_up().await);
        let (gone, asker) = (server.sign_up().await, server.sign_up().await);
        for handle in [GIVEN_UP, DEREGISTERED, MOVED] {
            server.prove(&ann, handle).await;
        }
        server.prove(&gone, SIGNED_OUT).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        let handles = [GIVEN_UP, SIGNED_OUT, DEREGISTERED, MOVED];
        // The file has proofs from before the ends.
        let person = |at: usize| Person::holding(at as u64, handles[at]);
        csv(&file, &(0..4).map(|at| person(at).row(ago(0))).collect::<Vec<_>>());

        assert_eq!(give_up(&server, &ann, "%2B14155550121").await.status, 204);
        sign_out(&server, &gone).await;
        deregister(&server, DEREGISTERED).await;
        server.prove(&ben, MOVED).await;
        let before = subject(&server, &asker, MOVED).await;
        let reader = server.operator_token("admin", "admin");
        let mut told = Vec::new();
        for handle in handles {
            told.push(changes(&server, &reader, handle).await);
        }

        let came = if is_running {
            object(&mut on_server(&server, &reader, "import", &[&file]))
        } else {
            assert!(server.stop().await.success());
            let came = object(&mut on_files(&server.data, "import", &[&file]));
            server.spawn().await;
            came
        };
        assert_eq!(
            (&came["handles_ended"], &came["handles_held"]),
            (&json!(3), &json!(1)),
            "{came}"
        );
        assert_eq!(
            (&came["accounts"], &came["devices_without_handle"]),
            (&json!(0), &json!(4)),
            "{came}"
        );
        for (handle, reason) in
            [(GIVEN_UP, "unbound"), (SIGNED_OUT, "device-removed"), (DEREGISTERED, "deregistered")]
        {
            assert_eq!(server.route(&asker, handle).await, "sms", "{handle} came back");
            let query = format!("kind=lookup&handle={}", handle.replace('+', "%2B"));
            let records = server.records(&reader, &query).await;
            assert_eq!(records[0]["reason"], reason, "{handle}");
        }
        assert_eq!(subject(&server, &asker, MOVED).await, before);
        for (handle, told) in handles.iter().zip(&told) {
            assert_eq!(changes(&server, &reader, handle).await, *told, "{handle}");
        }
    }
}

#[tokio::test]
async fn a_newer_proof_moves_a_handle_and_is_recorded_once() {
    for is_running in [true, false] {
        let mut server = Server::start().await;
        let (ann, asker) = (server.sign_up().await, server.sign_up().await);
        server.prove(&ann, MOVED).await;
        server.prove(&ann, GIVEN_UP).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        let person = Person::holding(7, MOVED);
        csv(&file, &[person.row(ago(0))]);
        let admin = server.operator_token("admin", "admin");
        let came = if is_running {
            object(&mut on_server(&server, &admin, "import", &[&file]))
        } else {
            assert!(server.stop().await.success());
            let came = object(&mut on_files(&server.data, "import", &[&file]));
            server.spawn().await;
            came
        };
        assert_eq!((&came["moved"], &came["handles"]), (&json!(1), &json!(1)), "{came}");
        assert_eq!(own_handles(&server, &ann).await, [GIVEN_UP]);
        assert_eq!(own_handles(&server, &person.device).await, [MOVED]);
        assert_eq!(server.route(&asker, MOVED).await, "imessage");
        check_in(&server, &person.device).await;
        // Importing the file again adds no record.
        object(&mut on_server(&server, &admin, "import", &[&file]));
        let told = changes(&server, &admin, MOVED).await;
        let moved = ("handle-moved".into(), person.device.account.clone(), "import".into());
        let bound = ("handle-bound".into(), ann.account.clone(), "proof".into());
        assert_eq!(told, [bound, moved]);
    }
}
