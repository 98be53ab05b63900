//! CSV: splits a file into pieces of whole records, and pieces into rows.
//!
//! One thread splits the file, and several parse the pieces. The split finds the end of a record without parsing it, at a
//! line feed outside quotes. Most pieces contain no quote, and end at their last line feed.

use std::io::Read as _;

use csv::{ByteRecord, ReaderBuilder};

use crate::{files::File, tables::csv_table::unguarded};

use super::{
    bad_rows::Reason,
    cells::{Cell, Cells},
    columns::{Column, ColumnError, Layout},
    foreign,
    source::StageError,
};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A piece of a file: whole records.
pub(super) struct CsvPiece {
    bytes: Vec<u8>,
    /// The line of the file on which the piece begins.
    line: u64,
}

pub(super) struct CsvSource {
    file: File,
    /// Bytes that were read after the last piece: the beginning of a record.
    rest: Vec<u8>,
    line: u64,
    is_at_end: bool,
    pub(super) bytes_read: u64,
    /// A longer record has a quote that is not closed.
    record_bytes_max: usize,
}

impl CsvSource {
    pub(super) fn new(file: File, record_bytes_max: usize) -> Self {
        let (rest, line, is_at_end, bytes_read) = (Vec::new(), 1, false, 0);
        Self { file, rest, line, is_at_end, bytes_read, record_bytes_max }
    }

    pub(super) fn next_piece(&mut self) -> Result<Option<CsvPiece>, StageError> {
        if self.is_at_end {
            return Ok(None);
        }
        let is_first = self.bytes_read == 0;
        let mut bytes = std::mem::take(&mut self.rest);
        let wanted = (self.record_bytes_max - bytes.len()) as u64;
        let read =
            (&mut self.file).take(wanted).read_to_end(&mut bytes).map_err(StageError::Read)?;
        self.bytes_read += read as u64;
        if is_first && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        let line = self.line;
        let (end, is_quoted) = records_end(&bytes);
        if (read as u64) < wanted && !is_quoted {
            self.is_at_end = true;
        } else if let Some(end) = end.filter(|_| read as u64 == wanted) {
            self.rest = bytes.split_off(end);
        } else {
            let line = line + line_feeds(&bytes[..end.unwrap_or(0)]);
            return Err(StageError::UnendedRecord { line });
        }
        self.line += line_feeds(&bytes);
        Ok(Some(CsvPiece { bytes, line }))
    }
}

/// Parses the header, and removes it from the first piece.
pub(super) fn split_header(piece: &mut CsvPiece) -> Result<Layout, StageError> {
    let mut header = ByteRecord::new();
    let mut reader = reader(&piece.bytes);
    let has_header = reader.read_byte_record(&mut header).unwrap_or(false);
    let end = offset(reader.position().byte());
    let names: Option<Vec<_>> = header.iter().map(|name| str::from_utf8(name).ok()).collect();
    let layout = match names.filter(|_| has_header) {
        Some(names) => Layout::from_names(names),
        None => Err(ColumnError::NoHeader),
    };
    let layout = layout.map_err(|error| {
        let line = piece.bytes[..end].trim_ascii();
        let foreign = foreign::header(line, |name| Column::named(name).is_some());
        match foreign.filter(|_| error == ColumnError::NoHeader) {
            Some(foreign) => StageError::Foreign(foreign),
            None => StageError::Columns(error),
        }
    })?;
    piece.line += line_feeds(&piece.bytes[..end]);
    piece.bytes.drain(..end);
    Ok(layout)
}

/// Calls `row` for each record of a piece, with its line.
pub(super) fn read(
    piece: &CsvPiece,
    layout: &Layout,
    mut row: impl FnMut(u64, Result<Cells<'_>, Reason>),
) {
    let bytes = &piece.bytes;
    let mut reader = reader(bytes);
    let mut record = ByteRecord::new();
    let (mut line, mut counted) = (piece.line, 0);
    while reader.read_byte_record(&mut record).expect("reading memory does not fail") {
        let begin = offset(record.position().map_or(0, csv::Position::byte));
        // Empty lines and the rest of the former record's line end belong to no record.
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let begin = begin + bytes[begin..].iter().take_while(|byte| is_end(byte)).count();
        line += line_feeds(&bytes[counted..begin]);
        counted = begin;
        row(line, cells(&record, layout));
    }
}

fn cells<'a>(record: &'a ByteRecord, layout: &Layout) -> Result<Cells<'a>, Reason> {
    let mut cells = [Cell::Text(""); Column::ALL.len()];
    // A line of commas, of any number.
    if record.as_slice().is_empty() {
        return Ok(cells);
    }
    if record.len() != layout.width {
        return Err(Reason::CellCount);
    }
    for (cell, column) in cells.iter_mut().zip(Column::ALL) {
        let bytes = layout.position(column).and_then(|at| record.get(at)).unwrap_or_default();
        let text = str::from_utf8(bytes).map_err(|_| Reason::NotUtf8)?;
        let is_guarded = matches!(column, Column::Handle | Column::Name);
        *cell = Cell::Text(if is_guarded { unguarded(text) } else { text });
    }
    Ok(cells)
}

