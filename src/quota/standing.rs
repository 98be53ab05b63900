//! [`Standing`]: what an account has proved.

use std::time::Duration;

use crate::{clock::Timestamp, limits, vocabulary::codes};

codes! {
    /// What an account has proved. It decides how many new handles the account may ask for.
    Standing {
        /// It holds no handle.
        Unproven = 1 "unproven",
        /// It proved the oldest handle that it holds within the last seven days.
        Young = 2 "young",
        /// It proved it before that.
        Older = 3 "older",
    }
}

impl Standing {
    /// The standing at `now` of an account that proved the oldest handle that it holds at `proven_since`.
    pub fn of(proven_since: Option<Timestamp>, now: Timestamp) -> Self {
        const YOUNG: Duration = limits::QUOTA_YOUNG_SPAN;
        match proven_since {
            None => Self::Unproven,
            Some(since) if now.since(since) < YOUNG => Self::Young,
            Some(_) => Self::Older,
        }
    }
}
