//! Which records of the query log, and in what order: `GET /v1/log`, `/v1/log/tail`, `/v1/log/export`.

use std::borrow::Cow;

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterIn},
};

use super::{
    Call, Invalid,
    parse::{choice, filter_handle, optional, value, window},
};
use crate::{
    clock::Timestamp,
    limits,
    query_log::{Cursor, Filter, Kind, Order},
    vocabulary::{Reason, Route},
};

/// Which records. Everything named must hold.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RecordFilter {
    /// Phone number or e-mail address
    #[arg(long)]
    pub handle: Option<String>,
    /// Country of a phone number without a calling code, such as US
    #[arg(long)]
    pub region: Option<String>,
    /// Device id
    #[arg(long)]
    pub device: Option<String>,
    /// Account id
    #[arg(long)]
    pub account: Option<String>,
    /// Address that the lookup came from, or a network such as 192.0.2.0/24
    #[arg(long)]
    pub ip: Option<String>,
    /// Route of the answer: imessage, sms or none
    #[arg(long)]
    pub route: Option<String>,
    /// Reason of the answer or of the refusal, such as lease-expired
    #[arg(long)]
    pub reason: Option<String>,
    /// Kind of record: lookup or change
    #[arg(long)]
    pub kind: Option<String>,
    /// From this instant on: RFC 3339, a date, or a span back from now (90m, 7d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this instant: RFC 3339, a date, or a span back from now
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

impl RecordFilter {
    /// The filter; spans count back from `now`.
    ///
    /// # Errors
    /// The first parameter that is wrong.
    pub fn resolve(&self, now: Timestamp) -> Result<Filter, Invalid> {
        let (since, until) = window(self.since.as_deref(), self.until.as_deref(), now)?;
        Ok(Filter {
            without_handle: false,
            handle: filter_handle(self.handle.as_deref(), self.region.as_deref())?,
            device: value("device", "a device id (d_…)", self.device.as_deref())?,
            account: value("account", "an account id (a_…)", self.account.as_deref())?,
            ip: value(
                "ip",
                "an IP address, or a network such as 192.0.2.0/24",
                self.ip.as_deref(),
            )?,
            route: choice("route", self.route.as_deref(), Route::ALL, Route::code)?,
            reason: choice("reason", self.reason.as_deref(), Reason::ALL, Reason::code)?,
            kind: choice("kind", self.kind.as_deref(), &[Kind::Lookup, Kind::Change], Kind::code)?,
            since,
            until,
        })
    }
}

/// A search: which records, in what order, and how many.
#[derive(Clone, Default, Args, Serialize, Deserialize)]
pub struct SearchRequest {
    /// Which records.
    #[command(flatten)]
    #[serde(flatten)]
    pub filter: RecordFilter,
    /// Paging.
    #[command(flatten)]
    #[serde(flatten)]
    pub page: Paging,
}

/// In what order, how many, and from where.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// desc (newest first, the default) or asc
    #[arg(long)]
    pub order: Option<String>,
    /// Maximum number of records. A page of JSON has 100 by default and takes up to 1,000; NDJSON has no limit
    #[arg(long, value_name = "N")]
    #[param(value_type = Option<usize>)]
    pub limit: Option<String>,
    /// Where the last page ended: its `next_cursor`
    #[arg(skip)]
    pub cursor: Option<String>,
}

/// A derived implementation does not describe flattened fields.
impl IntoParams for SearchRequest {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let place = &place;
        [RecordFilter::into_params(place), Paging::into_params(place)].concat()
    }
}

impl Call for SearchRequest {
    fn path(&self) -> Cow<'static, str> {
        "/v1/log".into()
    }

    fn check(&self, now: Timestamp) -> Result<(), Invalid> {
        self.filter.resolve(now)?;
        self.page.order()?;
        self.page.cursor()?;
        self.page.stream_limit()?;
        Ok(())
    }
}

