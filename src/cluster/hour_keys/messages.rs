//! What nodes tell each other to pass keys of hours on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ranges::HourRanges;
use crate::clock::Timestamp;

/// A node that asks for the keys of hours that it lacks.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HourKeysRequest {
    /// An X25519 public key, in hexadecimal, made for this call: the keys are sealed to it.
    pub receiving: String,
    /// The signature of the calling node for that key and the node that it calls, in hexadecimal.
    pub signature: String,
    /// How long the calling node keeps keys, in seconds. A node gives none to one that keeps them longer than itself.
    pub retention_seconds: u64,
    /// The hours whose keys lie on the caller's disk, by the number of the node whose log they are of, in hexadecimal.
    pub held: BTreeMap<String, HourRanges>,
    /// Proofs that it holds the right keys of the callee's hours, by the number of the hour: an HMAC made with the key, in hexadecimal.
    /// Hours that the callee has counted in its last answer need none.
    #[schema(value_type = BTreeMap<String, String>)]
    pub proofs: BTreeMap<u32, String>,
}

/// The keys that the caller lacks.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct HourKeysAnswer {
    /// What the clock of the answering node shows.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// The keys, those of the newest hours first.
    pub keys: Vec<SealedHourKey>,
    /// Whether there are more: the caller asks again at once.
    pub more: bool,
    /// The hours of the answering node that the caller has proved to hold.
    pub proven: HourRanges,
}

/// The key of an hour, sealed to the caller.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SealedHourKey {
    /// The number of the node whose log it opens, in hexadecimal.
    #[schema(example = "00c0ffee00c0ffee")]
    pub node: String,
    /// The number of the hour, as that node names it.
    #[schema(example = 498_728)]
    pub hour: u32,
    /// When the hour began, by what the answering node knows now.
    #[schema(value_type = String, format = DateTime)]
    pub began: Timestamp,
    /// The key, sealed to the public key of the call, in hexadecimal.
    pub sealed: String,
}
