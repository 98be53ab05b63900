//! CSV: a file cut into pieces of whole records, and pieces into rows.
//!
//! Pieces are cut on one thread and read on several, so the cut must know where a record ends without reading it: at a
//! line feed outside quotes. A piece without any quote, which is nearly every one, is cut at its last line feed.

use std::io::Read as _;

use csv::{ByteRecord, ReaderBuilder};

use crate::{files::File, limits};

use super::{
    bad_rows::Reason,
    cells::{Cells, Flag, Time},
    columns::{Column, ColumnError, Layout},
    error::StageError,
};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Whole records.
pub(super) struct CsvPiece {
    bytes: Vec<u8>,
    /// The line of the file on which they begin.
    line: u64,
}

/// A file being cut.
pub(super) struct CsvSource {
    file: File,
    /// What was read and not yet given out: the beginning of a record.
    rest: Vec<u8>,
    line: u64,
    is_at_end: bool,
    /// Bytes of the file that were read.
    pub(super) bytes_read: u64,
}

impl CsvSource {
    pub(super) const fn new(file: File) -> Self {
        Self { file, rest: Vec::new(), line: 1, is_at_end: false, bytes_read: 0 }
    }

    /// The next piece; nothing at the end.
    pub(super) fn next_piece(&mut self) -> Result<Option<CsvPiece>, StageError> {
        if self.is_at_end {
            return Ok(None);
        }
        let is_first = self.bytes_read == 0;
        let mut bytes = std::mem::take(&mut self.rest);
        let room = (limits::IMPORT_RECORD_BYTES_MAX - bytes.len()) as u64;
        let read = (&mut self.file).take(room).read_to_end(&mut bytes).map_err(StageError::Read)?;
        self.bytes_read += read as u64;
        if is_first && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        let line = self.line;
        if (read as u64) < room {
            self.is_at_end = true;
        } else {
            let end = records_end(&bytes).ok_or(StageError::RecordTooLong { line })?;
            self.rest = bytes.split_off(end);
        }
        self.line += line_feeds(&bytes);
        Ok(Some(CsvPiece { bytes, line }))
    }
}

/// Takes the header off the first piece.
pub(super) fn take_header(piece: &mut CsvPiece) -> Result<Layout, ColumnError> {
    let mut header = ByteRecord::new();
    let mut reader = reader(&piece.bytes);
    let is_there = reader.read_byte_record(&mut header).unwrap_or(false);
    let end = place(reader.position().byte());
    let names: Option<Vec<_>> = header.iter().map(|name| std::str::from_utf8(name).ok()).collect();
    let names = names.filter(|_| is_there).ok_or(ColumnError::NoHeader)?;
    let layout = Layout::from_names(names)?;
    piece.line += line_feeds(&piece.bytes[..end]);
    piece.bytes.drain(..end);
    Ok(layout)
}

/// Gives each record of a piece to `row`, with its line.
pub(super) fn read(
    piece: &CsvPiece,
    layout: &Layout,
    mut row: impl FnMut(u64, Result<Cells<'_>, Reason>),
) {
    let bytes = &piece.bytes;
    let mut reader = reader(bytes);
    let mut record = ByteRecord::new();
    let (mut line, mut counted) = (piece.line, 0);
    while reader.read_byte_record(&mut record).expect("memory can be read") {
        let begin = place(record.position().map_or(0, csv::Position::byte));
        // Empty lines, and what is left of the end of the record before, belong to no record.
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let begin = begin + bytes[begin..].iter().take_while(|byte| is_end(byte)).count();
        line += line_feeds(&bytes[counted..begin]);
        counted = begin;
        row(line, cells(&record, layout));
    }
}

fn cells<'a>(record: &'a ByteRecord, layout: &Layout) -> Result<Cells<'a>, Reason> {
    if record.len() != layout.width {
        return Err(Reason::CellCount);
    }
    let cell = |column| {
        let bytes = layout.place(column).and_then(|place| record.get(place)).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| Reason::NotUtf8)
    };
    Ok(Cells {
        handle: cell(Column::Handle)?,
        account: cell(Column::Account)?,
        device: cell(Column::Device)?,
        platform: cell(Column::Platform)?,
        last_check_in_at: Time::Text(cell(Column::LastCheckInAt)?),
        proved_at: Time::Text(cell(Column::ProvedAt)?),
        registered_at: Time::Text(cell(Column::RegisteredAt)?),
        discoverable: Flag::Text(cell(Column::Discoverable)?),
        name: cell(Column::Name)?,
        token_hash: cell(Column::TokenHash)?,
    })
}

