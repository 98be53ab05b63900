//! Lists the log's directory and inspects its files without keys.

use std::{collections::BTreeSet, ffi::OsString, io, path::Path};

use crate::{
    envelope::{FILE_HEADER_BYTES, FileError, FrameFile, FrameHeader, FrameKind, Step},
    files::{self, LOCK_FILE_NAME},
    query_log::{
        frames::segment_reader::has_id,
        segment_name::{LogFileName, SegmentId},
    },
};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) names: BTreeSet<LogFileName>,
    /// Names that are not the log's.
    pub(crate) unknown: Vec<OsString>,
}

/// What a scan of the frames finds, which needs no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameScan {
    /// The offset where the last whole frame ends.
    pub(crate) whole: u64,
    pub(crate) next_sequence: u32,
    /// Records that the writer put into the file, lost ones included.
    pub(crate) records: u32,
    /// Damaged places before `whole`.
    pub(crate) damaged: u64,
    /// Places where frames are missing although no byte is damaged.
    pub(crate) gaps: u64,
    /// The last whole frame is an end frame.
    pub(crate) ended: bool,
}

pub(crate) fn list(dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for name in files::names(dir)? {
        match name.to_str().and_then(LogFileName::parse) {
            Some(name) => drop(listing.names.insert(name)),
            None if name == LOCK_FILE_NAME => {}
            None => listing.unknown.push(name),
        }
    }
    Ok(listing)
}

impl Listing {
    /// Every segment in either form, in order.
    pub(crate) fn segments(&self) -> BTreeSet<SegmentId> {
        let is_whole =
            |name: &&LogFileName| matches!(name, LogFileName::Frames(_) | LogFileName::Sealed(_));
        self.names.iter().filter(is_whole).map(|name| name.segment()).collect()
    }

    pub(crate) fn has(&self, name: LogFileName) -> bool {
        self.names.contains(&name)
    }
}

/// The state of a segment, as far as it shows without the key.
pub(crate) enum Inspection {
    Finished {
        bytes: u64,
        records: u64,
    },
    Unfinished {
        file: FrameFile,
        scan: FrameScan,
    },
    /// It ends within its header, or is all zeros: a crash came before the first record.
    Blank,
    /// Its header is damaged.
    Unreadable,
}

pub(crate) fn inspect(id: SegmentId, path: &Path) -> io::Result<Inspection> {
    let mut file = match FrameFile::open(path, None) {
        Ok(file) if has_id(&file, id) => file,
        Ok(_) => return Ok(Inspection::Unreadable),
        Err(FileError::Io(error)) => return Err(error),
        Err(FileError::Short) => return Ok(Inspection::Blank),
        Err(_) if is_blank(path)? => return Ok(Inspection::Blank),
        Err(_) => return Ok(Inspection::Unreadable),
    };
    if let Some(end) = file.end_frame()? {
        return Ok(Inspection::Finished { bytes: file.limit(), records: end.first_item.into() });
    }
    let scan = scan(&mut file, |_, _, _| Ok(()))?;
    Ok(Inspection::Unfinished { file, scan })
}

/// Scans the frames, and passes the offset and the header of each whole one to `each`.
pub(crate) fn scan(
    file: &mut FrameFile,
    mut each: impl FnMut(&mut FrameFile, u64, &FrameHeader) -> io::Result<()>,
) -> io::Result<FrameScan> {
    let mut scan = FrameScan { whole: FILE_HEADER_BYTES, ..FrameScan::default() };
    let (mut offset, mut torn) = (FILE_HEADER_BYTES, false);
    loop {
        match file.after(offset)? {
            Step::Frame { offset: start, end, header } => {
                each(file, start, &header)?;
                scan.damaged += u64::from(torn);
                scan.gaps += u64::from(!torn && header.sequence != scan.next_sequence);
                torn = false;
                scan.ended = header.kind == FrameKind::End;
                scan.next_sequence = header.sequence.saturating_add(1);
                scan.records = header.first_item.saturating_add(header.items);
                scan.whole = end;
                offset = end;
            }
            // It counts as damage only if a whole frame follows; otherwise it is the torn tail.
            Step::Damage { to, .. } => {
                torn = true;
                offset = to;
            }
            Step::Edge => return Ok(scan),
        }
    }
}

fn is_blank(path: &Path) -> io::Result<bool> {
    let mut is_blank = true;
    for_each_chunk(path, 0, |chunk| {
        is_blank &= chunk.iter().all(|byte| *byte == 0);
        Ok(())
    })?;
    Ok(is_blank)
}

/// Passes the bytes of a file from `offset` on to `each`, in chunks.
pub(super) fn for_each_chunk(
    path: &Path,
    mut offset: u64,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (file, mut chunk) = (files::open(path)?, vec![0; CHUNK_BYTES]);
    loop {
        match files::read_up_to(&file, &mut chunk, offset)? {
            0 => return Ok(()),
            read => each(&chunk[..read])?,
        }
        offset += CHUNK_BYTES as u64;
    }
}
