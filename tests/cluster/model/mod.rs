//! Small nodes in this process that follow a shared log as the design says, in a few lines. They try an engine without the service, and
//! they can be wrong in one way each, which the checks must find.

mod broken;
mod node;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dispatchd::shared_log::SharedLog;
use futures_util::{FutureExt as _, future::BoxFuture};

pub(crate) use self::broken::find_the_broken;
use self::node::Node;
use crate::{
    checks::Records,
    history::{Actor, Outcome, Recorded, STRANGER, What},
    service::{Phone, Service},
    traffic::handle_number,
};

/// In which way a node is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Its fence reads a head that may be old, as a serializable read does.
    SerializableFence,
    /// A request joins the round that is under way.
    JoinsRounds,
    /// It does not compare an entry with the hash of the one before, nor the head with what it has applied.
    IgnoresChain,
}

/// Some small nodes. The token of a phone is its number.
pub(crate) struct Model {
    nodes: Vec<Arc<Node>>,
    phones: AtomicUsize,
}

impl Model {
    /// A node for each of `logs`, which are of one log.
    pub(crate) fn new(logs: Vec<Arc<dyn SharedLog>>, flaw: Option<Flaw>) -> Arc<Self> {
        let nodes = logs.into_iter().map(|log| Arc::new(Node::new(log, flaw))).collect();
        Arc::new(Self { nodes, phones: Default::default() })
    }

    /// What each node has applied, once it has read the log to its end.
    pub(crate) async fn records(&self, actors: &HashMap<String, Actor>) -> Vec<Records> {
        let mut records = Vec::new();
        for node in &self.nodes {
            // One that has stopped says nothing, but keeps what it has.
            let _ = node.pass().await;
            records.push(renamed(node.recorded(), actors));
        }
        records
    }

    /// The highest place that every node has applied.
    pub(crate) fn applied_by_all(&self) -> u64 {
        self.nodes.iter().map(|node| node.applied().place).min().unwrap_or(0)
    }

    /// The highest place that any node has applied.
    fn applied_by_any(&self) -> u64 {
        self.nodes.iter().map(|node| node.applied().place).max().unwrap_or(0)
    }
}

/// The changes with the numbers of the accounts for those of their devices. A small node has all of them from the first on.
fn renamed(mut records: Vec<Recorded>, actors: &HashMap<String, Actor>) -> Records {
    for change in &mut records {
        change.by = *actors.get(&change.by.to_string()).unwrap_or(&STRANGER);
    }
    ((1..).zip(records).collect(), true)
}

fn actor(phone: &Phone) -> usize {
    phone.token.parse().expect("it is a number")
}

fn number(handle: &str) -> usize {
    handle_number(handle).unwrap_or(0)
}

impl Service for Model {
    fn nodes(&self) -> usize {
        self.nodes.len()
    }

    fn sign_up(&self, _: usize) -> BoxFuture<'_, Result<Phone, Outcome>> {
        let number = self.phones.fetch_add(1, Ordering::SeqCst);
        let token = number.to_string();
        async move { Ok(Phone { device: token.clone(), token }) }.boxed()
    }

    fn change<'a>(
        &'a self,
        node: usize,
        phone: &'a Phone,
        handle: &'a str,
        what: What,
    ) -> BoxFuture<'a, Outcome> {
        let change = Recorded { handle: number(handle), by: actor(phone), what };
        Arc::clone(&self.nodes[node]).change(change).boxed()
    }

    fn check_in<'a>(&'a self, _: usize, _: &'a Phone) -> BoxFuture<'a, Outcome> {
        async { Outcome::Done }.boxed()
    }

    fn look_up<'a>(
        &'a self,
        node: usize,
        _: &'a Phone,
        handles: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<String>>, Outcome>> {
        let look_up = async move {
            let node = &self.nodes[node];
            node.pass().await?;
            let shown = node.shown(handles.iter().map(|text| number(text)));
            Ok(shown.into_iter().map(|holder| Some(holder?.to_string())).collect())
        };
        look_up.boxed()
    }
}
