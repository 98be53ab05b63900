//! National digits that may be an international number without its plus sign.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat};

use super::{Handle, Region};

impl Handle {
    /// Whether the digits of a national number of `region` have a second reading: with a plus sign, they are a valid number
    /// of somebody else, and nobody in `region` would write the national number like this. Programs that read numbers as
    /// integers remove plus signs and leading zeros, so `4915123456789` in Germany is more likely `+49 151 23456789`
    /// than `04915 123456789`.
    pub fn has_two_readings(text: &str, region: Region) -> bool {
        let is_part = |c: char| c.is_ascii_digit() || c.is_whitespace() || "-./()".contains(c);
        if !text.chars().all(is_part) {
            return false;
        }
        let digits = digits_of(text);
        let read = |digits: &str, region: Option<Region>| -> Option<PhoneNumber> {
            let Ok(Self::Phone(key)) = Self::parse(digits, region) else { return None };
            PHONE_NUMBER_UTIL.parse(key.e164().as_str(), None).ok()
        };
        let (Some(national), Some(international)) =
            (read(&digits, Some(region)), read(&format!("+{digits}"), None))
        else {
            return false;
        };
        national != international
            && PHONE_NUMBER_UTIL.is_valid_number(&international)
            && digits_of(&PHONE_NUMBER_UTIL.format(&national, PhoneNumberFormat::National))
                != digits
    }
}

fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_two_readings_only_where_nobody_writes_them_as_a_national_number() {
        for (text, region, has_two) in [
            // A plus sign was lost, or a zero: +49 and +1 512.
            ("4915123456789", "DE", true),
            ("49 151 23456789", "DE", true),
            ("33612345678", "DE", true),
            ("15123456789", "DE", true),
            // The same number either way.
            ("14155550123", "US", false),
            ("436641234567", "AT", false),
            ("393912345678", "IT", false),
            ("447911123456", "GB", false),
            // As people write it at home.
            ("4155550123", "US", false),
            ("4325551234", "US", false),
            ("13105551234", "CN", false),
            ("3912345678", "IT", false),
            ("34987654321", "BR", false),
            ("015123456789", "DE", false),
            // No plus sign was lost, or it is no number.
            ("004915123456789", "DE", false),
            ("+4915123456789", "DE", false),
            ("1234", "DE", false),
            ("ann@example.com", "DE", false),
            ("", "DE", false),
        ] {
            let region = Region::parse(region).unwrap();
            assert_eq!(Handle::has_two_readings(text, region), has_two, "{text} {region:?}");
        }
    }
}
