//! Configuration: the sum of each room's own `Config`, read from one TOML file, overridden from the environment.
//!
//! `DISPATCHD_<SECTION>__<KEY>` overrides a key of the file; a section within a section has its name between two more
//! underscores. A value is read as TOML (`true`, `8`) and, if the key does not take that, as text. Unknown keys and impossible values are errors that name the key and where it was set: the
//! file's line, or the variable. No secret is ever read from the file.

mod server;
mod tree;

use std::{fmt, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{audit, dispatch, envelope, query_log, quota, registry, telemetry, verification};

pub use server::ServerConfig;

/// What every variable that overrides a key begins with.
const ENV_PREFIX: &str = "DISPATCHD_";
/// What stands between a section and a key in a variable's name. Variables without it are not overrides.
const ENV_SEPARATOR: &str = "__";

/// Everything that can be configured. See `config/dispatchd.toml` for each key's meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Listeners, data directory, threads.
    pub server: ServerConfig,
    /// Encryption keys.
    pub keys: envelope::Config,
    /// The query log.
    pub log: query_log::Config,
    /// Who read the query log.
    pub audit: audit::Config,
    /// Devices and handles.
    pub registry: registry::Config,
    /// Proofs of ownership.
    pub ownership: verification::Config,
    /// Answers.
    pub dispatch: dispatch::Config,
    /// Who may ask how much.
    pub quota: quota::Config,
    /// The service's own messages.
    pub telemetry: telemetry::Config,
}

/// Why a configuration cannot be used.
#[derive(Debug)]
pub struct ConfigError {
    place: String,
    why: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why.trim_end())
    }
}

impl std::error::Error for ConfigError {}

/// Reads the configuration from `file` (without one, every key has its default) and the variables in `env`.
///
/// # Errors
/// If the file cannot be read, or a key is unknown or has an impossible value.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let text = file.map(read).transpose()?.unwrap_or_default();
    let name =
        file.map_or_else(|| "default configuration".into(), |file| file.display().to_string());
    if let Some((key, line)) = tree::secret_in(&text) {
        // Told before the file is read as a whole, whose errors quote the line.
        return Err(ConfigError { place: format!("{name}, line {line}"), why: no_secret(&key) });
    }
    let mut config: Config = toml::from_str(&text)
        .map_err(|error| ConfigError { place: name.clone(), why: error.to_string() })?;

    let mut tree: toml::Table = toml::from_str(&text)
        .map_err(|error| ConfigError { place: name.clone(), why: error.to_string() })?;
    let mut overridden = Vec::new();
    for (variable, value) in env {
        let Some(path) = path_of(&variable) else {
            continue;
        };
        config = apply(&mut tree, &path, &value).map_err(|why| ConfigError {
            place: format!("environment variable {variable}"),
            why,
        })?;
        overridden.push((path.join("."), variable));
    }
    config.validate().map_err(|invalid| {
        let key = format!("{}.{}", invalid.section, invalid.key);
        let by_env = overridden.iter().rev().find(|(path, _)| *path == key);
        let place = match (by_env, tree::line_of(&text, key.split('.'))) {
            (Some((_, variable)), _) => format!("environment variable {variable}"),
            (None, Some(line)) => format!("{name}, line {line}"),
            (None, None) => name,
        };
        ConfigError { place, why: format!("{key} {}", invalid.why) }
    })?;
    Ok(config)
}

fn read(file: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(file).map_err(|error: io::Error| ConfigError {
        place: file.display().to_string(),
        why: format!("cannot be read: {error}"),
    })
}

/// `DISPATCHD_LOG__RETENTION` is `log` and `retention`.
fn path_of(variable: &str) -> Option<Vec<String>> {
    let path = variable.strip_prefix(ENV_PREFIX)?;
    let is_key = path.contains(ENV_SEPARATOR);
    is_key.then(|| path.split(ENV_SEPARATOR).map(str::to_ascii_lowercase).collect())
}

