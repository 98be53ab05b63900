//! Configuration: the sum of each room's own `Config`, read from one TOML file, overridden from the environment.
//!
//! `DISPATCHD_<SECTION>__<KEY>` overrides a key of the file. A value is read as TOML (`true`, `8`) and, if the key does
//! not take that, as text. Unknown keys and impossible values are errors that name the key and where it was set: the
//! file's line, or the variable. No secret is ever read from the file.

mod server;

use std::{fmt, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{dispatch, envelope, ownership, query_log, quota, registry, telemetry};

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
    /// Devices and handles.
    pub registry: registry::Config,
    /// Proofs of ownership.
    pub ownership: ownership::Config,
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
    let mut config: Config = toml::from_str(&text)
        .map_err(|error| ConfigError { place: name.clone(), why: error.to_string() })?;

    let mut tree: toml::Table = toml::from_str(&text)
        .map_err(|error| ConfigError { place: name.clone(), why: error.to_string() })?;
    let mut overridden = Vec::new();
    for (variable, value) in env {
        let Some((section, key)) = section_and_key(&variable) else {
            continue;
        };
        config = apply(&mut tree, &section, &key, &value).map_err(|why| ConfigError {
            place: format!("environment variable {variable}"),
            why,
        })?;
        overridden.push((section, key, variable));
    }
    config.validate().map_err(|invalid| {
        let by_env =
            overridden.iter().rev().find(|(s, k, _)| *s == invalid.section && *k == invalid.key);
        let place = match (by_env, line_of(&text, invalid.section, invalid.key)) {
            (Some((_, _, variable)), _) => format!("environment variable {variable}"),
            (None, Some(line)) => format!("{name}, line {line}"),
            (None, None) => name,
        };
        ConfigError { place, why: format!("{}.{} {}", invalid.section, invalid.key, invalid.why) }
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
fn section_and_key(variable: &str) -> Option<(String, String)> {
    let (section, key) = variable.strip_prefix(ENV_PREFIX)?.split_once(ENV_SEPARATOR)?;
    Some((section.to_ascii_lowercase(), key.to_ascii_lowercase()))
}

/// Sets one key and reads the whole again, so that a fault is this variable's.
fn apply(tree: &mut toml::Table, section: &str, key: &str, value: &str) -> Result<Config, String> {
    let read =
        |tree: &toml::Table| Config::deserialize(tree.clone()).map_err(|e| e.message().to_owned());
    let table = tree.entry(section).or_insert_with(|| toml::Table::new().into());
    let Some(table) = table.as_table_mut() else {
        return Err(format!("there is no section [{section}]"));
    };
    let text = toml::Value::String(value.to_owned());
    let typed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"));
    if let Some(typed) = typed {
        table.insert(key.to_owned(), typed);
        if let Ok(config) = read(tree) {
            return Ok(config);
        }
    }
    if let Some(table) = tree.get_mut(section).and_then(toml::Value::as_table_mut) {
        table.insert(key.to_owned(), text);
    }
    read(tree).map_err(|why| format!("{section}.{key}: {why}"))
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
        self.registry.validate().map_err(in_section("registry"))?;
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

/// The line of the file on which a key is set.
fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    let parsed = toml::de::DeTable::parse(text).ok()?;
    let table = parsed.get_ref().get(section)?.get_ref().as_table()?;
    let (found, _) = table.get_key_value(key)?;
    let before = text.get(..found.span().start)?;
    Some(before.matches('\n').count() + 1)
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
        let defaults: toml::Table = toml::from_str(&Config::default().to_toml().unwrap()).unwrap();
        for (section, keys) in defaults {
            for key in keys.as_table().unwrap().keys() {
                assert!(line_of(&text, &section, key).is_some(), "{section}.{key} is missing");
            }
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
        ];
        for (text, env, parts) in cases {
            let error = load_text(text, env).unwrap_err();
            for part in *parts {
                assert!(error.contains(part), "{error:?} should name {part:?}");
            }
        }
    }
}
