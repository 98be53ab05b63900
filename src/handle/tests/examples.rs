//! Parses the library's example numbers of every type and country.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType};

use crate::handle::{Handle, PhoneKey, Region};

const TYPES: [PhoneNumberType; 11] = [
    PhoneNumberType::FixedLine,
    PhoneNumberType::Mobile,
    PhoneNumberType::TollFree,
    PhoneNumberType::PremiumRate,
    PhoneNumberType::SharedCost,
    PhoneNumberType::VoIP,
    PhoneNumberType::PersonalNumber,
    PhoneNumberType::Pager,
    PhoneNumberType::UAN,
    PhoneNumberType::VoiceMail,
    PhoneNumberType::FixedLineOrMobile,
];

fn examples(region: Region) -> impl Iterator<Item = PhoneNumber> {
    TYPES.into_iter().filter_map(move |kind| {
        PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region.library(), kind).ok()
    })
}

fn text(result: Result<Handle, crate::handle::HandleError>) -> String {
    match result {
        Ok(handle) => handle.canonical().into_owned(),
        Err(error) => error.reason().to_owned(),
    }
}

#[test]
fn every_example_parses_to_its_e164_and_back_from_its_national_form() {
    // Two differences are intended. The library's metadata does not know the new spellings of Benin yet. Two numbers of
    // companies cannot be dialled from abroad: one has fewer than seven digits, the other exists only within an area.
    let expected = |e164: &str| match e164 {
        "+22985751234" => "+2290185751234".to_owned(),
        "+22981123456" => "+2290181123456".to_owned(),
        "+989601" | "+13101234" => "too-short".to_owned(),
        _ => e164.to_owned(),
    };
    let mut count = 0;
    let mut differing = Vec::new();
    for region in Region::all() {
        for example in examples(region) {
            let e164 = example.format_as(PhoneNumberFormat::E164).into_owned();
            let forms = [
                (PhoneNumberFormat::E164, None),
                (PhoneNumberFormat::International, None),
                (PhoneNumberFormat::RFC3966, None),
                (PhoneNumberFormat::National, Some(region)),
            ];
            for (format, region) in forms {
                let input = example.format_as(format);
                let output = text(Handle::parse(&input, region));
                count += 1;
                if output != expected(&e164) {
                    differing.push(format!("{input} in {region:?}: {output}, not {e164}"));
                }
            }
        }
    }
    assert!(count > 5_000, "only {count} examples");
    assert_eq!(differing, Vec::<String>::new());
}

/// The library knows the calling code of a number because it knows the number's metadata. The key only has its digits.
#[test]
fn a_number_begins_with_its_calling_code() {
    let codes: Vec<_> = PHONE_NUMBER_UTIL.get_supported_calling_codes().collect();
    assert!(codes.len() > 200, "only {}", codes.len());
    for code in codes {
        let code = u64::try_from(code).unwrap();
        for national in ["000000", "1234567", "99999999"] {
            let key = PhoneKey::from_e164(&format!("+{code}{national}")).unwrap();
            assert_eq!(u64::from(key.calling_code()), code);
        }
    }
}

#[test]
fn numbers_of_no_country_parse_too() {
    let mut count = 0;
    for code in PHONE_NUMBER_UTIL.get_supported_global_network_calling_codes() {
        let Ok(example) = PHONE_NUMBER_UTIL.get_example_number_for_non_geo_entity(code) else {
            continue;
        };
        let e164 = example.format_as(PhoneNumberFormat::E164).into_owned();
        assert_eq!(text(Handle::parse(&e164, None)), e164);
        count += 1;
    }
    assert!(count >= 8, "only {count}");
}
