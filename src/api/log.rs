//! Calls that read the query log, or who read it: `GET /v1/log`, `GET /v1/audit` and below them.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};

use super::{
    call::{Call, Invalid},
    case::Case,
    cluster_place::PagePlace,
    fields::{Fields, Posted},
    found::FoundRow,
    parse::{Window, choice, codes, filter_handle, limit, value, window},
    scope::Scope,
};
use crate::{
    audit,
    clock::Timestamp,
    ids::{AccountId, DeviceId},
    operators::Role,
    query_log::{Filter, Kind, NodeFromStore, Order},
    vocabulary::{MissingNode, Reason, Route},
};

/// Which records. Everything named must hold. By itself: all of them, in the order of storage.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RecordFilter {
    /// Phone number or e-mail address
    #[arg(long)]
    #[param(example = "+14155550123")]
    pub handle: Option<String>,
    /// Country of a phone number without a calling code, such as US
    #[arg(long)]
    #[param(example = "US")]
    pub region: Option<String>,
    /// Device id
    #[arg(long)]
    #[param(value_type = Option<DeviceId>)]
    pub device: Option<String>,
    /// Account id
    #[arg(long)]
    #[param(value_type = Option<AccountId>)]
    pub account: Option<String>,
    /// Address that the lookup came from, or a network such as 192.0.2.0/24
    #[arg(long)]
    #[param(example = "192.0.2.0/24")]
    pub ip: Option<String>,
    /// Route of the answer
    #[arg(long, value_parser = codes(Route::ALL, Route::code))]
    #[param(value_type = Option<Route>)]
    pub route: Option<String>,
    /// Reason of the answer or of the refusal
    #[arg(long, value_parser = codes(Reason::ALL, Reason::code))]
    #[param(value_type = Option<Reason>)]
    pub reason: Option<String>,
    /// Kind of record
    #[arg(long, value_parser = codes(Kind::ALL, Kind::code))]
    #[param(value_type = Option<Kind>)]
    pub kind: Option<String>,
    /// From this instant on: RFC 3339, a date with or without a time (UTC), a time of today (11:00), today, yesterday, or a span back from now (90m, 7d)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "7d")]
    pub since: Option<String>,
    /// Before this instant: as `since`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "1h")]
    pub until: Option<String>,
    /// The case that the call belongs to, kept in the audit log as it is: 1 to 64 characters that name no person
    #[arg(long)]
    #[param(value_type = Option<Case>, example = "INC-4711")]
    pub case: Option<String>,
    /// Whose records, in a cluster: cluster, the default, is every node; node is the one that is asked
    #[arg(long, value_parser = codes(Scope::ALL, Scope::code))]
    #[param(value_type = Option<Scope>)]
    pub scope: Option<String>,
}

impl Call for RecordFilter {
    const PATH: &'static str = Self::POSTED_TO;
    const ROLE: Role = Role::Reader;
    const NEEDS_CASE: bool = true;
    const NODES_MAY: bool = true;
    type Meaning = Filter;

    fn resolve(&self, now: Timestamp) -> Result<Filter, Invalid> {
        value::<Case>("case", Case::TAKES, &self.case)?;
        self.scope()?;
        let (since, until) = self.window(now)?;
        Ok(Filter {
            handle: filter_handle(&self.handle, &self.region)?,
            without_handle: false,
            device: value("device", "a device id (d_…)", &self.device)?,
            account: value("account", "an account id (a_…)", &self.account)?,
            ip: value("ip", "an IP address, or a network such as 192.0.2.0/24", &self.ip)?,
            route: choice("route", &self.route, Route::ALL, Route::code)?,
            reason: choice("reason", &self.reason, Reason::ALL, Reason::code)?,
            kind: choice("kind", &self.kind, Kind::ALL, Kind::code)?,
            since,
            until,
        })
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

    fn body(&self) -> Option<String> {
        Some(Fields::json_of(self))
    }
}

impl RecordFilter {
    /// Where a tail is posted.
    pub const TAIL_POSTED_TO: &'static str = "/v1/log/tail";

    /// The same for one node of a cluster, with the window and the kind that `meaning` says: spans would count from another now.
    #[must_use]
    pub fn at_node(&self, meaning: &Filter) -> Self {
        Self {
            scope: Some(Scope::Node.code().to_owned()),
            since: meaning.since.map(|since| since.to_string()),
            until: meaning.until.map(|until| until.to_string()),
            kind: meaning.kind.map(|kind| kind.code().to_owned()),
            ..self.clone()
        }
    }
}

/// Reads the parameter `scope`.
pub(super) fn scope(text: &Option<String>) -> Result<Scope, Invalid> {
    Ok(choice("scope", text, Scope::ALL, Scope::code)?.unwrap_or_default())
}

/// The body of `POST /v1/log/export` and of `POST /v1/log/tail`.
pub type FilterBody = Fields<RecordFilter>;

impl Posted for RecordFilter {
    const POSTED_TO: &'static str = "/v1/log/export";
    const NAME: &'static str = "RecordFilter";
    const ABOUT: &'static str = "Which records. Everything named must hold.";
}

/// A search: which records, in what order, and how many.
#[derive(Clone, Default, Args, Serialize, Deserialize)]
pub struct SearchRequest {
    /// Which records.
    #[command(flatten)]
    #[serde(flatten)]
    pub filter: RecordFilter,
    /// Which part of them.
    #[command(flatten)]
    #[serde(flatten)]
    pub page: Paging,
}

/// In what order, how many, and from where.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// asc is oldest first; desc, the default, newest first
    #[arg(long, value_parser = codes(Order::ALL, Order::code))]
    #[param(value_type = Option<Order>)]
    pub order: Option<String>,
    /// Maximum number of records. A page of JSON has 100 by default and takes up to 1,000; NDJSON has no limit
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        help = "Maximum number of records; without it all of them"
    )]
    #[param(value_type = Option<usize>, minimum = 1, example = 100)]
    pub limit: Option<String>,
    /// Where the last page ended: its `next_cursor`
    #[arg(skip)]
    #[param(example = "AgAGYV0hpJXSAAecrQAAAAE")]
    pub cursor: Option<String>,
}

