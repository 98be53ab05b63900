//! The region of national numbers.

use rlibphonenumber::PHONE_NUMBER_UTIL;

use crate::handle::HandleError;

/// A country or territory with a numbering plan, by its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Region(rlibphonenumber::Region);

impl Region {
    /// Parses two ASCII letters in either case.
    ///
    /// # Errors
    /// [`HandleError::UnknownCountry`] for any other text, for codes that ISO has not assigned (`UK`), and for territories
    /// without a numbering plan (`AQ`).
    pub fn parse(code: &str) -> Result<Self, HandleError> {
        // The library also accepts "001", the world, which has no national numbers.
        let region = (code.len() == 2)
            .then(|| rlibphonenumber::Region::from_code(code).ok())
            .flatten()
            .ok_or(HandleError::UnknownCountry)?;
        PHONE_NUMBER_UTIL
            .get_country_code_for_region(region)
            .map(|_| Self(region))
            .ok_or(HandleError::UnknownCountry)
    }

    /// Every region that has a numbering plan, in no particular order.
    pub fn all() -> impl Iterator<Item = Self> {
        PHONE_NUMBER_UTIL.get_supported_regions().map(Self)
    }

    /// The region as the library's type.
    pub(super) const fn library(self) -> rlibphonenumber::Region {
        self.0
    }
}

/// Compiles the patterns of all countries.
///
/// Otherwise the library compiles the patterns of a country for its first number, which takes up to 31 ms. All patterns
/// take 0.2 s, and 45 MiB of memory permanently. Afterwards no number takes more than 0.1 ms, except a
/// country's first number with a slash (5 ms). The call is optional: the server makes it once at start, on a thread of its
/// own, while the registry loads.
pub fn warm_up() {
    for region in PHONE_NUMBER_UTIL.get_supported_regions() {
        let Ok(example) = PHONE_NUMBER_UTIL.get_example_number(region) else {
            continue;
        };
        let code = example.country_code;
        let national = example.get_national_significant_number();
        // A number with a plus sign, a national one, and one with a calling code but no plus sign need different
        // patterns. The results do not matter.
        let _ = PHONE_NUMBER_UTIL.parse(format!("+{code}{national}"), None);
        let _ = PHONE_NUMBER_UTIL.parse(&national, Some(region));
        let _ = PHONE_NUMBER_UTIL.parse(format!("{code}{national}"), Some(region));
    }
}
