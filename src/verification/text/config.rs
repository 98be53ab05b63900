//! The `[ownership.delivery.text]` section of the configuration.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::clock::span;

use super::{
    super::{
        attempts::{self, Pace},
        template::{self, ByPurpose, Template},
    },
    gateway,
};

const BIND: &str = "{code} is your {service} code, good for {minutes} minutes. Tell it to nobody.";
const DEREGISTER: &str =
    "{code} takes your number off {service}, within {minutes} minutes. Not you? Do nothing.";

/// How codes are sent by text message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// Where messages are posted.
    pub url: String,
    /// Whether codes may go unencrypted to another machine.
    pub allow_unencrypted: bool,
    /// The file of the secret that signs requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The variable that holds the secret that signs requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// Certificates that are trusted besides the system's, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// What the service is called in messages.
    pub service: String,
    /// The message that binds a handle. None: one is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_template: Option<PathBuf>,
    /// The message that takes a handle back. None: one is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregister_template: Option<PathBuf>,
    /// Attempts at one message.
    pub attempts: u32,
    /// How long one attempt may take.
    #[serde(with = "span")]
    pub attempt_timeout: Duration,
    /// How long all attempts may take together.
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

/// A key of the section, below `ownership`.
macro_rules! key {
    ($name:literal) => {
        concat!("delivery.text.", $name)
    };
}

impl TextConfig {
    /// Checks the values and reads the templates.
    ///
    /// # Errors
    /// The key at fault, below `ownership`, and what is wrong with it.
    pub(in super::super) fn validate(&self) -> Result<(), (&'static str, String)> {
        self.check_gateway()?;
        self.templates().map(drop)
    }

    fn check_gateway(&self) -> Result<(), (&'static str, String)> {
        gateway::check_url(&self.url, self.allow_unencrypted).map_err(|why| (key!("url"), why))?;
        if self.secret_file.is_some() == self.secret_env.is_some() {
            let why = "must be set, or else secret_env: the gateway has to know who posts";
            return Err((key!("secret_file"), why.into()));
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

    /// The templates, read.
    pub(super) fn templates(&self) -> Result<ByPurpose<Template>, (&'static str, String)> {
        template::check_service(&self.service).map_err(|why| (key!("service"), why))?;
        let read = |key, path: Option<&Path>, built_in: &str| {
            let text = path.map_or_else(|| Ok(built_in.to_owned()), template::read);
            text.and_then(|text| Template::new(&text, &self.service)).map_err(|why| (key, why))
        };
        Ok(ByPurpose {
            bind: read(key!("bind_template"), self.bind_template.as_deref(), BIND)?,
            deregister: read(
                key!("deregister_template"),
                self.deregister_template.as_deref(),
                DEREGISTER,
            )?,
        })
    }

    pub(super) const fn pace(&self) -> Pace {
        Pace {
            attempts: self.attempts,
            attempt_timeout: self.attempt_timeout,
            timeout: self.timeout,
        }
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
    fn a_fault_names_its_key() {
        good().validate().expect("address and secret are enough");
        let folder = tempfile::tempdir().expect("a directory");
        let template = folder.path().join("template");
        std::fs::write(&template, "no place for it").expect("written");
        type Spoil<'a> = &'a dyn Fn(&mut TextConfig);
        let cases: &[(&str, Spoil<'_>)] = &[
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
        for (key, spoil) in cases {
            let mut config = good();
            spoil(&mut config);
            let (named, why) = config.validate().expect_err(key);
            assert_eq!(named, format!("delivery.text.{key}"), "{why}");
        }
    }

    #[test]
    fn unencrypted_is_for_this_machine_unless_somebody_insists() {
        for url in ["http://127.0.0.1:8099/", "http://localhost/sms", "http://[::1]:1/"] {
            TextConfig { url: url.into(), ..good() }.validate().expect(url);
        }
        for url in ["http://10.0.0.1/", "http://localhost.example.org/"] {
            let config = TextConfig { url: url.into(), ..good() };
            config.validate().expect_err(url);
            TextConfig { allow_unencrypted: true, ..config }.validate().expect(url);
        }
    }
}
