//! Answers between nodes, over the listener that a node has.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use axum::{Router, response::Response, routing::post};
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tokio::{runtime::Handle as Runtime, task::spawn_blocking, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    authority::Authority,
    lines,
    places::{Place, Places},
    traffic,
};
use crate::{
    api::{FlipPart, FlipPartsRequest, FlipsRequest},
    clock::SharedClock,
    cluster::{
        Others,
        peers_tests::{member, peers},
    },
    dispatch,
    handle::Handle,
    http::{
        connection::admission::Admission,
        listen::{Listener, bind},
        proxies::Proxies,
        service::Service,
    },
    limits,
    operators::{self, NewOperator, Operators, Role},
    query_log::{
        FlipFindings, FlipQuery, FlipReport, FlipsRead, QueryLog, Record, SearchOutcome,
        flips_tests::{LAPSED, LIVE, asked, handle, parts::parts_within},
        tests::support::{Bench, START},
    },
    reading::{Answer as _, DataFiles, Given, Outcome, Reading, Records, Rows as _, Stop},
    shutdown::Shutdown,
};

/// More than any test reads.
const PLENTY: usize = 1 << 30;
/// Handles of each of two nodes: more than the buffers of a connection take.
const HANDLES: usize = 400;
const LOOKUPS: usize = 60;

/// A log in which these handles are blue, then green, and so on.
fn alternating(numbers: &[usize]) -> (Bench, QueryLog) {
    let bench = Bench::new();
    let log = bench.open();
    for lookup in 0..LOOKUPS {
        let answer = if lookup.is_multiple_of(2) { LIVE } else { LAPSED };
        let records: Vec<Record> =
            numbers.iter().map(|number| asked(&handle(*number), answer)).collect();
        log.append_all(&records).unwrap().wait_blocking().unwrap();
        bench.clock.advance(Duration::from_secs(100));
    }
    (bench, log)
}

fn records(bench: &Bench) -> Records {
    let files = DataFiles {
        data: bench.dir.path().to_owned(),
        root_key: None,
        retention: bench.config.retention,
        audit_retention: limits::AUDIT_RETENTION_MIN,
        dispatch: dispatch::Config::default(),
        clock: Arc::clone(&bench.clock) as SharedClock,
        copies: None,
    };
    Records::of_files(files).unwrap()
}

/// A node that has these parts, and needs so long before the first one.
struct Node {
    records: Records,
    parts: Vec<FlipPart>,
    scan: Duration,
    /// How often it began.
    scans: AtomicUsize,
    authority: Authority,
}

impl Node {
    /// Of a log, for the operator ann, who asks it through the node a.
    async fn new(data: &TempDir, (bench, log): &(Bench, QueryLog), scan: Duration) -> Arc<Self> {
        let list = Arc::new(operators::tests::running(data.path()));
        let (ann, a) = (added(&list, "ann").await, added(&list, "a").await);
        let authority = Authority::new(list, ann, None, Shutdown::new()).through(a, None);
        let (parts, scans) = (parts_within(&log.reader(), PLENTY, None), AtomicUsize::new(0));
        Arc::new(Self { records: records(bench), parts, scan, scans, authority })
    }

    async fn answer(self: Arc<Self>, request: String) -> Response {
        let request: serde_json::Value = serde_json::from_str(&request).unwrap();
        let after = request["after"].as_str().map(|it| Handle::from_canonical(it).unwrap());
        let (place, given) = begun(self.records.clone()).await;
        let authority = self.authority.clone();
        let read = Box::new(move |_: &Stop, take: &mut dyn FnMut(FlipPart) -> bool| {
            self.scans.fetch_add(1, SeqCst);
            thread::sleep(self.scan);
            let is_behind = |part: &&FlipPart| after.as_ref().is_none_or(|it| *it < part.handle);
            let is_whole = self.parts.iter().filter(is_behind).cloned().all(take);
            Ok(is_whole.then(Outcome::default))
        });
        authority.watched_rows(lines::stream(Reading { given, read }, place, (true, false)))
    }

    /// Serves it until the handle is dropped. Gives its address.
    fn serve(self: &Arc<Self>) -> (String, AbortOnDropHandle<()>) {
        let node = Arc::clone(self);
        let answer = move |body: String| Arc::clone(&node).answer(body);
        let service = Service {
            routes: Router::new().route("/v1/log/flips/parts", post(answer)),
            shortcut: None,
            proxies: Proxies::default(),
            hosts: None,
            overload: None,
            fence: None,
            traffic: traffic(),
        };
        let listener = Listener {
            service,
            tls: None,
            admission: Admission::of_socket(8),
            shutdown: Shutdown::new(),
            handle: axum_server::Handle::new(),
        };
        let any = "127.0.0.1:0".parse().unwrap();
        let (address, sockets) = bind(any, 1, limits::OPERATORS_SEND_BUFFER_BYTES).unwrap();
        let socket = sockets.into_iter().next().unwrap();
        socket.set_nonblocking(true).unwrap();
        let serving = async move { listener.serve(socket).await.unwrap() };
        (format!("http://{address}"), AbortOnDropHandle::new(Runtime::current().spawn(serving)))
    }
}

