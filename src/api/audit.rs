//! `GET /v1/audit`: who read the query log.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    call::{Call, Invalid},
    fields::{Fields, Posted},
    log::scope,
    parse::{Window, codes, filter_handle, optional, window},
    scope::Scope,
};
use crate::{
    audit::{self, Wanted},
    clock::Timestamp,
    operators::{Role, is_name},
};

/// Which calls. Everything named must hold.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditRequest {
    /// Begun from this instant on: RFC 3339, a date with or without a time (UTC), a time of today (11:00), today, yesterday, or a span back from now (90m, 7d)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "7d")]
    pub since: Option<String>,
    /// Begun before this instant: as `since`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "1h")]
    pub until: Option<String>,
    /// Made by this operator, or by `local:` and the number of a user of the machine; `ann@b` is for ann through the node b of a cluster
    #[arg(long, value_name = "NAME")]
    #[param(pattern = "^(local:)?[A-Za-z0-9._-]+(@[A-Za-z0-9._-]+)?$", example = "ann")]
    pub operator: Option<String>,
    /// Calls that named this phone number or e-mail address, as far back as the query log can be read
    #[arg(long)]
    #[param(example = "+14155550123")]
    pub handle: Option<String>,
    /// Country of a phone number without a calling code, such as US
    #[arg(long)]
    #[param(example = "US")]
    pub region: Option<String>,
    /// Whose calls, in a cluster: cluster, the default, is those at every node; node is those at the one that is asked
    #[arg(long, value_parser = codes(Scope::ALL, Scope::code))]
    #[param(value_type = Option<Scope>)]
    pub scope: Option<String>,
}

/// The body of `POST /v1/audit/search`.
pub type AuditBody = Fields<AuditRequest>;

impl Posted for AuditRequest {
    const POSTED_TO: &'static str = "/v1/audit/search";
    const NAME: &'static str = "AuditRequest";
    const ABOUT: &'static str = "Which calls. Everything named must hold.";
}

impl AuditRequest {
    /// The same for one node of a cluster, with the window that `meaning` says: spans would count from another now.
    #[must_use]
    pub fn at_node(&self, meaning: &Wanted) -> Self {
        Self {
            scope: Some(Scope::Node.code().to_owned()),
            since: meaning.since.map(|since| since.to_string()),
            until: meaning.until.map(|until| until.to_string()),
            ..self.clone()
        }
    }
}

impl Call for AuditRequest {
    const PATH: &'static str = Self::POSTED_TO;
    const ROLE: Role = Role::Admin;
    const READS_RECORDS: bool = false;
    const REFUSED_AS: Option<audit::Call> = Some(audit::Call::AuditList);
    const NODES_MAY: bool = true;
    type Meaning = Wanted;

    fn resolve(&self, now: Timestamp) -> Result<Wanted, Invalid> {
        self.scope()?;
        let (since, until) = self.window(now)?;
        let takes = "an operator's name, or local: and a user's number";
        let operator = optional("operator", takes, &self.operator, |text| {
            let (name, node) = text.split_once('@').unwrap_or((text, "node"));
            let is_one = is_name(name.strip_prefix("local:").unwrap_or(name)) && is_name(node);
            is_one.then(|| text.to_owned())
        })?;
        let handle = filter_handle(&self.handle, &self.region)?;
        Ok(Wanted { since, until, operator, handle })
    }

    fn window(&self, now: Timestamp) -> Result<Window, Invalid> {
        window(&self.since, &self.until, now)
    }

    fn scope(&self) -> Result<Scope, Invalid> {
        scope(&self.scope)
    }

    fn body(&self) -> Option<String> {
        Some(Fields::json_of(self))
    }
}
