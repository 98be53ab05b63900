//! Numbers as people dial them from another country.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};

use super::{check_table, parsed};
use crate::handle::{Handle, Region};

#[test]
fn each_region_dials_every_destination_as_the_library_reads_it() {
    let destinations: Vec<_> =
        ["US", "GB", "DE", "IT", "FR", "RU", "BR", "IN", "JP", "AU", "ZA", "UA", "NZ", "KZ"]
            .iter()
            .map(|code| {
                let region = Region::parse(code).expect("a known region").library();
                PHONE_NUMBER_UTIL
                    .get_example_number_for_type_and_region(region, PhoneNumberType::Mobile)
                    .expect("an example")
            })
            .collect();
    let mut count = 0;
    for region in Region::all() {
        for number in &destinations {
            let dialled = number.format_out_of_country_calling_number(region.library());
            let read = PHONE_NUMBER_UTIL.parse(&dialled, Some(region.library())).expect("a number");
            let handle = Handle::parse(&dialled, Some(region));
            let canonical = handle.ok().map(|handle| handle.canonical().into_owned());
            // Hong Kong dials 00 61 for Australia, and the library reads a carrier's prefix 006.
            let expected = PHONE_NUMBER_UTIL
                .is_possible_number(&read)
                .then(|| read.format_as(PhoneNumberFormat::E164).into_owned());
            assert_eq!(canonical, expected, "{dialled} in {region:?}");
            count += 1;
        }
    }
    assert!(count > 3_400, "only {count}");
}

#[test]
fn prefixes_of_calls_abroad() {
    check_table(&[
        ("8~10 44 7400 123456", "RU", "+447400123456"),
        ("8~10 44 7400 123456", "KZ", "+447400123456"),
        ("8 ~ 10 44 7400 123456", "BY", "+447400123456"),
        ("8～10 44 7400 123456", "TJ", "+447400123456"),
        ("8~10447400123456", "TM", "+447400123456"),
        ("0~0 44 7400 123456", "UA", "+447400123456"),
        ("0∼0 44 7400 123456", "UA", "+447400123456"),
        ("810 44 7400 123456", "RU", "+447400123456"),
        ("8~10 44 7400 123456", "", "needs-region"),
        // Elsewhere a tilde precedes an extension.
        ("+44 7400 123456~22", "", "extension"),
        ("+8~10 44 7400 123456", "RU", "not-a-number"),
        ("011 44 7400 123456", "US", "+447400123456"),
        ("0011 44 7400 123456", "AU", "+447400123456"),
        ("0011-44-7400-123456", "AU", "+447400123456"),
        ("(00) 44 7400 123456", "DE", "+447400123456"),
        ("010 44 7400 123456", "JP", "+447400123456"),
    ]);
}

#[test]
fn a_plus_sign_before_the_prefix_of_calls_abroad() {
    check_table(&[
        ("+0064 3 331 6005", "NZ", "+6433316005"),
        ("+0049 151 23456789", "DE", "+4915123456789"),
        ("+(00) 49 151 23456789", "FR", "+4915123456789"),
        ("+011 64 3 331 6005", "US", "+6433316005"),
        ("＋００４９ 151 23456789", "DE", "+4915123456789"),
        // Without a region, or in a region with another prefix, these digits lead nowhere.
        ("+0064 3 331 6005", "", "unknown-country"),
        ("+0064 3 331 6005", "US", "unknown-country"),
        ("+00 999 123 456 789", "DE", "unknown-country"),
    ]);
    assert_eq!(
        Handle::parse_in("+0064 3 331 6005", Some("XX")).map_err(|error| error.reason()),
        Err("unknown-country")
    );
}

#[test]
fn trunk_and_carrier_prefixes() {
    check_table(&[
        ("(0xx11) 96123-4567", "BR", "+5511961234567"),
        ("0 XX 11 96123-4567", "BR", "+5511961234567"),
        ("0xx(11)961234567", "BR", "+5511961234567"),
        ("+55 (0xx11) 96123-4567", "", "+5511961234567"),
        ("0 15 11 96123-4567", "BR", "+5511961234567"),
        ("0 (11) 96123-4567", "BR", "+5511961234567"),
        ("+55 xx11 96123-4567", "", "not-a-number"),
        ("11 96123-4567 xx 22", "BR", "extension"),
        ("+ (44) (0)20 7946 0018", "", "+442079460018"),
        ("(+44) (0)20 7946 0018", "", "+442079460018"),
        ("+44 (0) 7400 123456", "", "+447400123456"),
        ("0044 (0)20 7946 0018", "DE", "+442079460018"),
    ]);
}

/// A region only decides what a prefix means.
#[test]
fn the_same_digits_in_other_regions() {
    assert_eq!(parsed("00 44 7400 123456", "DE"), "+447400123456");
    assert_ne!(parsed("00 44 7400 123456", "US"), "+447400123456");
}
