//! In which form rows are written.

use std::path::Path;

use clap::ValueEnum;

/// The form of an export's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Typed columns, for DuckDB, pyarrow, pandas
    Parquet,
    /// For spreadsheets; see README about handles
    Csv,
    /// The rows as the API gives them
    Ndjson,
}

impl Format {
    /// From the file name's extension, in either case; a trailing `.age` is ignored. None for any other extension.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".age").unwrap_or(&name);
        match Path::new(name).extension()?.to_str()? {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!(of("a/log.parquet"), Some(Format::Parquet));
        assert_eq!(of("log.old.CSV.Age"), Some(Format::Csv));
        assert_eq!(of("log.ndjson.age"), Some(Format::Ndjson));
        for nothing in
            ["log", "csv", "log.age", "log.csv.gz", "log.json", ".csv", ".csv.age", "log.age.age"]
        {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }
}
