//! [`Certificate`]: the certificate that is served, and the files that it comes from.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rustls::{
    crypto::KeyProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::pair::{Pair, UnusablePair};
use crate::{
    clock::{SharedClock, Timestamp},
    files::FileStamp,
    lock::lock,
};

/// A certificate that follows its files.
///
/// A new pair that is good is served to new connections, and open ones stay as they are. A bad one is logged once, and the former is
/// served on. So is a certificate that expires: the log and `/metrics` say so, and clients decide.
#[derive(Debug)]
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    clock: SharedClock,
    keys: &'static dyn KeyProvider,
    /// The state of both files when they were read last.
    read: Mutex<Stamps>,
    served: Mutex<Pair>,
}

/// The states of both files; none for one that cannot be found.
type Stamps = [Option<FileStamp>; 2];

impl Certificate {
    pub(super) fn open(
        certificate: PathBuf,
        key: PathBuf,
        clock: SharedClock,
        keys: &'static dyn KeyProvider,
    ) -> Result<Self, UnusablePair> {
        // Before the files are read: a change in between is found by the next tick.
        let read = Mutex::new(stamps([&certificate, &key]));
        let pair = Pair::read(&certificate, &key, keys, clock.wall_clock())?;
        Ok(Self { certificate, key, clock, keys, read, served: Mutex::new(pair) })
    }

    /// When the served certificate expires.
    pub fn expires_at(&self) -> Timestamp {
        lock(&self.served).expires_at
    }

    /// Serves the pair in the files from now on, if a file has changed and the pair is good. Logs what came of it, and whether the
    /// served certificate has expired.
    pub fn tick(&self) {
        let mut read = lock(&self.read);
        let found = stamps([&self.certificate, &self.key]);
        let now = self.clock.wall_clock();
        if *read != found {
            *read = found;
            match Pair::read(&self.certificate, &self.key, self.keys, now) {
                Ok(pair) => {
                    tracing::info!(expires_at = %pair.expires_at, "the files of tls have changed; new connections get the new certificate");
                    *lock(&self.served) = pair;
                }
                Err(error) => {
                    tracing::error!(%error, "the files of tls have changed and cannot be used; the former certificate is served on");
                }
            }
        }
        let expires_at = self.expires_at();
        if expires_at < now {
            tracing::error!(%expires_at, "the certificate has expired, so clients refuse it; renew it");
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&lock(&self.served).certified))
    }
}

fn stamps(files: [&PathBuf; 2]) -> Stamps {
    files.map(|file| FileStamp::of(file).ok())
}
