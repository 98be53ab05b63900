//! The keys of one log and the value of its head:
//!
//! | key | value |
//! | --- | --- |
//! | PREFIX`head` | the head's place and hash as text, not there before the first entry |
//! | PREFIX`log/`PLACE | the entry's bytes; the place has 20 digits, so that keys sort as places do |
//! | PREFIX`fence` | never there: deleting it is a write that changes nothing |
//! | PREFIX`probe/`NAME`/`N | there for a moment, while a node finds out what the engine does |

use data_encoding::HEXLOWER;
use prost::bytes::Bytes;

use crate::shared_log::interface::{EngineError, Head};

/// The keys that begin with a prefix.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn head(&self) -> Bytes {
        format!("{}head", self.prefix).into()
    }

    pub(super) fn fence(&self) -> Bytes {
        format!("{}fence", self.prefix).into()
    }

    pub(super) fn probe(&self, name: &str) -> Bytes {
        format!("{}probe/{name}", self.prefix).into()
    }

    pub(super) fn entry(&self, place: u64) -> Bytes {
        format!("{}log/{place:020}", self.prefix).into()
    }

    /// Every key that begins with the prefix, but those of probes: two ranges, each with its first key and the first behind it.
    pub(super) fn all_but_probes(&self) -> [(Bytes, Bytes); 2] {
        let end = match self.prefix.as_bytes() {
            // The prefix of a log ends with a slash, and `0` is the character after that.
            [before @ .., last] if *last < u8::MAX => [before, &[last + 1]].concat(),
            // etcd: every key from the first one on.
            _ => vec![0],
        };
        let probes = [format!("{}probe/", self.prefix), format!("{}probe0", self.prefix)];
        let [probes, behind] = probes.map(Bytes::from);
        [(self.prefix.clone().into(), probes), (behind, end.into())]
    }

    /// The first key after those of entries: `0` is the character after `/`.
    pub(super) fn entries_end(&self) -> Bytes {
        format!("{}log0", self.prefix).into()
    }

    /// The place in the key of an entry.
    pub(super) fn place(&self, key: &[u8]) -> Result<u64, EngineError> {
        let digits = key.strip_prefix(self.prefix.as_bytes());
        let digits = digits.and_then(|key| key.strip_prefix(b"log/"));
        let place = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
        let place = place.filter(|place| self.entry(*place) == key);
        place.ok_or(EngineError::Damaged("a key is of no entry"))
    }
}

/// The value of the key of the head.
pub(super) fn head_value(head: Head) -> Bytes {
    format!("{} {}", head.place, HEXLOWER.encode(&head.hash)).into()
}

/// The head that a value says.
pub(super) fn parse_head(value: &[u8]) -> Result<Head, EngineError> {
    let parsed = || {
        let (place, hash) = str::from_utf8(value).ok()?.split_once(' ')?;
        let hash = HEXLOWER.decode(hash.as_bytes()).ok()?;
        Some(Head { place: place.parse().ok()?, hash: hash.try_into().ok()? })
    };
    let parsed = parsed().filter(|head| head_value(*head) == value);
    parsed.ok_or(EngineError::Damaged("the value of the head is of another form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_entries_sort_as_places_do_and_lie_before_the_end() {
        let keys = Keys::new("/a/".to_owned());
        let places = [0, 1, 9, 10, 99, 4_294_967_296, u64::MAX];
        for pair in places.windows(2) {
            assert!(keys.entry(pair[0]) < keys.entry(pair[1]), "{pair:?}");
        }
        assert!(keys.entry(u64::MAX) < keys.entries_end());
        for other in [keys.head(), keys.fence(), keys.probe("x")] {
            assert!(!(keys.entry(0)..keys.entries_end()).contains(&other));
            assert!(keys.place(&other).is_err());
        }
        for place in places {
            assert_eq!(keys.place(&keys.entry(place)), Ok(place));
        }
        assert!(keys.place(b"/a/log/1").is_err());
        assert!(Keys::new("/b/".to_owned()).place(&keys.entry(1)).is_err());
    }

    #[test]
    fn all_keys_but_those_of_probes_lie_in_the_two_ranges() {
        let keys = Keys::new("a/".to_owned());
        let ranges = keys.all_but_probes();
        let holds = |key: &Bytes| ranges.iter().any(|(first, end)| (first..end).contains(&key));
        for key in [
            keys.head(),
            keys.fence(),
            keys.entry(0),
            keys.entry(u64::MAX),
            "a/".into(),
            "a/z".into(),
        ] {
            assert!(holds(&key), "{key:?}");
        }
        for key in [keys.probe("x"), "a".into(), "b/head".into(), "a0".into()] {
            assert!(!holds(&key), "{key:?}");
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        for head in
            [Head::EMPTY, Head::EMPTY.after(b"a"), Head { place: u64::MAX, hash: [255; 32] }]
        {
            assert_eq!(parse_head(&head_value(head)), Ok(head));
        }
        for wrong in [
            &b""[..],
            b"1",
            b"1 ",
            b"1 ff",
            b"x 00",
            b"\xff",
            &[b"0", &head_value(Head::EMPTY)[..]].concat(),
        ] {
            assert!(parse_head(wrong).is_err());
        }
    }
}
