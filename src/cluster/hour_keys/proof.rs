//! [`Proven`]: which hours of this node others hold, as far as they have proved it.
//!
//! Anybody could say that it holds a key, and a member can give another one a false key of a third node's hour. So who says that it holds an
//! hour of a node shows that node a proof, made with the key and good for that one call. The node counts the hour from then on, for as
//! long as the holder goes on saying so. It answers which hours it counts, so that no call repeats their proofs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;

use super::ranges::HourRanges;
use crate::{
    clock::Hour,
    envelope::{HourKey, Keyring},
    lock::lock,
    registry::{ClusterId, NodeId},
};

/// Half of an HMAC: nobody guesses that.
const PROOF_BYTES: usize = 16;

/// The call for which a proof is good.
#[derive(Clone, Copy)]
pub(super) struct ProofOf<'a> {
    pub(super) cluster: ClusterId,
    /// Who holds the key.
    pub(super) holder: NodeId,
    /// The public key of the call.
    pub(super) receiving: &'a [u8; 32],
}

impl ProofOf<'_> {
    /// What only somebody knows who has the key of the hour, in hexadecimal.
    pub(super) fn of(self, hour: Hour, key: &HourKey) -> String {
        let mut hmac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &*key.reveal()));
        let (holder, hour) = (self.holder.0.to_be_bytes(), hour.number().to_be_bytes());
        let begin = &b"dispatchd holds the key of an hour"[..];
        for part in [begin, &self.cluster.0, &holder, &hour, self.receiving] {
            hmac.update(part);
        }
        HEXLOWER.encode(&hmac.sign().as_ref()[..PROOF_BYTES])
    }
}

/// Which hours of this node each other node holds.
#[derive(Default)]
pub(super) struct Proven(Mutex<BTreeMap<NodeId, BTreeSet<Hour>>>);

impl Proven {
    /// Notes what a node says that it holds, and what it proves. Gives the hours of which it has a false key.
    pub(super) fn note(
        &self,
        of: ProofOf<'_>,
        own: &Keyring,
        held: &HourRanges,
        proofs: &BTreeMap<u32, String>,
    ) -> BTreeSet<Hour> {
        let mut wrong = BTreeSet::new();
        let mut all = lock(&self.0);
        let proven = all.entry(of.holder).or_default();
        proven.retain(|hour| held.contains(*hour));
        for (number, proof) in proofs {
            let hour = Hour::from_number(*number);
            // Nobody can tell once this node has destroyed its own.
            let Some(key) = own.get(hour).filter(|_| held.contains(hour)) else { continue };
            if of.of(hour, &key) == *proof {
                proven.insert(hour);
            } else {
                proven.remove(&hour);
                wrong.insert(hour);
            }
        }
        wrong
    }

    /// The hours that a node has proved to hold.
    pub(super) fn of(&self, node: NodeId) -> HourRanges {
        lock(&self.0).get(&node).map(HourRanges::of).unwrap_or_default()
    }

    /// Whether some node has proved to hold the hour.
    pub(super) fn any(&self, hour: Hour) -> bool {
        lock(&self.0).values().any(|proven| proven.contains(&hour))
    }

    /// Forgets what nodes hold that are none of `others`.
    pub(super) fn retain(&self, others: &[NodeId]) {
        lock(&self.0).retain(|node, _| others.contains(node));
    }
}
