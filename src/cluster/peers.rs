//! [`Peers`]: what this node knows of the others. It asks each of them each second for its place and its clock.
//!
//! What is found decides three things: whether this node takes changes, which entries of the shared log may go, and what operators see of
//! the cluster. Nothing of it decides what a lookup answers: the fence does that without the other nodes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{
    clocks,
    identity::Identity,
    member::Member,
    member_client::{ClientError, MemberClient},
    report::{ClusterReport, EngineMember, MemberReport, MemberState, shown},
    trimming::{self, Known},
};
use crate::{
    clock::SharedClock,
    limits,
    lock::lock,
    registry::{EntryFormat, Hold, NodeId, Registry, RowKind},
    shared_log::SharedLog,
};

/// What the other nodes told. Clones share it.
#[derive(Clone)]
pub struct Peers {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    registry: Arc<Registry>,
    log: Arc<dyn SharedLog>,
    clock: SharedClock,
    client: MemberClient,
    seen: Mutex<BTreeMap<String, Seen>>,
}

/// What is known of another node.
#[derive(Clone)]
struct Seen {
    node: NodeId,
    /// Its last answer.
    told: Option<MemberReport>,
    /// How far its clock is ahead, if it answered fast enough the last time.
    ahead_us: Option<i64>,
    /// Why it did not answer the last time.
    error: Option<String>,
}

impl Peers {
    /// Asks with `client`. Nothing is asked before [`Self::run`].
    pub fn new(
        identity: Identity,
        registry: Arc<Registry>,
        log: Arc<dyn SharedLog>,
        clock: SharedClock,
        client: MemberClient,
    ) -> Self {
        let seen = Mutex::default();
        Self { shared: Arc::new(Shared { identity, registry, log, clock, client, seen }) }
    }

    /// Asks all other nodes each second, and trims the log now and then. Never ends.
    pub async fn run(self) {
        let mut trimmed = Instant::now();
        loop {
            let begun = Instant::now();
            if self.shared.registry.is_ready() {
                self.ask_all().await;
                self.shared.registry.hold(self.hold());
                if limits::CLUSTER_TRIM_PAUSE <= trimmed.elapsed() {
                    trimmed = Instant::now();
                    self.trim().await;
                }
            }
            sleep(limits::CLUSTER_PEER_PAUSE.saturating_sub(begun.elapsed())).await;
        }
    }

    /// The nodes of the cluster, by the rows of this node.
    fn members(&self) -> Vec<Member> {
        let mut members = Vec::new();
        self.shared.registry.rows_so_far().each(RowKind::Member, |name, row| {
            match Member::read(name, row) {
                Some(member) => members.push(member),
                None => tracing::error!("the registry has a member that cannot be read"),
            }
        });
        members
    }

    fn is_own(&self, member: &Member) -> bool {
        member.name == self.shared.identity.name
    }

    async fn ask_all(&self) {
        let members = self.members();
        lock(&self.shared.seen)
            .retain(|name, seen| members.iter().any(|it| it.name == *name && it.node == seen.node));
        let others = members.iter().filter(|member| !self.is_own(member));
        join_all(others.map(|member| self.ask(member))).await;
    }

    async fn ask(&self, member: &Member) {
        let Shared { clock, client, seen, .. } = &*self.shared;
        // Trusted time: it is what a node decides by.
        let sent = clock.now().as_micros();
        let told = client.report(&member.address).await;
        let received = clock.now().as_micros();
        let told = told.and_then(|told| match told.node == shown(member.node) {
            true => Ok(told),
            false => Err(ClientError::OtherNode),
        });
        let mut seen = lock(seen);
        let new = || Seen { node: member.node, told: None, ahead_us: None, error: None };
        let seen = seen.entry(member.name.clone()).or_insert_with(new);
        match told {
            Ok(told) => {
                if seen.error.take().is_some() {
                    tracing::info!(member = member.name, "a member of the cluster answers again");
                }
                seen.ahead_us = clocks::ahead(sent, received, told.time.as_micros());
                seen.told = Some(told);
            }
            Err(error) => {
                let error = error.to_string();
                if seen.error.as_ref() != Some(&error) {
                    tracing::warn!(
                        member = member.name,
                        error,
                        "a member of the cluster does not answer"
                    );
                }
                (seen.ahead_us, seen.error) = (None, Some(error));
            }
        }
    }

