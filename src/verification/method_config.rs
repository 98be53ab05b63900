//! What the sections `[ownership.delivery.mail]` and `[ownership.delivery.text]` have in common.

use std::{net::IpAddr, path::Path};

use crate::limits;

use super::{
    retry::RetryPolicy,
    template::{self, ByPurpose},
};

/// A key of the section, and what is wrong with its value.
pub(super) type InvalidKey = (&'static str, String);

/// Reads both templates: files, or the built-in text where the section names none. `parse` takes a text and the service's
/// name.
pub(super) fn load_templates<T>(
    service: &str,
    files: ByPurpose<Option<&Path>>,
    built_in: &ByPurpose<&str>,
    parse: impl Fn(&str, &str) -> Result<T, String>,
) -> Result<ByPurpose<T>, InvalidKey> {
    template::check_service(service).map_err(|why| ("service", why))?;
    let load = |key, file: Option<&Path>, built_in| {
        let parsed = match file {
            Some(path) => template::read(path).and_then(|text| parse(&text, service)),
            None => parse(built_in, service),
        };
        parsed.map_err(|why| (key, why))
    };
    Ok(ByPurpose {
        bind: load("bind_template", files.bind, built_in.bind)?,
        deregister: load("deregister_template", files.deregister, built_in.deregister)?,
    })
}

/// Checks that the number of attempts and the time limits are within [`limits`].
pub(super) fn check_retries(policy: RetryPolicy) -> Result<(), InvalidKey> {
    let (attempts_max, max) = (limits::DELIVERY_ATTEMPTS_MAX, limits::DELIVERY_TIMEOUT_MAX);
    if !(1..=attempts_max).contains(&policy.attempts) {
        return Err(("attempts", format!("must be from 1 to {attempts_max}")));
    }
    if policy.timeout.is_zero() || policy.timeout > max {
        let why = format!("must be above 0s and at most {}s: a client waits", max.as_secs());
        return Err(("timeout", why));
    }
    if policy.attempt_timeout.is_zero() || policy.attempt_timeout > policy.timeout {
        let why = "must be above 0s and at most `timeout`, the limit of all attempts together";
        return Err(("attempt_timeout", why.into()));
    }
    Ok(())
}

/// Whether unencrypted connections to `host`, a name or an address, stay on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
