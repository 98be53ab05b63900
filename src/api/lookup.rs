//! Lookups: `GET /v1/lookup/{handle}` and `POST /v1/lookup`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    handle::HandleError,
    vocabulary::{ProblemCode, Route, Together},
};

/// What a single lookup may add to the handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LookupQuery {
    /// The country of a phone number without a calling code (ISO 3166-1 alpha-2). It has no effect on other handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "US")]
    pub region: Option<String>,
}

/// A batch of handles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// 1 to 1,000 phone numbers or e-mail addresses.
    #[schema(min_items = 1, max_items = 1000, example = json!(["+1 415 555 0123", "ann@example.com"]))]
    pub handles: Vec<String>,
    /// The country of phone numbers without a calling code (ISO 3166-1 alpha-2). It has no effect on other handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "US")]
    pub region: Option<String>,
}

/// Which way a message to one handle goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LookupAnswer {
    /// The handle as it was sent.
    #[schema(example = "+1 (415) 555-0123")]
    pub input: String,
    /// Its canonical form.
    #[schema(example = "+14155550123")]
    pub handle: String,
    /// The way. `none`: an e-mail address that no live device backs.
    #[schema(example = "imessage")]
    pub route: Route,
    /// An id of the handle's account, only with `imessage`. All handles of the account have it, and each asking account
    /// gets another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "AAAAAAAAAAAAAAAAAAAAAA")]
    pub subject: Option<String>,
    /// Seconds for which the answer may be reused: 3600, 1800, 900, 300 or 60. In the last hours of a device's time it steps down.
    #[schema(minimum = 60, maximum = 3600, example = 3600)]
    pub expires_in: u64,
}

/// The answers to a batch, from one point in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchAnswer {
    /// One item for each handle, in the order asked.
    pub answers: Vec<BatchItem>,
    /// The route that the whole group can use.
    #[schema(example = "mixed")]
    pub together: Together,
}

/// An answer, or what is wrong with one handle of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum BatchItem {
    /// The answer.
    Answer(LookupAnswer),
    /// The text is no handle.
    Refused(RefusedItem),
}

/// A text of a batch that is no handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedItem {
    /// The text as it was sent. Half a surrogate pair is replaced by U+FFFD.
    #[schema(example = "555")]
    pub input: String,
    /// What is wrong with it.
    pub error: ItemError,
}

/// What is wrong with one handle of a batch, in the words of a refused single lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemError {
    /// Always `handle-invalid`.
    #[schema(example = "handle-invalid")]
    pub code: ProblemCode,
    /// Why the text is no handle.
    #[schema(example = "too-short")]
    pub reason: HandleError,
}
