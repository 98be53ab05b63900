use std::{
    sync::atomic::{AtomicI64, Ordering::SeqCst},
    time::Duration,
};

use axum::{Json, Router, routing::get};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::{
    clock::{Clock as _, SystemClock, Timestamp},
    cluster::{Asking, HIDDEN_UNTIL, Others},
    operators::{OperatorsError, tests::started},
    registry::{ClusterId, NodePublicKey, RowKind, Rows},
    shared_log::MemoryLog,
};

/// Another node, which answers with a clock that is `ahead` so many microseconds. Gives its address.
async fn answering(name: &'static str, node: u64, ahead: &Arc<AtomicI64>) -> String {
    answering_slowly(name, node, ahead, Duration::ZERO).await
}

/// The same, after so long for the first answer.
async fn answering_slowly(
    name: &'static str,
    node: u64,
    ahead: &Arc<AtomicI64>,
    first: Duration,
) -> String {
    let (ahead, first) = (Arc::clone(ahead), Arc::new(Mutex::new(Some(first))));
    let report = move || async move {
        let pause = lock(&first).take();
        sleep(pause.unwrap_or_default()).await;
        let now = SystemClock.now().as_micros().saturating_add_signed(ahead.load(SeqCst));
        Json(MemberReport {
            name: name.to_owned(),
            node: shown(NodeId(node)),
            process: "00decade00decade".to_owned(),
            applied: 7,
            time: Timestamp::from_micros(now),
            format: 1,
            version: "1".to_owned(),
            ready: true,
        })
    };
    served(Router::new().route("/v1/cluster/member", get(report))).await
}

pub(crate) async fn served(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    Handle::current().spawn(async move { axum::serve(listener, routes).await });
    address
}

pub(crate) fn member(name: &str, node: u64, address: String) -> Member {
    Member {
        name: name.to_owned(),
        node: NodeId(node),
        address,
        format: 1,
        joined_at: Timestamp::from_secs(1),
        key: 1,
        receiving: [0; 32],
        public: NodePublicKey([0; 32]),
    }
}

/// Node a with number 1, whose registry has these members, too.
pub(crate) async fn peers(folder: &std::path::Path, others: Vec<Member>) -> Peers {
    let clock: SharedClock = Arc::new(SystemClock);
    let registry = started(folder, &clock);
    let all = [vec![member("a", 1, "http://127.0.0.1:1".to_owned())], others].concat();
    let put = move |rows: &mut Rows<'_>| {
        all.iter().for_each(|member| member.put(rows));
        Ok::<_, OperatorsError>(())
    };
    registry.change_rows(put).await.unwrap();
    let identity = Identity::joining(ClusterId([1; 16]), "a".to_owned());
    let identity = Identity { node: NodeId(1), ..identity };
    let client = MemberClient::new(&identity, std::path::Path::new(""), clock.clone()).unwrap();
    let log = Arc::new(MemoryLog::new().handle());
    Peers::new(identity, registry, log, clock, client)
}

/// Has another node join.
pub(crate) async fn join_as(peers: &Peers, member: Member) {
    let put = move |rows: &mut Rows<'_>| {
        member.put(rows);
        Ok::<_, OperatorsError>(())
    };
    peers.shared.registry.change_rows(put).await.unwrap();
}

/// Removes a member, as `cluster remove` does.
pub(crate) async fn remove(peers: &Peers, name: &'static str) {
    peers.shared.registry.hold(None);
    let remove = |rows: &mut Rows<'_>| {
        rows.remove(RowKind::Member, name.as_bytes());
        Ok::<_, OperatorsError>(())
    };
    peers.shared.registry.change_rows(remove).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_far_from_the_others_stops_changes_until_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let (of_b, of_c) = (Arc::default(), Arc::default());
    let b = member("b", 2, answering("b", 2, &of_b).await);
    let c = member("c", 3, answering("c", 3, &of_c).await);
    let peers = peers(folder.path(), vec![b, c]).await;
    let hold = async || {
        peers.ask_all().await;
        let hold = peers.hold();
        peers.shared.registry.hold(hold);
        hold
    };
    assert_eq!(hold().await, None);
    of_b.store(9_000_000, SeqCst);
    assert_eq!(hold().await, None, "the clock of b is wrong");
    of_c.store(9_000_000, SeqCst);
    assert_eq!(hold().await, Some(Hold::Clock), "its own is");
    assert!(!peers.own().ready);
    let states = peers.states();
    let ahead: Vec<_> = states.iter().map(|state| state.clock_ahead_ms.unwrap()).collect();
    assert!(ahead[0] == 0 && (8_700..9_300).contains(&ahead[1]), "{ahead:?}");
    assert_eq!(states[0].lag, Some(7));
    of_b.store(0, SeqCst);
    assert_eq!(hold().await, None);
    assert!(peers.own().ready);
}

/// Asks a node for the log, on behalf of an operator.
const LOG: Asking<'_> =
    Asking { path: "/v1/log", body: None, takes: "application/x-ndjson", operator: "ann" };

