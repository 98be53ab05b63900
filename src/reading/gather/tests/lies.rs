//! Other nodes that lie: they are named, and end nothing else.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    response::Response,
};
use futures_util::{
    StreamExt as _,
    future::pending,
    stream::{self, BoxStream},
};
use http_body::Frame;
use http_body_util::StreamBody;
use tempfile::TempDir;
use tokio::{
    runtime::Handle as Runtime,
    task::{spawn_blocking, yield_now},
    time::timeout,
};

use crate::{
    api::{FlipPart, FlipReport, FoundRow, MissingNode, NodeNote, SearchRequest},
    clock::{Clock as _, Timestamp},
    cluster::{
        Others,
        peers_tests::{join_as, member, peers, served},
    },
    handle::Handle,
    limits,
    lock::lock,
    query_log::{
        Filter, FlipQuery, LogReader, LogRow, Order, QueryLog,
        flips_tests::{LAPSED, LIVE, asked, handle, parts::parts_within},
        tests::support::{Bench, change, put},
    },
    reading::{
        call::Stop,
        gather::{
            AskedNode, GatheredFlips, GatheredSearch, NodeTails, Question, Told, list_segments,
        },
        outcome::{DAMAGED, Outcome, RECORDS, UNREADABLE_SEGMENTS},
    },
};

/// More than any test reads.
const PLENTY: usize = 1 << 30;

/// What a node sends as one answer.
#[derive(Clone)]
pub(super) enum Said {
    /// Lines, and a trailer with this number of them.
    Lines(Vec<String>, usize),
    /// Lines, and no trailer.
    NoTrailers(Vec<String>),
    /// Lines, before the connection breaks.
    Broken(Vec<String>),
    /// This text for ever.
    Endless(String),
    /// This part for one handle after the other, for ever.
    EndlessParts(FlipPart),
}

impl Said {
    pub(super) fn whole(lines: Vec<String>) -> Self {
        let sent = lines.len();
        Self::Lines(lines, sent)
    }

    fn frames(self) -> BoxStream<'static, Result<Frame<Bytes>, &'static str>> {
        let data = |text: String| Ok(Frame::data(Bytes::from(text)));
        let text = |lines: Vec<String>| lines.iter().map(|line| format!("{line}\n")).collect();
        match self {
            Self::Lines(lines, sent) => {
                let trailers = [(RECORDS, sent), (DAMAGED, 1), (UNREADABLE_SEGMENTS, 2)];
                let trailers = trailers.map(|(name, number)| {
                    (HeaderName::from_static(name), HeaderValue::from(number))
                });
                let end = Ok(Frame::trailers(HeaderMap::from_iter(trailers)));
                stream::iter([data(text(lines)), end]).boxed()
            }
            Self::NoTrailers(lines) => stream::iter([data(text(lines))]).boxed(),
            Self::Broken(lines) => {
                // The lines are sent before.
                let end = async {
                    yield_now().await;
                    Err("it breaks")
                };
                stream::iter([data(text(lines))]).chain(stream::once(end)).boxed()
            }
            Self::Endless(text) => stream::repeat(text).map(data).boxed(),
            Self::EndlessParts(part) => {
                let line = move |number: u64| {
                    let handle = nth_handle(number);
                    let line = serde_json::to_string(&FlipPart { handle, ..part.clone() });
                    data(line.unwrap() + "\n")
                };
                stream::iter(0..).map(line).boxed()
            }
        }
    }
}

/// Ascending handles.
fn nth_handle(number: u64) -> Handle {
    Handle::from_canonical(&format!("+442{:09}", 70_000_000 + number)).unwrap()
}

/// What nodes were asked: the paths with the bodies.
type Heard = Arc<Mutex<Vec<String>>>;

/// The answer that sends this. It declares its trailers.
pub(super) fn answered(said: Said) -> Response {
    let mut response = Response::new(Body::new(StreamBody::new(said.frames())));
    let trailers = [RECORDS, DAMAGED, UNREADABLE_SEGMENTS].join(", ");
    response.headers_mut().insert(header::TRAILER, HeaderValue::from_str(&trailers).unwrap());
    response
}