/// A reader that takes any count of cells, behind a line feed of its own: it takes a byte order mark for one only at
/// the very start, and only the file's start is one.
fn reader(bytes: &[u8]) -> csv::Reader<std::io::Chain<&[u8], &[u8]>> {
    let bytes = std::io::Read::chain(&b"\n"[..], bytes);
    ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes)
}

/// From the reader's count, which has the extra line feed.
fn place(byte: u64) -> usize {
    usize::try_from(byte.saturating_sub(1)).unwrap_or(usize::MAX)
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Where the last whole record ends that ends with a line feed; nothing if none does. `bytes` begin with a record.
fn records_end(bytes: &[u8]) -> Option<usize> {
    if !bytes.contains(&b'"') {
        return bytes.iter().rposition(|byte| *byte == b'\n').map(|last| last + 1);
    }
    // A quote opens a quoted cell only at the cell's start, and two of them within it are one: as the reader has it.
    #[derive(PartialEq)]
    enum At {
        CellStart,
        Plain,
        Quoted,
        QuoteInQuoted,
    }
    let mut at = At::CellStart;
    let mut end = None;
    for (place, byte) in bytes.iter().enumerate() {
        at = match (at, byte) {
            (At::CellStart | At::QuoteInQuoted, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::QuoteInQuoted,
            (At::Quoted, _) => At::Quoted,
            (_, b',' | b'\r' | b'\n') => At::CellStart,
            _ => At::Plain,
        };
        if *byte == b'\n' && at == At::CellStart {
            end = Some(place + 1);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "handle,account,device,platform,last_check_in_at\n";

    /// Lines and accounts of all records of a file.
    fn records(content: &[u8]) -> Vec<(u64, Result<String, Reason>)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let mut source = CsvSource::new(file);
        let mut layout = None;
        let mut found = Vec::new();
        while let Some(mut piece) = source.next_piece().unwrap() {
            let layout = layout.get_or_insert_with(|| take_header(&mut piece).unwrap());
            read(&piece, layout, |line, cells| {
                found.push((line, cells.map(|cells| cells.account.to_owned())));
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
    fn a_quote_that_is_never_closed_is_an_error_and_not_a_file_in_memory() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(format!("{HEADER},\"a1,,,\n").as_bytes()).unwrap();
        file.write_all(",a,,,\n".repeat(limits::IMPORT_RECORD_BYTES_MAX).as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut source = CsvSource::new(file);
        assert!(source.next_piece().unwrap().is_some());
        let error = source.next_piece().map(drop).unwrap_err();
        assert!(matches!(error, StageError::RecordTooLong { line: 2 }), "{error:?}");
    }

    #[test]
    fn what_is_not_utf8_is_one_bad_row() {
        let content = [HEADER.as_bytes(), b",a\xFF,,,\n,b,,,\n"].concat();
        assert_eq!(records(&content), [(2, Err(Reason::NotUtf8)), (3, Ok("b".into()))]);
    }

    proptest! {
        // Pieces are 4 KiB here: wherever a cut falls, the records are those of a reader that sees the whole file.
        #[test]
        fn cutting_changes_no_record(
            cells in prop::collection::vec("[a\"\r\n, é]{0,12}|[a-z]{0,40}", 200..1500),
        ) {
            let content = format!("{HEADER}{}", cells.join(",a,,,\n"));
            let whole = ReaderBuilder::new()
                .flexible(true)
                .from_reader(content.as_bytes())
                .into_byte_records()
                .map(|record| record.unwrap())
                .map(|record| match record.len() {
                    5 => Ok(String::from_utf8(record[1].to_vec()).unwrap()),
                    _ => Err(Reason::CellCount),
                })
                .collect::<Vec<_>>();
            // A quote left open may be longer than a piece, which is another test's matter.
            let is_closed = records_end(content.as_bytes()).is_some_and(|end| content.len() - end < 100);
            prop_assume!(is_closed);
            let cut: Vec<_> = records(content.as_bytes()).into_iter().map(|(_, cells)| cells).collect();
            prop_assert_eq!(cut, whole);
        }
    }
}
