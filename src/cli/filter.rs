//! The filters of the log as arguments: sent to a server as they are, or read here for files.

use clap::{Args, ValueEnum};

use super::UsageError;
use crate::{
    clock::Timestamp,
    handle::Handle,
    query_log::{Filter, Kind, Order, Reason, Route},
};

#[derive(Args)]
pub(super) struct FilterArgs {
    /// Phone number or e-mail address
    #[arg(long)]
    handle: Option<String>,
    /// Device id
    #[arg(long)]
    device: Option<String>,
    /// Account id
    #[arg(long)]
    account: Option<String>,
    /// Address, or network such as 192.0.2.0/24
    #[arg(long)]
    ip: Option<String>,
    /// imessage, sms or none
    #[arg(long)]
    route: Option<String>,
    /// Why: live-device, never-registered, lease-expired, ...
    #[arg(long)]
    reason: Option<String>,
    /// lookup or change
    #[arg(long)]
    kind: Option<String>,
    /// From then on: RFC 3339, or a span back from now (90m, 7d)
    #[arg(long)]
    since: Option<String>,
    /// Before then: RFC 3339, or a span back from now
    #[arg(long)]
    until: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum OrderName {
    /// Oldest first
    Asc,
    /// Newest first
    Desc,
}

impl OrderName {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

impl From<OrderName> for Order {
    fn from(name: OrderName) -> Self {
        match name {
            OrderName::Asc => Self::Asc,
            OrderName::Desc => Self::Desc,
        }
    }
}

impl FilterArgs {
    /// As query parameters. What the server would refuse is refused here.
    pub(super) fn query(&self, now: Timestamp) -> Result<Vec<(&'static str, String)>, UsageError> {
        self.filter(now)?;
        let named = [
            ("handle", &self.handle),
            ("device", &self.device),
            ("account", &self.account),
            ("ip", &self.ip),
            ("route", &self.route),
            ("reason", &self.reason),
            ("kind", &self.kind),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let given = named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        Ok(given.collect())
    }

    /// As a filter; spans count back from `now`.
    pub(super) fn filter(&self, now: Timestamp) -> Result<Filter, UsageError> {
        let handle = self.handle.as_deref().map(|text| Handle::parse(text, None)).transpose();
        Ok(Filter {
            handle: handle.map_err(|error| UsageError(format!("--handle: {error}")))?,
            device: take("--device", self.device.as_deref(), |text| text.parse().ok())?,
            account: take("--account", self.account.as_deref(), |text| text.parse().ok())?,
            ip: take("--ip", self.ip.as_deref(), |text| text.parse().ok())?,
            route: take("--route", self.route.as_deref(), Route::from_code)?,
            reason: take("--reason", self.reason.as_deref(), Reason::from_code)?,
            kind: take("--kind", self.kind.as_deref(), Kind::from_code)?,
            since: take_instant("--since", self.since.as_deref(), now)?,
            until: take_instant("--until", self.until.as_deref(), now)?,
        })
    }
}

/// Reads an argument as an instant; a span counts back from `now`.
pub(super) fn take_instant(
    name: &str,
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<Timestamp>, UsageError> {
    take(name, text, |text| {
        let span = || humantime::parse_duration(text).ok();
        text.parse().ok().or_else(|| span().map(|span| now.minus(span)))
    })
}

fn take<T>(
    name: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, UsageError> {
    let wrong = || UsageError(format!("{name} does not take this value; see --help"));
    text.map(|text| read(text).ok_or_else(wrong)).transpose()
}
