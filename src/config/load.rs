//! Reads the configuration.
//!
//! Keys are set one by one, first those of the file, then those of the environment. A key that cannot be read is left out, and
//! the others are read all the same. So one run names every fault.

use std::{ffi::OsString, path::Path};

use serde::Deserialize as _;

use super::{
    environment::{self, Override, Variables},
    sections::{Config, ConfigError, Fault},
    tree,
};
use crate::files;

/// Reads the configuration from `file` (without one, every key has its default) and the variables in `env`. Gives it beside
/// every fault: keys that could not be read have their defaults.
///
/// # Errors
/// If the file cannot be read, or is no TOML.
pub fn load_partly(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Config, Option<ConfigError>), ConfigError> {
    let text = file.map(read).transpose()?.unwrap_or_default();
    let name = file.map_or_else(|| "configuration".into(), |file| file.display().to_string());
    let in_file: toml::Table = toml::from_str(&text).map_err(|error| {
        // Not its whole text, which quotes the line: that may hold a password.
        let line = error.span().and_then(|span| tree::line_at(&text, span.start));
        let place = line.map_or_else(|| name.clone(), |line| format!("{name}, line {line}"));
        Fault::new(place, error.message())
    })?;
    let mut loading = Loading::default();
    loading.set_file(&in_file, &text, &name);
    let overrides = loading.set_variables(&in_file, env);
    loading.validate(&text, &name, &overrides);
    let Loading { config, faults, .. } = loading;
    Ok((config, (!faults.is_empty()).then(|| ConfigError::from(faults))))
}

/// Finds the faults of the variables in `env` alone: those that nothing reads, and values that their keys do not take. For commands
/// that use no configuration. `file` may name further variables by its `*_env` keys. What is wrong with it is no fault here.
///
/// # Errors
/// If a variable has a fault.
pub fn check_variables(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigError> {
    let text = file.and_then(|file| files::read_text(file).ok()).unwrap_or_default();
    let in_file = toml::from_str(&text).unwrap_or_default();
    let mut loading = Loading::default();
    loading.set_file(&in_file, &text, "");
    loading.faults.clear();
    loading.set_variables(&in_file, env);
    if loading.faults.is_empty() { Ok(()) } else { Err(loading.faults.into()) }
}

fn read(file: &Path) -> Result<String, ConfigError> {
    files::read_text(file).map_err(|error| {
        Fault::new(file.display().to_string(), format!("cannot be read: {error}")).into()
    })
}

/// What was read so far.
#[derive(Default)]
struct Loading {
    /// The keys that were read.
    tree: toml::Table,
    /// What they mean.
    config: Config,
    faults: Vec<Fault>,
    /// The keys at fault.
    faulty: Vec<String>,
}

impl Loading {
    fn set_file(&mut self, in_file: &toml::Table, text: &str, name: &str) {
        let mut keys = Vec::new();
        list_keys(in_file, &mut Vec::new(), &mut keys);
        let line = |path: &[String]| tree::line_of(text, path.iter().map(String::as_str));
        let mut keys: Vec<_> = keys
            .into_iter()
            .map(|(path, value)| (line(&path).map_or(0, |(line, _)| line), path, value))
            .collect();
        keys.sort_by_key(|(line, ..)| *line);
        let mut refused: Vec<Vec<String>> = Vec::new();
        for (line, path, value) in keys {
            if refused.iter().any(|section| path.starts_with(section)) {
                continue;
            }
            if let Err(why) = self.set(&path, value) {
                let place = format!("{name}, line {line}");
                self.add_fault(path.join("."), place, why);
                refused.push(path);
            }
        }
    }

    /// Sets what variables override, and refuses those that nothing reads.
    fn set_variables(
        &mut self,
        in_file: &toml::Table,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Vec<Override> {
        let Variables { overrides, others } = environment::read(env, &mut self.faults);
        for change in &overrides {
            self.set_variable(change);
        }
        environment::refuse_unknown(&others, &[in_file, &self.tree], &mut self.faults);
        overrides
    }

    /// A variable's value is read as TOML and, if the key does not take that, as text.
    fn set_variable(&mut self, change: &Override) {
        let typed = toml::from_str::<toml::Table>(&format!("value = {}", change.value))
            .ok()
            .and_then(|mut parsed| parsed.remove("value"));
        let as_typed = match typed.map(|typed| self.set(&change.path, typed)) {
            Some(Ok(())) => return,
            Some(Err(why)) => Some(why),
            None => None,
        };
        if let Err(as_text) = self.set(&change.path, toml::Value::String(change.value.clone())) {
            // What the key does not take as text is refused as what it is.
            let why = as_typed.filter(|_| as_text.contains("invalid type: string"));
            let why = why.unwrap_or(as_text);
            let hint = match why.contains("unknown field") {
                true => environment::nearest(&change.variable),
                false => String::new(),
            };
            let place = environment::place(&change.variable);
            self.add_fault(change.path.join("."), place, format!("{why}{hint}"));
        }
    }

    /// Sets one key and reads the whole again, so that a fault is this key's.
    fn set(&mut self, path: &[String], value: toml::Value) -> Result<(), String> {
        let key = path.join(".");
        if path.last().is_some_and(|name| tree::is_secret(name)) {
            return Err(format!(
                "{key}: a secret does not belong here; name a file or a variable: {key}_file, {key}_env"
            ));
        }
        let mut tree = self.tree.clone();
        tree::set(&mut tree, path, value);
        self.config = Config::deserialize(tree.clone())
            .map_err(|error| format!("{key}: {}", in_plain_words(error.message().trim_end())))?;
        self.tree = tree;
        Ok(())
    }

    /// Checks the values. A section names its first fault only, so the key at fault gets its default, and the values are checked
    /// again.
    fn validate(&mut self, text: &str, name: &str, overrides: &[Override]) {
        loop {
            let mut found = self.config.faults();
            found.retain(|(path, _)| !self.faulty.contains(path));
            if found.is_empty() {
                return;
            }
            for (path, why) in found {
                tree::remove(&mut self.tree, &path);
                let place = blamed(text, name, overrides, &path);
                self.add_fault(path.clone(), place, format!("{path} {why}"));
            }
            match Config::deserialize(self.tree.clone()) {
                Ok(config) => self.config = config,
                Err(_) => return,
            }
        }
    }

    fn add_fault(&mut self, path: String, place: String, why: String) {
        self.faults.push(Fault { place, why });
        self.faulty.push(path);
    }
}

/// An error of serde, with the names of Rust's types replaced.
fn in_plain_words(error: &str) -> String {
    let Some((what, expected)) = error.rsplit_once("expected ") else { return error.to_owned() };
    let words = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        "a boolean" => "true or false",
        "a sequence" => "a list, written as TOML: [\"a\", \"b\"]",
        other => other,
    };
    format!("{what}expected {words}")
}

/// Every key of `table` with its value. A section is a key, too, and comes before its own keys.
fn list_keys(
    table: &toml::Table,
    path: &mut Vec<String>,
    keys: &mut Vec<(Vec<String>, toml::Value)>,
) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            toml::Value::Table(below) => {
                keys.push((path.clone(), toml::Table::new().into()));
                list_keys(below, path, keys);
            }
            value => keys.push((path.clone(), value.clone())),
        }
        path.pop();
    }
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
        (Some(change), _) => environment::place(&change.variable),
        (None, Some(line)) => format!("{name}, line {line}"),
        (None, None) => name.to_owned(),
    }
}
