//! The limits by name, as metrics and refused requests name them.

use super::codes::codes;

codes! {
    /// Limits on lookups, sign-ups and changes.
    QuotaLimit {
        /// New handles of one account.
        NewHandles = 1 "new-handles",
        /// Lookup requests of one account.
        Requests = 2 "requests",
        /// Lookups of one account, each handle of a batch counted.
        Lookups = 3 "lookups",
        /// Lookups from one network, each handle of a batch counted.
        NetworkLookups = 4 "network-lookups",
        /// Lookups of all accounts that hold no handle.
        UnprovenLookups = 5 "unproven-lookups",
        /// Sign-ups of one network.
        SignUps = 6 "sign-ups",
        /// Sign-ups of all networks.
        AllSignUps = 7 "all-sign-ups",
        /// Changes of one account: check-ins, claims, hiding and showing a handle.
        Changes = 8 "changes",
        /// New handles that are asked for from one network.
        NetworkNewHandles = 9 "network-new-handles",
        /// New handles of all accounts that hold no handle.
        UnprovenNewHandles = 10 "unproven-new-handles",
        /// New handles of an account that is flagged: none, until it proves a handle or an operator clears it.
        Flagged = 11 "flagged",
        /// New numbers of a block that is being asked for number by number: none, until the account holds a handle for seven days.
        SweptNumbers = 12 "swept-numbers",
    }
}

codes! {
    /// The limits that `rate-limited` and `lookup-quota` may name as exceeded.
    Limit {
        /// The pause between two codes of one verification.
        Resend = 1 "resend",
        /// Codes sent to one person in a day: all spellings of a handle count together.
        CodesPerHandle = 2 "codes-per-handle",
        /// Codes that one account asked for in a day.
        CodesPerAccount = 3 "codes-per-account",
        /// Codes that one network asked for in a day.
        CodesPerNetwork = 4 "codes-per-network",
        /// Wrong codes of one verification.
        CodeAttempts = 5 "code-attempts",
        /// Open link codes of one account.
        LinkCodes = 6 "link-codes",
        /// Codes sent to one country in a day.
        CodesPerCountry = 7 "codes-per-country",
        /// Codes sent in a day, to everybody.
        CodesOverall = 8 "codes-overall",
        /// Codes to a country whose codes were hardly ever answered.
        CountryPaused = 9 "country-paused",
    } with {
        /// A limit of the quota.
        Quota(QuotaLimit) = 16,
    }
}
