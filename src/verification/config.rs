//! The `[ownership]` section of the configuration.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{countries::Countries, error::OpenError, mail::MailConfig, text::TextConfig};
use crate::limits;

const OUTBOX: &str = "outbox";

/// How verification codes are delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Verification sessions at once; at most half of them are for deregistrations.
    pub sessions: usize,
    /// Codes that one network may ask for in any 24 hours. A network is an IPv4 /24 or an IPv6 /48.
    pub codes_per_network_per_day: u32,
    /// Codes to the numbers of one calling code in any 24 hours.
    pub codes_per_country_per_day: u32,
    /// Codes in any 24 hours, to everybody.
    pub codes_per_day: u32,
    /// Where the outbox writes.
    pub outbox: OutboxKind,
    /// Where text messages may go.
    pub countries: Countries,
    /// The outbox for all codes, or a method for each kind of handle.
    pub delivery: DeliveryMethod<DeliveryMethods>,
}

/// The delivery method for each kind of handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryMethods {
    /// Codes to e-mail addresses.
    pub mail: DeliveryMethod<MailConfig>,
    /// Codes to phone numbers.
    pub text: DeliveryMethod<TextConfig>,
}

/// The value `"outbox"`, or a section of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeliveryMethod<T> {
    /// Writes codes into the outbox, from which another program sends them.
    #[default]
    Outbox,
    /// Sends codes as the section configures.
    Section(T),
}

/// Where the outbox writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboxKind {
    /// To the file `<data>/outbox.ndjson`.
    #[default]
    File,
    /// To standard output, for development.
    Stdout,
}

impl Default for Config {
    fn default() -> Self {
        let (outbox, countries, delivery) = Default::default();
        Self {
            sessions: limits::VERIFICATIONS,
            codes_per_network_per_day: limits::CODES_PER_NETWORK,
            codes_per_country_per_day: limits::CODES_PER_COUNTRY,
            codes_per_day: limits::CODES_OVERALL,
            outbox,
            countries,
            delivery,
        }
    }
}

impl Config {
    /// Checks the values and reads the templates, but no secrets: only the server may need to read those. Returns every key at
    /// fault.
    pub fn validate(&self) -> Vec<OpenError> {
        let mut faults = Vec::new();
        if !(2..=limits::VERIFICATIONS_MAX).contains(&self.sessions) {
            let why = format!("must be from 2 to {}", limits::VERIFICATIONS_MAX);
            faults.push(OpenError { key: "ownership.sessions".into(), why });
        }
        for (key, codes) in [
            ("codes_per_network_per_day", self.codes_per_network_per_day),
            ("codes_per_country_per_day", self.codes_per_country_per_day),
            ("codes_per_day", self.codes_per_day),
        ] {
            if !(limits::CODES_PER_DAY_MIN..=limits::CODES_PER_DAY_MAX).contains(&codes) {
                let (min, max) = (limits::CODES_PER_DAY_MIN, limits::CODES_PER_DAY_MAX);
                let why = format!("must be from {min} to {max}");
                faults.push(OpenError { key: format!("ownership.{key}"), why });
            } else if codes > self.codes_per_day {
                let why = "must not exceed ownership.codes_per_day".to_owned();
                faults.push(OpenError { key: format!("ownership.{key}"), why });
            }
        }
        if let Some((key, why)) = self.countries.validate() {
            faults.push(OpenError { key: format!("ownership.{key}"), why });
        }
        let DeliveryMethod::Section(methods) = &self.delivery else {
            return faults;
        };
        if let DeliveryMethod::Section(mail) = &methods.mail {
            faults.extend(mail.validate().into_iter().map(OpenError::of("mail")));
        }
        if let DeliveryMethod::Section(text) = &methods.text {
            faults.extend(text.validate().into_iter().map(OpenError::of("text")));
        }
        faults
    }
}

impl<T: Serialize> Serialize for DeliveryMethod<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Outbox => serializer.serialize_str(OUTBOX),
            Self::Section(section) => section.serialize(serializer),
        }
    }
}

/// Distinguishes the word from a section by the form of the value. An untagged enum would report an error within the
/// section as "matches no variant".
struct DeliveryMethodVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for DeliveryMethodVisitor<T> {
    type Value = DeliveryMethod<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"outbox\" or a section")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<DeliveryMethod<T>, E> {
        match word {
            OUTBOX => Ok(DeliveryMethod::Outbox),
            _ => Err(E::custom("expected \"outbox\" or a section")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DeliveryMethod<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(DeliveryMethod::Section)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for DeliveryMethod<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DeliveryMethodVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_methods_are_refused() {
        let read = toml::from_str::<Config>;
        assert_eq!(read("").expect("empty means defaults"), Config::default());
        assert_eq!(read("outbox = \"stdout\"").expect("valid").outbox, OutboxKind::Stdout);
        assert_eq!(read("delivery = \"outbox\"").expect("valid"), Config::default());
        for (text, part) in [
            ("delivery = \"pigeon\"", "a section"),
            ("delivery = 3", "a section"),
            ("outbocks = \"file\"", "outbocks"),
            ("[delivery]\npigeon = \"outbox\"", "pigeon"),
            ("[delivery]\nmail = \"pigeon\"", "a section"),
            ("[delivery.mail]\nhost = \"a\"\nhast = \"b\"", "hast"),
            ("[delivery.mail]\nencryption = \"some\"", "encryption"),
            ("[delivery.text]\nuri = \"https://a\"", "uri"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_part_of_the_codes_is_no_more_than_all() {
        let faults = |network, country, day| {
            let config = Config {
                codes_per_network_per_day: network,
                codes_per_country_per_day: country,
                codes_per_day: day,
                ..Config::default()
            };
            config.validate().into_iter().map(|fault| fault.key).collect::<Vec<_>>()
        };
        assert!(faults(10, 10, 10).is_empty());
        assert_eq!(faults(11, 10, 10), ["ownership.codes_per_network_per_day"]);
        assert_eq!(faults(10, 11, 10), ["ownership.codes_per_country_per_day"]);
    }

    #[test]
    fn one_method_may_be_the_outbox_and_a_written_config_reads_back() {
        let text = "[delivery]\ntext = \"outbox\"\n[delivery.mail]\nhost = \"mail.example.org\"\n";
        let config: Config = toml::from_str(text).expect("valid");
        let DeliveryMethod::Section(methods) = &config.delivery else { panic!("{config:?}") };
        assert_eq!(methods.text, DeliveryMethod::Outbox);
        assert!(
            matches!(&methods.mail, DeliveryMethod::Section(mail) if mail.host == "mail.example.org")
        );
        for config in [config, Config::default()] {
            let written = toml::to_string(&config).expect("it can be written");
            assert_eq!(toml::from_str::<Config>(&written).expect(&written), config);
        }
    }
}