impl Paging {
    /// Newest first, unless asked otherwise.
    ///
    /// # Errors
    /// If it is neither of the two.
    pub fn order(&self) -> Result<Order, Invalid> {
        let code = |order| if order == Order::Asc { "asc" } else { "desc" };
        let order = choice("order", self.order.as_deref(), &[Order::Asc, Order::Desc], code)?;
        Ok(order.unwrap_or(Order::Desc))
    }

    /// Where to go on.
    ///
    /// # Errors
    /// If it is none of our cursors.
    pub fn cursor(&self) -> Result<Option<Cursor>, Invalid> {
        value("cursor", "the next_cursor of a page", self.cursor.as_deref())
    }

    /// Records in a page.
    ///
    /// # Errors
    /// If there are none, or too many.
    pub fn page_limit(&self) -> Result<usize, Invalid> {
        page_limit(self.limit.as_deref())
    }

    /// Records in a stream.
    ///
    /// # Errors
    /// If there are none.
    pub fn stream_limit(&self) -> Result<usize, Invalid> {
        Ok(stream_limit(self.limit.as_deref())?.unwrap_or(usize::MAX))
    }
}

/// A limit of what is given as a whole.
pub(super) fn page_limit(text: Option<&str>) -> Result<usize, Invalid> {
    let most = limits::LOG_PAGE_RECORDS_MAX;
    let takes = format!("a number from 1 to {most} in a page; NDJSON streams more");
    let limit = optional("limit", &takes, text, |text| {
        text.parse().ok().filter(|limit| (1..=most).contains(limit))
    })?;
    Ok(limit.unwrap_or(limits::LOG_PAGE_RECORDS_DEFAULT))
}

/// A limit of what is streamed; none for all.
pub(super) fn stream_limit(text: Option<&str>) -> Result<Option<usize>, Invalid> {
    optional("limit", "a number from 1 on", text, |text| {
        text.parse().ok().filter(|limit| *limit > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_wrong_parameter_is_named_with_what_it_takes_and_not_quoted() {
        type Set = fn(&mut RecordFilter, String);
        let cases: [(&str, &str, Set); 8] = [
            ("handle", "a phone number or an e-mail", |filter, text| filter.handle = Some(text)),
            ("device", "a device id", |filter, text| filter.device = Some(text)),
            ("account", "an account id", |filter, text| filter.account = Some(text)),
            ("ip", "an IP address, or a network", |filter, text| filter.ip = Some(text)),
            ("route", "imessage, sms or none", |filter, text| filter.route = Some(text)),
            ("reason", "live-device, never-registered, ", |filter, text| {
                filter.reason = Some(text)
            }),
            ("kind", "lookup or change", |filter, text| filter.kind = Some(text)),
            ("since", "an RFC 3339 instant", |filter, text| filter.since = Some(text)),
        ];
        for (name, takes, set) in cases {
            let mut filter = RecordFilter::default();
            set(&mut filter, "4155550123x".to_owned());
            let said = filter.resolve(NOW).unwrap_err().to_string();
            assert!(said.starts_with(&format!("`{name}` takes {takes}")), "{said}");
            assert!(!said.contains("4155550123"), "{said}");
        }
    }

    #[test]
    fn pages_and_streams_have_their_limits() {
        let paging = |limit: usize| Paging { limit: Some(limit.to_string()), ..Paging::default() };
        for limit in [0, limits::LOG_PAGE_RECORDS_MAX + 1] {
            assert!(paging(limit).page_limit().is_err());
        }
        assert!(paging(0).stream_limit().is_err());
        assert_eq!(paging(5_000).stream_limit(), Ok(5_000));
        assert_eq!(Paging::default().page_limit(), Ok(limits::LOG_PAGE_RECORDS_DEFAULT));
        let wrong = || Some("4155550123x".to_owned());
        assert!(Paging { order: wrong(), ..Paging::default() }.order().is_err());
        assert!(Paging { cursor: wrong(), ..Paging::default() }.cursor().is_err());
        assert_eq!(Paging::default().order(), Ok(Order::Desc));
    }
}
