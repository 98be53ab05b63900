//! The columns of a file, and their positions.

use crate::tables::cell::{ColumnHead, ColumnKind};
use crate::vocabulary::most_like;

/// A known column. The required ones are first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Handle,
    Account,
    Device,
    Platform,
    LastCheckInAt,
    ProvedAt,
    RegisteredAt,
    Discoverable,
    Name,
    TokenHash,
}

impl Column {
    /// Every column, in the order of an export.
    pub(super) const ALL: [Self; 10] = [
        Self::Handle,
        Self::Account,
        Self::Device,
        Self::Platform,
        Self::LastCheckInAt,
        Self::ProvedAt,
        Self::RegisteredAt,
        Self::Discoverable,
        Self::Name,
        Self::TokenHash,
    ];

    /// The column of an export, which has every handle and flag.
    pub(super) const fn head(self) -> ColumnHead {
        use ColumnKind::{Flag, Instant, Text};
        let (name, kind, may_be_null) = match self {
            Self::Handle => ("handle", Text, false),
            Self::Account => ("account", Text, false),
            Self::Device => ("device", Text, false),
            Self::Platform => ("platform", Text, false),
            Self::LastCheckInAt => ("last_check_in_at", Instant, false),
            Self::ProvedAt => ("proved_at", Instant, true),
            Self::RegisteredAt => ("registered_at", Instant, true),
            Self::Discoverable => ("discoverable", Flag, false),
            Self::Name => ("name", Text, true),
            Self::TokenHash => ("token_hash", Text, true),
        };
        ColumnHead { name, kind, may_be_null }
    }

    pub(super) const fn name(self) -> &'static str {
        self.head().name
    }

    /// The column of this name, in any case.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = plain(name);
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    const fn is_required(self) -> bool {
        self as usize <= Self::LastCheckInAt as usize
    }
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// It names no known column. The file probably has no header, and the error must not quote its first line.
    #[error("the file has no header: its first line must name the columns {}", names())]
    NoHeader,
    /// A column is unknown.
    #[error("unknown column {0:?}; {like} columns are {names}", like = suggestion(.0), names = names())]
    Unknown(String),
    /// A column is unknown, and its name may be content of a row. Its number counts from 1.
    #[error("the name of column {0} is unknown; the columns are {names}", names = names())]
    UnknownAt(usize),
    /// A required column is missing.
    #[error("the column {0:?} is missing")]
    Missing(&'static str),
    /// A column occurs twice.
    #[error("the column {0:?} occurs twice")]
    Twice(&'static str),
    /// A column of a Parquet file has an unsupported type.
    #[error("the column {name:?} is {found}; it must be {expected}")]
    Type {
        /// The name of the column.
        name: &'static str,
        /// What the file has.
        found: &'static str,
        /// What an import reads.
        expected: &'static str,
    },
}

/// The position of each column in a record.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    positions: [Option<usize>; Column::ALL.len()],
    pub(super) width: usize,
    /// Whether a column was left out that only numbers the rows.
    pub(super) has_index: bool,
    /// Whether a Parquet column has instants without a time zone.
    pub(super) has_local_time: bool,
}

impl Layout {
    /// Reads the names of columns in any case, also with blanks or quotes around them.
    pub(super) fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ColumnError> {
        let names: Vec<_> = names.into_iter().collect();
        if !names.iter().any(|name| Column::named(name).is_some()) {
            return Err(ColumnError::NoHeader);
        }
        let positions = [None; Column::ALL.len()];
        let width = names.len();
        let mut layout = Self { positions, width, has_index: false, has_local_time: false };
        for (position, name) in names.into_iter().enumerate() {
            match Column::named(name) {
                Some(column) => {
                    if layout.positions[column as usize].replace(position).is_some() {
                        return Err(ColumnError::Twice(column.name()));
                    }
                }
                None if is_index(name, position) => layout.has_index = true,
                None => return Err(unknown(name, position)),
            }
        }
        match Column::ALL.into_iter().find(|c| c.is_required() && layout.position(*c).is_none()) {
            Some(missing) => Err(ColumnError::Missing(missing.name())),
            None => Ok(layout),
        }
    }

    /// The position of a column, counted from 0.
    pub(super) const fn position(&self, column: Column) -> Option<usize> {
        self.positions[column as usize]
    }
}

