//! What calls have in common: a path, parameters, refusals, rows.

use std::borrow::Cow;

use serde::Serialize;

use super::scope::Scope;
use crate::{
    audit::{self, Listed},
    clock::Timestamp,
    handle::HandleError,
    operators::Role,
    query_log::{FlipPart, LogRow, SegmentSummary},
};

/// A request of the operators' API. One that can hold a handle is posted; any other is sent as `GET` with its fields as the query.
pub trait Call: Serialize {
    /// Where it is sent.
    const PATH: &'static str;
    /// The least role of an operator who may send it.
    const ROLE: Role;
    /// Whether it reads records of the query log. Wrong clocks may hide some of those.
    const READS_RECORDS: bool = true;
    /// As what the audit log notes that an operator asked for it without the role; none where such a refusal is not noted.
    const REFUSED_AS: Option<audit::Call> = None;
    /// Whether a reader must name a case where `operators.require_case` asks for it.
    const NEEDS_CASE: bool = false;
    /// Whether another node of the cluster may make it for an operator. It must have a scope.
    const NODES_MAY: bool = false;
    /// Whether only another node may make it.
    const NODES_ONLY: bool = false;
    /// What its texts mean.
    type Meaning;

    /// Reads its fields; spans count back from `now`.
    fn resolve(&self, now: Timestamp) -> Result<Self::Meaning, Invalid>;

    /// Reads the window that it asks for, if it takes one: from, and before which instant.
    fn window(&self, _: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>), Invalid> {
        Ok((None, None))
    }

    /// The case that it names.
    fn case(&self) -> Option<&str> {
        None
    }

    /// Whose part of the answer it asks for.
    fn scope(&self) -> Result<Scope, Invalid> {
        Ok(Scope::Node)
    }

    /// The JSON object to post. None if it is sent as `GET`.
    fn body(&self) -> Option<String> {
        None
    }
}

/// What is wrong with a request: the parameter, what came, what it takes. A value that came stands in the text only if it
/// cannot be personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Invalid {
    text: Cow<'static, str>,
    /// Why the text is no handle, if the call is about one handle and that is wrong.
    pub handle: Option<HandleError>,
}

impl Invalid {
    /// A request that is wrong as `text` says.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), handle: None }
    }

    /// The same, since the text is no handle for this reason.
    pub(super) fn because(self, error: HandleError) -> Self {
        Self { handle: Some(error), ..self }
    }

    /// The text of `handle` is no handle.
    pub fn handle(error: HandleError) -> Self {
        let region = match error {
            HandleError::NeedsRegion => "; give it as `region`, such as US",
            HandleError::UnknownCountry => {
                "; a calling code must exist, and `region` takes two letters (ISO 3166-1 alpha-2), such as US"
            }
            _ => "",
        };
        let text = format!("`handle` takes a phone number or an e-mail address: {error}{region}");
        Self { text: text.into(), handle: Some(error) }
    }
}

/// A line of an answer of any length.
pub trait Row: Serialize + Send + 'static {
    /// Appends it as one JSON object, without a line end.
    ///
    /// # Panics
    /// Never: rows are structs of texts and numbers, which have a JSON form, and a vector takes every byte.
    fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("a row has a JSON form, and a vector takes it");
    }

    /// Whether it counts as a record that somebody was given.
    fn is_record(&self) -> bool {
        true
    }
}

impl Row for LogRow {}

impl Row for FlipPart {}

impl Row for SegmentSummary {}

impl Row for Listed {}
