//! The section `log.store` of the configuration.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::Host;

/// The section `log.store` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `s3://BUCKET/PREFIX`, or `file:///DIRECTORY`. Empty: no store.
    pub url: String,
    /// The origin of a store that speaks the protocol of S3. Empty: Amazon's.
    pub endpoint: String,
    /// The region of the bucket. Empty: the one of `AWS_REGION`, or us-east-1.
    pub region: String,
    /// A file with an access key. Empty: the variables that Amazon's tools read, or the machine's role.
    pub credentials_file: PathBuf,
    /// Permits `http://` to another machine.
    pub allow_unencrypted: bool,
}

/// Where the objects are, by the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// A bucket, and what the names in it begin with.
    Bucket(&'a str, &'a str),
    Directory(&'a Path),
}

impl Config {
    /// Whether there is a store.
    pub const fn is_on(&self) -> bool {
        !self.url.is_empty()
    }

    /// Checks the values. The error is the key at fault and what it may be.
    ///
    /// # Errors
    /// For the first key that cannot be used. The file is read later.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if !self.is_on() {
            let unused = [
                ("store.endpoint", self.endpoint.is_empty()),
                ("store.region", self.region.is_empty()),
                ("store.credentials_file", self.credentials_file.as_os_str().is_empty()),
            ];
            return match unused.into_iter().find(|(_, is_empty)| !is_empty) {
                Some((key, _)) => Err((key, "needs log.store.url".to_owned())),
                None => Ok(()),
            };
        }
        let Some(place) = self.place() else {
            let why = "must be \"s3://BUCKET/PREFIX\" or \"file:///DIRECTORY\"";
            return Err(("store.url", why.to_owned()));
        };
        if let Place::Directory(_) = place {
            return match self.endpoint.is_empty() {
                true => Ok(()),
                false => Err(("store.endpoint", "is for s3:// only".to_owned())),
            };
        }
        let Some(host) = self.endpoint_host() else { return Ok(()) };
        let Some((is_encrypted, host)) = host else {
            let why = "must be an origin, such as \"https://minio.example.com:9000\"";
            return Err(("store.endpoint", why.to_owned()));
        };
        let is_here = matches!(&host, Host::Ip(ip) if ip.is_loopback());
        if !is_encrypted && !is_here && !self.allow_unencrypted {
            let why = "is http:// to another machine, where anybody between could delete the copies; use https://, or set \
                       log.store.allow_unencrypted";
            return Err(("store.endpoint", why.to_owned()));
        }
        Ok(())
    }

    /// Where the objects are. None if the URL is none of a store.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        if let Some(directory) = self.url.strip_prefix("file://") {
            let directory = Path::new(directory);
            return directory.is_absolute().then_some(Place::Directory(directory));
        }
        let (bucket, prefix) = {
            let rest = self.url.strip_prefix("s3://")?;
            rest.split_once('/').unwrap_or((rest, ""))
        };
        let prefix = prefix.trim_end_matches('/');
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_part = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_name)
        };
        let is_sound = is_part(bucket) && (prefix.is_empty() || prefix.split('/').all(is_part));
        is_sound.then_some(Place::Bucket(bucket, prefix))
    }

    /// Whether the endpoint is encrypted, and its host. None without an endpoint, and None in it if it is no origin.
    fn endpoint_host(&self) -> Option<Option<(bool, Host)>> {
        if self.endpoint.is_empty() {
            return None;
        }
        let of = || {
            let (scheme, rest) = self.endpoint.split_once("://")?;
            let is_encrypted = match scheme {
                "https" => true,
                "http" => false,
                _ => return None,
            };
            Some((is_encrypted, Host::of(rest.strip_suffix('/').unwrap_or(rest))?))
        };
        Some(of())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Config {
        Config { url: url.to_owned(), ..Config::default() }
    }

    #[test]
    fn a_url_names_a_bucket_or_a_directory() {
        for (url, place) in [
            ("s3://logs", Place::Bucket("logs", "")),
            ("s3://logs/", Place::Bucket("logs", "")),
            ("s3://logs/eu/phones/", Place::Bucket("logs", "eu/phones")),
            ("file:///mnt/logs", Place::Directory(Path::new("/mnt/logs"))),
        ] {
            assert_eq!(of(url).place(), Some(place), "{url}");
            assert_eq!(of(url).validate(), Ok(()), "{url}");
        }
        for url in [
            "logs",
            "s3://",
            "s3:///a",
            "s3://a//b",
            "s3://a/../b",
            "s3://a/b?c",
            "file://a",
            "https://a/b",
        ] {
            assert_eq!(of(url).validate().unwrap_err().0, "store.url", "{url}");
        }
    }

    #[test]
    fn an_error_names_its_key() {
        let with = |endpoint: &str, allow| Config {
            endpoint: endpoint.to_owned(),
            allow_unencrypted: allow,
            ..of("s3://logs")
        };
        for (endpoint, allow, is_good) in [
            ("", false, true),
            ("https://store.example.com", false, true),
            ("http://127.0.0.1:9000/", false, true),
            ("http://[::1]:9000", false, true),
            ("http://store.example.com:9000", false, false),
            ("http://store.example.com:9000", true, true),
            ("store.example.com", true, false),
            ("https://user@store", true, false),
            ("ftp://store", true, false),
        ] {
            let found = with(endpoint, allow).validate().map_err(|(key, _)| key);
            assert_eq!(found, if is_good { Ok(()) } else { Err("store.endpoint") }, "{endpoint}");
        }
        let of_directory = Config { endpoint: "https://store".to_owned(), ..of("file:///a") };
        assert_eq!(of_directory.validate().unwrap_err().0, "store.endpoint");
        let unused = Config { region: "eu".to_owned(), ..Config::default() };
        assert_eq!(unused.validate().unwrap_err().0, "store.region");
        assert_eq!(Config::default().validate(), Ok(()));
    }
}
