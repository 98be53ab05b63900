//! `keys.md`: every key, from `config/dispatchd.toml`, which a test of `config` holds to the code. Its bounds are held here.

use std::{ffi::OsString, fmt::Write as _};

use dispatchd::{
    config::{Config, load_partly},
    verification::{MailConfig, TextConfig},
};

use super::{code, compare, head, section, wrapped};
use crate::repository;

/// The start of a comment that says which values a start accepts.
const BOUNDS: &str = "Bounds: ";

/// A key of the file.
struct Key {
    section: String,
    name: String,
    /// As the file writes it.
    value: String,
    /// Whether the value is the default rather than an example.
    is_set: bool,
    about: String,
    /// Without its full stop.
    bounds: Option<String>,
}

impl Key {
    fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    fn variable(&self) -> String {
        let path = self.section.split('.').chain([&*self.name]).collect::<Vec<_>>();
        format!("DISPATCHD_{}", path.join("__").to_uppercase())
    }

    /// The default in the code. None if it has none.
    fn default(&self) -> Option<String> {
        if self.is_set {
            return Some(self.value.clone());
        }
        let of = match &*self.section {
            "ownership.delivery" => return Some("\"outbox\"".to_owned()),
            "ownership.delivery.mail" => toml::Table::try_from(MailConfig::default()),
            "ownership.delivery.text" => toml::Table::try_from(TextConfig::default()),
            _ => return None,
        };
        let value = of.unwrap().get(&self.name)?.to_string();
        (value != "\"\"").then_some(value)
    }
}

/// A section of the file: its comments that belong to no key, and its keys.
#[derive(Default)]
struct Section {
    name: String,
    about: String,
    keys: Vec<Key>,
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The sections of the shipped file. In the commented sections, a comment has one more `#`.
fn sections() -> Vec<Section> {
    let text = repository::text("config/dispatchd.toml");
    let mut sections: Vec<Section> = Vec::new();
    let (mut comment, mut bounds) = (String::new(), None);
    let mut is_example = false;
    for line in text.lines() {
        if line.starts_with("# ----") {
            is_example = line.contains("begin");
            comment.clear();
            continue;
        }
        let said = line.strip_prefix(if is_example { "##" } else { "#" });
        let live = line.strip_prefix("# ").unwrap_or(line);
        let is_set = !line.starts_with('#');
        if let Some(name) = live.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
            && (is_set || is_example)
        {
            let about = std::mem::take(&mut comment);
            sections.push(Section { name: name.to_owned(), about, keys: Vec::new() });
        } else if let Some((name, value)) = live.split_once(" = ")
            && is_name(name)
        {
            let section = sections.last_mut().expect("a key stands in a section");
            section.keys.push(Key {
                section: section.name.clone(),
                name: name.to_owned(),
                value: value.to_owned(),
                is_set,
                about: std::mem::take(&mut comment),
                bounds: bounds.take(),
            });
        } else if let Some(said) = said.map(str::trim).filter(|said| !said.is_empty()) {
            if let Some(range) = said.strip_prefix(BOUNDS) {
                bounds = Some(range.trim_end_matches('.').to_owned());
            } else {
                comment = format!("{comment} {said}").trim().to_owned();
            }
        } else if let Some(section) = sections.last_mut() {
            // An empty comment ends one that several keys share.
            write!(section.about, " {}", std::mem::take(&mut comment)).unwrap();
        } else {
            comment.clear();
        }
    }
    sections
}

/// Variables with which a section that is off by default is complete.
fn complete(section: &str) -> Vec<(String, String)> {
    let values: &[(&str, &str)] = match section {
        "ownership.delivery.mail" => &[("HOST", "mail.example.org"), ("FROM", "a@example.org")],
        "ownership.delivery.text" => {
            &[("URL", "https://gateway.example.org/"), ("SECRET_FILE", "/run/secret")]
        }
        _ => &[],
    };
    let prefix = format!("DISPATCHD_{}__", section.replace('.', "__").to_uppercase());
    let own = |(name, value): &(&str, &str)| (format!("{prefix}{name}"), (*value).to_owned());
    values.iter().map(own).collect()
}

/// Whether a start accepts this value of a key.
fn accepts(key: &Key, value: &str) -> bool {
    let mut env = complete(&key.section);
    env.push((key.variable(), value.to_owned()));
    let env = env.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    // Another key may have a fault then, if it must be larger.
    let is_about = |error: &str| {
        error.contains(&format!("{} ", key.path())) || error.contains(&format!("{}:", key.path()))
    };
    let faults = load_partly(None, env).map_or_else(Some, |(_, faults)| faults);
    faults.is_none_or(|error| !is_about(&error.to_string()))
}

/// A bound as a number in the smallest unit, and that unit.
fn measured(text: &str) -> (u128, &'static str) {
    if let Ok(number) = text.parse() {
        return (number, "");
    }
    if text.ends_with('B') {
        return (text.parse::<bytesize::ByteSize>().unwrap().as_u64().into(), "B");
    }
    (humantime::parse_duration(text).unwrap().as_millis(), "ms")
}

/// Bounds may name another key, whose default then counts.
fn bound(text: &str, all: &[Section]) -> (u128, &'static str) {
    let keys = all.iter().flat_map(|section| &section.keys);
    let named = keys.into_iter().find(|key| key.path() == text);
    let default = named.map(|key| key.default().expect("a default"));
    measured(default.as_deref().unwrap_or(text).trim_matches('"'))
}

#[test]
fn the_bounds_of_the_shipped_file_are_those_of_the_code() {
    let sections = sections();
    let mut checked = 0;
    for key in sections.iter().flat_map(|section| &section.keys) {
        let Some(range) = &key.bounds else { continue };
        let (least, most) = match range.split_once(" to ") {
            Some((least, most)) => (least, Some(most)),
            None => (range.strip_prefix("from ").expect("A to B, or from A"), None),
        };
        let (least, unit) = bound(least, &sections);
        let written = |number: u128| format!("{number}{unit}");
        assert!(accepts(key, &written(least)), "{} = {least}{unit}", key.path());
        if let Some(less) = least.checked_sub(1) {
            assert!(!accepts(key, &written(less)), "{} = {less}{unit}", key.path());
        }
        if let Some(most) = most {
            let (most, _) = bound(most, &sections);
            assert!(accepts(key, &written(most)), "{} = {most}{unit}", key.path());
            assert!(!accepts(key, &written(most + 1)), "{} = {}{unit}", key.path(), most + 1);
        }
        checked += 1;
    }
    assert!(checked >= 25, "{checked}");
}

/// A number, a span or a size has bounds.
#[test]
fn every_number_in_the_shipped_file_has_bounds() {
    let defaults: toml::Table = toml::from_str(&Config::default().to_toml().unwrap()).unwrap();
    for key in sections().iter().flat_map(|section| &section.keys) {
        let default = defaults.get(&key.section).and_then(|section| section.get(&key.name));
        let is_amount = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(char::is_alphabetic)
        };
        let is_number = match default {
            Some(toml::Value::Integer(_)) => true,
            Some(toml::Value::String(text)) => is_amount(text),
            _ => false,
        };
        assert!(!is_number || key.bounds.is_some(), "{} has no bounds", key.path());
    }
}

