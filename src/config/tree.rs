//! The configuration as a tree of keys: where a key stands in the file, and how a variable sets one.

use toml::de::{DeTable, DeValue};

/// Keys under which somebody might write a secret. More people read a configuration file than may know a secret.
const SECRETS: &[&str] = &["password", "secret"];

/// Whether a key of this name would hold a secret.
pub(super) fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// The line of the file on which `path` is set, and true; if it is not set, the line of the section that would hold it.
pub(super) fn line_of<'a>(
    text: &str,
    path: impl Iterator<Item = &'a str>,
) -> Option<(usize, bool)> {
    let parsed = DeTable::parse(text).ok()?;
    let mut table = Some(parsed.get_ref());
    let mut start = None;
    let mut is_set = true;
    for name in path {
        let Some((key, value)) = table.and_then(|table| table.get_key_value(name)) else {
            is_set = false;
            break;
        };
        start = Some(key.span().start);
        table = match value.get_ref() {
            DeValue::Table(below) => Some(below),
            _ => None,
        };
    }
    Some((line_at(text, start?)?, is_set))
}

pub(super) fn line_at(text: &str, start: usize) -> Option<usize> {
    Some(text.get(..start)?.matches('\n').count() + 1)
}

/// Sets the key at `path`; a value in the place of a section (`delivery = "outbox"`) is replaced by one.
pub(super) fn set(tree: &mut toml::Table, path: &[String], value: toml::Value) {
    let Some((key, sections)) = path.split_last() else {
        return;
    };
    let mut table = tree;
    for section in sections {
        let below = table.entry(section).or_insert_with(|| toml::Table::new().into());
        if !below.is_table() {
            *below = toml::Table::new().into();
        }
        let toml::Value::Table(below) = below else {
            return;
        };
        table = below;
    }
    table.insert(key.clone(), value);
}

/// Removes the key at `path`, if it is there.
pub(super) fn remove(tree: &mut toml::Table, path: &str) {
    let (sections, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table = Some(tree);
    for section in sections.split('.').filter(|section| !section.is_empty()) {
        table = table.and_then(|table| table.get_mut(section)?.as_table_mut());
    }
    table.and_then(|table| table.remove(key));
}
