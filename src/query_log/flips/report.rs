//! What is asked about flips, and what is answered: the handles, and why their routes changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::lost::NodeFromStore;
use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    limits,
    vocabulary::{Cause, ChangeKind, MissingNode, Reason, Route, codes},
};

/// Which flips to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlipQuery {
    /// Lookups from this instant on.
    pub since: Option<Timestamp>,
    /// Lookups before this instant.
    pub until: Option<Timestamp>,
    /// Changes of a handle's route that make it one to show: two are there and back.
    pub min: u32,
    /// Handles to show at most.
    pub limit: usize,
}

impl FlipQuery {
    /// The fewest changes that are back and forth.
    pub const MIN: u32 = 2;
}

impl Default for FlipQuery {
    fn default() -> Self {
        let limit = limits::LOG_FLIPS_HANDLES_DEFAULT;
        Self { since: None, until: None, min: Self::MIN, limit }
    }
}

/// A lookup whose route differs from that of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteChange {
    /// When it was asked.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The route of the lookup before it.
    pub from: Route,
    /// Its route.
    pub to: Route,
    /// Its reason.
    pub reason: Reason,
}

/// How often the registry changed in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistryCount {
    /// What changed.
    pub change: ChangeKind,
    /// Why.
    pub cause: Cause,
    /// How often.
    pub count: u32,
}

/// A handle whose route went back and forth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flip {
    /// The handle, canonical.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// Lookups whose route differed from that of the one before.
    pub changes: u32,
    /// When its route was first seen changed.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Timestamp,
    /// When it was last seen changed.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// Lookups that were answered.
    pub lookups: u64,
    /// Of these, how many had which route.
    pub routes: BTreeMap<Route, u32>,
    /// Of the lookups that changed, how many had which reason.
    pub reasons: BTreeMap<Reason, u32>,
    /// Changes of the registry that concern it, most frequent first.
    pub registry: Vec<RegistryCount>,
    /// The latest changes, oldest first; 10 at most.
    pub latest: Vec<RouteChange>,
    /// The likely cause.
    pub likely: Likely,
    /// The likely cause as a sentence.
    #[schema(example = "Its last device signs out, and a device binds it again.")]
    pub because: String,
}

codes! {
    /// Why a handle's route most likely went back and forth. A report says it as a sentence, too.
    Likely {
        /// Leases lapse and come back.
        LeaseLapses = 1 "lease-lapses",
        /// Its device signs out, and it is bound again.
        SignsOut = 2 "signs-out",
        /// Its device was removed after a long silence, and it is bound again.
        DeviceSilent = 3 "device-silent",
        /// Its owner unbinds it from a device and binds it again.
        Unbinds = 4 "unbinds",
        /// Its owner deregisters it and proves it again.
        Deregisters = 5 "deregisters",
        /// Accounts prove it in turn.
        Contested = 6 "contested",
        /// Imports moved it.
        Imported = 7 "imported",
        /// The registry did not know it any more.
        Forgotten = 8 "forgotten",
        /// No rule applies.
        Unclear = 9 "unclear",
    }
}

impl Likely {
    /// What it means, for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::LeaseLapses => {
                "Its devices check in too seldom: the lease lapses, and a later check-in brings it back."
            }
            Self::SignsOut => "Its last device signs out, and a device binds it again.",
            Self::DeviceSilent => {
                "Its last device was removed after a long silence, and a device binds it again."
            }
            Self::Unbinds => "Its owner gives it up on its last device, and binds it again.",
            Self::Deregisters => "Its owner takes it back without a device, and proves it again.",
            Self::Contested => "More than one account proves it: it moves between them in turn.",
            Self::Imported => "Imported files moved it from one account to another.",
            Self::Forgotten => {
                "The registry did not know it any more: an older state was restored, or how it ended was forgotten."
            }
            Self::Unclear => "No one reason stands out.",
        }
    }
}

/// How many handles flipped for one likely cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LikelyCount {
    /// The cause.
    pub likely: Likely,
    /// The same as a sentence.
    #[schema(example = "Its last device signs out, and a device binds it again.")]
    pub because: String,
    /// How many handles.
    pub handles: u64,
}

/// All handles that flipped, those that are not shown too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlipSummary {
    /// Lookups from this instant on were counted: what was asked for, as far as it has not expired.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Lookups before this instant were counted; absent if up to the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub until: Option<Timestamp>,
    /// Handles that flipped.
    pub handles: u64,
    /// Changes of their routes.
    pub changes: u64,
    /// How many handles have which likely cause, most frequent first.
    pub likely: Vec<LikelyCount>,
    /// Damaged places that were passed over: a frame each, or what is damaged in a sealed segment. Lookups that are missing
    /// may hide changes.
    pub damaged: u64,
    /// Segments inside the retention of which nothing could be read.
    pub unreadable_segments: u64,
    /// Handles whose route changed too often on a node for it to hand all changes over, so they are counted in part; absent if none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: u64,
    /// Nodes of the cluster whose lookups are missing, or a part of them; absent if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable = false)]
    pub missing: Vec<MissingNode>,
    /// Nodes that are gone, and whose lookups come from their copies in the object store; absent if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable = false)]
    pub from_store: Vec<NodeFromStore>,
    /// Records up to this instant are hidden, because the wall clock is ahead of trusted time; absent if none are. `/v1/clock`
    /// says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub hidden_until: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The handles that flipped, most often first, then by handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlipReport {
    /// As many as were asked for.
    pub flips: Vec<Flip>,
    /// Over all of them.
    pub summary: FlipSummary,
    /// It was asked to stop, and does not say everything: whoever asked to stop reads no answer.
    #[serde(skip)]
    pub stopped: bool,
}
