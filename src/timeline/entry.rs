//! What a timeline consists of, as it leaves: in JSON, with a sentence for people.

use serde::Serialize;
use utoipa::ToSchema;

use super::{phrasing::Phrasing, spelling::ChangeRef};
use crate::clock::Timestamp;

/// One step of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangeEntry {
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The spelling concerned, canonical.
    pub handle: String,
    /// What changed: `handle-bound`, …
    pub change: &'static str,
    /// Why: `proof`, …
    pub cause: &'static str,
    /// The device concerned.
    pub device: Option<String>,
    /// The account concerned.
    pub account: Option<String>,
    /// The same in words.
    pub sentence: String,
}

/// Lookups with the same answer for the same reason, between two changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
    #[serde(skip_serializing_if = "is_false")]
    pub askers_at_least: bool,
    /// Some of the devices, the first that asked.
    pub devices: Vec<String>,
    /// The spelling asked for, canonical.
    pub handle: String,
    /// `imessage`, `sms` or `none`; null if refused.
    pub route: Option<&'static str>,
    /// Why: `live-device`, …
    pub reason: &'static str,
    /// HTTP status of the answers.
    pub status: u16,
    /// The last request.
    pub request: String,
    /// Whether it was asked by the account that holds the handle, which sees it though it is hidden.
    #[serde(skip_serializing_if = "is_false")]
    pub by_its_owner: bool,
    /// The change that led to the answer; absent if there is none or the log no longer holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
    /// The same in words.
    pub sentence: String,
}

/// The change that led to an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Because {
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The spelling concerned, canonical: not always the one that was asked for.
    pub handle: String,
    /// What changed.
    pub change: &'static str,
    /// Why.
    pub cause: &'static str,
    /// The device concerned.
    pub device: Option<String>,
    /// The account concerned.
    pub account: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
pub(super) fn is_false(flag: &bool) -> bool {
    !*flag
}

impl ChangeRef {
    pub(super) fn because(&self) -> Because {
        Because {
            at: self.at,
            handle: self.handle.canonical().into_owned(),
            change: self.change.code(),
            cause: self.cause.code(),
            device: self.device.map(|id| id.to_string()),
            account: self.account.map(|id| id.to_string()),
        }
    }

    pub(super) fn entry(&self, phrasing: Phrasing, others_back_it: bool) -> Entry {
        let Because { at, handle, change, cause, device, account } = self.because();
        let sentence = phrasing.change(self, others_back_it);
        Entry::Change(ChangeEntry { at, handle, change, cause, device, account, sentence })
    }
}
