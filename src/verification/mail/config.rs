//! The `[ownership.delivery.mail]` section of the configuration.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::clock::span;

use super::{
    super::{
        method_config::{self, InvalidKey, is_loopback, load_templates},
        retry::RetryPolicy,
    },
    composer::{BUILT_IN, Composer, MailTemplate},
};

const CONNECTIONS_MAX: usize = 512;

/// How the server sends codes by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// The mail server, by name or address.
    pub host: String,
    /// The server's port. None: 587 for STARTTLS, 465 for TLS, 25 without encryption.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Permits unencrypted connections to another machine, which reveal codes and password to the network.
    pub allow_unencrypted: bool,
    /// The user name for the login. None: no login.
    pub user: Option<String>,
    /// The file with the user's password.
    pub password_file: Option<PathBuf>,
    /// The environment variable with the user's password.
    pub password_env: Option<String>,
    /// A PEM file of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The name that this machine sends in EHLO. None: the domain of `from`.
    pub hello: Option<String>,
    /// The sender: an address, or `Name <address>`.
    pub from: String,
    /// The service's name in mails.
    pub service: String,
    /// The template of the mail for [`Purpose::Bind`](crate::verification::Purpose). None: the built-in one.
    pub bind_template: Option<PathBuf>,
    /// The template of the mail for [`Purpose::Deregister`](crate::verification::Purpose). None: the built-in one.
    pub deregister_template: Option<PathBuf>,
    /// Connections at once. Further mails wait for one, within their timeout.
    pub connections: usize,
    /// The most attempts to send one mail.
    pub attempts: u32,
    /// The time limit of one attempt, until the server accepts the content.
    #[serde(with = "span")]
    pub attempt_timeout: Duration,
    /// The time limit of all attempts together, including the server's last answer.
    #[serde(with = "span")]
    pub timeout: Duration,
}

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// From the STARTTLS command on. Sends nothing to a server without it.
    #[default]
    StartTls,
    /// From the first byte on.
    Tls,
    /// Never.
    None,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: None,
            encryption: Encryption::default(),
            allow_unencrypted: false,
            user: None,
            password_file: None,
            password_env: None,
            ca_file: None,
            hello: None,
            from: String::new(),
            service: "dispatchd".into(),
            bind_template: None,
            deregister_template: None,
            connections: 16,
            attempts: 3,
            attempt_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
        }
    }
}

impl MailConfig {
    /// Checks the values and reads the templates. Returns the keys at fault.
    pub(in super::super) fn validate(&self) -> Vec<InvalidKey> {
        let checks = [
            self.check_host(),
            self.check_encryption(),
            self.check_user(),
            self.check_connections(),
            self.retries().map(drop),
            self.composer().map(drop),
        ];
        checks.into_iter().filter_map(Result::err).collect()
    }

    fn check_host(&self) -> Result<(), InvalidKey> {
        if self.host.is_empty() || self.host.contains(|c: char| c.is_whitespace() || c == '/') {
            let why = "must be the name or address of the mail server";
            return Err(("host", why.into()));
        }
        Ok(())
    }

    fn check_encryption(&self) -> Result<(), InvalidKey> {
        let is_plain = self.encryption == Encryption::None;
        if is_plain && !self.allow_unencrypted && !is_loopback(&self.host) {
            let why = "\"none\" is for loopback only, unless allow_unencrypted = true";
            return Err(("encryption", why.into()));
        }
        Ok(())
    }

    fn check_user(&self) -> Result<(), InvalidKey> {
        let why = match (&self.user, &self.password_file, &self.password_env) {
            (None, None, None) | (Some(_), Some(_), None) | (Some(_), None, Some(_)) => {
                return Ok(());
            }
            (None, ..) => "is missing, but a password is set",
            (Some(_), ..) => "needs a password: set either password_file or password_env",
        };
        Err(("user", why.into()))
    }

    fn check_connections(&self) -> Result<(), InvalidKey> {
        if (1..=CONNECTIONS_MAX).contains(&self.connections) {
            return Ok(());
        }
        Err(("connections", format!("must be from 1 to {CONNECTIONS_MAX}")))
    }

    pub(super) fn composer(&self) -> Result<Composer, InvalidKey> {
        let files = [&self.bind_template, &self.deregister_template];
        let templates = load_templates(&self.service, files, &BUILT_IN, MailTemplate::parse)?;
        if self.from.is_empty() {
            let why = "is missing: it is the address that mails come from";
            return Err(("from", why.into()));
        }
        Composer::new(&self.from, templates).map_err(|why| ("from", why))
    }

    pub(super) fn retries(&self) -> Result<RetryPolicy, InvalidKey> {
        method_config::retries(self.attempts, self.attempt_timeout, self.timeout)
    }

    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.encryption {
            Encryption::StartTls => 587,
            Encryption::Tls => 465,
            Encryption::None => 25,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> MailConfig {
        MailConfig {
            host: "mail.example.org".into(),
            from: "Codes <codes@example.org>".into(),
            ..MailConfig::default()
        }
    }

    #[test]
    fn an_error_names_its_key() {
        assert_eq!(good().validate(), [], "host and sender are enough");
        let folder = tempfile::tempdir().expect("a directory");
        let template = folder.path().join("template");
        std::fs::write(&template, "Subject: hello\n\nno placeholder").expect("written");
        type Change<'a> = &'a dyn Fn(&mut MailConfig);
        let cases: &[(&str, Change<'_>)] = &[
            ("host", &|c| c.host.clear()),
            ("host", &|c| c.host = "smtp://mail.example.org".into()),
            ("encryption", &|c| c.encryption = Encryption::None),
            ("user", &|c| c.user = Some("codes".into())),
            ("user", &|c| c.password_env = Some("P".into())),
            ("from", &|c| c.from = "nobody".into()),
            ("from", &|c| c.from.clear()),
            ("service", &|c| c.service = "a\r\nb".into()),
            ("bind_template", &|c| c.bind_template = Some(template.clone())),
            ("deregister_template", &|c| c.deregister_template = Some("/no/such".into())),
            ("connections", &|c| c.connections = 0),
            ("attempts", &|c| c.attempts = 0),
            ("attempt_timeout", &|c| c.attempt_timeout = Duration::from_secs(11)),
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
        let plain = |host: &str, allow_unencrypted| {
            let encryption = Encryption::None;
            MailConfig { host: host.into(), encryption, allow_unencrypted, ..good() }.validate()
        };
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!(plain(host, false), [], "{host}");
        }
        for host in ["localhost.example.org", "10.0.0.1", "127.0.0.1.example.org"] {
            assert_ne!(plain(host, false), [], "{host}");
            assert_eq!(plain(host, true), [], "{host}");
        }
    }
}
