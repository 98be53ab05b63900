//! Opaque ids: 64 random bits, written with a letter that says what they are and 13 characters of base 32.
//!
//! Random rather than counted, so that an id does not reveal how many there are; 64 bits, so that the index and the
//! log stay small. The module that stores an id checks that it is new (a million ids meet one with probability 3e-8).
//! Requests and changes, of which there are many, get theirs by the time: [`RequestId::next`], [`ChangeIds`].

use std::{
    borrow::Cow,
    fmt,
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, SchemaFormat, Type, schema::Schema},
};

/// Crockford's base 32, in lower case: no letter that reads like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// A letter, an underscore, 13 digits.
const TEXT_BYTES: usize = 15;

/// The text is not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {0}_ and 13 characters")]
pub struct IdError(char);

/// Fills `bytes` from the operating system's random source.
///
/// # Panics
/// If the operating system has no randomness to give; nothing safe can be done without it.
pub fn fill_random(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the operating system's random source works");
}

/// 64 bits from the operating system's random source.
pub fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Written by hand: every answer carries an id.
fn id_text(letter: char, id: u64) -> [u8; TEXT_BYTES] {
    let mut text = [b'_'; TEXT_BYTES];
    text[0] = letter as u8;
    // 13 digits are 65 bits; the last bit is zero.
    let mut left = u128::from(id) << 1;
    for digit in text[2..].iter_mut().rev() {
        *digit = ALPHABET[(left & 31) as usize];
        left >>= 5;
    }
    text
}

fn parse_id(text: &str, letter: char) -> Option<u64> {
    parse_digits(text.strip_prefix(letter)?.strip_prefix('_')?)
}

/// The 64 bits of an id's 13 digits: 65 bits, the last of which must be zero. Allocates nothing: it runs for every lookup.
pub(crate) fn parse_digits(digits: &str) -> Option<u64> {
    if digits.len() != TEXT_BYTES - 2 {
        return None;
    }
    let mut bits = 0u128;
    for digit in digits.bytes() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'h' => digit - b'a' + 10,
            b'j' | b'k' => digit - b'j' + 18,
            b'm' | b'n' => digit - b'm' + 20,
            b'p'..=b't' => digit - b'p' + 22,
            b'v'..=b'z' => digit - b'v' + 27,
            _ => return None,
        };
        bits = bits << 5 | u128::from(value);
    }
    (bits & 1 == 0).then(|| u64::try_from(bits >> 1).ok())?
}

fn id_schema(letter: char, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("id".to_owned())))
        .description(Some(description.trim()))
        .pattern(Some(format!("^{letter}_[0-9a-hjkmnp-tv-z]{{12}}[02468acegjmprtwy]$")))
        .examples([format!("{letter}_0123456789abc")])
        .into()
}

/// The place of a request that comes `micros` after the start: that microsecond, or the first free one behind it.
const fn place_after(last: u64, micros: u64) -> u64 {
    if micros > last { micros } else { last + 1 }
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident $letter:literal,)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// A new id.
            pub fn random() -> Self {
                Self(random_u64())
            }

            /// From its 64 bits, as stored.
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits)
            }

            /// Its 64 bits, to store.
            pub const fn bits(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&id_text($letter, self.0)).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                id_schema($letter, concat!($($doc),*))
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_id(text, $letter).map(Self).ok_or(IdError($letter))
            }
        }
    )*};
}

ids! {
    /// One person's devices and handles.
    AccountId 'a',
    /// One device.
    DeviceId 'd',
    /// One request, as in `X-Request-Id` and in every record it made.
    RequestId 'r',
    /// One verification session.
    VerificationId 'v',
    /// One message with a code, the same however often it is tried to deliver it.
    MessageId 'm',
    /// One registry change: lets a change record that was perhaps already written be recognised after a crash, and on other nodes.
    ChangeId 'c',
}

/// The low bits of a change's id, which tell apart what was decided in the same microsecond. The others are that microsecond, counted from
/// the Unix epoch: 54 bits last until 2540.
const CHANGE_COUNT_BITS: u32 = 10;
/// Changes that may be decided at one instant. Beyond [`CHANGE_COUNT_BITS`] their ids are of the microseconds behind it.
const CHANGES_AT_ONCE_MAX: u64 = 1 << 20;

impl ChangeId {
    /// A random one, for a registry that follows no shared log: there two changes may be decided at the same instant, as its clock shows
    /// it, and nothing needs their order. It tells an instant later than every change.
    pub fn without_order() -> Self {
        Self(random_u64() | 1 << 63)
    }

    /// The microsecond since the Unix epoch at which it was decided.
    pub const fn decided_us(self) -> u64 {
        self.0 >> CHANGE_COUNT_BITS
    }
}

/// Gives the changes of one registry their ids: when they were decided, and a count.
///
/// In a cluster each entry of the shared log is decided later than the one before it and has at most 512 changes. So the ids of all
/// nodes differ, and ascend as the log does. Random ids would not tell the order of two changes, nor when one was decided that a node
/// recorded hours later. Only operators see these ids.
#[derive(Debug, Default)]
pub struct ChangeIds(AtomicU64);

