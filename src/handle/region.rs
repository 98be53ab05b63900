//! The region in which a national number is read.

use rlibphonenumber::PHONE_NUMBER_UTIL;

use crate::handle::HandleError;

/// A country or territory with a numbering plan, by its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Region(rlibphonenumber::Region);

impl Region {
    /// Reads two ASCII letters in either case.
    ///
    /// # Errors
    /// [`HandleError::UnknownCountry`] for anything else, for codes that ISO has not given out (`UK`), and for
    /// territories without a numbering plan of their own (`AQ`).
    pub fn parse(code: &str) -> Result<Self, HandleError> {
        // The library also knows "001", the world, which no national number can be read in.
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

    /// The library's own name for it.
    pub(super) const fn library(self) -> rlibphonenumber::Region {
        self.0
    }
}

/// Compiles what the first number of each country would otherwise wait for.
///
/// The library compiles a country's patterns when the first number of that country comes, 31 ms in the worst case.
/// All of them take 0.2 s and 45 MiB, which stay; afterwards no first number takes more than 0.1 ms. Nothing is wrong
/// without this call, only slow: the server runs it once at start, on a thread of its own, while the registry loads.
pub fn warm_up() {
    for region in PHONE_NUMBER_UTIL.get_supported_regions() {
        let Ok(example) = PHONE_NUMBER_UTIL.get_example_number(region) else {
            continue;
        };
        let code = example.country_code;
        let national = example.get_national_significant_number();
        // With a plus sign, as dialled inside the country, and with a calling code but no plus sign: each goes
        // through patterns of its own. The results do not matter.
        let _ = PHONE_NUMBER_UTIL.parse(format!("+{code}{national}"), None);
        let _ = PHONE_NUMBER_UTIL.parse(&national, Some(region));
        let _ = PHONE_NUMBER_UTIL.parse(format!("{code}{national}"), Some(region));
    }
}