/// Sets one key and reads the whole again, so that a fault is this variable's.
fn apply(tree: &mut toml::Table, path: &[String], value: &str) -> Result<Config, String> {
    let read =
        |tree: &toml::Table| Config::deserialize(tree.clone()).map_err(|e| e.message().to_owned());
    if path.last().is_some_and(|name| tree::is_secret(name)) {
        return Err(no_secret(&path.join(".")));
    }
    let typed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"));
    if let Some(typed) = typed {
        tree::set(tree, path, typed);
        if let Ok(config) = read(tree) {
            return Ok(config);
        }
    }
    tree::set(tree, path, toml::Value::String(value.to_owned()));
    read(tree).map_err(|why| format!("{}: {why}", path.join(".")))
}

fn no_secret(key: &str) -> String {
    format!(
        "{key}: a secret does not belong here; name a file or a variable: {key}_file, {key}_env"
    )
}

/// A value that the key's type takes and its meaning does not.
struct Invalid {
    section: &'static str,
    key: &'static str,
    why: String,
}

impl Config {
    fn validate(&self) -> Result<(), Invalid> {
        let in_section = |section| move |(key, why)| Invalid { section, key, why };
        self.server.validate().map_err(in_section("server"))?;
        self.log.validate().map_err(in_section("log"))?;
        self.audit.validate().map_err(in_section("audit"))?;
        self.registry.validate().map_err(in_section("registry"))?;
        self.ownership.validate().map_err(in_section("ownership"))?;
        self.dispatch.validate().map_err(in_section("dispatch"))?;
        self.quota.validate().map_err(in_section("quota"))
    }

