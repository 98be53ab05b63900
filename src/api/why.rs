//! Why a handle is blue or green: `POST /v1/timeline`.

use clap::Args;
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};

use super::{
    call::{Call, Invalid, Row},
    case::Case,
    fields::{Fields, Posted},
    parse::{Window, choice, handle, instant, limit, value, window},
};
use crate::{
    clock::Timestamp,
    operators::Role,
    timeline::{Detail, Entry, Question, Summary},
};

/// A handle's history and what it comes to.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// Changes and lookups, oldest first; `omitted` of the summary says how many earlier ones are left out.
    pub entries: Vec<Entry>,
    /// What a stranger would be told, why, since when, and who goes by another answer.
    pub summary: Summary,
    /// Records up to this instant are hidden, because the wall clock is ahead of trusted time; absent if none are. `/v1/clock`
    /// says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub hidden_until: Option<Timestamp>,
}

/// The same line by line: entries, then the summary. `kind` is `change`, `lookups` or `summary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum TimelineLine {
    /// A change, or lookups.
    Entry(Entry),
    /// The last line.
    Summary(Box<Summary>),
}

/// Which part of a handle's history.
#[derive(Clone, Default, Args, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhyRequest {
    /// Phone number or e-mail address
    #[serde(skip)]
    pub handle: String,
    /// Country of a phone number without a calling code, such as US
    #[arg(long)]
    #[param(example = "US")]
    pub region: Option<String>,
    /// The moment to explain, if not now. RFC 3339, a date with or without a time (UTC), `11:00` of today, today, yesterday, or a span back (90m, 7d)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "90m")]
    pub at: Option<String>,
    /// History from this instant on: as `at`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "7d")]
    pub since: Option<String>,
    /// History before this instant: as `at`. Without it up to the moment explained
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[param(example = "1h")]
    pub until: Option<String>,
    /// folded (like lookups as one entry, the default) or all
    #[arg(skip)]
    #[param(value_type = Option<Detail>)]
    pub detail: Option<String>,
    /// Maximum number of entries, the latest: 100 by default and up to 1,000 in JSON; all as NDJSON; 20 on a terminal
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[param(value_type = Option<usize>, minimum = 1, example = 100)]
    pub limit: Option<String>,
    /// The case that the call belongs to, kept in the audit log as it is: 1 to 64 characters that name no person
    #[arg(long)]
    #[param(value_type = Option<Case>, example = "INC-4711")]
    pub case: Option<String>,
}

/// The body of `POST /v1/timeline`.
pub type WhyBody = Fields<WhyFields>;

/// The same with the handle beside the rest.
#[derive(Serialize, Deserialize)]
pub struct WhyFields {
    handle: String,
    #[serde(flatten)]
    rest: WhyRequest,
}

impl From<WhyFields> for WhyRequest {
    fn from(WhyFields { handle, rest }: WhyFields) -> Self {
        Self { handle, ..rest }
    }
}

impl IntoParams for WhyFields {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        /// The field beside those of the request.
        #[derive(IntoParams)]
        #[expect(dead_code, reason = "it describes a field of the body")]
        struct OfHandle {
            /// Phone number or e-mail address
            #[param(example = "+14155550123")]
            handle: String,
        }
        [OfHandle::into_params(&place), WhyRequest::into_params(&place)].concat()
    }
}

impl Posted for WhyFields {
    const POSTED_TO: &'static str = "/v1/timeline";
    const NAME: &'static str = "TimelineRequest";
    const ABOUT: &'static str = "Which handle, and which part of its history.";
}

impl Row for TimelineLine {
    fn is_record(&self) -> bool {
        matches!(self, Self::Entry(_))
    }
}

impl Call for WhyRequest {
    const PATH: &'static str = WhyFields::POSTED_TO;
    const ROLE: Role = Role::Reader;
    const NEEDS_CASE: bool = true;
    type Meaning = Question;

    fn resolve(&self, now: Timestamp) -> Result<Question, Invalid> {
        value::<Case>("case", Case::TAKES, &self.case)?;
        let at = instant("at", &self.at, now)?;
        if let Some(at) = at.filter(|at| *at > now) {
            return Err(Invalid::new(format!("at: {at} lies in the future; it is {now}")));
        }
        let (since, until) = self.window(now)?;
        let detail = choice("detail", &self.detail, Detail::ALL, Detail::code)?;
        Ok(Question {
            handle: handle(&self.handle, &self.region)?,
            at,
            since,
            until,
            detail: detail.unwrap_or_default(),
            limit: limit(&self.limit)?,
        })
    }

    fn window(&self, now: Timestamp) -> Result<Window, Invalid> {
        window(&self.since, &self.until, now)
    }

    fn case(&self) -> Option<&str> {
        self.case.as_deref()
    }

    fn body(&self) -> Option<String> {
        Some(Fields::json_of(&WhyFields { handle: self.handle.clone(), rest: self.clone() }))
    }
}
