//! The columns of a table, and the values in them.

use std::{borrow::Cow, fmt};

use crate::{clock::Timestamp, handle::Handle};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Text,
    Instant,
    Flag,
    Int32,
    Int64,
}

pub(super) struct ColumnHead {
    pub(super) name: &'static str,
    pub(super) kind: ColumnKind,
    pub(super) may_be_null: bool,
}

pub(super) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Handle(&'a Handle),
    /// Text that a stranger chose.
    Name(&'a str),
    /// An id or an address: letters, digits, and punctuation that no program takes for a formula.
    Shown(&'a dyn fmt::Display),
    Instant(Timestamp),
    Flag(bool),
    Number(u64),
}

impl Cell<'_> {
    /// The value for people; none for null.
    pub(super) fn text(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Text(text) => text.to_string(),
            Self::Handle(handle) => handle.canonical().into_owned(),
            Self::Name(name) => (*name).to_owned(),
            Self::Shown(value) => value.to_string(),
            Self::Instant(at) => at.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
        })
    }
}
