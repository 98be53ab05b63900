//! The nodes count quotas together.

use dispatchd::{
    clock::{Clock as _, SystemClock},
    cluster::Identity,
    operators::node_token,
};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use super::trio::Trio;
use crate::{
    harness::{Device, PATIENCE, Server},
    metrics::Scrape,
    quotas::limits,
    wire::{Reply, batch, call},
};

/// New handles of an account in a day, and what three nodes may grant of it together.
const OF_A_DAY: usize = 200;
const MOST: usize = OF_A_DAY + OF_A_DAY / 5;

/// Three nodes that count with each other.
async fn trio() -> Trio {
    let env = [("QUOTA__ENABLED", "true"), ("QUOTA__NEW_HANDLES_PER_DAY", "200")];
    let trio = Trio::start_with(&env).await;
    for server in &trio.nodes {
        until_shared(server, 2).await;
    }
    trio
}

/// Waits until a node has begun so often to count with another one.
async fn until_shared(server: &Server, times: usize) {
    let begun = Instant::now();
    while shared(server) < times {
        assert!(begun.elapsed() < PATIENCE, "{}", server.output());
        sleep(Duration::from_millis(50)).await;
    }
}

fn shared(server: &Server) -> usize {
    server.output().matches("a member counts quotas with this node").count()
}

/// Asks a node for so many handles at a time that nobody asked for before, until it refuses. Returns how many were answered.
async fn drain(server: &Server, device: &Device, first: usize, at_a_time: usize) -> usize {
    let mut answered = 0;
    loop {
        let from = 2_000_000 + first + answered;
        let numbers: Vec<_> = (from..from + at_a_time).map(|n| format!("+1415{n:07}")).collect();
        let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
        let reply = batch(server, device, &numbers).await;
        if reply.status == 429 {
            assert_eq!(reply.refuses(429, "lookup-quota")["limit"], "new-handles");
            return answered;
        }
        assert_eq!(reply.status, 200, "{reply:?}");
        answered += at_a_time;
    }
}

