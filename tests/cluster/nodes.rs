//! Real nodes on real engines: how they are set up, what they recorded, and whether they agree in the end.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    process::Stdio,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use dispatchd::{
    clock::SystemClock,
    envelope::KeyFiles,
    limits,
    query_log::{Filter, Kind, LogReader, Order, Record},
    vocabulary::{Cause, Change, ChangeKind},
};
use reqwest::Client;
use tokio::time::{Instant, sleep};

use crate::{
    answered::COPY_INTERVAL,
    checks::{Fault, Numbered, Wrong},
    history::{Actor, Recorded, STRANGER, What},
    network::{MACHINES, Network, Place},
    node::{Node, PROGRAM, Paths, without_settings},
    traffic::handle_number,
};

/// How long nodes may take to come to the same place once nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sets up a cluster as the documentation says: one node begins it and invites the others. Returns the nodes, which run.
pub(crate) async fn set_up(
    network: Network,
    engine: &[String],
    paths: Paths<'_>,
) -> anyhow::Result<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..MACHINES {
        let mut node = Node::new(network, number, engine, paths)?;
        match nodes.first() {
            None => node.init()?,
            Some(first) => node.join(&first.operators, &first.invite(&node.name())?)?,
        }
        node.process.start()?;
        ensure!(node.until_ready().await, "node {number}: {}", node.process.last_words());
        nodes.push(node);
    }
    Ok(nodes)
}

/// What an operator asks a node.
pub(crate) struct Operator {
    client: Client,
    token: String,
}

impl Operator {
    pub(crate) fn new(token: String) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { client, token })
    }

    /// The value of a metric that has no labels.
    async fn metric<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        &self,
        node: &Node,
        name: &str,
    ) -> anyhow::Result<T> {
        let request = self.client.get(format!("{}/metrics", node.operators));
        let text = request.bearer_auth(&self.token).send().await?.text().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("no {name}"))?.parse()?)
    }

    /// How far a node has come.
    pub(crate) async fn applied(&self, node: &Node) -> anyhow::Result<u64> {
        self.metric(node, "dispatchd_shared_log_applied_place").await
    }

    /// Waits until the copies of a node's log are up to date. Returns whether they are within `patience`.
    pub(crate) async fn until_copied(&self, node: &Node, patience: Duration) -> bool {
        let begun = Instant::now();
        loop {
            // It rises to the interval between two rounds.
            let lag = self.metric::<f64>(node, "dispatchd_log_store_lag_seconds").await;
            if lag.is_ok_and(|lag| lag <= 1.5 * COPY_INTERVAL.as_secs_f64()) {
                return true;
            }
            if patience <= begun.elapsed() {
                return false;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until all nodes have come to the same place.
    pub(crate) async fn until_level(&self, nodes: &[Node]) -> anyhow::Result<u64> {
        let begun = Instant::now();
        loop {
            let mut places = BTreeSet::new();
            for node in nodes {
                places.insert(self.applied(node).await?);
            }
            if let (1, Some(place)) = (places.len(), places.first()) {
                return Ok(*place);
            }
            ensure!(begun.elapsed() < PATIENCE, "the nodes stay at the places {places:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The changes of handles that the log of a node has, which does not run.
pub(crate) fn records(
    node: &Node,
    actors: &HashMap<String, Actor>,
) -> anyhow::Result<Vec<Numbered>> {
    let (log, keys) = (node.data().join("log"), KeyFiles::new(&node.data().join("keys"), None));
    let clock = Arc::new(SystemClock);
    changes(&LogReader::open_read_only(&log, keys, clock, limits::LOG_RETENTION_MAX)?, actors)
}

/// The changes of handles that a log has.
pub(crate) fn changes(
    log: &LogReader,
    actors: &HashMap<String, Actor>,
) -> anyhow::Result<Vec<Numbered>> {
    let filter = Filter { kind: Some(Kind::Change), ..Filter::default() };
    let mut records = Vec::new();
    for row in log.search(&filter, Order::Asc, None) {
        if let Record::Change(change) = row?.1.record {
            records.extend(recorded(&change, actors)?);
        }
    }
    Ok(records)
}

/// The change of a handle in a record, or none if it is about something else.
fn recorded(change: &Change, actors: &HashMap<String, Actor>) -> anyhow::Result<Option<Numbered>> {
    let handle = change.handle.as_ref().map(|handle| handle.canonical().into_owned());
    let Some(handle) = handle.and_then(|text| handle_number(&text)) else { return Ok(None) };
    let what = match (change.kind, change.cause) {
        (ChangeKind::HandleBound | ChangeKind::HandleMoved, Cause::Proof | Cause::NewerProof) => {
            What::Prove
        }
        (ChangeKind::HandleUnbound, Cause::OwnerRequest) => What::GiveUp,
        (ChangeKind::HandleUnbound, Cause::SignOut) => What::SignOut,
        (ChangeKind::HandleHidden, _) => What::Hide,
        (ChangeKind::HandleShown, _) => What::Show,
        (kind, cause) => bail!("nobody asked for {kind:?} because of {cause:?}"),
    };
    let device = change.device.map(|device| device.to_string());
    let by = device.and_then(|device| actors.get(&device).copied()).unwrap_or(STRANGER);
    Ok(Some((change.id.bits(), Recorded { handle, by, what })))
}

/// Every account of a node, as an export gives them.
fn export(
    network: Network,
    number: usize,
    node: &Node,
    token: &str,
) -> anyhow::Result<BTreeSet<String>> {
    let mut command = network.command(Place::Node(number), Path::new(PROGRAM));
    without_settings(&mut command);
    command.args(["registry", "export", "-", "--format", "csv", "--server", &node.operators]);
    command.arg("--work-dir").arg(node.folder()).env("DISPATCHD_TOKEN", token);
    let output = command.stdin(Stdio::null()).output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "registry export: {told}");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

/// Whether all nodes hold the same accounts.
pub(crate) fn compare_exports(
    network: Network,
    nodes: &[Node],
    token: &str,
) -> anyhow::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let first = export(network, 0, &nodes[0], token)?;
    for (node, number) in nodes.iter().zip(0..).skip(1) {
        let other = export(network, number, node, token)?;
        let different = first.symmetric_difference(&other).count();
        if different > 0 {
            let text = format!("exports of nodes 0 and {number} differ in {different} lines");
            faults.push(Fault::new(Wrong::Disagreement, text));
        }
    }
    println!("  {} lines in the export of each node", first.len());
    Ok(faults)
}
