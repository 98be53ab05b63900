//! The `[ownership]` section of the configuration.

use serde::{Deserialize, Serialize};

/// How codes are delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// By which way.
    pub delivery: DeliveryKind,
    /// Where the outbox is.
    pub outbox: OutboxKind,
}

/// By which way codes are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryKind {
    /// Into an outbox, from which another program sends.
    #[default]
    Outbox,
}

/// Where the outbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboxKind {
    /// `<data>/outbox.ndjson`.
    #[default]
    File,
    /// Standard output, for trying out.
    Stdout,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_ways_are_refused() {
        let read = toml::from_str::<Config>;
        assert_eq!(read("").expect("empty means defaults"), Config::default());
        assert_eq!(read("outbox = \"stdout\"").expect("valid").outbox, OutboxKind::Stdout);
        assert!(read("delivery = \"pigeon\"").is_err());
        assert!(read("outbocks = \"file\"").is_err());
    }
}
