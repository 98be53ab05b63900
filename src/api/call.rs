//! What calls have in common: a path, parameters, rows.

use std::borrow::Cow;

use serde::Serialize;

use super::Invalid;
use crate::{audit::Listed, clock::Timestamp, query_log::LogRow};

/// A request of the operators' API, sent as `GET` with its fields as the query.
pub trait Call: Serialize {
    /// Where it is sent.
    fn path(&self) -> Cow<'static, str>;

    /// Whether it can be understood, before anything is sent or opened; spans count back from `now`.
    ///
    /// # Errors
    /// The first parameter that is wrong.
    fn check(&self, now: Timestamp) -> Result<(), Invalid>;
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

impl Row for LogRow {
    /// Written by hand: this is the row of every search.
    fn write(&self, out: &mut Vec<u8>) {
        self.write_json(out);
    }
}

impl Row for Listed {}