impl ChangeIds {
    /// The id of a change that is decided at this microsecond since the Unix epoch: the next one of those that were decided at the same
    /// instant.
    pub fn next(&self, decided_us: u64) -> ChangeId {
        let first = decided_us << CHANGE_COUNT_BITS;
        let behind = |last: u64| match last.checked_sub(first) {
            Some(count) if count < CHANGES_AT_ONCE_MAX => last + 1,
            _ => first,
        };
        let last =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(behind(last)));
        // The closure always gives an id.
        ChangeId(behind(last.unwrap_or_default()))
    }
}

impl RequestId {
    /// Its text, without an allocation.
    pub fn text(self) -> [u8; TEXT_BYTES] {
        id_text('r', self.0)
    }

    /// The next id of this process: the microsecond in which it is made, counted from a random number and scrambled by a
    /// bijection. It never repeats within a process and costs tens of nanoseconds.
    ///
    /// A client can undo the bijection. Two ids then tell how much time passed between two requests, which their client knows
    /// anyway, and nothing about requests of others. A plain count would tell how many there were.
    pub fn next() -> Self {
        static START: LazyLock<(Instant, u64)> = LazyLock::new(|| (Instant::now(), random_u64()));
        static LAST: AtomicU64 = AtomicU64::new(0);
        let (start, first) = *START;
        let micros = start.elapsed().as_micros() as u64;
        let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            Some(place_after(last, micros))
        });
        // The closure always gives a place.
        let place = place_after(last.unwrap_or_default(), micros);
        Self::from_count(first.wrapping_add(place))
    }

    /// The id of a place in the count: the finalizer of SplitMix64 over a multiple of the golden ratio's 64 bits.
    pub const fn from_count(count: u64) -> Self {
        let mut bits = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(bits ^ (bits >> 31))
    }

    /// The place in the count, the inverse of [`Self::from_count`]: what was asked within an hour has places close to one
    /// another, so stored together they take about four bytes instead of eight. Exact for any id, however it was made.
    pub const fn count(self) -> u64 {
        // Each shift is undone by shifting on, each product by the inverse of its odd factor modulo 2^64.
        let mut bits = self.0;
        bits = (bits ^ (bits >> 31) ^ (bits >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
        bits = (bits ^ (bits >> 27) ^ (bits >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
        bits = bits ^ (bits >> 30) ^ (bits >> 60);
        bits.wrapping_mul(0xf1de_83e1_9937_733d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn request_ids_do_not_repeat() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| RequestId::next()).collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn two_request_ids_tell_the_time_between_them_and_not_the_requests() {
        // Of one client, a second apart, while others send a request every 5 microseconds, or none.
        for others in [0, 199_000] {
            let mut last = place_after(0, 1_000);
            let first = last;
            for other in 1..=others {
                last = place_after(last, 1_000 + 5 * other);
            }
            assert_eq!(place_after(last, 1_001_000) - first, 1_000_000);
        }
        // At once, all are different.
        assert_eq!([place_after(7, 7), place_after(8, 7), place_after(9, 3)], [8, 9, 10]);
    }

    #[test]
    fn request_ids_follow_the_time() {
        let mut passed = 0;
        // Other tests make ids faster than one a microsecond; then the ids are ahead of the time for a while.
        for _ in 0..1_000 {
            let first = RequestId::next().count();
            std::thread::sleep(std::time::Duration::from_millis(20));
            passed = RequestId::next().count().wrapping_sub(first);
            if passed >= 20_000 {
                return;
            }
        }
        panic!("{passed} microseconds in 20 milliseconds");
    }

    #[test]
    fn ids_of_changes_ascend_and_tell_when_they_were_decided() {
        let ids = ChangeIds::default();
        let given = [7, 7, 8, 7_000_000, 7_000_000].map(|micros| ids.next(micros));
        assert!(given.is_sorted_by(|one, next| one < next), "{given:?}");
        assert_eq!(given.map(ChangeId::decided_us), [7, 7, 8, 7_000_000, 7_000_000]);
        // The clock went back.
        assert_eq!(ids.next(9).decided_us(), 9);
        let at_once: std::collections::HashSet<_> = (0..5_000).map(|_| ids.next(9)).collect();
        assert_eq!(at_once.len(), 5_000);
        assert!(at_once.iter().all(|id| (9..15).contains(&id.decided_us())));
        // 2084-01-01, the latest that trusted time can be.
        let last_us = 3_597_523_200_000_000;
        assert!(last_us < ChangeId::without_order().decided_us());
        assert_eq!(ids.next(last_us).decided_us(), last_us);
    }

    proptest! {
        #[test]
        fn a_request_id_has_one_place_in_the_count(bits: u64) {
            let id = RequestId::from_bits(bits);
            prop_assert_eq!(RequestId::from_count(id.count()), id);
            prop_assert_eq!(RequestId::from_count(bits).count(), bits);
        }

        #[test]
        fn a_request_id_is_written_as_it_is_shown(bits: u64) {
            let id = RequestId::from_bits(bits);
            prop_assert_eq!(id.text().to_vec(), id.to_string().into_bytes());
        }

        #[test]
        fn ids_survive_their_text(bits: u64) {
            let id = DeviceId::from_bits(bits);
            prop_assert_eq!(id.to_string().len(), 15);
            prop_assert_eq!(id.to_string().parse::<DeviceId>(), Ok(id));
            prop_assert!(id.to_string().parse::<AccountId>().is_err());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            if let Ok(id) = text.parse::<DeviceId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