/// What an account has left of a day, by the answer for a handle that it asked for before.
async fn left(server: &Server, device: &Device, asked: &str) -> u64 {
    let path = format!("/v1/lookup/{asked}");
    let reply: Reply = call(server, Method::GET, &path, Some(&device.token), None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    limits(&reply).2
}

#[tokio::test]
async fn an_account_that_asks_three_nodes_at_once_gets_one_allowance() {
    let trio = trio().await;
    for (turn, at_a_time) in [1, 5, 30].into_iter().enumerate() {
        let ann = trio.nodes[0].sign_up().await;
        // Two connections to each node.
        let asks = (0..6).map(|ask| {
            let first = 200_000 * turn + 10_000 * ask;
            drain(&trio.nodes[ask % 3], &ann, first, at_a_time)
        });
        let answered = join_all(asks).await;
        let sum: usize = answered.iter().sum();
        // Calls that are under way at the same time may all be refused if not all of them fit.
        assert!(
            sum <= MOST && OF_A_DAY <= sum + 6 * at_a_time,
            "{answered:?}, {at_a_time} at a time"
        );
    }
    let waits = Scrape::of(&trio.nodes[0]).await.value("quota_waits_total");
    assert!(waits > 0.0, "{waits}");
    only_a_node_tells(&trio).await;
    for server in &trio.nodes {
        let output = server.output();
        assert!(!output.contains("+1415"), "a handle is in the output");
    }
}

/// How often a node that runs was late for another one, so that the two counted apart. Node c is to be away.
fn late(trio: &Trio, nodes: &[usize]) -> usize {
    let outputs = nodes.iter().map(|node| trio.nodes[*node].output());
    let is_late = |line: &&str| line.contains("counts quotas apart for now");
    let is_of_c = |line: &str| line.contains("member=\"c\"") || line.contains("member=c");
    let is_counted = |line: &&str| is_late(line) && (nodes.contains(&2) || !is_of_c(line));
    outputs.map(|output| output.lines().filter(is_counted).count()).sum()
}

/// What went wrong, and whether a node was late. Of one that takes longer than a second to answer, as on a machine with other work, nothing
/// exact is promised.
struct Wrong {
    what: String,
    is_late: bool,
}

/// An account asks for its address book at each node, and for the rest of it while node c is away.
async fn pays_once(trio: &mut Trio) -> Result<(), Wrong> {
    let ann = trio.nodes[0].sign_up().await;
    let numbers: Vec<_> = (0..90).map(|n| format!("+1415555{n:04}")).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    assert_eq!(batch(&trio.nodes[0], &ann, &numbers[..50]).await.status, 200);
    for (node, server) in trio.nodes.iter().enumerate().skip(1) {
        let begun = Instant::now();
        while Scrape::of(server).await.value("quota_remembered_handles") < 50.0 {
            let is_late = late(trio, &[0, 1, 2]) > 0;
            if is_late || PATIENCE < begun.elapsed() {
                return Err(Wrong { what: format!("node {node} does not remember"), is_late });
            }
            sleep(Duration::from_millis(100)).await;
        }
        let all = batch(server, &ann, &numbers[..50]).await;
        if (all.status, limits(&all).2) != (200, 150) {
            let is_late = late(trio, &[0, 1, 2]) > 0;
            return Err(Wrong { what: format!("node {node}: {all:?}"), is_late });
        }
    }

    // Its files follow before it ends.
    assert!(trio.nodes[2].stop().await.success());
    assert_eq!(batch(&trio.nodes[1], &ann, &numbers[50..]).await.status, 200);
    trio.nodes[2].spawn().await;
    let begun = Instant::now();
    loop {
        let of_c = left(&trio.nodes[2], &ann, numbers[0]).await;
        let is_late = late(trio, &[0, 1]) > 0;
        if of_c != 110 && !is_late && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        let of_a = left(&trio.nodes[0], &ann, numbers[0]).await;
        let what = format!("{of_a} and {of_c} are left");
        return if [of_a, of_c] == [110; 2] { Ok(()) } else { Err(Wrong { what, is_late }) };
    }
}

#[tokio::test]
async fn an_address_book_is_paid_for_once_and_a_node_that_restarts_learns_what_was_spent() {
    let mut attempts = Vec::new();
    for _ in 0..5 {
        let mut trio = trio().await;
        let Err(Wrong { what, is_late }) = pays_once(&mut trio).await else { return };
        assert!(is_late, "{what}");
        attempts.push(what);
    }
    panic!("nodes were late each time: {attempts:?}");
}

#[tokio::test]
async fn a_node_that_is_paused_is_waited_for_once() {
    let trio = trio().await;
    let (ann, ben) = (trio.nodes[0].sign_up().await, trio.nodes[0].sign_up().await);
    trio.nodes[2].signal("STOP");
    let asked = async |device: &Device, first| {
        let begun = Instant::now();
        assert!(drain(&trio.nodes[0], device, first, 50).await >= OF_A_DAY);
        begun.elapsed()
    };
    asked(&ann, 0).await;
    let second = asked(&ben, 10_000).await;
    assert!(second < Duration::from_secs(1), "{second:?}");
    let before = shared(&trio.nodes[0]);
    trio.nodes[2].signal("CONT");
    // It answers again, and is told what was spent meanwhile.
    until_shared(&trio.nodes[0], before + 1).await;
    for device in [&ann, &ben] {
        assert_eq!(drain(&trio.nodes[2], device, 20_000, 1).await, 0);
    }
}

async fn only_a_node_tells(trio: &Trio) {
    let server = &trio.nodes[0];
    let [of_a, of_b] = [0, 1].map(|node| Identity::read(&trio.nodes[node].data).unwrap().unwrap());
    let token = node_token(&of_b.key(), of_b.cluster, of_a.node, SystemClock.now());
    let tell = async |token: &str, body: serde_json::Value| {
        let url = format!("{}/v1/cluster/quota", server.operators);
        Reply::to(server.client.post(url).bearer_auth(token).json(&body)).await
    };
    let nothing = json!({"spent": [], "owed": [], "asked": []});
    let admin = server.operator_token("adm", "admin");
    tell(&admin, nothing.clone()).await.refuses(403, "role-insufficient");
    tell("do_nobody", nothing.clone()).await.refuses(401, "token-invalid");
    assert!(tell(&token, nothing).await.body["process"].is_string());
    let unknown =
        json!({"spent": [{"counter": "x", "key": 1, "units": 1}], "owed": [], "asked": []});
    tell(&token, unknown).await.refuses(400, "request-invalid");
}
