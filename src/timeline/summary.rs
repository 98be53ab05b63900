//! The end of a timeline: the answer, since when and why, and who goes by another.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    entry::{ChangeRef, Entry, is_default},
    phrasing::Evidence,
    spelling::State,
    stale_askers::GivenAnswer,
};
use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{AccountId, DeviceId, RequestId},
    query_log::NodeFromStore,
    vocabulary::{MissingNode, Reason, Route, codes},
};

codes! {
    /// Where the answer of a summary comes from.
    Source {
        /// The registry of the running server, which decides lookups.
        Registry = 1 "registry",
        /// The changes and lookups in the log.
        Log = 2 "log",
    }
}

codes! {
    /// What tells a summary from the entries before it.
    SummaryKind {
        /// It is a summary.
        Summary = 1 "summary",
    }
}

/// What a handle's answer is at one moment, and what led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TimelineSummary)]
pub struct Summary {
    /// Always `summary`.
    pub kind: SummaryKind,
    /// The handle asked about, canonical.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// The other spellings of the same number, told with it.
    #[schema(example = json!(["+5411123456789"]))]
    pub other_spellings: Vec<String>,
    /// The moment.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What a stranger would have been told then; null if the log has nothing that decides it.
    #[schema(required)]
    pub route: Option<Route>,
    /// Why.
    #[schema(required)]
    pub reason: Option<Reason>,
    /// Where route and reason come from.
    pub from: Source,
    /// Since when it is so; null if neither registry nor log tells.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub since: Option<Timestamp>,
    /// Whether it may have been so before `since`, which is when an answer first showed it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub since_at_latest: bool,
    /// Until when it stays so without another check-in, if a live device backs it.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_until: Option<Timestamp>,
    /// The change that led to it; absent if there is none or the log no longer holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub because: Option<ChangeRef>,
    /// The same in words.
    #[schema(example = "blue since 12:00:00: a live device backs it (bound 12:00:00 by proof)")]
    pub sentence: String,
    /// The last change before the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_change: Option<Entry>,
    /// The last lookup before the moment, with what was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_lookup: Option<Entry>,
    /// Askers who at the moment may go by an answer with another route, the first 1,000.
    pub holders: Vec<Holder>,
    /// How many there are.
    pub holders_count: u64,
    /// Whether there may be more than could be counted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holders_at_least: bool,
    /// Changes in the time asked for.
    pub changes: u64,
    /// Lookups in the time asked for.
    pub lookups: u64,
    /// Entries in the time asked for that were left out, the earlier ones; absent if none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub omitted: u64,
    /// Frames of the log that could not be read; absent if none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub damaged: u64,
    /// Segments that could not be read; absent if none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unreadable_segments: u64,
    /// Nodes of the cluster of which records are missing; absent if none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub missing: Vec<MissingNode>,
    /// Nodes of the cluster that are gone and whose records were read from their copies in the object store; absent if none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from_store: Vec<NodeFromStore>,
}

/// An asker who may still go by an answer that is wrong by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// The asking device.
    pub device: DeviceId,
    /// Its account.
    #[schema(required)]
    pub account: Option<AccountId>,
    /// The spelling it asked for, canonical.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// What it was told.
    pub route: Route,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub told_at: Timestamp,
    /// Until when it may go by that, at most: the lease behind the answer may have been shorter.
    #[schema(value_type = String, format = DateTime)]
    pub until_at_most: Timestamp,
    /// The request.
    pub request: RequestId,
    /// The same in words.
    #[schema(
        example = "device d_9h6s0b4n2f8ja was told green at 14:40:00 and may go by it until 15:40:00 at most"
    )]
    pub sentence: String,
}

/// How things were at the moment that is explained.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    /// For each spelling the reason of an answer to a stranger, and the account that holds the handle.
    pub(super) reasons: Vec<Option<(Reason, Option<AccountId>)>>,
    /// Since when the first spelling's answer is so.
    pub(super) since: Option<State>,
    /// What the first spelling's answer rests on.
    pub(super) evidence: Evidence,
    /// Whether the log holds the beginning of what decides for the first spelling.
    pub(super) has_origin: bool,
    /// Who may go by which answer, and whether there may be more.
    pub(super) held: (Vec<GivenAnswer>, bool),
}
