//! Why a text is not a handle.

/// Why a text is not a handle. It never holds the text: what was typed is personal even when it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HandleError {
    /// Nothing but white space.
    #[error("the handle is empty")]
    Empty,
    /// Digits are missing. Also a number that can only be dialled inside one town, and one whose length lies
    /// between two that its country knows.
    #[error("the phone number is too short for its country")]
    TooShort,
    /// More digits, or a longer address, than there can be.
    #[error("the handle is too long")]
    TooLong,
    /// Neither digits and separators, nor anything with an `@`.
    #[error("the handle is neither a phone number nor an e-mail address")]
    NotANumber,
    /// A calling code or a region that no numbering plan has.
    #[error("the country is unknown")]
    UnknownCountry,
    /// A national number, and no region to read it in.
    #[error("a phone number without a country calling code needs a region")]
    NeedsRegion,
    /// Meant as an e-mail address, and not one that mail from outside could reach.
    #[error("the e-mail address is not acceptable")]
    NotAnAddress,
    /// A number with an extension: what lies behind a switchboard is no handle.
    #[error("a phone number with an extension cannot be a handle")]
    Extension,
}

impl HandleError {
    /// The reason as the API spells it. These words are part of the contract.
    #[must_use]
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
