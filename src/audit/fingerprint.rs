//! Personal filters as fingerprints: an audit can ask "was this one read?", and nobody can ask "who was read?".
//!
//! ```text
//! key of an hour of the query log --HKDF(info)--> key --HMAC-SHA256(kind, 0, value), first 16 bytes--> fingerprint
//! ```
//!
//! Without a key, trying all phone numbers would reverse a hash. With the key of an hour this works only while the hour's
//! records can be read anyway. Once retention destroys the key, the fingerprint is a random number.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::{Clock, Hour},
    envelope::{HourKey, Keyring, KeyringError},
};

const INFO: &[u8] = b"dispatchd audit fingerprint 1";
/// Half of HMAC-SHA256: enough that no two values share a fingerprint.
const BYTES: usize = 16;

/// A personal value as noted. It can be recomputed while the hour's key exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fingerprint {
    /// The number of the hour whose key it needs: hours since the Unix epoch, plus a million for each era before.
    pub hour: u32,
    /// Sixteen bytes in hexadecimal.
    #[schema(example = "5f0c1d7be2a9446c8b3a90e1d4c7f62a")]
    pub fingerprint: String,
}

/// A filter as noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = NotedFilter)]
pub enum Noted {
    /// A value that says nothing about a person.
    Plain(String),
    /// A personal value.
    Fingerprint(Fingerprint),
    /// A personal value noted when no hour had a key; then there was no record to read either.
    Unkeyed,
}

/// An hour and the key that fingerprints of it are made with.
pub(super) struct FingerprintKey {
    hour: Hour,
    key: hmac::Key,
}

impl FingerprintKey {
    /// Of the present hour. Beside a keyring that may only be read, of the newest hour that is there: it dies earlier.
    /// None if there is no hour at all.
    pub(super) fn present(
        keyring: &Keyring,
        clock: &dyn Clock,
    ) -> Result<Option<Self>, KeyringError> {
        let (now, era) = clock.stamp();
        let hour = now.hour(era);
        match keyring.ensure(hour) {
            Ok(key) => Ok(Some(Self::of(hour, &key))),
            Err(KeyringError::ReadOnly(_)) => {
                let newest = keyring.hours().into_iter().rfind(|known| *known <= hour);
                Ok(newest.and_then(|hour| Self::alive(keyring, hour)))
            }
            Err(error) => Err(error),
        }
    }

    /// Of any hour, while its key lives.
    pub(super) fn alive(keyring: &Keyring, hour: Hour) -> Option<Self> {
        keyring.get(hour).map(|key| Self::of(hour, &key))
    }

    fn of(hour: Hour, key: &HourKey) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.derive(INFO).as_ref());
        Self { hour, key }
    }

    /// The fingerprint of a value; the same text as a handle and as something else has two.
    pub(super) fn fingerprint(&self, kind: &str, value: &str) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [kind.as_bytes(), &[0], value.as_bytes()] {
            context.update(part);
        }
        let tag = context.sign();
        let fingerprint = HEXLOWER.encode(tag.as_ref().get(..BYTES).unwrap_or_default());
        Fingerprint { hour: self.hour.number(), fingerprint }
    }
}

/// Recognises one value by its fingerprints, in every hour whose key exists.
pub(super) struct Recogniser<'a> {
    keyring: &'a Keyring,
    kind: &'a str,
    value: &'a str,
    known: BTreeMap<u32, Option<Fingerprint>>,
}

impl<'a> Recogniser<'a> {
    pub(super) fn new(keyring: &'a Keyring, kind: &'a str, value: &'a str) -> Self {
        Self { keyring, kind, value, known: BTreeMap::new() }
    }

    pub(super) fn is(&mut self, noted: &Noted) -> bool {
        let Noted::Fingerprint(noted) = noted else {
            return false;
        };
        let (keyring, kind, value) = (self.keyring, self.kind, self.value);
        let taken = self.known.entry(noted.hour).or_insert_with(|| {
            let key = FingerprintKey::alive(keyring, Hour::from_number(noted.hour))?;
            Some(key.fingerprint(kind, value))
        });
        taken.as_ref() == Some(noted)
    }
}
