//! Who read the query log: `GET /v1/audit`.

use std::borrow::Cow;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    Call, Invalid,
    parse::{filter_handle, optional, window},
};
use crate::{audit::Wanted, clock::Timestamp, operators};

/// Which calls. Everything named must hold.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditRequest {
    /// Begun from this instant on: RFC 3339, a date, or a span back from now (90m, 7d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Begun before this instant: RFC 3339, a date, or a span back from now
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Made by this operator, or by `local:` and the number of a user of the machine
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
    /// Calls that named this phone number or e-mail address, as far back as the query log can be read
    #[arg(long)]
    pub handle: Option<String>,
    /// Country of a phone number without a calling code, such as US
    #[arg(long)]
    pub region: Option<String>,
}

impl Call for AuditRequest {
    fn path(&self) -> Cow<'static, str> {
        "/v1/audit".into()
    }

    fn check(&self, now: Timestamp) -> Result<(), Invalid> {
        self.resolve(now).map(|_| ())
    }
}

impl AuditRequest {
    /// Which calls; spans count back from `now`.
    ///
    /// # Errors
    /// The first parameter that is wrong.
    pub fn resolve(&self, now: Timestamp) -> Result<Wanted, Invalid> {
        let (since, until) = window(self.since.as_deref(), self.until.as_deref(), now)?;
        let takes = "an operator's name, or local: and a user's number";
        let name = |text: &str| operators::is_name(text.trim_start_matches("local:"));
        let operator = optional("operator", takes, self.operator.as_deref(), |text| {
            name(text).then(|| text.to_owned())
        })?;
        Ok(Wanted {
            since,
            until,
            operator,
            handle: filter_handle(self.handle.as_deref(), self.region.as_deref())?,
        })
    }
}
