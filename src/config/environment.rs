//! Variables of the environment: which ones override a key, and which ones are mistakes.

use std::ffi::OsString;

use super::sections::{Config, Fault};
use crate::verification::{DeliveryMethod, DeliveryMethods, MailConfig, TextConfig};
use crate::vocabulary::most_like;

/// What every variable of this service begins with.
const PREFIX: &str = "DISPATCHD_";
/// What stands between a section and a key in a variable's name. Variables without it are not overrides.
const SEPARATOR: &str = "__";
/// Variables that the command line reads.
const COMMAND_LINE: &[&str] = &[
    "DISPATCHD_CA",
    "DISPATCHD_CONFIG",
    "DISPATCHD_DEVICE_TOKEN",
    "DISPATCHD_SERVER",
    "DISPATCHD_TOKEN",
];
/// Kubernetes sets these in every container for a service of the name `dispatchd`.
const KUBERNETES: &[&str] = &["DISPATCHD_SERVICE_", "DISPATCHD_PORT"];
/// A variable that sets a key.
pub(super) struct Override {
    pub(super) variable: String,
    /// Sections and key.
    pub(super) path: Vec<String>,
    pub(super) value: String,
}

/// The variables of this service.
#[derive(Default)]
pub(super) struct Variables {
    pub(super) overrides: Vec<Override>,
    /// Variables that are known only if the configuration names them.
    pub(super) others: Vec<String>,
}

/// Sorts the variables of this service, and adds what is wrong with them to `faults`. Empty ones count as unset.
pub(super) fn read(
    env: impl IntoIterator<Item = (OsString, OsString)>,
    faults: &mut Vec<Fault>,
) -> Variables {
    let mut variables = Variables::default();
    for (variable, value) in env {
        let Some(variable) = variable.to_str().map(str::to_owned) else { continue };
        let is_ours =
            variable.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        if !is_ours || value.is_empty() {
            continue;
        }
        let upper = variable.to_ascii_uppercase();
        if upper != variable {
            let why = format!("names of variables are upper case: {upper}");
            faults.push(Fault::new(place(&variable), why));
            continue;
        }
        if COMMAND_LINE.contains(&&*variable)
            || KUBERNETES.iter().any(|start| variable.starts_with(start))
        {
            continue;
        }
        let path = &variable[PREFIX.len()..];
        if !path.contains(SEPARATOR) {
            variables.others.push(variable);
            continue;
        }
        let path = path.split(SEPARATOR).map(str::to_ascii_lowercase).collect();
        match value.into_string() {
            Ok(value) => variables.overrides.push(Override { variable, path, value }),
            Err(_) => faults.push(Fault::new(place(&variable), "its value is not UTF-8")),
        }
    }
    variables
}

/// What a fault of a variable names.
pub(super) fn place(variable: &str) -> String {
    format!("environment variable {variable}")
}

/// Refuses variables that neither override a key nor are named by one (`password_env`).
pub(super) fn refuse_unknown(others: &[String], trees: &[&toml::Table], faults: &mut Vec<Fault>) {
    let is_unknown = |variable: &&String| !trees.iter().any(|tree| is_named(variable, tree));
    for variable in others.iter().filter(is_unknown) {
        let why = format!("no key and no command has this variable{}", nearest(variable));
        faults.push(Fault::new(place(variable), why));
    }
}

fn is_named(variable: &str, tree: &toml::Table) -> bool {
    tree.iter().any(|(key, value)| match value {
        toml::Value::Table(below) => is_named(variable, below),
        value => key.ends_with("_env") && value.as_str() == Some(variable),
    })
}

/// The known variable whose name is most like this one, as the end of a sentence; nothing if none is like it.
pub(super) fn nearest(variable: &str) -> String {
    // Every name begins so, and that makes none more like another.
    let own = |name: &'_ str| name.get(PREFIX.len()..).unwrap_or_default().to_owned();
    let known: Vec<_> = known().iter().map(|known| own(known)).collect();
    match most_like(&own(variable), known.iter().map(String::as_str)) {
        Some(known) => format!("; did you mean {PREFIX}{known}?"),
        None => String::new(),
    }
}

/// The variable of every key that has a value by default, and those of the command line.
fn known() -> Vec<String> {
    let mut config = Config::default();
    config.keys.root_key = Some("root.key".into());
    config.ownership.delivery = DeliveryMethod::Section(DeliveryMethods {
        mail: DeliveryMethod::Section(MailConfig::default()),
        text: DeliveryMethod::Section(TextConfig::default()),
    });
    let mut names: Vec<_> = COMMAND_LINE.iter().map(|name| (*name).to_owned()).collect();
    if let Ok(toml::Value::Table(tree)) = toml::Value::try_from(&config) {
        add_names(&tree, PREFIX, &mut names);
    }
    names
}

fn add_names(tree: &toml::Table, prefix: &str, names: &mut Vec<String>) {
    for (key, value) in tree {
        let name = format!("{prefix}{}", key.to_ascii_uppercase());
        match value {
            toml::Value::Table(below) => add_names(below, &format!("{name}{SEPARATOR}"), names),
            _ => names.push(name),
        }
    }
}
