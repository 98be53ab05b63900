//! Calls that count flips: `GET /v1/log/flips`, and what a node asks another one for it.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    call::{Call, Invalid},
    case::Case,
    fields::{Fields, Posted},
    log::scope,
    parse::{Window, codes, number, value, window},
    scope::Scope,
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    limits,
    operators::Role,
    query_log::{FlipQuery, FlipWindow},
};

/// Which flips.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FlipsRequest {
    /// Lookups from this instant on: RFC 3339, a date with or without a time (UTC), a time of today (11:00), today, yesterday, or a span back from now (90m, 7d)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "7d")]
    pub since: Option<String>,
    /// Lookups before this instant: as `since`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "1h")]
    pub until: Option<String>,
    /// Minimum number of route changes: 2 (there and back) by default, and no less
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[param(value_type = Option<u64>, minimum = 2, maximum = 4_294_967_295_i64, example = 2)]
    pub min: Option<String>,
    /// Maximum number of handles: 100 by default, up to 1,000
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[param(value_type = Option<usize>, minimum = 1, example = 100)]
    pub limit: Option<String>,
    /// The case that the call belongs to, kept in the audit log as it is: 1 to 64 characters that name no person
    #[arg(long)]
    #[param(value_type = Option<Case>, example = "INC-4711")]
    pub case: Option<String>,
    /// Whose lookups, in a cluster: cluster, the default, is every node; node is the one that is asked
    #[arg(long, value_parser = codes(Scope::ALL, Scope::code))]
    #[param(value_type = Option<Scope>)]
    pub scope: Option<String>,
}

impl Call for FlipsRequest {
    const PATH: &'static str = "/v1/log/flips";
    const ROLE: Role = Role::Reader;
    const NEEDS_CASE: bool = true;
    type Meaning = FlipQuery;

    fn resolve(&self, now: Timestamp) -> Result<FlipQuery, Invalid> {
        value::<Case>("case", Case::TAKES, &self.case)?;
        self.scope()?;
        let all = FlipQuery::default();
        let min = number("min", (FlipQuery::MIN, None), &self.min)?;
        let limit = number("limit", (1, Some(limits::LOG_FLIPS_HANDLES_MAX)), &self.limit)?;
        let (since, until) = self.window(now)?;
        let (min, limit) = (min.unwrap_or(all.min), limit.unwrap_or(all.limit));
        Ok(FlipQuery { since, until, min, limit })
    }

    fn window(&self, now: Timestamp) -> Result<Window, Invalid> {
        window(&self.since, &self.until, now)
    }

    fn case(&self) -> Option<&str> {
        self.case.as_deref()
    }

    fn scope(&self) -> Result<Scope, Invalid> {
        scope(&self.scope)
    }
}

/// What a node asks another one to count flips over all nodes.
#[derive(Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FlipPartsRequest {
    /// Lookups and changes from this instant on
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "2026-11-23T08:00:00Z")]
    pub since: Option<String>,
    /// Lookups and changes before this instant
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "2026-11-23T09:00:00Z")]
    pub until: Option<String>,
    /// Handles behind this one, in the order of handles: where an answer that broke off is continued
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "+14155550123")]
    pub after: Option<String>,
    /// The case that the call belongs to
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<Case>, example = "INC-4711")]
    pub case: Option<String>,
}

/// The body of `POST /v1/log/flips/parts`.
pub type FlipPartsBody = Fields<FlipPartsRequest>;

impl Posted for FlipPartsRequest {
    const POSTED_TO: &'static str = "/v1/log/flips/parts";
    const NAME: &'static str = "FlipPartsRequest";
    const ABOUT: &'static str = "What a node asks another one to count flips over all nodes.";
}

impl Call for FlipPartsRequest {
    const PATH: &'static str = Self::POSTED_TO;
    const ROLE: Role = Role::Reader;
    const NEEDS_CASE: bool = true;
    const NODES_MAY: bool = true;
    const NODES_ONLY: bool = true;
    type Meaning = FlipWindow;

    fn resolve(&self, now: Timestamp) -> Result<FlipWindow, Invalid> {
        value::<Case>("case", Case::TAKES, &self.case)?;
        let (since, until) = self.window(now)?;
        let after = self.after.as_ref().map(|after| {
            let wrong = || Invalid::new("`after` takes a canonical handle");
            Handle::from_canonical(after).ok_or_else(wrong)
        });
        Ok(FlipWindow { since, until, after: after.transpose()? })
    }

    fn window(&self, now: Timestamp) -> Result<Window, Invalid> {
        window(&self.since, &self.until, now)
    }

    fn case(&self) -> Option<&str> {
        self.case.as_deref()
    }

    fn body(&self) -> Option<String> {
        Some(Fields::json_of(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn flips_have_their_defaults_and_their_bounds() {
        assert_eq!(FlipsRequest::default().resolve(NOW), Ok(FlipQuery::default()));
        type Set = fn(&mut FlipsRequest, String);
        let cases: [(&str, Set, &[&str]); 2] = [
            ("min", |request, text| request.min = Some(text), &["1", "0", "-2", "two-x", ""]),
            ("limit", |request, text| request.limit = Some(text), &["0", "1001", "all-x"]),
        ];
        for (name, set, wrong) in cases {
            for text in wrong {
                let mut request = FlipsRequest::default();
                set(&mut request, (*text).into());
                let said = request.resolve(NOW).unwrap_err().to_string();
                assert!(said.contains(name) && said.contains(" a whole number from "), "{said}");
            }
        }
        let request = FlipsRequest { limit: Some("1000".into()), ..FlipsRequest::default() };
        assert_eq!(request.resolve(NOW).unwrap().limit, 1_000);
    }
}
