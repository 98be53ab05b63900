//! Random texts against the invariants; the fuzz target runs more of them.

use proptest::prelude::*;

use super::{PhoneKey, invariants};
use crate::handle::Handle;

fn region() -> impl Strategy<Value = Option<super::Region>> {
    prop::sample::select(invariants::regions())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text(text in any::<String>(), region in region()) {
        invariants::check(&text, region);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), region in region()) {
        invariants::check(&String::from_utf8_lossy(&bytes), region);
    }

    #[test]
    fn texts_like_numbers(text in "[+＋]?[0-9٠-٩０-９ ().\\-/+x#;,~*pw\\n\\t'·\u{200D}\u{FE0F}]{0,30}", region in region()) {
        invariants::check(&text, region);
    }

    #[test]
    fn texts_like_tel_uris(text in "tel:[+%2B0-9-]{0,20}(;(ext|isub|phone-context|x)=[+%0-9a-z.-]{0,9}){0,3}", region in region()) {
        invariants::check(&text, region);
    }

    #[test]
    fn texts_like_addresses(text in "(mailto:)?[a-zA-Zß-ſΑ-ωﬀ-ﬆ+.\"\\\\%\\PC]{0,12}@[a-z0-9A-Z.。\\-\\PC]{0,20}\\.[a-zA-Zß0-9]{0,4}", region in region()) {
        invariants::check(&text, region);
    }

    /// Numbers of countries with special rules.
    #[test]
    fn numbers_of_rewritten_countries(
        head in prop::sample::select(vec!["+52", "+521", "+229", "+22901", "+54", "+549", "+55", "+5511", "+55119", "+4900", "+390", "+3788", "+225", "+84", "+84168", "+20", "+230", "+237", "+593", "+974"]),
        tail in "[0-9]{4,13}",
        region in region(),
    ) {
        invariants::check(&format!("{head}{tail}"), region);
    }

    /// Every E.164-shaped text, canonical or not.
    #[test]
    fn packed_numbers(bits in 1_000_000_u64..1_000_000_000_000_000, digits in 7_u32..=15, region in region()) {
        let bits = (bits % 10_u64.pow(digits)).max(1_000_000);
        let key = PhoneKey::from_bits(bits).expect("in range");
        prop_assert_eq!(key.e164().as_str().to_owned(), format!("+{bits}"));
        invariants::check(key.e164().as_str(), region);
    }

    /// Spellings form pairs: no third spelling maps to either of them.
    #[test]
    fn spellings_pair_up(bits in prop_oneof![541_000_000_000_u64..559_999_999_999, 5_411_000_000_000_u64..5_599_999_999_999]) {
        let key = PhoneKey::from_bits(bits).expect("in range");
        if let Some(other) = key.other_spelling() {
            prop_assert_ne!(other, key);
            prop_assert_eq!(other.other_spelling(), Some(key));
            prop_assert_eq!(Handle::Phone(other).equivalents().count(), 1);
        }
    }
}
