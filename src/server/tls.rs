//! The listeners' TLS, as section `[tls]` configures it.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::spawn_blocking;

use crate::{
    clock::SharedClock,
    config::TlsConfig,
    doctor::Certificate,
    http::tls::{Tls, UnusablePair},
};

/// Reads certificate and key, if the section names any.
pub(super) async fn open(config: &TlsConfig, clock: &SharedClock) -> anyhow::Result<Option<Tls>> {
    let (config, clock) = (config.clone(), SharedClock::clone(clock));
    Ok(spawn_blocking(move || read(&config, clock)).await.context("reading the certificate")??)
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
    OfListeners { phones: phones.map(Tls::of_whole_answers), operators }
}

/// Finds what a start would refuse about the files that the section names, by the wall clock of `clock`.
///
/// # Errors
/// If a file cannot be read or used, if the two do not belong together, or if the certificate is not valid now.
pub fn check_tls(config: &TlsConfig, clock: SharedClock) -> Result<(), UnusablePair> {
    read(config, clock).map(drop)
}

/// The certificate that the section names, for checks of the deployment: each reads the files again.
pub fn certificate_in_files(config: &TlsConfig, clock: SharedClock) -> Certificate {
    let config = config.clone();
    let look = move || match read(&config, SharedClock::clone(&clock)) {
        Ok(tls) => tls.map(|tls| Ok(tls.certificate.expires_at())),
        Err(error) => Some(Err(error.to_string())),
    };
    Certificate(Arc::new(look))
}

fn read(config: &TlsConfig, clock: SharedClock) -> Result<Option<Tls>, UnusablePair> {
    if !config.is_on() {
        return Ok(None);
    }
    Tls::open(config.certificate.clone(), config.key.clone(), clock).map(Some)
}
