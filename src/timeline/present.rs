//! What the registry says of a handle.

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::AccountId,
    vocabulary::{Reason, Route},
};

/// What a stranger would be told of one spelling now, from the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The instant for which it holds.
    pub at: Timestamp,
    /// Which way.
    pub route: Route,
    /// Why.
    pub reason: Reason,
    /// The account that holds the handle, if one does.
    pub holder: Option<AccountId>,
    /// The other spelling that decided, if it is not the one asked for.
    pub through: Option<Handle>,
    /// Since when it is so, where the registry knows.
    pub since: Option<Timestamp>,
    /// Until when the lease lasts without another check-in, if it does last.
    pub live_until: Option<Timestamp>,
}
