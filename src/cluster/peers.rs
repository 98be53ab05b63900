//! [`Peers`]: what this node knows of the others. It asks each of them each second for its place and its clock.
//!
//! What is found decides three things: whether this node takes changes, which entries of the shared log may go, and what operators see of
//! the cluster. Nothing of it decides what a lookup answers: the fence does that without the other nodes.
//!
//! A node takes no changes before its first comparison with the other clocks. If no other node answers then, it goes on: a majority of
//! etcd is enough to serve, and nobody is there to say that its clock is wrong.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::{join, join_all};
use tokio::{
    sync::SetOnce,
    time::{Instant, sleep},
};

use super::{
    client_error::ClientError,
    clocks,
    identity::Identity,
    member::Member,
    member_client::MemberClient,
    report::{ClusterReport, EngineMember, MemberReport, MemberState, shown},
    trimming::{self, Known},
};
use crate::{
    clock::SharedClock,
    ids, limits,
    lock::lock,
    registry::{EntryFormat, Hold, NodeId, Registry},
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
    /// The number of this process.
    process: String,
    /// Whether another process answers as this node.
    is_copied: AtomicBool,
    seen: Mutex<BTreeMap<String, Seen>>,
    /// Set once this node's clock was compared with the others' for the first time, or none answered.
    compared: SetOnce<()>,
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
    /// Asks with `client`. Nothing is asked before [`Self::run`]. Until then `registry` takes no changes if there are other nodes.
    pub fn new(
        identity: Identity,
        registry: Arc<Registry>,
        log: Arc<dyn SharedLog>,
        clock: SharedClock,
        client: MemberClient,
    ) -> Self {
        let shared = Shared {
            identity,
            registry,
            log,
            clock,
            client,
            process: format!("{:016x}", ids::random_u64()),
            is_copied: AtomicBool::new(false),
            seen: Mutex::default(),
            compared: SetOnce::new(),
        };
        let peers = Self { shared: Arc::new(shared) };
        if peers.members().iter().any(|member| !peers.is_own(member)) {
            peers.shared.registry.hold(Some(Hold::NotCompared));
        }
        peers
    }

    /// Asks all other nodes each second, and trims the log now and then. Never ends. To be run once.
    pub async fn run(self) {
        let (mut trimmed, mut told) = (Instant::now(), None);
        self.compare().await;
        loop {
            let begun = Instant::now();
            let held = self.shared.registry.held();
            if held != told {
                match held {
                    Some(hold) => tracing::error!("{hold}: this node takes no changes"),
                    None => tracing::info!("this node takes changes again"),
                }
                told = held;
            }
            if limits::CLUSTER_TRIM_PAUSE <= trimmed.elapsed() {
                trimmed = Instant::now();
                self.trim().await;
            }
            sleep(limits::CLUSTER_PEER_PAUSE.saturating_sub(begun.elapsed())).await;
            self.ask_all().await;
            self.shared.registry.hold(self.hold());
        }
    }

    /// Compares this node's clock with the others' for the first time.
    async fn compare(&self) {
        for _ in 0..limits::CLUSTER_FIRST_ROUNDS_MAX {
            self.ask_all().await;
            let is_known = |seen: &Seen| seen.error.is_some() || seen.ahead_us.is_some();
            if lock(&self.shared.seen).values().all(is_known) {
                break;
            }
        }
        self.shared.registry.hold(self.hold());
        // Set by nobody else.
        let _ = self.shared.compared.set(());
    }

    /// Waits until this node's clock was compared with the others' for the first time, or none answered. [`Self::run`] must run.
    pub async fn compared(&self) {
        self.shared.compared.wait().await;
    }

    /// The nodes of the cluster, by the rows of this node.
    pub fn members(&self) -> Vec<Member> {
        Member::all(&self.shared.registry)
    }

    /// The other nodes of the cluster, by the rows of this node.
    pub fn others(&self) -> Vec<Member> {
        self.members().into_iter().filter(|member| !self.is_own(member)).collect()
    }

    /// Asks other nodes.
    pub(super) fn client(&self) -> &MemberClient {
        &self.shared.client
    }

    /// This node.
    pub(super) fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// Why a node did not answer the last time. None if it did, or was not asked yet.
    pub(super) fn silence(&self, of: &Member) -> Option<String> {
        lock(&self.shared.seen).get(&of.name)?.error.clone()
    }

    fn is_own(&self, member: &Member) -> bool {
        member.name == self.shared.identity.name
    }

    async fn ask_all(&self) {
        let members = self.members();
        lock(&self.shared.seen)
            .retain(|name, seen| members.iter().any(|it| it.name == *name && it.node == seen.node));
        let (own, others): (Vec<_>, Vec<_>) = members.iter().partition(|it| self.is_own(it));
        let others = others.into_iter().map(|member| self.ask(member));
        let own = own.into_iter().map(|member| self.ask_own(member));
        join(join_all(others), join_all(own)).await;
    }

    /// Finds out who answers at this node's own address. The others take whoever does for this node.
    async fn ask_own(&self, own: &Member) {
        let Shared { identity, client, process, is_copied, .. } = &*self.shared;
        // No answer, or that of another node, says nothing: what was found last holds.
        if let Ok(told) = client.report(own.callee()).await
            && told.node == shown(identity.node)
        {
            is_copied.store(told.process != *process, Ordering::Relaxed);
        }
    }

    async fn ask(&self, member: &Member) {
        let Shared { clock, client, seen, .. } = &*self.shared;
        // Trusted time: it is what a node decides by.
        let sent = clock.now().as_micros();
        let told = client.report(member.callee()).await;
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
                // Once: who answers each time with another text must not fill the disk.
                if seen.error.is_none() {
                    tracing::warn!(
                        member = member.name,
                        %error,
                        "a member of the cluster does not answer"
                    );
                }
                (seen.ahead_us, seen.error) = (None, Some(error.to_string()));
            }
        }
    }

    /// Why this node must take no changes.
    fn hold(&self) -> Option<Hold> {
        let (own, members) = (&self.shared.identity, self.members());
        let is_member = |member: &Member| member.name == own.name && member.node == own.node;
        if !members.iter().any(is_member) {
            return Some(Hold::Removed);
        }
        if self.shared.is_copied.load(Ordering::Relaxed) {
            return Some(Hold::Copied);
        }
        let ahead: Vec<_> =
            lock(&self.shared.seen).values().filter_map(|seen| seen.ahead_us).collect();
        match clocks::agrees(&ahead) {
            Some(true) => None,
            Some(false) => Some(Hold::Clock),
            None if members.len() == 1 => None,
            // What was found last holds until it can be found anew.
            None => self.shared.registry.held().filter(|held| *held == Hold::Clock),
        }
    }

    async fn trim(&self) {
        let Shared { registry, log, .. } = &*self.shared;
        let known = self.known();
        let own = self.shared.identity.node.0;
        let may_trim = registry.is_ready() && registry.held().is_none();
        if !may_trim || !trimming::is_mine(own, &known) {
            return;
        }
        let below = trimming::below(&known);
        if let Err(error) = log.trim(below).await {
            tracing::warn!(%error, "entries that all members have applied are not removed from the shared log");
        }
    }

    fn known(&self) -> Vec<Known> {
        let (members, seen) = (self.members(), lock(&self.shared.seen));
        let own = self.shared.registry.log_position().applied.place;
        let known = |member: &Member| {
            let node = member.node.0;
            if self.is_own(member) {
                return Known { node, trims: true, applied: Some(own) };
            }
            let seen = seen.get(&member.name);
            let told = seen.and_then(|seen| seen.told.as_ref());
            let trims = seen.is_some_and(|seen| seen.error.is_none())
                && told.is_some_and(|told| told.ready);
            // A node that tells of entries which this one does not have must not have them removed.
            Known { node, trims, applied: told.map(|told| told.applied.min(own)) }
        };
        members.iter().map(known).collect()
    }

    /// What this node tells of itself.
    pub fn own(&self) -> MemberReport {
        let Shared { identity, registry, clock, process, .. } = &*self.shared;
        let position = registry.log_position();
        let ready = registry.is_ready() && position.stopped.is_none() && registry.held().is_none();
        MemberReport {
            name: identity.name.clone(),
            node: shown(identity.node),
            process: process.clone(),
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

    /// The random number of this process, in hexadecimal.
    pub fn process(&self) -> &str {
        &self.shared.process
    }

    /// Every node, as this one knows it.
    pub fn states(&self) -> Vec<MemberState> {
        let (members, seen) = (self.members(), lock(&self.shared.seen));
        let mut states: Vec<_> = members
            .iter()
            .map(|member| match self.is_own(member) {
                true => MemberState::new(member, Some(&self.own()), Some(0), None),
                false => match seen.get(&member.name) {
                    Some(Seen { told, ahead_us, error, .. }) => {
                        MemberState::new(member, told.as_ref(), *ahead_us, error.clone())
                    }
                    None => {
                        let error = "it was not asked yet".to_owned();
                        MemberState::new(member, None, None, Some(error))
                    }
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

#[cfg(test)]
pub(crate) mod tests;
