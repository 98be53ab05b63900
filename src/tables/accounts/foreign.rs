//! Names a file that cannot be imported as what it is, from its first bytes.

use std::io::{self, Read as _, Seek as _};

use super::file_kind::FileKind;
use crate::files::File;

/// An import does not read files of this kind. The error contains no content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is {what}; {remedy}")]
pub struct ForeignFile {
    /// What the file is.
    what: &'static str,
    /// What its owner can do.
    remedy: &'static str,
}

const START_BYTES: usize = 64;
const PARQUET: &[u8] = b"PAR1";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const UTF_16: ForeignFile = ForeignFile {
    what: "text in UTF-16, which Excel calls Unicode Text",
    remedy: "save it as UTF-8 with commas (CSV UTF-8)",
};

/// The first bytes of other files, what they are, and what to do.
const FORMATS: [(&[u8], &str, &str); 14] = [
    (b"\x1F\x8B", "a gzip file", "unpack it with gunzip"),
    (b"\x28\xB5\x2F\xFD", "a zstd file", "unpack it with zstd -d"),
    (b"BZh", "a bzip2 file", "unpack it with bunzip2"),
    (b"\xFD7zXZ", "an xz file", "unpack it with unxz"),
    (
        b"PK\x03\x04",
        "a ZIP archive, or a workbook of Excel or LibreOffice",
        "unpack the archive, or save the sheet as CSV UTF-8",
    ),
    (b"\xD0\xCF\x11\xE0", "an old workbook of Excel", "save the sheet as CSV UTF-8"),
    (b"SQLite format 3\0", "a SQLite database", "export the table as CSV"),
    (b"ARROW1", "a Feather (Arrow) file", "write it as Parquet"),
    (b"ORC", "an ORC file", "write it as Parquet"),
    (b"Obj\x01", "an Avro file", "write it as Parquet"),
    (b"age-encryption.org", "a file encrypted with age", "decrypt it with age -d"),
    (b"{", "JSON", "write it as CSV or Parquet"),
    (b"[", "JSON", "write it as CSV or Parquet"),
    (b"<", "HTML or XML", "write it as CSV or Parquet"),
];

/// Separators that other programs write, and their names.
const SEPARATORS: [(u8, ForeignFile); 3] = [
    (b';', separated("a file separated by semicolons")),
    (b'\t', separated("a file separated by tabs")),
    (b'|', separated("a file separated by vertical bars")),
];

const fn separated(what: &'static str) -> ForeignFile {
    ForeignFile { what, remedy: "save it with commas between the columns" }
}

/// Checks the first bytes of a file that has the name of a `kind`, and leaves the file at its start.
pub(super) fn check(file: &mut File, kind: FileKind) -> io::Result<Result<(), ForeignFile>> {
    let mut start = Vec::new();
    file.take(START_BYTES as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(name(&start, kind).map_or(Ok(()), Err))
}

fn name(start: &[u8], kind: FileKind) -> Option<ForeignFile> {
    if start.is_empty() {
        let remedy = "its first line must name the columns";
        return Some(ForeignFile { what: "an empty file", remedy });
    }
    let is_parquet = start.starts_with(PARQUET);
    if is_parquet && kind == FileKind::Csv {
        let remedy = "give it a name that ends in .parquet";
        return Some(ForeignFile { what: "a Parquet file", remedy });
    }
    if is_parquet {
        return None;
    }
    // Without a mark, one byte of each ASCII character is zero.
    if start.starts_with(b"\xFF\xFE")
        || start.starts_with(b"\xFE\xFF")
        || start.first_chunk::<2>().is_some_and(|first| first.contains(&0))
    {
        return Some(UTF_16);
    }
    let text = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start).trim_ascii_start();
    let format = FORMATS.iter().find(|(magic, ..)| text.starts_with(magic));
    let foreign = format.map(|(_, what, remedy)| ForeignFile { what, remedy });
    foreign.or_else(|| {
        (kind == FileKind::Parquet).then_some(ForeignFile {
            what: "no Parquet file",
            remedy: "if it is CSV, give it a name that ends in .csv",
        })
    })
}

/// Why the first line of a CSV file names no known column, if the line shows it. `is_known` recognizes the name of a
/// column.
pub(super) fn header(line: &[u8], is_known: impl Fn(&str) -> bool) -> Option<ForeignFile> {
    if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"sep=") {
        return Some(ForeignFile {
            what: "a file with the line sep= that only Excel reads",
            remedy: "remove that line, and save the file with commas between the columns",
        });
    }
    let Ok(text) = str::from_utf8(line) else {
        return Some(ForeignFile {
            what: "a file whose first line is not UTF-8",
            remedy: "save it as UTF-8 (CSV UTF-8)",
        });
    };
    let is_split_by = |separator: &u8| text.split(char::from(*separator)).any(&is_known);
    SEPARATORS.iter().find(|(separator, _)| is_split_by(separator)).map(|(_, foreign)| *foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named() {
        let csv = |start: &[u8]| name(start, FileKind::Csv).map(|foreign| foreign.to_string());
        assert_eq!(csv(b"handle,account"), None);
        assert_eq!(csv(b"\xEF\xBB\xBF\r\n\"handle\""), None);
        for (start, what) in [
            (&b""[..], "an empty file"),
            (b"\x1F\x8B\x08", "gzip"),
            (b"PK\x03\x04\x14", "workbook"),
            (b"PAR1\x15", "ends in .parquet"),
            (b"\xFF\xFEh\0a\0", "UTF-16"),
            (b"\xFE\xFF\0h\0a", "UTF-16"),
            (b"h\0a\0n\0", "UTF-16"),
            (b"\0h\0a\0n", "UTF-16"),
            (b"\xEF\xBB\xBF {\"handle\":", "JSON"),
            (b"[{\"handle\":", "JSON"),
            (b"<!DOCTYPE html>", "HTML"),
            (b"SQLite format 3\0", "SQLite"),
        ] {
            assert!(csv(start).is_some_and(|said| said.contains(what)), "{start:?}");
        }
        let parquet = |start: &[u8]| name(start, FileKind::Parquet).map(|f| f.to_string());
        assert_eq!(parquet(b"PAR1"), None);
        assert!(parquet(b"handle,account").is_some_and(|said| said.contains(".csv")));
        assert!(parquet(b"\x1F\x8B\x08").is_some_and(|said| said.contains("gzip")));
    }
}