#[tokio::test]
async fn a_node_that_was_removed_is_told_nothing_and_waited_for_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let asked = Arc::new(AtomicI64::new(0));
    let count = Arc::clone(&asked);
    let answer = move || {
        count.fetch_add(1, SeqCst);
        async {}
    };
    let b = member("b", 2, served(Router::new().route("/v1/log", get(answer))).await);
    let peers = peers(folder.path(), vec![b.clone()]).await;
    let others = Others::new(peers.clone());
    assert!(others.lines(&b, &LOG).await.is_ok());
    let waiting = others.while_alive::<(), _>(&b, std::future::pending());
    let removing = remove(&peers, "b");
    let (waited, ()) = timeout(Duration::from_secs(60), join(waiting, removing)).await.unwrap();
    assert!(matches!(waited, Err(ClientError::Removed)), "{waited:?}");
    assert!(matches!(others.lines(&b, &LOG).await, Err(ClientError::Removed)));
    assert_eq!(asked.load(SeqCst), 1);
}

#[tokio::test]
async fn an_answer_of_a_node_that_hides_records_is_none_and_says_until_when() {
    let folder = tempfile::tempdir().unwrap();
    let until = "2026-11-23T08:00:00Z";
    let answer = move || async move { [(HIDDEN_UNTIL, until)] };
    let b = member("b", 2, served(Router::new().route("/v1/log", get(answer))).await);
    let others = Others::new(peers(folder.path(), vec![b.clone()]).await);
    let refused = others.lines(&b, &LOG).await.err().map(|error| error.to_string());
    assert_eq!(
        refused.unwrap(),
        format!("its clocks disagree, and records up to {until} are hidden")
    );
}

#[tokio::test]
async fn an_answer_in_one_piece_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Arc::new(AtomicI64::new(0));
    let sent = Arc::clone(&bytes);
    // A text of JSON with so many bytes.
    let answer = move || async move {
        format!("\"{}\"", "x".repeat(usize::try_from(sent.load(SeqCst)).unwrap() - 2))
    };
    let b = member("b", 2, served(Router::new().route("/v1/log", get(answer))).await);
    let others = Others::new(peers(folder.path(), vec![b.clone()]).await);
    let most = i64::try_from(limits::CLUSTER_ANSWER_BYTES_MAX).unwrap();
    for (length, is_read) in [(most, true), (most + 1, false)] {
        bytes.store(length, SeqCst);
        let answer = others.answer::<String>(&b, &LOG).await;
        assert_eq!(answer.is_ok(), is_read, "{length}");
        assert!(answer.err().is_none_or(|why| matches!(why, ClientError::Unreadable)));
    }
}

/// Runs the rounds of `peers`, and waits until the first comparison is over.
async fn compared(peers: &Peers) -> Option<Hold> {
    let running = AbortOnDropHandle::new(Handle::current().spawn(peers.clone().run()));
    timeout(Duration::from_secs(60), peers.compared()).await.expect("it is compared");
    drop(running);
    peers.shared.registry.held()
}

#[tokio::test]
async fn a_node_that_starts_takes_no_changes_before_it_has_compared_its_clock() {
    let wrong = Arc::new(AtomicI64::new(9_000_000));
    // The first answer takes too long to tell the time.
    let slow = limits::CLUSTER_CLOCK_ROUND_TRIP_MAX * 2;
    for (ahead, expected) in [(wrong, Some(Hold::Clock)), (Arc::default(), None)] {
        let folder = tempfile::tempdir().unwrap();
        let b = member("b", 2, answering_slowly("b", 2, &ahead, slow).await);
        let away = member("c", 3, "http://127.0.0.1:1".to_owned());
        let peers = peers(folder.path(), vec![b, away]).await;
        assert_eq!(peers.shared.registry.held(), Some(Hold::NotCompared));
        assert!(!peers.own().ready);
        assert_eq!(compared(&peers).await, expected);
    }
}

#[tokio::test]
async fn a_node_that_nobody_answers_or_that_is_alone_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let away = member("b", 2, "http://127.0.0.1:1".to_owned());
    let peers_away = peers(folder.path(), vec![away]).await;
    assert_eq!(peers_away.shared.registry.held(), Some(Hold::NotCompared));
    assert_eq!(compared(&peers_away).await, None);

    let folder = tempfile::tempdir().unwrap();
    let alone = peers(folder.path(), Vec::new()).await;
    assert_eq!(alone.shared.registry.held(), None, "it starts at once");
    assert_eq!(compared(&alone).await, None);
}

