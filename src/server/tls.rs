//! The listeners' TLS, as section `[tls]` configures it.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::spawn_blocking;

use crate::{
    clock::{SharedClock, Timestamp},
    config::TlsConfig,
    doctor::Certificate,
    http::tls::{Tls, UnusablePair},
};

/// Reads certificate and key, if the section names any.
pub(super) async fn open(config: &TlsConfig, clock: &SharedClock) -> anyhow::Result<Option<Tls>> {
    if !config.is_on() {
        return Ok(None);
    }
    let TlsConfig { certificate, key, .. } = config.clone();
    let clock = SharedClock::clone(clock);
    let open = move || Tls::open(certificate, key, clock);
    Ok(Some(spawn_blocking(open).await.context("reading the certificate")??))
}

/// What each listener serves. `None` is a listener without TLS.
pub(super) struct OfListeners {
    pub(super) phones: Option<Tls>,
    pub(super) operators: Option<Tls>,
}

/// Gives `tls` to the listeners that the section names.
pub(super) fn of_listeners(tls: Option<&Tls>, config: &TlsConfig) -> OfListeners {
    let phones = tls.filter(|_| config.is_for_phones()).cloned();
    let operators = tls.filter(|_| config.is_for_operators()).cloned();
    OfListeners { phones: phones.map(Tls::with_answer_timeout), operators }
}

/// Finds what a start would refuse about the files that the section names, if the wall clock says `now`.
///
/// # Errors
/// If a file cannot be read or used, if the two do not belong together, or if the certificate is not valid now.
pub fn check_tls(config: &TlsConfig, now: Timestamp) -> Result<(), UnusablePair> {
    if !config.is_on() {
        return Ok(());
    }
    Tls::check(&config.certificate, &config.key, now).map(drop)
}

/// The certificate that the section names, for checks of the deployment: each reads the files again.
pub fn certificate_in_files(config: &TlsConfig, clock: SharedClock) -> Certificate {
    let config = config.clone();
    let look = move || {
        let found = || Tls::check(&config.certificate, &config.key, clock.wall_clock());
        config.is_on().then(|| found().map_err(|error| error.to_string()))
    };
    Certificate(Arc::new(look))
}
