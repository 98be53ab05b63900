//! The columns of a file, and where each stands.

/// A column that is known.
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
    /// Every column, in the order in which an export has them.
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

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::Account => "account",
            Self::Device => "device",
            Self::Platform => "platform",
            Self::LastCheckInAt => "last_check_in_at",
            Self::ProvedAt => "proved_at",
            Self::RegisteredAt => "registered_at",
            Self::Discoverable => "discoverable",
            Self::Name => "name",
            Self::TokenHash => "token_hash",
        }
    }

    const fn is_required(self) -> bool {
        matches!(
            self,
            Self::Handle | Self::Account | Self::Device | Self::Platform | Self::LastCheckInAt
        )
    }
}

/// The header does not say what is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// No known column is in it: a file without a header, most likely. Its first line is content, and not shown.
    #[error("the file has no header: its first line must name the columns")]
    NoHeader,
    /// A column that is not known, by its name.
    #[error("unknown column {0:?}")]
    Unknown(String),
    /// A column that is not known, by its number counted from 1: its name does not look like one.
    #[error("column number {0} has no name that is known")]
    UnknownAt(usize),
    /// A required column is not there.
    #[error("the column {0:?} is missing")]
    Missing(&'static str),
    /// A column is there twice.
    #[error("the column {0:?} is there twice")]
    Twice(&'static str),
    /// A column of a Parquet file has a type that cannot be read.
    #[error("the column {0:?} has a type that cannot be read; it must be {1}")]
    Type(&'static str, &'static str),
}

/// Where each column stands in a record.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    places: [Option<usize>; Column::ALL.len()],
    /// Cells of a whole record.
    pub(super) width: usize,
}

impl Layout {
    /// From the names in a header.
    pub(super) fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ColumnError> {
        let names: Vec<_> = names.into_iter().collect();
        let known = |name: &str| Column::ALL.into_iter().find(|column| column.name() == name);
        if !names.iter().any(|name| known(name).is_some()) {
            return Err(ColumnError::NoHeader);
        }
        let mut layout = Self { places: [None; Column::ALL.len()], width: names.len() };
        for (place, name) in names.into_iter().enumerate() {
            let column = known(name).ok_or_else(|| unknown(name, place))?;
            if layout.places[column as usize].replace(place).is_some() {
                return Err(ColumnError::Twice(column.name()));
            }
        }
        match Column::ALL.into_iter().find(|c| c.is_required() && layout.place(*c).is_none()) {
            Some(missing) => Err(ColumnError::Missing(missing.name())),
            None => Ok(layout),
        }
    }

    /// The place of a column, counted from 0.
    pub(super) const fn place(&self, column: Column) -> Option<usize> {
        self.places[column as usize]
    }
}

/// Names a column only if it looks like a name: a cell of content that slipped into the header is not repeated.
fn unknown(name: &str, place: usize) -> ColumnError {
    const NAME_BYTES_MAX: usize = 32;
    let is_name = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphabetic() || "_- ".contains(c));
    if is_name { ColumnError::Unknown(name.to_owned()) } else { ColumnError::UnknownAt(place + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(header: &str) -> Result<Layout, ColumnError> {
        Layout::from_names(header.split(','))
    }

    #[test]
    fn columns_come_in_any_order() {
        let layout =
            layout("name,last_check_in_at,platform,device,account,handle").expect("it is whole");
        assert_eq!(layout.place(Column::Handle), Some(5));
        assert_eq!(layout.place(Column::Name), Some(0));
        assert_eq!(layout.place(Column::TokenHash), None);
        assert_eq!(layout.width, 6);
    }

    #[test]
    fn a_header_at_fault_is_told_by_name_unless_it_is_content() {
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
