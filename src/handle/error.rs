//! Why a text is not a handle.

/// Why a text is not a handle. The error does not contain the text, which is personal data even if it is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HandleError {
    /// The text is empty or white space.
    #[error("the handle is empty")]
    Empty,
    /// Digits are missing. Also the reason for a number that can only be dialled within its area, and for a length between
    /// two valid lengths of the country.
    #[error("the phone number is too short for its country")]
    TooShort,
    /// The number has too many digits, or the address too many bytes.
    #[error("the handle is too long")]
    TooLong,
    /// The text has other characters than digits and separators, and no `@`.
    #[error("the handle is neither a phone number nor an e-mail address")]
    NotANumber,
    /// No numbering plan has the calling code or the region.
    #[error("the country is unknown")]
    UnknownCountry,
    /// The number has no calling code, and no region is given.
    #[error("a phone number without a country calling code needs a region")]
    NeedsRegion,
    /// The text has an `@`, but is no e-mail address that public mail can reach.
    #[error("the e-mail address is not acceptable")]
    NotAnAddress,
    /// The number has an extension. A code sent to the number would not reach the person behind it.
    #[error("a phone number with an extension cannot be a handle")]
    Extension,
}

impl HandleError {
    /// The reason in the API. The values are part of its contract.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooShort => "too-short",
            Self::TooLong => "too-long",
            Self::NotANumber => "not-a-number",
            Self::UnknownCountry => "unknown-country",
            Self::NeedsRegion => "needs-region",
            Self::NotAnAddress => "not-an-address",
            Self::Extension => "extension",
        }
    }
}
