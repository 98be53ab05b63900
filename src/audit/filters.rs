//! The filters of a call, as the audit log notes them.

use std::{collections::BTreeMap, fmt};

use super::fingerprint::{FingerprintKey, Noted};
use crate::{handle::Handle, query_log::Filter};

/// The name of the filter that `audit list --handle` looks for.
pub(super) const HANDLE: &str = "handle";

/// The filters of a call. Personal values stay in the clear until the entry is made; `Debug` prints names only.
#[derive(Clone, Default)]
pub struct Filters {
    plain: BTreeMap<&'static str, String>,
    personal: BTreeMap<&'static str, String>,
    case: Option<String>,
}

impl Filters {
    /// A call without filters.
    pub fn none() -> Self {
        Self::default()
    }

    /// The filters of a search. A field added to [`Filter`] does not compile here until somebody has decided whether it is
    /// personal.
    pub fn of(filter: &Filter) -> Self {
        let Filter {
            handle,
            without_handle,
            device,
            account,
            ip,
            route,
            reason,
            kind,
            since,
            until,
        } = filter;
        let filters = Self::none()
            .plain("route", route.map(|route| route.code()))
            .plain("reason", reason.map(|reason| reason.code()))
            .plain("without_handle", without_handle.then_some(true))
            .plain("kind", kind.map(|kind| kind.code()))
            .plain("since", *since)
            .plain("until", *until)
            .personal("device", device.map(|device| device.to_string()))
            .personal("account", account.map(|account| account.to_string()))
            .personal("ip", ip.map(|ip| ip.canonical()));
        match handle {
            Some(handle) => filters.handle(handle),
            None => filters,
        }
    }

    /// With the handle that was asked for.
    #[must_use]
    pub fn handle(self, handle: &Handle) -> Self {
        self.personal(HANDLE, Some(handle.canonical().into_owned()))
    }

    /// With a value that says nothing about a person (an instant, a limit, a word of a closed list), if there is one.
    #[must_use]
    pub fn plain(mut self, name: &'static str, value: Option<impl fmt::Display>) -> Self {
        self.plain.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// With a value that is about a person, if there is one: only its fingerprint is noted. One value must always be
    /// given as one text.
    #[must_use]
    pub fn personal(mut self, name: &'static str, value: Option<String>) -> Self {
        self.personal.extend(value.map(|value| (name, value)));
        self
    }

    /// With the case that the operator named, noted as it is.
    #[must_use]
    pub fn in_case(self, case: Option<&str>) -> Self {
        Self { case: case.map(str::to_owned), ..self }
    }

    pub(super) fn case(&self) -> Option<&str> {
        self.case.as_deref()
    }

    pub(super) fn has_personal(&self) -> bool {
        !self.personal.is_empty()
    }

    /// As noted. Without a key personal ones are named and no more.
    pub(super) fn noted(&self, key: Option<&FingerprintKey>) -> BTreeMap<String, Noted> {
        let plain = self.plain.iter().map(|(name, value)| (*name, Noted::Plain(value.clone())));
        let personal = self.personal.iter().map(|(name, value)| {
            let taken = key.map(|key| Noted::Fingerprint(key.fingerprint(name, value)));
            (*name, taken.unwrap_or(Noted::Unkeyed))
        });
        plain.chain(personal).map(|(name, noted)| (name.to_owned(), noted)).collect()
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.plain.keys().chain(self.personal.keys()).collect();
        f.debug_tuple("Filters").field(&names).finish()
    }
}
