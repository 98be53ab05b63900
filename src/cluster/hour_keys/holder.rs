//! [`HourKeys`]: gives the keys of this node's hours away, takes those of others, and knows which of its own somebody else holds.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::{
    keyrings::{Giver, MemberKeyrings},
    messages::{HourKeysAnswer, HourKeysRequest, SealedHourKey},
    proof::{ProofOf, Proven},
    ranges::HourRanges,
};
use crate::{
    clock::{Hour, SharedClock, Timestamp},
    cluster::{
        entry_keys::public_half,
        identity::Identity,
        member::Member,
        report::{node_of, shown},
        sealing::{self, KeyOf, Purpose},
    },
    envelope::{HourKey, Keyring, KeyringError},
    ids, limits,
    lock::lock,
    query_log::Finding,
    registry::{NodeId, Statement},
};

/// An hour is not expected to be held elsewhere for this long before it expires: another node may have destroyed its key already.
const LAST: Duration = Duration::from_secs(3_600);

/// The keys of hours, as one node has them. Clones share it.
#[derive(Clone)]
pub struct HourKeys {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    /// Of this node's hours.
    own: Arc<Keyring>,
    members: MemberKeyrings,
    clock: SharedClock,
    retention: Duration,
    /// Which of this node's hours each other node holds.
    holders: Proven,
    /// Which of its hours each other node has counted as held here.
    confirmed: Mutex<BTreeMap<NodeId, HourRanges>>,
    /// Whether there was no other node at the last look.
    is_alone: AtomicBool,
    /// The oldest hour of this node that nobody else holds, and since when, by the boot clock.
    unshared: Mutex<Option<(Hour, Duration)>>,
}

/// The oldest hour of this node whose key no other node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsharedHour {
    /// When it began.
    pub began: Timestamp,
    /// For how long nobody else held the key, as far as this process knows.
    pub lasted: Duration,
}

/// Keys that a node lacks and may have.
pub struct WantedKeys {
    caller: NodeId,
    receiving: [u8; 32],
    /// Whose they are, and when the hours began.
    keys: Vec<(NodeId, Arc<Keyring>, Hour, Timestamp)>,
    more: bool,
    proven: HourRanges,
}