    /// The whole configuration as TOML, defaults included.
    ///
    /// # Errors
    /// None that a configuration which was read can cause.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self)
            .map_err(|error| ConfigError { place: "configuration".into(), why: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;

    fn load_text(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("d.toml");
        fs::write(&file, text).unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(Some(&file), env).map_err(|error| error.to_string())
    }

    #[test]
    fn the_shipped_file_holds_every_key_with_its_default() {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/dispatchd.toml");
        let text = fs::read_to_string(shipped).unwrap();
        assert_eq!(load(Some(Path::new(shipped)), []).unwrap(), Config::default());
        let tree = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
        let shipped = tree(&text);
        for (section, keys) in tree(&Config::default().to_toml().unwrap()) {
            for key in keys.as_table().unwrap().keys() {
                assert!(shipped[&section].get(key).is_some(), "{section}.{key} is missing");
            }
        }
    }

    /// The sections that are off by default stand in the file as comments, between two lines of dashes.
    #[test]
    fn the_shipped_file_s_examples_hold_every_key_and_can_be_used() {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/dispatchd.toml");
        let text = fs::read_to_string(shipped).unwrap();
        let example = text.split("# ----").nth(1).unwrap().lines().skip(1);
        let example: Vec<_> = example.filter_map(|line| line.strip_prefix("# ")).collect();
        let example = example.join("\n");
        let templates = ["bind_template", "deregister_template"];
        let usable: Vec<_> = example
            .lines()
            .filter(|line| !templates.iter().any(|key| line.starts_with(key)))
            .filter(|line| !line.contains("_env"))
            .collect();
        let config = load_text(&usable.join("\n"), &[]).unwrap();
        let verification::DeliveryMethod::Section(ways) = config.ownership.delivery else {
            panic!("{usable:?}")
        };
        assert!(matches!(ways.mail, verification::DeliveryMethod::Section(_)));
        assert!(matches!(ways.text, verification::DeliveryMethod::Section(_)));
        // Who asks for a key that is none is told which ones there are.
        let refusals = [
            toml::from_str::<verification::MailConfig>("none = 1").unwrap_err().to_string(),
            toml::from_str::<verification::TextConfig>("none = 1").unwrap_err().to_string(),
        ];
        let keys = refusals.iter().flat_map(|text| text.split('`').skip(3).step_by(2));
        assert!(keys.clone().count() > 25, "{refusals:?}");
        for key in keys {
            let is_there = example.lines().any(|line| line.split(" = ").next() == Some(key));
            assert!(is_there, "{key} is missing");
        }
    }

    #[test]
    fn variables_reach_sections_within_sections() {
        let env = [
            ("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__FROM", "codes@example.org"),
            ("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__PORT", "2525"),
            ("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__HOST", "mail.example.org"),
        ];
        let config = load_text("[ownership]\ndelivery = \"outbox\"\n", &env).unwrap();
        let verification::DeliveryMethod::Section(ways) = &config.ownership.delivery else {
            panic!()
        };
        let verification::DeliveryMethod::Section(mail) = &ways.mail else { panic!() };
        assert_eq!((mail.host.as_str(), mail.port), ("mail.example.org", Some(2525)));
        assert_eq!(ways.text, verification::DeliveryMethod::Outbox);
        assert_eq!(load_text(&config.to_toml().unwrap(), &[]).unwrap(), config);
    }

    #[test]
    fn a_secret_is_refused_by_name_and_not_repeated() {
        let mail = "DISPATCHD_OWNERSHIP__DELIVERY__MAIL__PASSWORD";
        for (text, env) in [
            ("[ownership.delivery.mail]\nhost = \"a\"\npassword = \"sesame\"\n", None),
            ("[ownership.delivery.text]\nsecret = \"sesame\"\n", None),
            ("[ownership]\ndelivery = { mail = { password = \"sesame\" } }\n", None),
            ("", Some((mail, "sesame"))),
        ] {
            let error = load_text(text, env.as_slice()).unwrap_err();
            let names = ["ownership.delivery.mail.password", "ownership.delivery.text.secret"];
            assert!(names.iter().any(|name| error.contains(name)), "{error}");
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        let config = load_text("[log]\nretention = \"90h\"\n[server]\nthreads = 1\n", &[]).unwrap();
        assert_eq!(load_text(&config.to_toml().unwrap(), &[]).unwrap(), config);
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let env = [
            ("DISPATCHD_LOG__DURABILITY", "os"),
            ("DISPATCHD_LOG__RETENTION", "7d"),
            ("DISPATCHD_QUOTA__ENABLED", "false"),
            ("DISPATCHD_SERVER__PHONES", "127.0.0.1:0"),
            ("DISPATCHD_SERVER__DATA", "123"),
            ("DISPATCHD_TOKEN", "not an override"),
            ("PATH", "/bin"),
        ];
        let config = load_text("[log]\nretention = \"3d\"\n", &env).unwrap();
        assert_eq!(config.log.retention, Duration::from_secs(7 * 24 * 3600));
        assert!(!config.quota.enabled);
        assert_eq!(config.server.phones.port(), 0);
        assert_eq!(config.server.data, PathBuf::from("123"));
    }

    #[test]
    fn faults_name_the_key_and_the_place() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            ("[log]\n\nretention = \"31d\"\n", &[], &["line 3", "log.retention"]),
            ("[log]\nretention = \"a month\"\n", &[], &["line 2", "retention"]),
            ("[log]\n\n\nretenton = \"1d\"\n", &[], &["line 4", "retenton"]),
            ("[lag]\n", &[], &["line 1", "lag"]),
            (
                "",
                &[("DISPATCHD_LOG__RETENTION", "31d")],
                &["DISPATCHD_LOG__RETENTION", "log.retention"],
            ),
            ("", &[("DISPATCHD_LOG__RETENTON", "3d")], &["DISPATCHD_LOG__RETENTON", "retenton"]),
            ("", &[("DISPATCHD_LAG__X", "3d")], &["DISPATCHD_LAG__X", "lag"]),
            (
                "",
                &[("DISPATCHD_QUOTA__ENABLED", "maybe")],
                &["DISPATCHD_QUOTA__ENABLED", "enabled"],
            ),
            ("[quota]\nrequests_per_minute = 0\n", &[], &["line 2", "quota.requests_per_minute"]),
            ("[server]\nphones = \"here\"\n", &[], &["line 2", "phones"]),
            (
                "\n[ownership.delivery.mail]\nhost = \"a\"\n",
                &[],
                &["line 2", "ownership.delivery.mail.from"],
            ),
            (
                "[ownership.delivery.text]\nurl = \"http://example.org\"\n",
                &[],
                &["line 2", "ownership.delivery.text.url", "allow_unencrypted"],
            ),
            (
                "",
                &[("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__PORT", "70000")],
                &["DELIVERY__MAIL__PORT", "ownership.delivery.mail.port"],
            ),
        ];
        for (text, env, parts) in cases {
            let error = load_text(text, env).unwrap_err();
            for part in *parts {
                assert!(error.contains(part), "{error:?} should name {part:?}");
            }
        }
    }
}
