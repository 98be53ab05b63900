//! Reads the configuration.

use std::{ffi::OsString, path::Path};

use serde::Deserialize as _;

use super::{
    environment::{self, Override, Variables},
    sections::{Config, ConfigError},
    tree,
};
use crate::files;

/// Reads the configuration from `file` (without one, every key has its default) and the variables in `env`.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let text = file.map(read).transpose()?.unwrap_or_default();
    let name = file.map_or_else(|| "configuration".into(), |file| file.display().to_string());
    if let Some((key, line)) = tree::secret_in(&text) {
        // Reported before the file is parsed: the parser's errors quote the line.
        return Err(ConfigError::new(format!("{name}, line {line}"), no_secret(&key)));
    }
    let mut config: Config =
        toml::from_str(&text).map_err(|error| ConfigError::new(&*name, error))?;
    let mut tree: toml::Table =
        toml::from_str(&text).map_err(|error| ConfigError::new(&*name, error))?;
    let Variables { overrides, others } = environment::read(env)?;
    for change in &overrides {
        config = apply(&mut tree, change)
            .map_err(|why| ConfigError::of_variable(&change.variable, why))?;
    }
    environment::refuse_unknown(&others, &tree)?;
    config.validate().map_err(|(path, why)| {
        ConfigError::new(blamed(&text, &name, &overrides, &path), format!("{path} {why}"))
    })?;
    Ok(config)
}

fn read(file: &Path) -> Result<String, ConfigError> {
    files::read_text(file).map_err(|error| {
        ConfigError::new(file.display().to_string(), format!("cannot be read: {error}"))
    })
}

/// Where a value that cannot be used was set. A key that is missing beside others of its section is blamed on what set
/// those: the variable, or the section's line.
fn blamed(text: &str, name: &str, overrides: &[Override], path: &str) -> String {
    let section = |path: &str| path.rsplit_once('.').map(|(section, _)| section.to_owned());
    let last =
        |is_it: &dyn Fn(&str) -> bool| overrides.iter().rev().find(|o| is_it(&o.path.join(".")));
    let exact = last(&|set| set == path);
    let (line, is_exact) = tree::line_of(text, path.split('.')).unzip();
    let beside = last(&|set| section(set) == section(path)).filter(|_| is_exact != Some(true));
    match (exact.or(beside), line) {
        (Some(change), _) => format!("environment variable {}", change.variable),
        (None, Some(line)) => format!("{name}, line {line}"),
        (None, None) => name.to_owned(),
    }
}

/// Sets one key and reads the whole again, so that a fault is this variable's.
fn apply(tree: &mut toml::Table, change: &Override) -> Result<Config, String> {
    let (path, key) = (&change.path, change.path.join("."));
    if path.last().is_some_and(|name| tree::is_secret(name)) {
        return Err(no_secret(&key));
    }
    let typed = toml::from_str::<toml::Table>(&format!("value = {}", change.value))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"));
    let mut read = |value| {
        tree::set(tree, path, value);
        Config::deserialize(tree.clone()).map_err(|error| error.message().to_owned())
    };
    if let Some(config) = typed.and_then(|typed| read(typed).ok()) {
        return Ok(config);
    }
    read(toml::Value::String(change.value.clone())).map_err(|why| {
        let hint = if why.contains("expected a sequence") {
            "; a list is written as TOML: [\"a\", \"b\"]".to_owned()
        } else if why.contains("unknown field") {
            environment::nearest(&change.variable)
        } else {
            String::new()
        };
        format!("{key}: {}{hint}", why.trim_end())
    })
}

fn no_secret(key: &str) -> String {
    format!(
        "{key}: a secret does not belong here; name a file or a variable: {key}_file, {key}_env"
    )
}
