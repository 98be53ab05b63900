//! Nodes join, and are one directory then.

use std::fs;

use dispatchd::{
    clock::{Clock as _, SystemClock},
    cluster::Identity,
    operators::node_token,
};
use reqwest::{Method, StatusCode};

use super::trio::{Trio, good, said};
use crate::{
    harness::{dispatchd, json_of, run},
    wire::Reply,
};

const HANDLE: &str = "+14155550123";
const OTHER: &str = "+14155550199";

#[tokio::test]
async fn nodes_that_joined_are_one_directory() {
    let mut trio = Trio::begin().await;
    let ann = trio.nodes[0].sign_up().await;
    trio.nodes[0].prove(&ann, HANDLE).await;
    for node in [1, 2] {
        let token = trio.invite(["a", "b", "c"][node]);
        if node == 2 {
            // Another member could have it sign what is good at node a.
            let words = ["cluster", "join", &trio.nodes[1].operators, "--token", &token];
            let elsewhere = run(&mut trio.nodes[2].command_for(&words));
            assert!(
                said(&elsewhere).contains("another member made this invite"),
                "{}",
                said(&elsewhere)
            );
        }
        good(&trio.join(node, &token));
        let again = trio.join(node, &token);
        assert!(
            !again.status.success() && said(&again).contains("belongs to a cluster already"),
            "{}",
            said(&again)
        );
        trio.nodes[node].spawn().await;
    }
    let [a, b, c] = &trio.nodes[..] else { unreachable!() };

    // Who signed up on one node is known on the others at once.
    let ben = b.sign_up().await;
    for node in [a, b, c] {
        assert_eq!(node.route(&ben, HANDLE).await, "imessage");
    }
    b.prove(&ben, OTHER).await;
    assert_eq!(c.route(&ann, OTHER).await, "imessage");
    assert_eq!(a.route(&ann, OTHER).await, "imessage");

    // Who signs out on one node is gone on the others at once.
    let gone = b.phone(Method::DELETE, "/v1/devices/me").bearer_auth(&ben.token);
    assert_eq!(json_of(gone).await.0, StatusCode::NO_CONTENT);
    assert_eq!(c.route(&ann, OTHER).await, "sms");
    assert_eq!(c.lookup(&ben, HANDLE).await.0, StatusCode::UNAUTHORIZED);

    // So are operators.
    let reader = a.operator_token("rea", "reader");
    for node in [a, b, c] {
        assert_eq!(Reply::to(node.operator(&reader, "/v1/registry")).await.status, 200);
    }
    let mut revoke = dispatchd();
    revoke.args(["operator", "revoke", "rea", "--data"]).arg(&c.data);
    good(&run(&mut revoke));
    for node in [a, b, c] {
        Reply::to(node.operator(&reader, "/v1/registry")).await.refuses(401, "token-invalid");
    }

    let admin = c.operator_token("adm", "admin");
    trio.until_status(1, &admin, |output, _| output.status.success()).await;
    let (_, report) = trio.status(1, &admin);
    let members = report["members"].as_array().unwrap();
    assert_eq!(members.len(), 3);
    for member in members {
        assert!(member["clock_ahead_ms"].as_i64().unwrap().abs() < 500, "{member}");
        assert!(member["applied"].as_u64().unwrap() > 1, "{member}");
    }
    // No node's token opens what people read, and a person's token opens nothing of the nodes.
    let [of_a, of_b] = [a, b].map(|node| Identity::read(&node.data).unwrap().unwrap());
    let token = node_token(&of_b.key(), of_b.cluster, of_a.node, SystemClock.now());
    assert_eq!(Reply::to(a.operator(&token, "/v1/cluster/member")).await.status, 200);
    for path in ["/v1/log", "/v1/registry", "/v1/registry/snapshot", "/v1/cluster", "/metrics"] {
        Reply::to(a.operator(&token, path)).await.refuses(403, "role-insufficient");
    }
    for path in ["/v1/cluster/member", "/v1/cluster/snapshot", "/v1/cluster/keys"] {
        Reply::to(a.operator(&admin, path)).await.refuses(403, "role-insufficient");
    }
}

#[tokio::test]
async fn who_may_not_join_is_told_why() {
    let trio = Trio::begin().await;
    let refused = |node: usize, token: &str, why: &str| {
        let output = trio.join(node, token);
        assert!(!output.status.success() && said(&output).contains(why), "{}", said(&output));
        assert!(!trio.nodes[node].data.join("cluster.json").exists());
    };
    refused(1, "di_nobody", "this is no token of an invite");
    refused(1, &format!("di_{:016x}_nobody", 7), "there is no such invite");
    let of_c = trio.invite("c");
    refused(1, &of_c, "the invite is for a node of another name");
    // An attempt that failed leaves nothing in the way of the next one.
    good(&trio.join(2, &of_c));
    refused(1, &of_c, "there is no such invite");
    let words = ["cluster", "invite", "c"];
    let taken = run(&mut trio.nodes[0].command_for(&words));
    assert!(said(&taken).contains("has a node of this name already"), "{}", said(&taken));
    assert!(taken.stdout.is_empty(), "a token was shown");

    // A directory with something in it stays as it is.
    let token = trio.invite("b");
    let data = &trio.nodes[1].data;
    fs::remove_file(data.join("cluster.joining")).unwrap();
    fs::create_dir(data.join("log")).unwrap();
    refused(1, &token, "a node joins with an empty data directory");
    fs::remove_dir(data.join("log")).unwrap();

    let words = ["cluster", "join", "http://192.0.2.1:8081", "--token", &token];
    let plain = run(&mut trio.nodes[1].command_for(&words));
    assert!(
        plain.status.code() == Some(2) && said(&plain).contains("is not encrypted"),
        "{}",
        said(&plain)
    );
    let words = ["cluster", "join", &trio.nodes[0].operators, "--token", &token];
    let elsewhere =
        run(trio.nodes[1].command_for(&words).env("DISPATCHD_CLUSTER__PREFIX", "other/"));
    assert!(said(&elsewhere).contains("holds no log under cluster.prefix"), "{}", said(&elsewhere));
    good(&trio.join(1, &token));

    // A server of its own has no nodes.
    let alone = crate::harness::Server::start().await;
    let admin = alone.operator_token("adm", "admin");
    Reply::to(alone.operator(&admin, "/v1/cluster")).await.refuses(400, "request-invalid");
    let mut invite = dispatchd();
    invite.args(["cluster", "invite", "b", "--data"]).arg(&alone.data);
    assert!(said(&run(&mut invite)).contains("this server is in no cluster"));
}
