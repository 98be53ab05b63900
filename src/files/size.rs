//! Amounts of bytes as people write them (`256MiB`, `8 MB`), for `#[serde(with = "crate::files::size")]`.

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serializer, de};

const UNITS: &[(&str, u64)] =
    &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A whole number of the largest unit that fits.
pub fn in_units(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit);
    let (unit, length) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / length)
}

/// Writes the amount as [`in_units`] does.
pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&in_units(*bytes))
}

/// Reads a number with a unit.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let size: Option<ByteSize> = text.parse().ok().filter(|_| has_unit);
    size.map(|size| size.as_u64())
        .ok_or_else(|| de::Error::custom("expected an amount such as \"256MiB\" or \"2GB\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_as_people_write_it_and_read_back() {
        for (text, bytes) in [("0B", 0), ("1KiB", 1024), ("256MiB", 256 << 20), ("1000B", 1000)] {
            let written = serialize(&bytes, serde_json::value::Serializer).unwrap();
            assert_eq!(written, text);
            assert_eq!(deserialize(written).unwrap(), bytes);
        }
        let read = |text: &str| deserialize(serde_json::Value::from(text)).ok();
        assert_eq!((read("2 GB"), read("1.5MiB")), (Some(2_000_000_000), Some(3 << 19)));
        for text in ["", "256", "much", "-1MiB", "MiB"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
