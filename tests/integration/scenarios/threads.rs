//! Message threads, which clients key by subject.

use super::{answer, check_in, sign_out, subject};
use crate::{
    handles::give_up,
    harness::{Device, Server},
    wire::{batch, link},
};

const NUMBER: &str = "+14155550123";
const ADDRESS: &str = "ann@example.com";
const FRIEND: &str = "+14155550199";

/// Ann's subject under `handle`, looked up with her friend's handle. `together` is the expected route of the group.
async fn in_group(server: &Server, asker: &Device, handle: &str, together: &str) -> Option<String> {
    let group = batch(server, asker, &[FRIEND, handle]).await;
    assert_eq!(group.body["together"], together, "{group:?}");
    let alone = answer(server, asker, handle).await;
    assert_eq!(group.body["answers"][1], alone);
    alone["subject"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_thread_stays_when_a_number_becomes_an_address() {
    let mut server = Server::start().await;
    let (ann, ben, eva) = (server.sign_up().await, server.sign_up().await, server.sign_up().await);
    let friend = server.sign_up().await;
    server.prove(&friend, FRIEND).await;
    server.prove(&ann, NUMBER).await;
    let thread = in_group(&server, &ben, NUMBER, "imessage").await;
    let evas = in_group(&server, &eva, NUMBER, "imessage").await;
    assert!(thread.is_some() && evas.is_some() && thread != evas);

    server.prove(&ann, ADDRESS).await;
    give_up(&server, &ann, "%2B14155550123").await.is(204, &[]);
    assert_eq!(in_group(&server, &ben, NUMBER, "mixed").await, None);
    assert_eq!(in_group(&server, &ben, ADDRESS, "imessage").await, thread);
    assert_eq!(in_group(&server, &eva, ADDRESS, "imessage").await, evas);

    // Another device replaces the phone, before and after a restart.
    let laptop = link(&server, &ann).await;
    server.restart().await;
    sign_out(&server, &ann).await;
    check_in(&server, &laptop).await;
    assert_eq!(in_group(&server, &ben, ADDRESS, "imessage").await, thread);
    server.kill();
    server.spawn().await;
    let tablet = link(&server, &laptop).await;
    sign_out(&server, &laptop).await;
    for asker in [&ben, &link(&server, &ben).await] {
        assert_eq!(in_group(&server, asker, ADDRESS, "imessage").await, thread);
    }
    assert_eq!(in_group(&server, &eva, ADDRESS, "imessage").await, evas);

    // If the same account proves the number again, the thread is the same. If another account does, the thread
    // differs.
    server.prove(&tablet, NUMBER).await;
    assert_eq!(in_group(&server, &ben, NUMBER, "imessage").await, thread);
    server.prove(&friend, NUMBER).await;
    let friends = subject(&server, &ben, FRIEND).await;
    assert_eq!(in_group(&server, &ben, NUMBER, "imessage").await, Some(friends));
    sign_out(&server, &tablet).await;
    assert_eq!(in_group(&server, &ben, ADDRESS, "none").await, None);
}