fn described(key: &Key) -> String {
    let is_default = key.default().as_ref() == Some(&key.value);
    let default = key.default().map_or("none".to_owned(), code);
    let example =
        (!key.is_set && !is_default).then(|| format!("- example: {}\n", code(&key.value)));
    let bounds = key.bounds.as_ref().map(|range| format!("- bounds: {range}\n"));
    format!(
        "{}\n\n- default: {default}\n{}{}- variable: {}",
        wrapped(&key.about),
        example.unwrap_or_default(),
        bounds.unwrap_or_default(),
        code(key.variable())
    )
}

fn page() -> String {
    let about = "Every key of the configuration, with its default, its bounds and its reason. [Configure a server]\
                 (../operators/configure.md) says where settings come from. Spans are written as `\"30d\"`, `\"12h\"`, `\"90m\"` \
                 or `\"20s\"`, sizes as `\"256MiB\"`. A start refuses a value beyond its bounds.";
    let mut page = head("Configuration keys", about);
    for one in sections() {
        if one.keys.is_empty() && one.about.trim().is_empty() {
            continue;
        }
        section(&mut page, 2, &one.name, &wrapped(one.about.trim()));
        let mut before = String::new();
        for key in one.keys {
            let about = if key.about.is_empty() { before.clone() } else { key.about.clone() };
            before.clone_from(&about);
            section(&mut page, 3, &code(key.path()), &described(&Key { about, ..key }));
        }
    }
    page
}

#[test]
fn keys() {
    compare("keys.md", &page());
}

#[test]
fn every_key_of_the_configuration_stands_on_the_page() {
    let page = page();
    let defaults: toml::Table = toml::from_str(&Config::default().to_toml().unwrap()).unwrap();
    let mut sections: Vec<_> = defaults.into_iter().collect();
    while let Some((section, keys)) = sections.pop() {
        for (key, value) in keys.as_table().unwrap() {
            let key = format!("{section}.{key}");
            match value.is_table() {
                true => sections.push((key, value.clone())),
                false => assert!(page.contains(&format!("\n### `{key}`\n")), "{key}"),
            }
        }
    }
}
