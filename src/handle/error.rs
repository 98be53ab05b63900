//! Why a text is not a handle.

/// Declares the errors with, for each, its reason in the API and its text.
macro_rules! handle_errors {
    ($($(#[doc = $doc:literal])* $case:ident $reason:literal $text:literal,)*) => {
        /// Why a text is not a handle. The error does not contain the text, which is personal data even if it is invalid.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum HandleError { $($(#[doc = $doc])* #[error($text)] $case,)* }

        impl HandleError {
            /// Every error.
            pub const ALL: &[Self] = &[$(Self::$case),*];

            /// The reason in the API. The values are part of its contract.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$case => $reason,)* }
            }

            /// What the error means, as its comment says it: for the API's description.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$case => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

handle_errors! {
    /// The text is empty or white space.
    Empty "empty" "the handle is empty",
    /// Digits are missing. Also the reason for a number that can only be dialled within its area, and for a length between
    /// two valid lengths of the country.
    TooShort "too-short" "the phone number is too short for its country",
    /// The number has too many digits, or the address too many bytes.
    TooLong "too-long" "the handle is too long",
    /// The text has no `@`, and it has other characters than one number has: letters, a second number, a decimal fraction.
    NotANumber "not-a-number" "the handle is neither a phone number nor an e-mail address",
    /// No numbering plan has the calling code or the region.
    UnknownCountry "unknown-country" "the country is unknown",
    /// The number has no calling code, and no region is given.
    NeedsRegion "needs-region" "a phone number without a country calling code needs a region",
    /// The text has an `@`, but is no e-mail address that public mail can reach.
    NotAnAddress "not-an-address" "the e-mail address is not acceptable",
    /// The number has an extension. A code sent to the number would not reach the person behind it.
    Extension "extension" "a phone number with an extension cannot be a handle",
}
