//! The `[ownership.delivery.mail]` section of the configuration.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::clock::span;

use super::{
    super::{
        attempts::{self, Pace},
        template::{self, ByPurpose},
    },
    content::{LetterHead, LetterTemplate},
};

const CONNECTIONS_MAX: usize = 512;

/// How codes are sent by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// The mail server: a name, or an address.
    pub host: String,
    /// Its port. None: 587, 465 or 25, as the encryption has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Whether codes and password may go unencrypted to another machine.
    pub allow_unencrypted: bool,
    /// Who logs in. None: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The file of the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The variable that holds the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// Certificates that are trusted besides the system's, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// By which name this machine greets. None: the domain of `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hello: Option<String>,
    /// The sender: an address, or `Name <address>`.
    pub from: String,
    /// What the service is called in mails.
    pub service: String,
    /// The mail that binds a handle. None: one is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_template: Option<PathBuf>,
    /// The mail that takes a handle back. None: one is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregister_template: Option<PathBuf>,
    /// Connections at once; further mails wait, within their time.
    pub connections: usize,
    /// Attempts at one mail.
    pub attempts: u32,
    /// How long one attempt may take until the server is ready for the mail.
    #[serde(with = "span")]
    pub attempt_timeout: Duration,
    /// How long all attempts may take together, the server's last answer included.
    #[serde(with = "span")]
    pub timeout: Duration,
}

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// From the command STARTTLS on; without it nothing is sent.
    #[default]
    StartTls,
    /// From the first byte on.
    Tls,
    /// Not at all.
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

/// A key of the section, below `ownership`.
macro_rules! key {
    ($name:literal) => {
        concat!("delivery.mail.", $name)
    };
}

impl MailConfig {
    /// Checks the values and reads the templates.
    ///
    /// # Errors
    /// The key at fault, below `ownership`, and what is wrong with it.
    pub(in super::super) fn validate(&self) -> Result<(), (&'static str, String)> {
        self.check_server()?;
        self.letter_head().map(drop)
    }

    fn check_server(&self) -> Result<(), (&'static str, String)> {
        if self.host.is_empty() || self.host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err((key!("host"), "must name the mail server".into()));
        }
        let is_plain = self.encryption == Encryption::None;
        if is_plain && !self.allow_unencrypted && !is_loopback(&self.host) {
            let why = "\"none\" is for loopback; allow_unencrypted = true lifts that";
            return Err((key!("encryption"), why.into()));
        }
        let passwords =
            usize::from(self.password_file.is_some()) + usize::from(self.password_env.is_some());
        match (&self.user, passwords) {
            (None, 0) | (Some(_), 1) => {}
            (None, _) => return Err((key!("user"), "is missing beside a password".into())),
            (Some(_), _) => {
                let why = "needs a password: either password_file or password_env";
                return Err((key!("user"), why.into()));
            }
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return Err((key!("connections"), format!("must be from 1 to {CONNECTIONS_MAX}")));
        }
        self.pace().validate().map_err(|(key, why)| {
            let key = match key {
                attempts::Key::Attempts => key!("attempts"),
                attempts::Key::AttemptTimeout => key!("attempt_timeout"),
                attempts::Key::Timeout => key!("timeout"),
            };
            (key, why)
        })
    }

    /// Sender and templates, read.
    pub(super) fn letter_head(&self) -> Result<LetterHead, (&'static str, String)> {
        template::check_service(&self.service).map_err(|why| (key!("service"), why))?;
        let read = |key, path: Option<&Path>, built_in: fn(&str) -> Result<_, _>| match path {
            Some(path) => template::read(path)
                .and_then(|text| LetterTemplate::parse(&text, &self.service))
                .map_err(|why| (key, why)),
            None => built_in(&self.service).map_err(|why| (key, why)),
        };
        let bind = self.bind_template.as_deref();
        let deregister = self.deregister_template.as_deref();
        let templates = ByPurpose {
            bind: read(key!("bind_template"), bind, LetterTemplate::built_in_bind)?,
            deregister: read(
                key!("deregister_template"),
                deregister,
                LetterTemplate::built_in_deregister,
            )?,
        };
        if self.from.is_empty() {
            return Err((
                key!("from"),
                "is missing: it is the address that mails come from".into(),
            ));
        }
        LetterHead::new(&self.from, templates).map_err(|why| (key!("from"), why))
    }

    pub(super) const fn pace(&self) -> Pace {
        Pace {
            attempts: self.attempts,
            attempt_timeout: self.attempt_timeout,
            timeout: self.timeout,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.encryption {
            Encryption::StartTls => 587,
            Encryption::Tls => 465,
            Encryption::None => 25,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
    fn a_fault_names_its_key() {
        good().validate().expect("host and sender are enough");
        let folder = tempfile::tempdir().expect("a directory");
        let template = folder.path().join("template");
        std::fs::write(&template, "Subject: hello\n\nno place for it").expect("written");
        type Spoil<'a> = &'a dyn Fn(&mut MailConfig);
        let cases: &[(&str, Spoil<'_>)] = &[
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
        for (key, spoil) in cases {
            let mut config = good();
            spoil(&mut config);
            let (named, why) = config.validate().expect_err(key);
            assert_eq!(named, format!("delivery.mail.{key}"), "{why}");
        }
    }

    #[test]
    fn unencrypted_is_for_this_machine_unless_somebody_insists() {
        let plain = |host: &str, allow_unencrypted| {
            let encryption = Encryption::None;
            MailConfig { host: host.into(), encryption, allow_unencrypted, ..good() }.validate()
        };
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            plain(host, false).expect(host);
        }
        for host in ["localhost.example.org", "10.0.0.1", "127.0.0.1.example.org"] {
            plain(host, false).expect_err(host);
            plain(host, true).expect(host);
        }
    }
}
