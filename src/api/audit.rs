//! Who read the query log: `GET /v1/audit`.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    call::{Call, Invalid},
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
    const PATH: &'static str = "/v1/audit";
    type Meaning = Wanted;

    fn resolve(&self, now: Timestamp) -> Result<Wanted, Invalid> {
        let (since, until) = window(&self.since, &self.until, now)?;
        let takes = "an operator's name, or local: and a user's number";
        let operator = optional("operator", takes, &self.operator, |text| {
            operators::is_name(text.trim_start_matches("local:")).then(|| text.to_owned())
        })?;
        let handle = filter_handle(&self.handle, &self.region)?;
        Ok(Wanted { since, until, operator, handle })
    }
}