/// A reader that accepts any number of cells. It would remove a byte order mark from the start of a piece, which is correct
/// only for the first one. It therefore reads an added line feed before each piece.
fn reader(bytes: &[u8]) -> csv::Reader<std::io::Chain<&[u8], &[u8]>> {
    let bytes = std::io::Read::chain(&b"\n"[..], bytes);
    ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes)
}

/// The offset in the piece, from the reader's position, which counts the added line feed.
fn offset(byte: u64) -> usize {
    usize::try_from(byte.saturating_sub(1)).unwrap_or(usize::MAX)
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The end of the last record that ends with a line feed, if there is one, and whether the bytes end within quotes. `bytes`
/// begin with a record.
fn records_end(bytes: &[u8]) -> (Option<usize>, bool) {
    if !bytes.contains(&b'"') {
        return (bytes.iter().rposition(|byte| *byte == b'\n').map(|last| last + 1), false);
    }
    // As in the CSV reader, a quote opens a quoted cell only at its start, and two quotes within it are one.
    #[derive(PartialEq)]
    enum At {
        CellStart,
        Plain,
        Quoted,
        QuoteInQuoted,
    }
    let mut at = At::CellStart;
    let mut end = None;
    for (offset, byte) in bytes.iter().enumerate() {
        at = match (at, byte) {
            (At::CellStart | At::QuoteInQuoted, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::QuoteInQuoted,
            (At::Quoted, _) => At::Quoted,
            (_, b',' | b'\r' | b'\n') => At::CellStart,
            _ => At::Plain,
        };
        if *byte == b'\n' && at == At::CellStart {
            end = Some(offset + 1);
        }
    }
    (end, at == At::Quoted)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use proptest::prelude::*;

    use super::*;

    const PIECE_BYTES: usize = 4 * 1024;
    const HEADER: &str = "handle,account,device,platform,last_check_in_at\n";

    /// The line and the account of each record of a file.
    fn records(content: &[u8]) -> Vec<(u64, Result<String, Reason>)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let mut source = CsvSource::new(file, PIECE_BYTES);
        let mut layout = None;
        let mut found = Vec::new();
        while let Some(mut piece) = source.next_piece().unwrap() {
            let layout = layout.get_or_insert_with(|| split_header(&mut piece).unwrap());
            read(&piece, layout, |line, cells| {
                let account = cells.map(|cells| match cells[Column::Account as usize] {
                    Cell::Text(text) => text.to_owned(),
                    _ => panic!("CSV has only text"),
                });
                found.push((line, account));
            });
        }
        found
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let content = format!(
            "\u{FEFF}\r\n{}\"\n\n\",a1,,,\r\n\r\n\n,a2,,,\n,a3\n\n,\"a\n4\",,,\n,a\"5,,,",
            HEADER.replace('\n', "\r\n")
        );
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(
            records(content.as_bytes()),
            [
                (3, ok("a1")),
                (8, ok("a2")),
                (9, Err(Reason::CellCount)),
                (11, ok("a\n4")),
                (13, ok("a\"5"))
            ]
        );
    }

    #[test]
    fn an_unclosed_quote_is_an_error_and_does_not_read_the_file_into_memory() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(format!("{HEADER},\"a1,,,\n").as_bytes()).unwrap();
        file.write_all(",a,,,\n".repeat(PIECE_BYTES).as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut source = CsvSource::new(file, PIECE_BYTES);
        assert!(source.next_piece().unwrap().is_some());
        let error = source.next_piece().map(drop).unwrap_err();
        assert!(matches!(error, StageError::UnendedRecord { line: 2 }), "{error:?}");
        // A short file has it in its only piece.
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(format!("{HEADER},a1,,,\n,a2,,,\"Ann\n,a3,,,\n").as_bytes()).unwrap();
        file.rewind().unwrap();
        let error = CsvSource::new(file, PIECE_BYTES).next_piece().map(drop).unwrap_err();
        assert!(matches!(error, StageError::UnendedRecord { line: 3 }), "{error:?}");
    }

    #[test]
    fn invalid_utf8_is_one_bad_row() {
        let content = [HEADER.as_bytes(), b",a\xFF,,,\n,b,,,\n"].concat();
        assert_eq!(records(&content), [(2, Err(Reason::NotUtf8)), (3, Ok("b".into()))]);
    }

    proptest! {
        // Wherever the pieces end, the records are those of a reader of the whole file.
        #[test]
        fn splitting_changes_no_record(
            cells in prop::collection::vec("[a\"\r\n, é]{0,12}|[a-z]{0,40}", 200..1500),
        ) {
            let content = format!("{HEADER}{}", cells.join(",a,,,\n"));
            let whole = ReaderBuilder::new()
                .flexible(true)
                .from_reader(content.as_bytes())
                .into_byte_records()
                .map(|record| record.unwrap())
                .map(|record| match record.len() {
                    // Only commas.
                    _ if record.as_slice().is_empty() => Ok(String::new()),
                    5 => Ok(String::from_utf8(record[1].to_vec()).unwrap()),
                    _ => Err(Reason::CellCount),
                })
                .collect::<Vec<_>>();
            // Another test covers an unclosed quote.
            prop_assume!(!records_end(content.as_bytes()).1);
            let cut: Vec<_> = records(content.as_bytes()).into_iter().map(|(_, cells)| cells).collect();
            prop_assert_eq!(cut, whole);
        }
    }
}
