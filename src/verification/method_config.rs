//! What the sections `[ownership.delivery.mail]` and `[ownership.delivery.text]` have in common.

use std::{net::IpAddr, path::Path};

use crate::limits;

use super::{
    retry::RetryPolicy,
    template::{self, ByPurpose},
};

/// A key below `[ownership]`, and what is wrong with its value.
pub(super) type InvalidKey = (&'static str, String);

/// The names of the common keys, below `[ownership]`.
pub(super) struct Keys {
    pub(super) service: &'static str,
    pub(super) bind_template: &'static str,
    pub(super) deregister_template: &'static str,
    pub(super) attempts: &'static str,
    pub(super) attempt_timeout: &'static str,
    pub(super) timeout: &'static str,
}

/// The [`Keys`] of one section.
macro_rules! keys {
    ($section:literal) => {
        $crate::verification::method_config::Keys {
            service: concat!($section, ".service"),
            bind_template: concat!($section, ".bind_template"),
            deregister_template: concat!($section, ".deregister_template"),
            attempts: concat!($section, ".attempts"),
            attempt_timeout: concat!($section, ".attempt_timeout"),
            timeout: concat!($section, ".timeout"),
        }
    };
}
pub(super) use keys;

/// The templates that a section names: files, or the built-in text where it names none.
pub(super) struct TemplateSources<'a> {
    pub(super) service: &'a str,
    pub(super) files: ByPurpose<Option<&'a Path>>,
    pub(super) built_in: ByPurpose<&'static str>,
}

impl TemplateSources<'_> {
    /// Reads both templates; `parse` takes a text and the service's name.
    pub(super) fn load<T>(
        &self,
        keys: &Keys,
        parse: impl Fn(&str, &str) -> Result<T, String>,
    ) -> Result<ByPurpose<T>, InvalidKey> {
        template::check_service(self.service).map_err(|why| (keys.service, why))?;
        let load = |key, file: Option<&Path>, built_in| {
            let parsed = match file {
                Some(path) => template::read(path).and_then(|text| parse(&text, self.service)),
                None => parse(built_in, self.service),
            };
            parsed.map_err(|why| (key, why))
        };
        let (files, built_in) = (&self.files, &self.built_in);
        Ok(ByPurpose {
            bind: load(keys.bind_template, files.bind, built_in.bind)?,
            deregister: load(keys.deregister_template, files.deregister, built_in.deregister)?,
        })
    }
}

/// Checks that the number of attempts and the time limits are within [`limits`].
pub(super) fn check_retries(policy: RetryPolicy, keys: &Keys) -> Result<(), InvalidKey> {
    let (attempts_max, max) = (limits::DELIVERY_ATTEMPTS_MAX, limits::DELIVERY_TIMEOUT_MAX);
    if !(1..=attempts_max).contains(&policy.attempts) {
        return Err((keys.attempts, format!("must be from 1 to {attempts_max}")));
    }
    if policy.timeout.is_zero() || policy.timeout > max {
        let why = format!("must be above 0s and at most {}s: a client waits", max.as_secs());
        return Err((keys.timeout, why));
    }
    if policy.attempt_timeout.is_zero() || policy.attempt_timeout > policy.timeout {
        let why = "must be above 0s and at most `timeout`, the limit of all attempts together";
        return Err((keys.attempt_timeout, why.into()));
    }
    Ok(())
}

/// Whether unencrypted connections to `host`, a name or an address, stay on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
