//! A handle as its canonical text in JSON, for fields that ask for it by name: `#[serde(with = "handle::canonical")]`.

use serde::{Deserialize as _, Deserializer, Serializer, de};

use super::Handle;

/// Writes the canonical text.
pub fn serialize<S: Serializer>(handle: &Handle, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&handle.canonical())
}

/// Reads the canonical text. An error does not repeat it.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Handle, D::Error> {
    let text = String::deserialize(deserializer)?;
    Handle::from_canonical(&text).ok_or_else(|| de::Error::custom("not a canonical handle"))
}

/// The same for a field that may be null or absent.
pub mod optional {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::Handle;

    /// Writes the canonical text, or null.
    pub fn serialize<S: Serializer>(
        handle: &Option<Handle>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match handle {
            Some(handle) => super::serialize(handle, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the canonical text, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Handle>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let handle = text.map(|text| {
            Handle::from_canonical(&text).ok_or_else(|| de::Error::custom("not a canonical handle"))
        });
        handle.transpose()
    }
}
