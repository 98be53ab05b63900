//! Follows the log of a running server, over restarts of the server and broken connections.
//!
//! After a break the tail begins anew first, then a search reads what was recorded since the last record printed. So no record
//! is missing, and those that both give are printed once. Only if the server's time was set back meanwhile, records of the new
//! time may be missing.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{
    answers::{Lines, read},
    client::{Client, Refusal},
    errors::UsageError,
};
use crate::{
    api::{Call as _, FoundRow, NodeNote, Paging, RecordFilter, SearchRequest},
    cli::note::{described, note, print_passed_over},
    clock::{Clock as _, SystemClock, Timestamp},
    vocabulary::Retry,
};

/// The pause before the first try to connect again. Each further one is twice as long, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A tail that lived so long, or gave a record, was a good one: the pauses begin anew.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// A server sends something every 15 seconds. One that is silent for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A record may get its instant so long before it is committed.
const COMMIT_MAX: Duration = Duration::from_secs(60);
/// How late the records of one node may come behind those of another one, so that none is lost over a break.
const LAG_MAX: Duration = Duration::from_secs(600);
/// The smallest span of time there is.
const STEP: Duration = Duration::from_micros(1);

/// A filter that keeps its meaning as time passes, and what was printed.
struct Progress {
    filter: RecordFilter,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Records up to this instant were there before the tail. None if the server does not say.
    began: Option<Timestamp>,
    /// The records of each node up to this instant were printed, or were there before the tail. The name is none outside a cluster.
    read_to: BTreeMap<Option<String>, Timestamp>,
    /// Records that a search has printed and the new tail may give once more.
    searched: HashSet<Place>,
    /// The pause before the next try to connect.
    pause: Duration,
}

/// The node of a record, and its instant. No two records of a log have the same one.
type Place = (Option<String>, Timestamp);

/// Why not everything from a gap was handed on.
enum GapError {
    /// The output takes no more.
    Output(anyhow::Error),
    /// The server did not give all of it.
    Server(anyhow::Error),
}

/// Hands every record on that is committed from now on and matches.
///
/// # Errors
/// If the first connection fails, if the server refuses for good, or if `take` fails. It does not end otherwise.
pub(super) async fn follow_server(
    client: &Client,
    filter: &RecordFilter,
    mut take: impl FnMut(FoundRow) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut progress = Progress::of(filter)?;
    let (mut lines, from) = client.tail(&progress.filter).await?;
    progress.began = from;
    note!("dispatchd: waiting for records; Ctrl-C ends");
    loop {
        let why = progress.pass_on(&mut lines, &mut take).await?;
        note!("dispatchd: {why}; connecting again");
        lines = progress.reconnect(client, &mut take).await?;
    }
}

impl Progress {
    fn of(filter: &RecordFilter) -> anyhow::Result<Self> {
        let (since, until) = filter.window(SystemClock.now())?;
        let as_text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let filter =
            RecordFilter { since: as_text(since), until: as_text(until), ..filter.clone() };
        let (began, read_to, searched) = (None, BTreeMap::new(), HashSet::new());
        Ok(Self { filter, since, until, began, read_to, searched, pause: PAUSE_MIN })
    }

