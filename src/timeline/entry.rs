//! What a timeline consists of, as it leaves: in JSON, with a sentence for people.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{AccountId, DeviceId, RequestId},
    vocabulary::{Cause, Change, ChangeKind, Reason, Route},
};

/// A change of a handle with its place in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeRef {
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The spelling concerned, canonical: not always the one that was asked for.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// What changed.
    pub change: ChangeKind,
    /// Why.
    pub cause: Cause,
    /// The device concerned.
    #[schema(required)]
    pub device: Option<DeviceId>,
    /// The account concerned.
    #[schema(required)]
    pub account: Option<AccountId>,
}

impl ChangeRef {
    pub(super) fn of(at: Timestamp, change: &Change) -> Option<Self> {
        Some(Self {
            at,
            handle: change.handle.clone()?,
            change: change.kind,
            cause: change.cause,
            device: change.device,
            account: change.account,
        })
    }
}

/// One step of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[schema(as = TimelineEntry)]
pub enum Entry {
    /// A change of the registry.
    Change(ChangeEntry),
    /// Lookups with the same answer for the same reason.
    Lookups(LookupsEntry),
}

impl Entry {
    /// What it says in a sentence.
    pub fn sentence(&self) -> &str {
        match self {
            Self::Change(change) => &change.sentence,
            Self::Lookups(lookups) => &lookups.sentence,
        }
    }
}

/// A change of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeEntry {
    /// The change.
    #[serde(flatten)]
    pub change: ChangeRef,
    /// The same in words.
    #[schema(
        example = "08:41:07: device d_9h6s0b4n2f8ja of account a_1p3k8t5w7y2d4 backs it: the code sent to the handle was answered"
    )]
    pub sentence: String,
}

/// Lookups with the same answer for the same reason, between two changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LookupsEntry {
    /// The first.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The last.
    #[schema(value_type = String, format = DateTime)]
    pub last: Timestamp,
    /// How many.
    pub count: u64,
    /// By how many different devices; see `askers_at_least`.
    pub askers: u64,
    /// Whether there were more askers than are counted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub askers_at_least: bool,
    /// Some of the devices, the first that asked.
    pub devices: Vec<DeviceId>,
    /// The spelling asked for, canonical.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// The route answered; null if refused.
    #[schema(required)]
    pub route: Option<Route>,
    /// Why.
    pub reason: Reason,
    /// HTTP status of the answers.
    pub status: u16,
    /// The last request.
    pub request: RequestId,
    /// Whether it was asked by the account that holds the handle, which sees it though it is hidden.
    #[serde(default, skip_serializing_if = "is_default")]
    pub by_its_owner: bool,
    /// The change that led to the answer; absent if there is none or the log no longer holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub because: Option<ChangeRef>,
    /// The same in words.
    #[schema(example = "blue at 13:40:00: a live device backs it (bound 12:00:00 by proof)")]
    pub sentence: String,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
