//! What a timeline consists of, as it leaves: in JSON, with a sentence for people.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::change_ref::ChangeRef;
use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{DeviceId, RequestId},
    vocabulary::{Reason, Route},
};

/// One step of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// A change of the registry.
    Change(ChangeEntry),
    /// Lookups with the same answer for the same reason.
    Lookups(LookupsEntry),
}

impl Entry {
    /// What it says in a sentence.
    #[must_use]
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
    #[serde(default, skip_serializing_if = "is_false")]
    pub askers_at_least: bool,
    /// Some of the devices, the first that asked.
    pub devices: Vec<DeviceId>,
    /// The spelling asked for, canonical.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String)]
    pub handle: Handle,
    /// The route answered; null if refused.
    pub route: Option<Route>,
    /// Why.
    pub reason: Reason,
    /// HTTP status of the answers.
    pub status: u16,
    /// The last request.
    pub request: RequestId,
    /// Whether it was asked by the account that holds the handle, which sees it though it is hidden.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_its_owner: bool,
    /// The change that led to the answer; absent if there is none or the log no longer holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<ChangeRef>,
    /// The same in words.
    pub sentence: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