/// A node that sends these answers, one for each call; the last one again and again.
async fn node(answers: Vec<Said>, heard: &Heard) -> String {
    let heard = Arc::clone(heard);
    let left = Arc::new(Mutex::new(answers));
    let answer = move |uri: Uri, body: String| async move {
        lock(&heard).push(format!("{uri} {body}"));
        let said = {
            let mut left = lock(&left);
            if left.len() > 1 { left.remove(0) } else { left[0].clone() }
        };
        Ok::<_, Infallible>(answered(said))
    };
    served(Router::new().fallback(answer)).await
}

/// Node a with a log of its own, and the nodes b and c.
struct Asked {
    bench: Bench,
    log: QueryLog,
    heard: Heard,
    others: Others,
    _folder: TempDir,
}

impl Asked {
    async fn new(b: Vec<Said>, c: Vec<Said>) -> Self {
        let (bench, folder, heard) = (Bench::new(), tempfile::tempdir().unwrap(), Heard::default());
        let b = member("b", 2, node(b, &heard).await);
        let c = member("c", 3, node(c, &heard).await);
        let others = Others::new(peers(folder.path(), vec![b, c]).await);
        let log = bench.open();
        Self { bench, log, heard, others, _folder: folder }
    }

    async fn flips(&self) -> FlipReport {
        let asked = GatheredFlips {
            // All of them.
            query: FlipQuery { limit: 5_000, ..FlipQuery::default() },
            case: None,
            operator: "ann".to_owned(),
            now: self.bench.clock.now(),
            others: self.others.clone(),
            reader: self.log.reader(),
            runtime: Runtime::current(),
        };
        let stop: Stop = Arc::new(|| false);
        spawn_blocking(move || asked.count(&stop).unwrap()).await.unwrap()
    }

    async fn search(&self, order: Order) -> (Vec<FoundRow>, Outcome) {
        let question = Question {
            request: SearchRequest::default(),
            filter: Filter::default(),
            order,
            after: None,
            limit: None,
            operator: "ann".to_owned(),
        };
        let parts = (self.others.clone(), self.log.reader(), Runtime::current());
        let mut search = GatheredSearch::new(question, parts, Arc::new(|| false));
        let read = move || {
            let rows = search.by_ref().map(Result::unwrap).collect();
            (rows, search.outcome())
        };
        spawn_blocking(read).await.unwrap()
    }
}

fn named(missing: &[MissingNode]) -> Vec<&str> {
    missing.iter().map(|node| node.node.as_str()).collect()
}

/// A log in which these handles were blue, then green, two minutes later, and so on.
fn alternating(numbers: &[usize], lookups: usize) -> (Bench, QueryLog) {
    let bench = Bench::new();
    let log = bench.open();
    fill(&bench, &log, numbers, lookups);
    (bench, log)
}

fn fill(bench: &Bench, log: &QueryLog, numbers: &[usize], lookups: usize) {
    for lookup in 0..lookups {
        for number in numbers {
            put(
                log,
                &asked(&handle(*number), if lookup.is_multiple_of(2) { LIVE } else { LAPSED }),
            );
        }
        bench.clock.advance(Duration::from_secs(120));
    }
}

