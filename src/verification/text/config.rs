//! The `[ownership.delivery.text]` section of the configuration.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::clock::span;

use super::super::{
    method_config::{self, InvalidKey, is_loopback, load_templates},
    retry::RetryPolicy,
    template::{ByPurpose, Template},
};

/// The templates that are used where the configuration names no file.
const BUILT_IN: ByPurpose<&str> = ByPurpose {
    bind: "{code} is your {service} code, valid for {minutes} minutes. Share it with nobody.",
    deregister: "{code} removes your number from {service}, within {minutes} minutes. Not you? Do nothing.",
};

/// How the server sends codes by text message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// The URL that messages are posted to.
    pub url: String,
    /// Permits unencrypted connections to another machine, which reveal codes to the network.
    pub allow_unencrypted: bool,
    /// The file with the secret that signs requests.
    pub secret_file: Option<PathBuf>,
    /// The environment variable with the secret that signs requests.
    pub secret_env: Option<String>,
    /// A PEM file of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The service's name in messages.
    pub service: String,
    /// The template of the message for [`Purpose::Bind`](crate::verification::Purpose). None: the built-in one.
    pub bind_template: Option<PathBuf>,
    /// The template of the message for [`Purpose::Deregister`](crate::verification::Purpose). None: the built-in one.
    pub deregister_template: Option<PathBuf>,
    /// The most attempts to send one message.
    pub attempts: u32,
    /// The time limit of one attempt.
    #[serde(with = "span")]
    pub attempt_timeout: Duration,
    /// The time limit of all attempts together.
    #[serde(with = "span")]
    pub timeout: Duration,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            allow_unencrypted: false,
            secret_file: None,
            secret_env: None,
            ca_file: None,
            service: "dispatchd".into(),
            bind_template: None,
            deregister_template: None,
            attempts: 4,
            attempt_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
        }
    }
}

impl TextConfig {
    /// Checks the values and reads the templates. Returns the keys at fault.
    pub(in super::super) fn validate(&self) -> Vec<InvalidKey> {
        let checks = [
            self.gateway_url().map(drop),
            self.check_secret(),
            self.retries().map(drop),
            self.templates().map(drop),
        ];
        checks.into_iter().filter_map(Result::err).collect()
    }

    fn check_secret(&self) -> Result<(), InvalidKey> {
        if self.secret_file.is_some() == self.secret_env.is_some() {
            let why = "or secret_env must be set, and not both: the gateway must know who posts";
            return Err(("secret_file", why.into()));
        }
        Ok(())
    }

    /// The URL to post to, if codes may be sent there.
    pub(super) fn gateway_url(&self) -> Result<Url, InvalidKey> {
        let invalid = |why: &str| ("url", why.to_owned());
        let not_https = || invalid("must be the https:// URL that messages are posted to");
        let url = Url::parse(&self.url).map_err(|_| not_https())?;
        let is_local =
            url.host_str().is_some_and(|host| is_loopback(host.trim_matches(['[', ']'])));
        match url.scheme() {
            "https" => {}
            "http" if is_local || self.allow_unencrypted => {}
            "http" => {
                return Err(invalid("http is for loopback only, unless allow_unencrypted = true"));
            }
            _ => return Err(not_https()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("must not contain a user or a password"));
        }
        Ok(url)
    }

    pub(super) fn templates(&self) -> Result<ByPurpose<Template>, InvalidKey> {
        let files = [&self.bind_template, &self.deregister_template];
        load_templates(&self.service, files, &BUILT_IN, Template::new)
    }

    pub(super) fn retries(&self) -> Result<RetryPolicy, InvalidKey> {
        method_config::retries(self.attempts, self.attempt_timeout, self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> TextConfig {
        TextConfig {
            url: "https://gateway.example.org/send".into(),
            secret_file: Some("/run/secret".into()),
            ..TextConfig::default()
        }
    }

    #[test]
    fn an_error_names_its_key() {
        assert_eq!(good().validate(), [], "address and secret are enough");
        let folder = tempfile::tempdir().expect("a directory");
        let template = folder.path().join("template");
        std::fs::write(&template, "no placeholder").expect("written");
        type Change<'a> = &'a dyn Fn(&mut TextConfig);
        let cases: &[(&str, Change<'_>)] = &[
            ("url", &|c| c.url.clear()),
            ("url", &|c| c.url = "http://gateway.example.org/send".into()),
            ("url", &|c| c.url = "ftp://127.0.0.1/send".into()),
            ("url", &|c| c.url = "https://user:word@gateway.example.org/".into()),
            ("secret_file", &|c| c.secret_file = None),
            ("secret_file", &|c| c.secret_env = Some("S".into())),
            ("service", &|c| c.service.clear()),
            ("bind_template", &|c| c.bind_template = Some(template.clone())),
            ("deregister_template", &|c| c.deregister_template = Some("/no/such".into())),
            ("attempts", &|c| c.attempts = 11),
            ("attempt_timeout", &|c| c.attempt_timeout = Duration::ZERO),
            ("timeout", &|c| c.timeout = Duration::from_secs(14)),
        ];
        for (key, change) in cases {
            let mut config = good();
            change(&mut config);
            let faults = config.validate();
            assert!(matches!(&*faults, [(named, _)] if named == key), "{key}: {faults:?}");
        }
    }

    #[test]
    fn unencrypted_connections_are_for_loopback_unless_allowed() {
        for url in ["http://127.0.0.1:8099/", "http://localhost/sms", "http://[::1]:1/"] {
            assert_eq!(TextConfig { url: url.into(), ..good() }.validate(), [], "{url}");
        }
        for url in ["http://10.0.0.1/", "http://localhost.example.org/"] {
            let config = TextConfig { url: url.into(), ..good() };
            assert_ne!(config.validate(), [], "{url}");
            let allowed = TextConfig { allow_unencrypted: true, ..config };
            assert_eq!(allowed.validate(), [], "{url}");
        }
    }
}
