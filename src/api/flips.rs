//! Handles whose route went back and forth: `GET /v1/log/flips`.

use std::borrow::Cow;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    Call, Invalid,
    parse::{optional, window},
};
use crate::{clock::Timestamp, limits, query_log::FlipQuery};

/// Which flips.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FlipsRequest {
    /// Lookups from this instant on: RFC 3339, a date, or a span back from now (90m, 7d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Lookups before this instant: RFC 3339, a date, or a span back from now
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Minimum number of route changes: 2 (there and back) by default, and no less
    #[arg(long, value_name = "N")]
    #[param(value_type = Option<u32>)]
    pub min: Option<String>,
    /// Maximum number of handles: 100 by default, up to 1,000
    #[arg(long, value_name = "N")]
    #[param(value_type = Option<usize>)]
    pub limit: Option<String>,
}

impl Call for FlipsRequest {
    fn path(&self) -> Cow<'static, str> {
        "/v1/log/flips".into()
    }

    fn check(&self, now: Timestamp) -> Result<(), Invalid> {
        self.resolve(now).map(|_| ())
    }
}

impl FlipsRequest {
    /// What is asked for; spans count back from `now`.
    ///
    /// # Errors
    /// The first parameter that is wrong.
    pub fn resolve(&self, now: Timestamp) -> Result<FlipQuery, Invalid> {
        let all = FlipQuery::default();
        let most = limits::LOG_FLIPS_HANDLES_MAX;
        let min = optional("min", "a number from 2 on", self.min.as_deref(), |text| {
            text.parse().ok().filter(|min| *min >= FlipQuery::MIN)
        })?;
        let takes = format!("a number from 1 to {most}");
        let limit = optional("limit", &takes, self.limit.as_deref(), |text| {
            text.parse().ok().filter(|limit| (1..=most).contains(limit))
        })?;
        let (since, until) = window(self.since.as_deref(), self.until.as_deref(), now)?;
        Ok(FlipQuery {
            since,
            until,
            min: min.unwrap_or(all.min),
            limit: limit.unwrap_or(all.limit),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn parameters_have_their_defaults_and_their_bounds() {
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
                assert!(said.starts_with(&format!("`{name}` takes")), "{said}");
                assert!(text.len() < 5 || !said.contains(text), "{said}");
            }
        }
        let request = FlipsRequest { limit: Some("1000".into()), ..FlipsRequest::default() };
        assert_eq!(request.resolve(NOW).unwrap().limit, 1_000);
    }
}
