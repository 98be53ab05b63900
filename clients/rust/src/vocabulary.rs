//! The closed sets of the API. A newer server may add a value: it is read as `Unknown`, with its text.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! vocabulary {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $case_doc:literal])* $case:ident $text:literal,)* })*) => {$(
        $(#[doc = $doc])*
        #[must_use]
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[doc = $case_doc])* $case,)*
            /// A value of a newer server, as it was sent.
            Unknown(Box<str>),
        }

        impl $name {
            /// Every value that this version knows.
            pub const KNOWN: &[Self] = &[$(Self::$case),*];

            /// The value in the API.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$case => $text,)*
                    Self::Unknown(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$case,)*
                    _ => Self::Unknown(text.into()),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::from(&*String::deserialize(deserializer)?))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}

vocabulary! {
    /// Which way a message goes.
    Route {
        /// Over the messaging service: the blue bubble.
        Imessage "imessage",
        /// By text message: the green bubble.
        Sms "sms",
        /// No way: an e-mail address that no live device backs.
        None "none",
    }

    /// The route that a whole group can use.
    Together {
        /// Members have different routes, and none has the route `none`.
        Mixed "mixed",
        /// Every member is blue.
        Imessage "imessage",
        /// Every member is green.
        Sms "sms",
        /// A member has no route, or is no handle.
        None "none",
    }

    /// What kind of device it is.
    Platform {
        /// A phone.
        Ios "ios",
        /// A tablet.
        Ipados "ipados",
        /// A computer.
        Macos "macos",
        /// A watch.
        Watchos "watchos",
        /// A headset.
        Visionos "visionos",
        /// Anything else.
        Other "other",
    }

    /// By which kind of message a code was sent.
    SentBy {
        /// A text message.
        Sms "sms",
        /// A mail.
        Email "email",
    }

    /// Why an account holds a handle no more.
    HandleLoss {
        /// Another account proved it later and holds it now.
        Moved "moved",
        /// Its owner took it back from every device, with a code sent to it.
        Deregistered "deregistered",
        /// The last device that backed it gave it up.
        Unbound "unbound",
        /// The last device that backed it signed out, or was silent for too long.
        DeviceRemoved "device-removed",
    }

    /// Why a text is not a handle.
    HandleReason {
        /// The text is empty or white space.
        Empty "empty",
        /// Digits are missing.
        TooShort "too-short",
        /// The number has too many digits, or the address too many bytes.
        TooLong "too-long",
        /// The text is neither one phone number nor an address.
        NotANumber "not-a-number",
        /// No numbering plan has the calling code or the region.
        UnknownCountry "unknown-country",
        /// The number has no calling code, and no region is given.
        NeedsRegion "needs-region",
        /// The text has an `@`, but is no e-mail address that public mail can reach.
        NotAnAddress "not-an-address",
        /// The number has an extension.
        Extension "extension",
    }

    /// Whether the same call can succeed another time.
    Retry {
        /// It cannot.
        Never "never",
        /// Later: [`Error::retry_after`](crate::Error::retry_after) says when.
        Later "later",
        /// Once the request is changed.
        AfterFixing "after-fixing",
    }

    /// What the server waits for before it is ready.
    Missing {
        /// The registry is being loaded.
        Registry "registry",
        /// The query log cannot be written.
        Log "log",
    }

    /// The limit that was exceeded.
    Limit {
        /// The pause between two codes.
        Resend "resend",
        /// Codes sent to one person in a day.
        CodesPerHandle "codes-per-handle",
        /// Codes that one account asked for in a day.
        CodesPerAccount "codes-per-account",
        /// Codes that one network asked for in a day.
        CodesPerNetwork "codes-per-network",
        /// Wrong codes of one verification.
        CodeAttempts "code-attempts",
        /// Open link codes of one account.
        LinkCodes "link-codes",
        /// Codes sent to one country in a day.
        CodesPerCountry "codes-per-country",
        /// Codes sent in a day, to everybody.
        CodesOverall "codes-overall",
        /// Codes to a country of which few are answered.
        CountryPaused "country-paused",
        /// New handles of one account.
        NewHandles "new-handles",
        /// Lookup requests of one account in a minute.
        Requests "requests",
        /// Lookups of one account in a day.
        Lookups "lookups",
        /// Lookups from one network in a minute.
        NetworkLookups "network-lookups",
        /// Lookups in a minute of all accounts that hold no handle.
        UnprovenLookups "unproven-lookups",
        /// Sign-ups from one network in an hour.
        SignUps "sign-ups",
        /// Sign-ups from all networks in an hour.
        AllSignUps "all-sign-ups",
        /// Changes of one account in an hour.
        Changes "changes",
        /// New handles of one network.
        NetworkNewHandles "network-new-handles",
        /// New handles of all accounts that hold no handle.
        UnprovenNewHandles "unproven-new-handles",
        /// The account asked as a sweep does. A proof of a handle helps.
        Flagged "flagged",
        /// The block of numbers is being swept.
        SweptNumbers "swept-numbers",
    }

    /// What went wrong. The guide for phone developers says what a phone does about each.
    ProblemCode {
        /// The request is malformed: a defect of the client.
        RequestInvalid "request-invalid",
        /// The text is no handle.
        HandleInvalid "handle-invalid",
        /// The token is missing or void. The device signs up again.
        TokenInvalid "token-invalid",
        /// A call of operators.
        RoleInsufficient "role-insufficient",
        /// A call of operators.
        CaseRequired "case-required",
        /// The link code is wrong or used.
        LinkCodeInvalid "link-code-invalid",
        /// The code is wrong. [`Problem::attempts_left`](crate::Problem::attempts_left) says how often another may be tried.
        CodeWrong "code-wrong",
        /// A newer code replaced it. It cost no attempt.
        CodeOvertaken "code-overtaken",
        /// The path does not exist.
        NotFound "not-found",
        /// This device does not back the handle.
        HandleNotBound "handle-not-bound",
        /// There is no such verification. The handle is claimed again.
        VerificationUnknown "verification-unknown",
        /// A call of operators.
        AccountUnknown "account-unknown",
        /// A call of operators.
        AccountNotFlagged "account-not-flagged",
        /// The path does not take the method.
        MethodNotAllowed "method-not-allowed",
        /// The account has as many devices as it may.
        TooManyDevices "too-many-devices",
        /// The account holds as many handles as it may.
        TooManyHandlesHeld "too-many-handles-held",
        /// The code is too old. The handle is claimed again.
        CodeExpired "code-expired",
        /// The operators' listener does not answer for this host.
        HostUnknown "host-unknown",
        /// The request's body is too large.
        BodyTooLarge "body-too-large",
        /// The request's address is too long.
        UriTooLong "uri-too-long",
        /// The request's head is too large.
        HeadTooLarge "head-too-large",
        /// The body is not JSON.
        ContentTypeUnsupported "content-type-unsupported",
        /// A call of operators.
        ImportInvalid "import-invalid",
        /// The batch is too long.
        TooManyHandles "too-many-handles",
        /// The code cannot be delivered to the handle.
        DeliveryRefused "delivery-refused",
        /// A limit by time was exceeded.
        RateLimited "rate-limited",
        /// A limit of new handles was exceeded.
        LookupQuota "lookup-quota",
        /// A defect of the server.
        Internal "internal",
        /// The server takes no such transfer coding.
        TransferCodingUnsupported "transfer-coding-unsupported",
        /// The code could not be delivered.
        DeliveryFailed "delivery-failed",
        /// The server has just started.
        RegistryLoading "registry-loading",
        /// The server does not know whether its registry is up to date.
        RegistryBehind "registry-behind",
        /// The server's registry contradicts the cluster's log.
        RegistryDiverged "registry-diverged",
        /// The change cannot be stored. It may have been made.
        RegistryUnwritable "registry-unwritable",
        /// No answer leaves without its record.
        LogUnwritable "log-unwritable",
        /// A call of operators.
        AuditUnwritable "audit-unwritable",
        /// The server has too much to do.
        Overloaded "overloaded",
    }
}
