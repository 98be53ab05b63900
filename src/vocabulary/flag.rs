//! Why an account is flagged.

use super::codes::codes;

codes! {
    /// Why an account is flagged: it gets no new handles until a fresh proof or an operator clears it.
    FlagReason {
        /// Far fewer of the handles that it asked for are registered than the service's customers have.
        TooFewHits = 1 "too-few-hits",
        /// Far more of the handles that it asked for are registered than anybody's address book has.
        TooManyHits = 2 "too-many-hits",
        /// It asked for numbers of blocks that are being asked for number by number.
        SweptNumbers = 3 "swept-numbers",
    }
}
