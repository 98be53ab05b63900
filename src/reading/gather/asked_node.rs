//! [`AskedNode`]: asks one other node for its part of an answer, on a thread that may wait.

use bytes::BytesMut;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{runtime::Handle, time::sleep};

use super::lost_part::LostNode;
use crate::{
    api::{Fields, MissingNode, Posted},
    cluster::{Asking, ClientError, Member, Others, PartLines},
    limits,
    query_log::SearchOutcome,
    reading::{
        call::Stop,
        outcome::{Outcome, RECORDS},
    },
};

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// Why a node gave no more.
pub(super) enum Failure {
    /// Nobody waits for the answer.
    Stopped,
    /// Its part is missing.
    Missing(ClientError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Missing(error)
    }
}

/// Asks another node. Its calls must be made on a thread that may wait.
#[derive(Clone)]
pub(in crate::reading) struct AskedNode {
    pub(super) member: Member,
    others: Others,
    /// Who made the call at this node.
    operator: String,
    runtime: Handle,
    stop: Stop,
}

impl AskedNode {
    /// All other nodes, which `operator` asks. Until `stop` says that nobody waits.
    pub(in crate::reading) fn all(
        others: &Others,
        operator: &str,
        runtime: &Handle,
        stop: &Stop,
    ) -> Vec<Self> {
        let asked = |member| Self {
            member,
            others: others.clone(),
            operator: operator.to_owned(),
            runtime: runtime.clone(),
            stop: stop.clone(),
        };
        others.members().into_iter().map(asked).collect()
    }

    /// As [`Self::all`], and the nodes that were removed, with their numbers. No node is in both lists, also if it is removed meanwhile. Waits
    /// for the object store, if there is one.
    pub(super) fn all_and_removed(
        others: &Others,
        operator: &str,
        runtime: &Handle,
        stop: &Stop,
    ) -> (Vec<Self>, Vec<(u64, LostNode)>) {
        let asked = Self::all(others, operator, runtime, stop);
        let is_asked = |node| asked.iter().any(|asked| asked.member.node == node);
        let removed = others.removed(&**stop).into_iter().filter(|removed| !is_asked(removed.node));
        let removed = removed.map(|removed| (removed.node.0, removed.into())).collect();
        (asked, removed)
    }

    /// That its part is missing, for this reason.
    pub(super) fn missing(&self, why: &ClientError) -> MissingNode {
        MissingNode { node: self.member.name.clone(), why: why.to_string() }
    }

    /// The node as one that is lost, for this reason. None without copies of its log. Waits for the object store.
    pub(super) fn lost(&self, why: &str) -> Option<LostNode> {
        let log = self.others.lost()?.log_of(&self.member, &*self.stop).transpose()?;
        let (name, why) = (self.member.name.clone(), why.to_owned());
        Some(LostNode { name, why, is_removed: false, log })
    }

    /// Says whether nobody waits any more.
    pub(super) const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Its answer to a request, line by line.
    pub(super) async fn lines_posted<T: Posted + Serialize>(
        &self,
        request: &T,
    ) -> Result<PartLines, Failure> {
        self.lines(T::POSTED_TO, Some(&Fields::json_of(request))).await
    }

    /// Its answer to a call, line by line. The path says nothing about a person.
    pub(super) async fn lines(&self, path: &str, body: Option<&str>) -> Result<PartLines, Failure> {
        let asking = Asking { path, body, takes: NDJSON, operator: &self.operator };
        self.unless_stopped(async { Ok(self.others.lines(&self.member, &asking).await?) }).await
    }

    /// Its answer to a call without a body, in one piece.
    pub(super) async fn answer<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let asking = Asking { path, body: None, takes: JSON, operator: &self.operator };
        self.unless_stopped(async { Ok(self.others.answer(&self.member, &asking).await?) }).await
    }

    /// The next line of its answer; none at the end.
    pub(super) fn next_line(&self, lines: &mut PartLines) -> Result<Option<BytesMut>, Failure> {
        if let Some(line) = lines.arrived() {
            return Ok(Some(line));
        }
        let next = async { Ok::<_, ClientError>(lines.next().await?) };
        let next = self.others.while_alive(&self.member, next);
        self.wait(self.unless_stopped(async { Ok(next.await?) }))
    }

    /// Waits on this thread.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let stopped = async {
            while !(self.stop)() {
                sleep(limits::AUTHORITY_CHECK_PAUSE).await;
            }
        };
        tokio::select! {
            biased;
            done = work => done,
            () = stopped => Err(Failure::Stopped),
        }
    }
}

/// What a node could not read, as the trailers of its answer say.
///
/// # Errors
/// If they do not, or not as many rows came as it sent.
pub(super) fn end_of(lines: &PartLines, came: u64) -> Result<SearchOutcome, ClientError> {
    let outcome = Outcome::of_trailers(|name| lines.trailer(name));
    let sent = lines.trailer(RECORDS).and_then(|sent| sent.parse().ok());
    let outcome = outcome.filter(|_| sent == Some(came)).ok_or(ClientError::Unreadable)?;
    Ok(outcome.passed_over)
}