    /// Why this node must take no changes.
    fn hold(&self) -> Option<Hold> {
        let own = &self.shared.identity;
        let is_member = |member: &Member| member.name == own.name && member.node == own.node;
        if !self.members().iter().any(is_member) {
            return Some(Hold::Removed);
        }
        let ahead: Vec<_> =
            lock(&self.shared.seen).values().filter_map(|seen| seen.ahead_us).collect();
        let held = self.shared.registry.held();
        match clocks::agrees(&ahead) {
            Some(true) => None,
            Some(false) => Some(Hold::Clock),
            // What was found last holds until it can be found anew.
            None => held.filter(|held| *held == Hold::Clock),
        }
        .inspect(|hold| {
            if held != Some(*hold) {
                tracing::error!("{hold}: this node takes no changes");
            }
        })
    }

    async fn trim(&self) {
        let Shared { registry, log, .. } = &*self.shared;
        let known = self.known();
        let own = self.shared.identity.node.0;
        if registry.held().is_some() || !trimming::is_mine(own, &known) {
            return;
        }
        let below = trimming::below(&known);
        if let Err(error) = log.trim(below).await {
            tracing::warn!(%error, "entries that all members have applied are not removed from the shared log");
        }
    }

    fn known(&self) -> Vec<Known> {
        let (members, seen) = (self.members(), lock(&self.shared.seen));
        let known = |member: &Member| {
            let node = member.node.0;
            if self.is_own(member) {
                let applied = self.shared.registry.log_position().applied.place;
                return Known { node, reachable: true, applied: Some(applied) };
            }
            let seen = seen.get(&member.name);
            let told = seen.and_then(|seen| seen.told.as_ref());
            let reachable = told.is_some() && seen.is_some_and(|seen| seen.error.is_none());
            Known { node, reachable, applied: told.map(|told| told.applied) }
        };
        members.iter().map(known).collect()
    }

    /// What this node tells of itself.
    pub fn own(&self) -> MemberReport {
        let Shared { identity, registry, clock, .. } = &*self.shared;
        let position = registry.log_position();
        let ready = registry.is_ready() && position.stopped.is_none() && registry.held().is_none();
        MemberReport {
            name: identity.name.clone(),
            node: shown(identity.node),
            applied: position.applied.place,
            time: clock.now(),
            format: EntryFormat::NEWEST as u8,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready,
        }
    }

    /// The cluster, as this node knows it, with what it knows of the engine.
    pub fn report(&self, engine: Vec<EngineMember>) -> ClusterReport {
        let Identity { cluster, name, .. } = &self.shared.identity;
        ClusterReport {
            cluster: data_encoding::HEXLOWER.encode(&cluster.0),
            node: name.clone(),
            held: self.shared.registry.held().map(|hold| hold.to_string()),
            members: self.states(),
            engine,
        }
    }

    /// Every node, as this one knows it.
    pub fn states(&self) -> Vec<MemberState> {
        let (members, seen) = (self.members(), lock(&self.shared.seen));
        let mut states: Vec<_> = members
            .iter()
            .map(|member| match self.is_own(member) {
                true => state(member, Some(&self.own()), Some(0), None),
                false => match seen.get(&member.name) {
                    Some(Seen { told, ahead_us, error, .. }) => {
                        state(member, told.as_ref(), *ahead_us, error.clone())
                    }
                    None => state(member, None, None, Some("it was not asked yet".to_owned())),
                },
            })
            .collect();
        let newest = states.iter().filter_map(|state| state.applied).max();
        for state in &mut states {
            state.lag = newest.zip(state.applied).map(|(newest, applied)| newest - applied);
        }
        states
    }
}

fn state(
    member: &Member,
    told: Option<&MemberReport>,
    ahead_us: Option<i64>,
    error: Option<String>,
) -> MemberState {
    MemberState {
        name: member.name.clone(),
        node: shown(member.node),
        address: member.address.clone(),
        reachable: error.is_none() && told.is_some(),
        applied: told.map(|told| told.applied),
        lag: None,
        clock_ahead_ms: ahead_us.map(|us| us / 1_000),
        ready: told.filter(|_| error.is_none()).map(|told| told.ready),
        version: told.map(|told| told.version.clone()),
        error,
    }
}