/// A place of a search, and the entry of its call.
async fn begun(records: Records) -> (Place, Given) {
    let place = Places::new("searches", 1, 1).take("ann").await.unwrap();
    let noted = move || FlipPartsRequest::default().begin(&records, "ann@a").unwrap();
    let Reading { given, .. } = spawn_blocking(noted).await.unwrap();
    (place, given)
}

async fn added(list: &Operators, name: &str) -> operators::Operator {
    let new = NewOperator::new(name, Role::Reader).unwrap();
    operators::tests::add(list, &new).await.unwrap();
    list.authenticate(new.token().reveal()).unwrap().unwrap()
}

/// What one log has.
fn counted(log: &QueryLog) -> FlipReport {
    let mut findings = FlipFindings::new(&FlipQuery { limit: 1_000, ..FlipQuery::default() });
    let parts = parts_within(&log.reader(), PLENTY, None);
    parts.into_iter().for_each(|part| findings.add_steps(part.handle, &part.steps));
    let passed_over = SearchOutcome::default();
    findings.report(&FlipsRead { since: START, until: START, passed_over, stopped: false })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rows_are_sent_while_the_others_are_read() {
    let of_one = alternating(&[1]);
    let (place, given) = begun(records(&of_one.0)).await;
    let part = parts_within(&of_one.1.reader(), PLENTY, None).remove(0);
    let (read_on, told) = mpsc::channel::<()>();
    let read = Box::new(move |_: &Stop, take: &mut dyn FnMut(FlipPart) -> bool| {
        let is_taken = take(part);
        told.recv().unwrap();
        Ok(is_taken.then(Outcome::default))
    });
    let mut body = lines::stream(Reading { given, read }, place, (true, false)).into_body();
    let first = timeout(Duration::from_secs(60), body.frame()).await.unwrap().unwrap().unwrap();
    assert!(first.is_data());
    read_on.send(()).unwrap();
    assert!(body.collect().await.unwrap().trailers().is_some());
}

/// The node that is asked reads nothing of b while it waits for c, for much longer than other clients may take nothing.
#[tokio::test(flavor = "multi_thread")]
async fn each_node_reads_its_log_once_for_a_count_of_flips_however_slow_another_one_is() {
    let numbers: Vec<_> = (0..2 * HANDLES).collect();
    let (of_b, of_c): (Vec<_>, Vec<_>) =
        numbers.iter().copied().partition(|number| number.is_multiple_of(2));
    let all = alternating(&[&*numbers, &[2 * HANDLES]].concat());
    let (of_b, of_c) = (alternating(&of_b), alternating(&of_c));
    let data = [(); 3].map(|()| TempDir::new().unwrap());
    let scan = limits::WRITE_TIMEOUT * 2;
    let b = Node::new(&data[0], &of_b, scan).await;
    let c = Node::new(&data[1], &of_c, 3 * scan).await;
    let ((at_b, _b), (at_c, _c)) = (b.serve(), c.serve());
    let others = vec![member("b", 2, at_b), member("c", 3, at_c)];
    let others = Others::new(peers(data[2].path(), others).await);
    let own = alternating(&[2 * HANDLES]);
    let asked = records(&own.0).in_cluster(Some(others));
    let request = FlipsRequest { limit: Some("1000".to_owned()), ..FlipsRequest::default() };
    let stop: Stop = Arc::new(|| false);
    let count = move || request.answer(&asked, "ann", &stop).unwrap();
    let FlipReport { flips, summary, .. } = spawn_blocking(count).await.unwrap();
    assert_eq!((b.scans.load(SeqCst), c.scans.load(SeqCst)), (1, 1));
    assert!(summary.missing.is_empty(), "{:?}", summary.missing);
    let expected = counted(&all.1);
    let found = |report: &FlipReport| -> Vec<_> {
        let flips = report.flips.iter();
        flips.map(|it| (it.handle.clone(), it.changes, it.lookups, it.routes.clone())).collect()
    };
    assert_eq!(found(&FlipReport { flips, summary, stopped: false }), found(&expected));
    assert_eq!(expected.flips.len(), 2 * HANDLES + 1);
}