impl WantedKeys {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Why no keys are given or taken.
#[derive(Debug, thiserror::Error)]
pub enum HourKeysError {
    /// A field of the request is not what a node sends.
    #[error("{0}: not what a node sends; is it of another version?")]
    Invalid(&'static str),
    /// Not the caller itself made the public key.
    #[error("signature: the calling node did not make it")]
    Signature,
    /// The caller would keep keys for longer than this node does.
    #[error(
        "log.retention of the calling node is longer than that of this one; set the same on all nodes"
    )]
    LongerRetention,
    /// The clocks of the two nodes differ.
    #[error("its clock is too far from that of this node to say when an hour was")]
    Clock,
    /// A key was not sealed to this node, or for something else.
    #[error("a key that it sent cannot be opened")]
    Unopened,
    /// The keyring.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

impl HourKeys {
    /// The keys of the node `identity`, whose own are in `own`. Destroys first what has expired: a node that was off must not answer with
    /// it.
    ///
    /// # Errors
    /// If keys cannot be destroyed.
    pub fn open(
        identity: Identity,
        own: Arc<Keyring>,
        members: MemberKeyrings,
        clock: SharedClock,
        retention: Duration,
    ) -> Result<Self, KeyringError> {
        members.destroy_expired(&*clock, retention, None)?;
        let shared = Shared {
            identity,
            own,
            members,
            clock,
            retention,
            holders: Proven::default(),
            confirmed: Mutex::default(),
            is_alone: AtomicBool::new(false),
            unshared: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What to ask the node `to`, and the private half of the key to which it shall seal its answer.
    pub fn request(&self, to: NodeId) -> (Zeroizing<[u8; 32]>, HourKeysRequest) {
        let Shared { identity, members, retention, .. } = &*self.shared;
        // Any 32 random bytes are a private key of X25519.
        let mut private = Zeroizing::new([0; 32]);
        ids::fill_random(private.as_mut());
        let receiving = public_half(&private);
        let signed = identity.key().sign(Statement::HourKeys(identity.cluster, to, &receiving));
        let held = members.all().into_iter().map(|(node, keyring)| (node, keyring.hours()));
        let held = held.filter(|(_, hours)| !hours.is_empty());
        let held: BTreeMap<_, _> =
            held.map(|(node, hours)| (shown(node), HourRanges::of(&hours))).collect();
        let request = HourKeysRequest {
            receiving: HEXLOWER.encode(&receiving),
            signature: HEXLOWER.encode(&signed),
            retention_seconds: retention.as_secs(),
            proofs: self.proofs(to, &receiving),
            held,
        };
        (private, request)
    }

    /// Proofs of the hours of the node `to` that it has not counted yet.
    fn proofs(&self, to: NodeId, receiving: &[u8; 32]) -> BTreeMap<u32, String> {
        let Shared { identity, members, confirmed, .. } = &*self.shared;
        let confirmed = lock(confirmed).get(&to).cloned().unwrap_or_default();
        let of = ProofOf { cluster: identity.cluster, holder: identity.node, receiving };
        let Some(keyring) = members.get(to) else { return BTreeMap::new() };
        let hours = keyring.hours().into_iter().filter(|hour| !confirmed.contains(*hour));
        let proof = |hour: Hour| Some((hour.number(), of.of(hour, &keyring.get(hour)?)));
        hours.filter_map(proof).collect()
    }

    /// Notes which of its hours the node `from` has counted as held here.
    pub(super) fn confirm(&self, from: NodeId, hours: HourRanges) {
        lock(&self.shared.confirmed).insert(from, hours);
    }

    /// Which keys the node `caller` lacks and may have, the newest hours first. Notes which of this node's hours it holds.
    ///
    /// # Errors
    /// If the request is not one that this caller made for this node, or it keeps keys for longer.
    pub fn wanted(
        &self,
        caller: &Member,
        request: &HourKeysRequest,
    ) -> Result<WantedKeys, HourKeysError> {
        let Shared { identity, own, members, clock, retention, holders, .. } = &*self.shared;
        let receiving: [u8; 32] =
            bytes(&request.receiving).ok_or(HourKeysError::Invalid("receiving"))?;
        let signature: [u8; 64] =
            bytes(&request.signature).ok_or(HourKeysError::Invalid("signature"))?;
        let stated = Statement::HourKeys(identity.cluster, identity.node, &receiving);
        if !caller.public.has_signed(stated, &signature) {
            return Err(HourKeysError::Signature);
        }
        if request.held.values().any(|held| limits::CLUSTER_HOUR_KEYS_KEPT_MAX < held.runs()) {
            return Err(HourKeysError::Invalid("held"));
        }
        let held = |node| request.held.get(&shown(node)).cloned().unwrap_or_default();
        let of = ProofOf { cluster: identity.cluster, holder: caller.node, receiving: &receiving };
        let wrong = holders.note(of, own, &held(identity.node), &request.proofs);
        let kept = Duration::from_secs(request.retention_seconds);
        if *retention < kept {
            return Err(HourKeysError::LongerRetention);
        }
        // The later of both times: nothing that may have expired goes out.
        let (now, latest) = (clock.now(), clock.latest());
        let ahead = now.plus(limits::CLUSTER_HOUR_KEY_AHEAD_MAX);
        let mut keys = Vec::new();
        let all = [(identity.node, Arc::clone(own))].into_iter().chain(members.all());
        for (node, keyring) in all.filter(|(node, _)| *node != caller.node) {
            let held = held(node);
            let lacked = keyring.dates().into_iter().rev();
            let is_wrong = |hour: &Hour| node == identity.node && wrong.contains(hour);
            let lacked = lacked.filter(|(hour, _)| !held.contains(*hour) || is_wrong(hour));
            let lacked = lacked.map(|(hour, dated)| (hour, clock.began(dated)));
            let alive = lacked.filter(|(_, began)| *began <= ahead && latest < began.plus(kept));
            keys.extend(alive.map(|(hour, began)| (node, Arc::clone(&keyring), hour, began)));
        }
        let more = limits::CLUSTER_HOUR_KEYS_MAX < keys.len();
        keys.truncate(limits::CLUSTER_HOUR_KEYS_MAX);
        let proven = holders.of(caller.node);
        Ok(WantedKeys { caller: caller.node, receiving, keys, more, proven })
    }

    /// Seals these keys to the node that lacks them. One that was destroyed meanwhile is left out.
    pub fn sealed(&self, wanted: WantedKeys) -> HourKeysAnswer {
        let Shared { identity, clock, .. } = &*self.shared;
        let WantedKeys { caller, receiving, keys, more, proven } = wanted;
        let sealed = |(origin, keyring, hour, began): (NodeId, Arc<Keyring>, Hour, Timestamp)| {
            let key = KeyOf::Hour(origin, hour);
            let purpose = Purpose { cluster: identity.cluster, key, node: caller };
            let sealed = sealing::seal(purpose, &receiving, &keyring.get(hour)?.reveal())?;
            let (node, hour, sealed) = (shown(origin), hour.number(), HEXLOWER.encode(&sealed));
            Some(SealedHourKey { node, hour, began, sealed })
        };
        HourKeysAnswer {
            time: clock.now(),
            keys: keys.into_iter().filter_map(sealed).collect(),
            more,
            proven,
        }
    }

    /// Takes the keys of an answer of the node `from`, durable before this returns. Gives how many are new. `private` is what
    /// [`Self::request`] gave. Keys of hours that have expired or lie in the future are left out.
    ///
    /// # Errors
    /// If the answering node's clock differs, a key was not sealed to this call, or a keyring cannot be written.
    pub fn take(
        &self,
        from: NodeId,
        private: &[u8; 32],
        answer: &HourKeysAnswer,
    ) -> Result<usize, HourKeysError> {
        if limits::CLUSTER_HOUR_KEYS_MAX < answer.keys.len() {
            return Err(HourKeysError::Invalid("keys"));
        }
        let Shared { identity, members, clock, retention, .. } = &*self.shared;
        let ((now, era), latest) = (clock.stamp(), clock.latest());
        let apart = now.since(answer.time).max(answer.time.since(now));
        if limits::CLUSTER_HOUR_KEY_CLOCK_MAX < apart {
            return Err(HourKeysError::Clock);
        }
        let ahead = now.plus(limits::CLUSTER_HOUR_KEY_AHEAD_MAX);
        let mut taken: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        for SealedHourKey { node, hour, began, sealed } in &answer.keys {
            let origin = node_of(node).ok_or(HourKeysError::Invalid("node"))?;
            // By the hour that dates it here, as it is destroyed: it would be taken and destroyed again and again.
            let dated = began.hour(era);
            let is_alive = *began <= ahead && latest < clock.expiry(dated, *retention);
            if !is_alive || origin == identity.node {
                continue;
            }
            let hour = Hour::from_number(*hour);
            let key = KeyOf::Hour(origin, hour);
            let purpose = Purpose { cluster: identity.cluster, key, node: identity.node };
            let sealed = HEXLOWER.decode(sealed.as_bytes()).ok();
            let opened = sealed.and_then(|sealed| sealing::open(purpose, private, &sealed));
            let key = HourKey::of(&*opened.ok_or(HourKeysError::Unopened)?);
            taken.entry(origin).or_default().push((hour, dated, key));
        }
        let mut count = 0;
        for (origin, keys) in taken {
            let giver = if origin == from { Giver::Origin } else { Giver::Other };
            count += members.put(origin, giver, keys)?;
        }
        Ok(count)
    }

    /// Whether another member has proved to have the key of this node's hour on its disk. False for a while after a start of this node.
    pub fn is_held_elsewhere(&self, hour: Hour) -> bool {
        self.shared.holders.any(hour)
    }

    /// Whether this node is the only one of its cluster. False for a moment after a start of this node.
    pub fn is_alone(&self) -> bool {
        self.shared.is_alone.load(Ordering::Relaxed)
    }

    /// The keys of a node's hours that this one holds: with them a copy of that node's log can be read. Also of a node that was removed,
    /// until its last hour expires.
    pub fn keyring_of(&self, node: NodeId) -> Option<Arc<Keyring>> {
        self.shared.members.get(node)
    }

    /// The nodes of whose hours this one holds keys, those included that were removed.
    pub(in crate::cluster) fn held_nodes(&self) -> Vec<NodeId> {
        let all = self.shared.members.all().into_iter();
        all.filter(|(_, keyring)| !keyring.hours().is_empty()).map(|(node, _)| node).collect()
    }

    /// The keyrings of all other nodes' hours.
    #[cfg(test)]
    pub(super) fn keyrings(&self) -> &MemberKeyrings {
        &self.shared.members
    }

    /// How many keys of this node's hours are held here.
    pub fn count_of(&self, node: NodeId) -> usize {
        self.keyring_of(node).map_or(0, |keyring| keyring.hours().len())
    }

    /// Forgets what nodes hold that are none of `others` any more, and looks for hours of this node that nobody else holds.
    pub(super) fn look(&self, others: &[NodeId]) {
        let Shared { own, clock, retention, holders, confirmed, is_alone, unshared, .. } =
            &*self.shared;
        holders.retain(others);
        lock(confirmed).retain(|node, _| others.contains(node));
        is_alone.store(others.is_empty(), Ordering::Relaxed);
        let (now, boot) = (clock.now(), clock.boot());
        let lasts = |hour: &Hour| now.plus(LAST) < clock.expiry(*hour, *retention);
        let mut alone =
            own.hours().into_iter().filter(|it| lasts(it) && !self.is_held_elsewhere(*it));
        // A node without others shares with nobody.
        let oldest = alone.next().filter(|_| !others.is_empty());
        let mut unshared = lock(unshared);
        let since =
            unshared.filter(|(hour, _)| Some(*hour) == oldest).map_or(boot, |(_, since)| since);
        *unshared = oldest.map(|hour| (hour, since));
    }

    /// The oldest hour of this node whose key nobody else holds, as of the last second. None if all are held, or there is no other node.
    pub fn unshared(&self) -> Option<UnsharedHour> {
        let Shared { clock, unshared, .. } = &*self.shared;
        let (hour, since) = (*lock(unshared))?;
        let lasted = clock.boot().saturating_sub(since);
        Some(UnsharedHour { began: clock.began(hour), lasted })
    }

    /// Destroys the keys of other nodes' hours that have expired, and gives how many. Removes the empty keyrings of nodes that are none of
    /// `members`.
    ///
    /// # Errors
    /// If a file cannot be written or removed. The next call tries again.
    pub fn destroy_expired(&self, members: &[NodeId]) -> Result<usize, KeyringError> {
        let Shared { members: keyrings, clock, retention, .. } = &*self.shared;
        keyrings.destroy_expired(&**clock, *retention, Some(members))
    }

    /// See [`MemberKeyrings::unforgotten`].
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn unforgotten(&self) -> Result<Vec<Finding>, KeyringError> {
        let Shared { members, clock, retention, .. } = &*self.shared;
        members.unforgotten(&**clock, *retention)
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
