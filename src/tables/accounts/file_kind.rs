//! The format of a file, by the ending of its name.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// A format of imports and exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileKind {
    /// Comma-separated values with a header, UTF-8
    Csv,
    /// Apache Parquet
    Parquet,
}

/// The ending of a file name is no known format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: the name must end in .csv or .parquet", .0.display())]
pub struct KindError(PathBuf);

impl FileKind {
    /// The format of the file at `path`. The case of the ending does not matter.
    pub fn of(path: &Path) -> Result<Self, KindError> {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(KindError(path.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_the_name_is_the_format() {
        assert_eq!(FileKind::of(Path::new("a/b.csv")), Ok(FileKind::Csv));
        assert_eq!(FileKind::of(Path::new("b.old.PARQUET")), Ok(FileKind::Parquet));
        for other in ["b", "csv", "b.csv.zst", "b.csv/", "b.txt", ".csv"] {
            let kind = FileKind::of(Path::new(other));
            assert_eq!(kind.is_ok(), other == "b.csv/", "{other}");
        }
        let error = FileKind::of(Path::new("b.txt")).unwrap_err().to_string();
        assert!(error.contains(".csv") && error.contains(".parquet"), "{error}");
    }
}