#[tokio::test]
async fn two_nodes_whose_clocks_differ_both_wait_also_while_they_do_not_hear_of_each_other() {
    let (folder, of_b) = (tempfile::tempdir().unwrap(), Arc::new(AtomicI64::new(2_000_000)));
    let b = member("b", 2, answering("b", 2, &of_b).await);
    let peers = peers(folder.path(), vec![b]).await;
    assert_eq!(compared(&peers).await, Some(Hold::Clock));
    lock(&peers.shared.seen).clear();
    assert_eq!(peers.hold(), Some(Hold::Clock), "nothing shows that it is right now");
    let gone = |rows: &mut Rows<'_>| {
        rows.remove(RowKind::Member, b"b");
        Ok::<_, OperatorsError>(())
    };
    peers.shared.registry.hold(None);
    peers.shared.registry.change_rows(gone).await.unwrap();
    peers.shared.registry.hold(Some(Hold::Clock));
    assert_eq!(peers.hold(), None, "it is alone");
}

#[tokio::test]
async fn each_other_node_is_shown_something_else() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let note = {
        let shown = Arc::clone(&shown);
        move |headers: axum::http::HeaderMap| async move {
            lock(&shown).push(headers["authorization"].to_str().unwrap().to_owned());
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/v1/cluster/member", get(note));
    tokio::runtime::Handle::current().spawn(async move { axum::serve(listener, routes).await });
    let folder = tempfile::tempdir().unwrap();
    let members = vec![member("b", 2, address.clone()), member("c", 3, address)];
    let peers = peers(folder.path(), members).await;
    peers.ask_all().await;
    let mut shown = lock(&shown).clone();
    assert_eq!(shown.len(), 2);
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), 2, "one for each node");
}

#[tokio::test]
async fn a_node_that_does_not_answer_or_is_another_one_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let right = Arc::default();
    let other = member("b", 2, answering("b", 9, &right).await);
    let away = member("c", 3, "http://127.0.0.1:1".to_owned());
    let peers = peers(folder.path(), vec![other, away]).await;
    assert_eq!(compared(&peers).await, None, "no other clock is known");
    let report = peers.report(Vec::new());
    assert_eq!(report.missing(), ["b", "c"]);
    let errors: Vec<_> = report.members.iter().map(|it| it.error.clone()).collect();
    assert_eq!(errors[0], None);
    assert!(errors[1].as_ref().unwrap().contains("another node answers"), "{errors:?}");
    assert!(errors[2].as_ref().unwrap().contains("no answer"), "{errors:?}");
    let gone = |rows: &mut Rows<'_>| {
        rows.remove(RowKind::Member, b"a");
        Ok::<_, OperatorsError>(())
    };
    peers.shared.registry.change_rows(gone).await.unwrap();
    assert_eq!(peers.hold(), Some(Hold::Removed));
}

#[tokio::test]
async fn texts_of_other_nodes_are_short_and_have_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let long = || "\n\u{1b}[2J".to_owned() + &"é".repeat(200_000);
    let refusal = move || async move {
        let body = serde_json::json!({"code": long(), "detail": long()});
        (axum::http::StatusCode::FORBIDDEN, Json(body))
    };
    let own = MemberReport {
        name: "c".to_owned(),
        node: shown(NodeId(3)),
        process: String::new(),
        applied: 7,
        time: SystemClock.now(),
        format: 1,
        version: long(),
        ready: true,
    };
    let report = move || async move { Json(own) };
    let path = "/v1/cluster/member";
    let b = member("b", 2, served(Router::new().route(path, get(refusal))).await);
    let c = member("c", 3, served(Router::new().route(path, get(report))).await);
    let peers = peers(folder.path(), vec![b, c]).await;
    peers.ask_all().await;
    let states = peers.states();
    let texts = [states[1].error.as_ref().unwrap(), states[2].version.as_ref().unwrap()];
    for text in texts {
        let length = text.chars().count();
        assert!((200..400).contains(&length), "{length}");
        assert!(!text.contains(char::is_control) && text.contains("é…"), "{text}");
    }
}

#[tokio::test]
async fn a_copy_of_a_node_is_held_and_the_node_at_the_address_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let right = Arc::default();
    // Node a has number 1.
    let (elsewhere, other) = (answering("a", 1, &right).await, answering("a", 9, &right).await);
    let peers = peers(folder.path(), Vec::new()).await;
    let found_at = async |address: &str| {
        let own = member("a", 1, address.to_owned());
        let put = move |rows: &mut Rows<'_>| {
            own.put(rows);
            Ok::<_, OperatorsError>(())
        };
        peers.shared.registry.hold(None);
        peers.shared.registry.change_rows(put).await.unwrap();
        peers.ask_all().await;
        peers.hold()
    };
    let nobody = "http://127.0.0.1:1";
    assert_eq!(found_at(nobody).await, None);
    assert_eq!(found_at(&other).await, None, "another node answers");
    assert_eq!(found_at(&elsewhere).await, Some(Hold::Copied));
    assert_eq!(found_at(nobody).await, Some(Hold::Copied), "it may come back");
    let own = peers.clone();
    let report = async move || Json(own.own());
    let itself = served(Router::new().route("/v1/cluster/member", get(report))).await;
    assert_eq!(found_at(&itself).await, None);
}
