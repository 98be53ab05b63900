//! Numbers for which callers and senders pay more.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType};

use super::PhoneKey;

impl PhoneKey {
    /// Whether its country's plan lists the number as premium rate or shared cost. Messages to such a number earn money for
    /// its owner. A number that the library does not know is none.
    pub fn is_premium_rate(self) -> bool {
        let number = PHONE_NUMBER_UTIL.parse(self.e164().as_str(), None);
        let kind = number.map(|number| PHONE_NUMBER_UTIL.get_number_type(&number));
        matches!(kind, Ok(PhoneNumberType::PremiumRate | PhoneNumberType::SharedCost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn premium_and_shared_cost_numbers_are_told_from_others() {
        for (text, is_premium) in [
            ("+19002345678", true),
            ("+449098790123", true),
            ("+448431234567", true),
            ("+491901234567", false),
            ("+499001234567", true),
            ("+14155550123", false),
            ("+447911123456", false),
            ("+18002345678", false),
        ] {
            let key = PhoneKey::from_e164(text).expect("E.164");
            assert_eq!(key.is_premium_rate(), is_premium, "{text}");
        }
    }
}