/// In lower case, without what surrounds it, and with underscores for blanks.
fn plain(name: &str) -> String {
    let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\u{FEFF}');
    name.trim_matches(is_around).to_ascii_lowercase().replace([' ', '-'], "_")
}

/// Whether pandas or polars wrote the column to number the rows. In CSV, pandas leaves its name empty, and gives it another
/// when it reads it.
fn is_index(name: &str, position: usize) -> bool {
    let name = plain(name);
    let is_numbered = |start| {
        let number = name.strip_prefix(start).map(|rest| rest.trim_end_matches('_'));
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    (name.is_empty() && position == 0)
        || name == "index"
        || is_numbered("unnamed:_")
        || is_numbered("__index_level_")
}

/// Quotes the name of a column only if it looks like one, since it may be a cell of a row.
fn unknown(name: &str, position: usize) -> ColumnError {
    const NAME_BYTES_MAX: usize = 32;
    let is_name = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphabetic() || "_- ".contains(c));
    if is_name {
        ColumnError::Unknown(name.to_owned())
    } else {
        ColumnError::UnknownAt(position + 1)
    }
}

fn names() -> String {
    Column::ALL.map(Column::name).join(", ")
}

/// The known column whose name is most like this one, if one is like it, and the beginning of the next sentence.
fn suggestion(name: &str) -> String {
    match most_like(&plain(name), Column::ALL.map(Column::name)) {
        Some(column) => format!("did you mean `{column}`? The"),
        None => "the".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(header: &str) -> Result<Layout, ColumnError> {
        Layout::from_names(header.split(','))
    }

    #[test]
    fn columns_may_have_any_order() {
        let layout = layout("name,last_check_in_at,platform,device,account,handle")
            .expect("a complete header");
        assert_eq!(layout.position(Column::Handle), Some(5));
        assert_eq!(layout.position(Column::Name), Some(0));
        assert_eq!(layout.position(Column::TokenHash), None);
        assert_eq!(layout.width, 6);
    }

    #[test]
    fn an_invalid_header_is_quoted_only_where_it_cannot_be_content() {
        let fault = |header: &str| layout(header).map(drop);
        let whole = "handle,account,device,platform,last_check_in_at";
        assert_eq!(
            fault("handle,account,device,platform"),
            Err(ColumnError::Missing("last_check_in_at"))
        );
        assert_eq!(fault(&format!("{whole},device")), Err(ColumnError::Twice("device")));
        assert_eq!(fault(&format!("{whole},colour")), Err(ColumnError::Unknown("colour".into())));
        assert_eq!(fault(&format!("{whole},+14155550123")), Err(ColumnError::UnknownAt(6)));
        assert_eq!(fault(&format!("{whole},")), Err(ColumnError::UnknownAt(6)));
        assert_eq!(fault("+14155550123,ann,phone,ios,x"), Err(ColumnError::NoHeader));
        assert_eq!(fault("+4915123456789"), Err(ColumnError::NoHeader));
    }

    #[test]
    fn names_are_read_in_any_case_and_with_what_surrounds_them() {
        let header = "\u{FEFF}HANDLE, Account ,\"device\" ,PlatForm,Last Check-In At";
        assert_eq!(layout(header).expect("every name").position(Column::LastCheckInAt), Some(4));
        assert_eq!(
            layout("handle,account,device,platform,last_check_in_at,Handle").map(drop),
            Err(ColumnError::Twice("handle"))
        );
    }

    #[test]
    fn a_column_that_numbers_rows_is_left_out() {
        let rest = "handle,account,device,platform,last_check_in_at";
        for index in ["", "index", "__index_level_0__", "Unnamed: 0"] {
            let layout = layout(&format!("{index},{rest}")).expect("every name");
            assert!(layout.has_index && layout.position(Column::Handle) == Some(1), "{index}");
        }
        assert!(!layout(rest).expect("every name").has_index);
    }

    #[test]
    fn an_unknown_column_is_answered_with_the_known_one_that_is_most_like_it() {
        for (name, like) in [
            ("hanlde", "handle"),
            ("last_checkin_at", "last_check_in_at"),
            ("Token Hsah", "token_hash"),
            ("proved", "proved_at"),
        ] {
            let said = ColumnError::Unknown(name.into()).to_string();
            assert!(said.contains(&format!("did you mean `{like}`?")), "{said}");
        }
        let said = ColumnError::Unknown("shoe_size".into()).to_string();
        assert!(!said.contains("mean") && said.contains("handle, account, device"), "{said}");
    }
}
