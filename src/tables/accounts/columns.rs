//! The columns of a file, and their positions.

use crate::tables::cell::{ColumnHead, ColumnKind};

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

    const fn is_required(self) -> bool {
        self as usize <= Self::LastCheckInAt as usize
    }
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// It names no known column. The file probably has no header, and the error must not quote its first line.
    #[error("the file has no header: its first line must name the columns")]
    NoHeader,
    /// A column is unknown.
    #[error("unknown column {0:?}")]
    Unknown(String),
    /// A column is unknown, and its name may be content of a row. Its number counts from 1.
    #[error("the name of column {0} is unknown")]
    UnknownAt(usize),
    /// A required column is missing.
    #[error("the column {0:?} is missing")]
    Missing(&'static str),
    /// A column occurs twice.
    #[error("the column {0:?} occurs twice")]
    Twice(&'static str),
    /// A column of a Parquet file has an unsupported type.
    #[error("the column {0:?} has an unsupported type; it must be {1}")]
    Type(&'static str, &'static str),
}

/// The position of each column in a record.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    positions: [Option<usize>; Column::ALL.len()],
    pub(super) width: usize,
}

impl Layout {
    pub(super) fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ColumnError> {
        let names: Vec<_> = names.into_iter().collect();
        let known = |name: &str| Column::ALL.into_iter().find(|column| column.name() == name);
        if !names.iter().any(|name| known(name).is_some()) {
            return Err(ColumnError::NoHeader);
        }
        let mut layout = Self { positions: [None; Column::ALL.len()], width: names.len() };
        for (position, name) in names.into_iter().enumerate() {
            let column = known(name).ok_or_else(|| unknown(name, position))?;
            if layout.positions[column as usize].replace(position).is_some() {
                return Err(ColumnError::Twice(column.name()));
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
        assert_eq!(fault("Handle"), Err(ColumnError::NoHeader));
    }
}