    /// Hands on what comes until the tail ends, and returns why.
    async fn pass_on(
        &mut self,
        lines: &mut Lines,
        take: &mut impl FnMut(FoundRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<String> {
        let (began, mut is_note) = (Instant::now(), false);
        loop {
            if began.elapsed() >= GOOD_FOR {
                self.pause = PAUSE_MIN;
            }
            let line = match timeout(SILENCE_MAX, lines.next()).await {
                Ok(Ok(Some(line))) => line,
                Ok(Ok(None)) => return Ok("the server ended the stream".to_owned()),
                Ok(Err(error)) => return Ok(format!("the stream broke off ({error})")),
                Err(_) => return Ok("the server is silent".to_owned()),
            };
            let Some(data) = line.strip_prefix(b"data: ") else {
                // Only what is said of nodes has a name.
                is_note = line.starts_with(b"event: ");
                continue;
            };
            if is_note {
                print_node(&read(data)?);
                continue;
            }
            let row: FoundRow = read(data)?;
            let place = (row.node.clone(), row.at);
            if self.searched.remove(&place) {
                continue;
            }
            self.pause = PAUSE_MIN;
            self.read_to.insert(place.0, place.1);
            take(row)?;
        }
    }

    /// Connects again and hands on what came in between. Tries until it succeeds or is refused for good.
    async fn reconnect(
        &mut self,
        client: &Client,
        take: &mut impl FnMut(FoundRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<Lines> {
        let mut is_said = false;
        loop {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            let failed = match client.tail(&self.filter).await {
                Ok((lines, from)) => match self.catch_up(client, from, take).await {
                    Ok(()) => return Ok(lines),
                    Err(GapError::Output(error)) => return Err(error),
                    Err(GapError::Server(error)) => error,
                },
                Err(error) => error,
            };
            if is_final(&failed) {
                return Err(failed);
            }
            if !is_said {
                note!("dispatchd: {failed:#}. Trying again until Ctrl-C");
            }
            is_said = true;
        }
    }

    /// Hands on what was recorded since the last record, after a tail began at the instant `from`.
    async fn catch_up(
        &mut self,
        client: &Client,
        from: Option<Timestamp>,
        take: &mut impl FnMut(FoundRow) -> anyhow::Result<()>,
    ) -> Result<(), GapError> {
        // An earlier tail has ended, and this one does not give what was committed before it.
        self.searched.clear();
        let Some(read_to) = self.gap_from(from) else {
            note!(
                "dispatchd: connected again; records from in between may be missing: `dispatchd log search` finds them"
            );
            self.began = from;
            return Ok(());
        };
        let gap = self.since.unwrap_or_default().max(read_to.plus(STEP));
        if self.until.is_some_and(|until| until <= gap) {
            return Ok(());
        }
        let filter = RecordFilter { since: Some(gap.to_string()), ..self.filter.clone() };
        let page = Paging { order: Some("asc".to_owned()), ..Paging::default() };
        let may_come_again = from.unwrap_or_default().minus(COMMIT_MAX);
        let (mut failed, mut found) = (None, 0);
        let outcome = client
            .rows(&SearchRequest { filter, page }, |row: FoundRow| {
                let place = (row.node.clone(), row.at);
                if self.read_to.get(&place.0).is_some_and(|read_to| row.at <= *read_to) {
                    return Ok(());
                }
                self.read_to.insert(place.0.clone(), place.1);
                if row.at >= may_come_again {
                    self.searched.insert(place);
                }
                found += 1;
                take(row).map_err(|error| {
                    failed = Some(error);
                    anyhow::anyhow!("the output is closed")
                })
            })
            .await;
        if let Some(error) = failed {
            return Err(GapError::Output(error));
        }
        let outcome = outcome.map_err(GapError::Server)?.unwrap_or_default();
        note!("dispatchd: connected again; records from in between: {found}");
        print_passed_over(outcome.passed_over);
        outcome.notes().for_each(|note| print_node(&note));
        Ok(())
    }

    /// Records up to this instant were printed, or were there before the tail. None if that is not known. The nodes of a cluster give
    /// theirs at about the same time: [`COMMIT_MAX`] is for one that has given none, [`LAG_MAX`] for one whose records come late. One whose
    /// clock is ahead of `now`, the server's time, says nothing about the others.
    fn gap_from(&self, now: Option<Timestamp>) -> Option<Timestamp> {
        if let Some(own) = self.read_to.get(&None) {
            return Some(*own);
        }
        let read_to = || self.read_to.values().map(|at| now.map_or(*at, |now| now.min(*at)));
        let Some(newest) = read_to().max() else { return self.began };
        let oldest = read_to().min()?.min(newest.minus(COMMIT_MAX));
        Some(oldest.max(newest.minus(LAG_MAX)).max(self.began.unwrap_or_default()))
    }
}

/// Says that records of a node are missing, or come again.
fn print_node(note: &NodeNote) {
    match note {
        NodeNote::Missing(node) => {
            note!("dispatchd: records of the node {} are missing: {}", node.node, node.why);
        }
        NodeNote::FromStore(node) => note!("dispatchd: {}", described(node)),
        NodeNote::Returned(node) => {
            let (node, since) = (&node.node, node.since);
            note!(
                "dispatchd: the node {node} is followed now; its records since {since} may be missing: `dispatchd log search --since {since}` finds them"
            );
        }
    }
}

/// Whether trying again is in vain.
fn is_final(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    error.is::<UsageError>() || refusal.is_some_and(|refusal| refusal.retry != Retry::Later)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// 2026-11-23T08:41:00Z.
    const START: u64 = 1_795_423_260;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_secs(START + second)
    }

    fn row(second: u64) -> String {
        let at = at(second);
        format!(
            r#"{{"at":"{at}","kind":"refusals","reason":"token-invalid","status":401,"count":1}}"#
        )
    }

    /// The answer of a tail that began at a second, gives these rows and breaks.
    fn tail(from: u64, rows: &[u64]) -> String {
        let events = rows.iter().map(|second| format!("data: {}\n\n", row(*second)));
        answer("200 OK", &format!("dispatchd-tail-from: {}", at(from)), &events.collect::<String>())
    }

    fn answer(status: &str, header: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\n{header}\r\nconnection: close\r\n\r\n{body}")
    }

    /// A server that gives these answers, one a connection. Returns the lines of the requests, with their bodies.
    fn serve(answers: Vec<String>) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut socket, _) = listener.accept().unwrap();
                asked.push(request(BufReader::new(socket.try_clone().unwrap())));
                socket.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (address, asked)
    }

    fn request(mut from: impl BufRead) -> String {
        let head = from.by_ref().lines().map_while(Result::ok);
        let head: Vec<_> = head.take_while(|line| !line.is_empty()).collect();
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        from.read_exact(&mut body).unwrap();
        format!("{} {}", head[0], String::from_utf8(body).unwrap())
    }

    /// The seconds of the rows that were handed on before the error.
    async fn followed(answers: Vec<String>) -> (Vec<u64>, String, Vec<String>) {
        let (address, asked) = serve(answers);
        let client = Client::new(&address, "do_x").unwrap();
        let mut taken = Vec::new();
        let take = |row: FoundRow| {
            taken.push(row.at.as_secs() - START);
            Ok(())
        };
        let ended = follow_server(&client, &RecordFilter::default(), take).await.unwrap_err();
        (taken, ended.to_string(), asked.join().unwrap())
    }

    fn revoked() -> String {
        let problem = crate::api::Problem::new(crate::vocabulary::ProblemCode::TokenInvalid, "no");
        answer("401 Unauthorized", "x: y", &String::from_utf8(problem.to_json()).unwrap())
    }

    #[tokio::test]
    async fn what_came_during_a_break_is_read_once() {
        let rows = format!("{}\n{}\n{}\n", row(2), row(3), row(4));
        let answers =
            vec![tail(0, &[1]), tail(4, &[4, 5]), answer("200 OK", "x: y", &rows), revoked()];
        let (taken, ended, asked) = followed(answers).await;
        assert_eq!(taken, [1, 2, 3, 4, 5]);
        assert!(ended.starts_with("token-invalid"), "{ended}");
        let since = r#""since":"2026-11-23T08:41:01.000001Z""#;
        assert!(asked[2].contains(since) && asked[2].contains(r#""order":"asc""#), "{asked:?}");
    }

    #[tokio::test]
    async fn the_records_of_each_node_are_read_on_and_what_is_said_of_nodes_is_no_record() {
        let of = |second: u64, node: &str| {
            row(second).replace("\"count\":1}", &format!("\"count\":1,\"node\":\"{node}\"}}"))
        };
        let missing = r#"{"kind":"missing","node":"c","why":"no answer"}"#;
        let (a, b) = (of(1, "a"), of(5, "b"));
        let events = format!("data: {a}\n\nevent: missing\ndata: {missing}\n\ndata: {b}\n\n");
        let began = format!("dispatchd-tail-from: {}", at(0));
        // Node a was behind node b when the tail broke.
        let found = [of(2, "a"), of(5, "b"), of(6, "b")].map(|row| row + "\n").concat();
        let answers = vec![
            answer("200 OK", &began, &events),
            tail(6, &[]),
            answer("200 OK", "x: y", &found),
            revoked(),
        ];
        let (taken, ended, asked) = followed(answers).await;
        assert_eq!((taken, asked.len()), (vec![1, 5, 2, 6], 4), "{ended}");
        assert!(asked[2].contains(r#""since":"2026-11-23T08:41:00.000001Z""#), "{asked:?}");
    }

    #[tokio::test]
    async fn a_node_whose_clock_is_ahead_hides_no_records_of_others() {
        let of = |second: u64, node: &str| {
            row(second).replace("\"count\":1}", &format!("\"count\":1,\"node\":\"{node}\"}}"))
        };
        let events = format!("data: {}\n\ndata: {}\n\n", of(1, "a"), of(5_000, "b"));
        let answers = vec![
            answer("200 OK", &format!("dispatchd-tail-from: {}", at(0)), &events),
            tail(6, &[]),
            answer("200 OK", "x: y", &(of(2, "a") + "\n")),
            revoked(),
        ];
        let (taken, ended, asked) = followed(answers).await;
        assert_eq!((taken, asked.len()), (vec![1, 5_000, 2], 4), "{ended}");
        assert!(asked[2].contains(r#""since":"2026-11-23T08:41:00.000001Z""#), "{asked:?}");
    }

    #[tokio::test]
    async fn a_gap_that_cannot_be_read_is_read_at_the_next_try() {
        let busy = answer("502 Bad Gateway", "x: y", "");
        let rows = answer("200 OK", "x: y", &format!("{}\n", row(2)));
        let answers =
            vec![tail(0, &[]), busy.clone(), tail(3, &[3]), busy, tail(3, &[3]), rows, revoked()];
        let (taken, _, asked) = followed(answers).await;
        assert_eq!(taken, [2, 3]);
        for again in [3, 5] {
            assert!(asked[again].contains(r#""since":"2026-11-23T08:41:00.000001Z""#), "{asked:?}");
        }
    }
}
