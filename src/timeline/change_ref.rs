//! A change, as a timeline cites it, and what an answer rests on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{AccountId, DeviceId},
    vocabulary::{Cause, Change, ChangeKind},
};

/// A change of a handle with its place in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeRef {
    /// When the log took it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The spelling concerned, canonical: not always the one that was asked for.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String)]
    pub handle: Handle,
    /// What changed.
    pub change: ChangeKind,
    /// Why.
    pub cause: Cause,
    /// The device concerned.
    pub device: Option<DeviceId>,
    /// The account concerned.
    pub account: Option<AccountId>,
}

impl ChangeRef {
    /// A change that concerns a handle.
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

/// Why an answer was what it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// The change that led to it.
    pub(super) because: Option<ChangeRef>,
    /// The change since which a handle that was bound before is live: a check-in, or that it is shown again.
    pub(super) live_since: Option<ChangeRef>,
    /// The last import before it that did not record its handles one by one; only if nothing else led to it.
    pub(super) bulk_import: Option<Timestamp>,
    /// The other spelling that decided.
    pub(super) through: Option<Handle>,
    /// Whether the holder asked.
    pub(super) by_its_owner: bool,
}