/// What a search asks for.
pub struct SearchMeaning {
    /// Which records.
    pub filter: Filter,
    /// In what order.
    pub order: Order,
    /// Behind which place.
    pub after: Option<PagePlace>,
    /// How many at most; none for all.
    pub limit: Option<usize>,
}

/// A derived implementation does not describe flattened fields.
impl IntoParams for SearchRequest {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        [RecordFilter::into_params(&place), Paging::into_params(&place)].concat()
    }
}

/// The body of `POST /v1/log/search`.
pub type SearchBody = Fields<SearchRequest>;

impl Posted for SearchRequest {
    const POSTED_TO: &'static str = "/v1/log/search";
    const NAME: &'static str = "SearchRequest";
    const ABOUT: &'static str = "Which records, in what order, and how many.";
}

impl Call for SearchRequest {
    const PATH: &'static str = Self::POSTED_TO;
    const ROLE: Role = Role::Reader;
    const NEEDS_CASE: bool = true;
    const NODES_MAY: bool = true;
    type Meaning = SearchMeaning;

    fn resolve(&self, now: Timestamp) -> Result<SearchMeaning, Invalid> {
        let Paging { order, limit: most, cursor } = &self.page;
        let order = choice("order", order, Order::ALL, Order::code)?;
        Ok(SearchMeaning {
            filter: self.filter.resolve(now)?,
            order: order.unwrap_or(Order::Desc),
            after: value("cursor", "the next_cursor of a page", cursor)?,
            limit: limit(most)?,
        })
    }

    fn window(&self, now: Timestamp) -> Result<Window, Invalid> {
        self.filter.window(now)
    }

    fn case(&self) -> Option<&str> {
        self.filter.case()
    }

    fn scope(&self) -> Result<Scope, Invalid> {
        self.filter.scope()
    }

    fn body(&self) -> Option<String> {
        Some(Fields::json_of(self))
    }
}

/// A page of records.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = RecordPage)]
pub struct Page {
    /// The records, in the order asked for.
    pub records: Vec<FoundRow>,
    /// Pass it as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "AgAGYV0hpJXSAAecrQAAAAE")]
    pub next_cursor: Option<String>,
    /// Damaged places that were skipped; absent if none. `/v1/log/verify` says where.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged: u64,
    /// Segments that could not be read; absent if none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable_segments: u64,
    /// Nodes of the cluster whose records are missing, or a part of them; absent if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable = false)]
    pub missing: Vec<MissingNode>,
    /// Nodes of the cluster that are gone and whose records were read from their copies in the object store; absent if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable = false)]
    pub from_store: Vec<NodeFromStore>,
    /// Records up to this instant are hidden, because the wall clock is ahead of trusted time; absent if none are. `/v1/clock`
    /// says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub hidden_until: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether the query log has forgotten what expired.
#[derive(Clone, Copy, Debug, Default, Args, Serialize, Deserialize, IntoParams)]
pub struct ForgottenRequest {}

impl Call for ForgottenRequest {
    const PATH: &'static str = "/v1/log/forgotten";
    const ROLE: Role = Role::Reader;
    type Meaning = ();

    fn resolve(&self, _: Timestamp) -> Result<(), Invalid> {
        Ok(())
    }
}

macro_rules! with_scope {
    ($($(#[$doc:meta])* $name:ident = $path:literal for $role:ident $(refused as $call:ident)?,)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Args, Serialize, Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            /// Whose part, in a cluster: cluster, the default, is every node; node is the one that is asked
            #[arg(long, value_parser = codes(Scope::ALL, Scope::code))]
            #[param(value_type = Option<Scope>)]
            pub scope: Option<String>,
        }

        impl Call for $name {
            const PATH: &'static str = $path;
            const ROLE: Role = Role::$role;
            $(const REFUSED_AS: Option<audit::Call> = Some(audit::Call::$call);)?
            const NODES_MAY: bool = true;
            type Meaning = ();

            fn resolve(&self, _: Timestamp) -> Result<(), Invalid> {
                self.scope().map(|_| ())
            }

            fn scope(&self) -> Result<Scope, Invalid> {
                scope(&self.scope)
            }
        }
    )* };
}

with_scope! {
    /// The hours of the query log.
    SegmentsRequest = "/v1/log/segments" for Reader,
    /// Whether the query log is sound.
    VerifyRequest = "/v1/log/verify" for Reader,
    /// Whether the audit log is sound.
    AuditVerifyRequest = "/v1/audit/verify" for Admin refused as AuditVerify,
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
            ("route", "one of imessage, sms, none", |filter, text| filter.route = Some(text)),
            ("reason", "one of live-device, never-registered, ", |filter, text| {
                filter.reason = Some(text)
            }),
            ("kind", "one of lookup, change, refusals", |filter, text| filter.kind = Some(text)),
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
    fn a_search_gives_the_newest_first_unless_it_is_asked_otherwise() {
        assert_eq!(SearchRequest::default().resolve(NOW).unwrap().order, Order::Desc);
        let wrong = || Some("4155550123x".to_owned());
        for page in [
            Paging { order: wrong(), ..Paging::default() },
            Paging { cursor: wrong(), ..Paging::default() },
        ] {
            assert!(SearchRequest { page, ..SearchRequest::default() }.resolve(NOW).is_err());
        }
    }
}