fn lines(parts: &[FlipPart]) -> Vec<String> {
    parts.iter().map(|part| serde_json::to_string(part).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lies_about_flips_is_named_and_the_others_are_counted() {
    let (_b, log) = alternating(&[0, 3, 6], 3);
    let parts = parts_within(&log.reader(), PLENTY, None);
    assert_eq!(parts.len(), 3);
    let long = FlipPart {
        steps: parts[0]
            .steps
            .iter()
            .copied()
            .cycle()
            .take(limits::LOG_FLIPS_STEPS_MAX + 1)
            .collect(),
        ..parts[0].clone()
    };
    let lines_of = |places: &[usize]| -> Vec<String> {
        let all = lines(&parts);
        places.iter().map(|place| all[*place].clone()).collect()
    };
    let lies = [
        ("unordered", Said::whole(lines_of(&[0, 2, 1]))),
        ("the same handle twice", Said::whole(lines_of(&[0, 1, 1, 2]))),
        ("the same for ever", Said::Endless(lines_of(&[0])[0].clone() + "\n")),
        ("others for ever", Said::EndlessParts(parts[0].clone())),
        ("a line without an end", Said::Endless("a".repeat(1 << 16))),
        ("no part", Said::whole(vec!["{}".to_owned()])),
        ("too many steps", Said::whole(lines(&[long]))),
        ("fewer than it says", Said::Lines(lines_of(&[0, 1]), 3)),
        ("more than it says", Said::Lines(lines_of(&[0, 1, 2]), 2)),
        ("no trailers", Said::NoTrailers(lines_of(&[0, 1, 2]))),
    ];
    let (_c, of_c) = alternating(&[1, 40], 3);
    let of_c = Said::whole(lines(&parts_within(&of_c.reader(), PLENTY, None)));
    for (lie, said) in lies {
        let asked = Asked::new(vec![said], vec![of_c.clone()]).await;
        fill(&asked.bench, &asked.log, &[70], 4);
        let FlipReport { flips, summary, .. } = asked.flips().await;
        assert_eq!(named(&summary.missing), ["b"], "{lie}");
        for number in [1, 40, 70] {
            assert!(flips.iter().any(|flip| flip.handle == handle(number)), "{lie}: {number}");
        }
        assert_eq!((summary.damaged, summary.unreadable_segments), (1, 2), "{lie}: those of c");
        let why = &summary.missing[0].why;
        if lie == "a line without an end" {
            assert!(why.contains("longer than 1048576 bytes"), "{why}");
        } else {
            assert!(why.contains("cannot be read"), "{lie}: {why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_continued_behind_its_last_handle() {
    let (_b, log) = alternating(&[0, 3, 6], 3);
    let all = lines(&parts_within(&log.reader(), PLENTY, None));
    let (first, rest) = all.split_at(1);
    let b = vec![Said::Broken(first.to_vec()), Said::whole(rest.to_vec())];
    let asked = Asked::new(b, vec![Said::whole(Vec::new())]).await;
    let FlipReport { flips, summary, .. } = asked.flips().await;
    assert_eq!((flips.len(), summary.missing.len(), summary.handles), (3, 0, 3));
    let heard = lock(&asked.heard).clone();
    let path = "/v1/log/flips/parts ";
    assert!(heard.iter().all(|call| call.starts_with(path)), "no handle in an address: {heard:?}");
    let after = format!(
        r#"{path}{{"after":"{}"}}"#,
        parts_within(&log.reader(), PLENTY, None)[0].handle.canonical()
    );
    assert_eq!(heard.iter().filter(|call| **call == after).count(), 1, "{heard:?}");

    // One that gives nothing more is not asked for ever: once more, since it may have waited too long for its first row to be taken.
    let asked = Asked::new(vec![Said::Broken(Vec::new())], vec![Said::whole(Vec::new())]).await;
    assert_eq!(named(&asked.flips().await.summary.missing), ["b"]);
    // b twice, and c.
    assert_eq!(lock(&asked.heard).len(), 3);
}

/// The rows of a log, as a node sends them.
pub(super) fn placed(reader: &LogReader, order: Order) -> Vec<String> {
    let found = reader.search(&Filter::default(), order, None).map(Result::unwrap);
    let line = |(place, row): (_, LogRow)| {
        serde_json::to_string(&FoundRow::of_node(row, Some("b")).at_place(place)).unwrap()
    };
    found.map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lies_about_rows_is_named_and_the_others_are_found() {
    let (_b, log) = alternating(&[0, 3], 3);
    put(&log, &change(7));
    let (_c, of_c) = alternating(&[1], 4);
    for order in [Order::Asc, Order::Desc] {
        let all = placed(&log.reader(), order);
        let mut swapped = all.clone();
        swapped.swap(1, 2);
        let twice = [&all[..2], &all[1..]].concat();
        let mut nameless = all.clone();
        let of_change = nameless.iter_mut().find(|line| line.contains("handle-bound")).unwrap();
        *of_change = of_change.replace(r#""id":"#, r#""no":"#);
        let lies = [
            ("unordered", Said::whole(swapped)),
            ("the same row twice", Said::whole(twice)),
            ("the same for ever", Said::Endless(all[0].clone() + "\n")),
            ("a line without an end", Said::Endless("a".repeat(1 << 16))),
            ("a change without an id", Said::whole(nameless)),
            ("fewer than it says", Said::Lines(all[..2].to_vec(), 3)),
            ("more than it says", Said::Lines(all[..3].to_vec(), 2)),
            ("no trailers", Said::NoTrailers(all.clone())),
        ];
        for (lie, said) in lies {
            let of_c = Said::whole(placed(&of_c.reader(), order));
            let asked = Asked::new(vec![said], vec![of_c]).await;
            fill(&asked.bench, &asked.log, &[70], 4);
            let (rows, outcome) = asked.search(order).await;
            assert_eq!(named(outcome.missing()), ["b"], "{lie}");
            let of = |name| rows.iter().filter(|row| row.node.as_deref() == Some(name)).count();
            assert_eq!((of("a"), of("c")), (4, 4), "{lie}");
        }
        let asked = Asked::new(vec![Said::whole(all.clone())], vec![Said::whole(vec![])]).await;
        let (rows, outcome) = asked.search(order).await;
        assert_eq!((rows.len(), outcome.missing().len()), (all.len(), 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lists_what_is_no_segment_or_lists_for_ever_is_named() {
    let segment = |name: &str| {
        let at = "2026-11-23T08:00:00Z";
        format!(
            r#"{{"segment":"{name}","state":"sealed","from":"{at}","until":"{at}","records":1,"bytes":1,"expires_at":"{at}"}}"#
        )
    };
    let name = "0000498728-000001";
    let most = usize::try_from(limits::CLUSTER_SEGMENTS_MAX).unwrap();
    let lies = [
        (Said::whole(vec![segment(&"x".repeat(1 << 16))]), 0),
        (Said::Endless(segment(name) + "\n"), most),
    ];
    for (lie, taken) in lies {
        let asked = Asked::new(vec![lie], vec![Said::whole(vec![segment(name)])]).await;
        let stop: Stop = Arc::new(|| false);
        let nodes = AskedNode::all(&asked.others, "ann", &Runtime::current(), &stop);
        let list = move || {
            let mut names = Vec::new();
            let mut take = |row: crate::api::NodeSegment| {
                names.push(row.row.segment);
                names.len() <= most + 1
            };
            let outcome = list_segments((Vec::new(), Some("a")), Some(nodes), &mut take);
            (names, outcome.unwrap().expect("it ends"))
        };
        let (names, outcome) = spawn_blocking(list).await.unwrap();
        assert_eq!((names.len(), named(outcome.missing())), (taken + 1, vec!["b"]));
        assert!(names.iter().all(|it| it == name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_begins_without_a_node_that_does_not_begin_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let silent = served(Router::new().fallback(async || pending::<Response>().await)).await;
    let b = member("b", 2, silent);
    let others = Others::new(peers(folder.path(), vec![b]).await);
    let asked = ("ann".to_owned(), "{}".to_owned());
    let mut tail = NodeTails::new(others, asked, Timestamp::from_secs(1));
    tail.begin().await;
    let Some(Told::Note(NodeNote::Missing(missing))) = Box::pin(tail.told()).next().await else {
        panic!("the node is not named");
    };
    assert_eq!(
        (missing.node.as_str(), missing.why.as_str()),
        ("b", "no answer: silent for 3 seconds")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_follows_a_node_that_joins_and_says_since_when_records_may_be_missing() {
    let (folder, heard) = (tempfile::tempdir().unwrap(), Heard::default());
    let peers = peers(folder.path(), Vec::new()).await;
    let (asked, now) = (("ann".to_owned(), "{}".to_owned()), Timestamp::from_secs(1));
    let mut tail = NodeTails::new(Others::new(peers.clone()), asked, now);
    tail.begin().await;
    let mut told = Box::pin(tail.told());
    let (_bench, log) = alternating(&[0], 1);
    let row = placed(&log.reader(), Order::Asc).remove(0);
    let said = Said::NoTrailers(vec![format!("data: {row}\n")]);
    join_as(&peers, member("b", 2, node(vec![said], &heard).await)).await;
    let mut next = async || timeout(Duration::from_secs(60), told.next()).await.unwrap();
    let Some(Told::Note(NodeNote::Returned(joined))) = next().await else {
        panic!("the gap is not said");
    };
    assert_eq!((joined.node.as_str(), joined.since), ("b", now));
    let Some(Told::Row(row)) = next().await else { panic!("it is not followed") };
    assert_eq!(row.node.as_deref(), Some("b"));
}
