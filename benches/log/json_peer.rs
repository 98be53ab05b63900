//! The common alternative: JSON lines compressed with zstd at its default level 3, one file an hour, and grep.
//!
//! This process does the work of grep: it decompresses a file and searches the text with memchr. It starts no second
//! program and uses no pipe, so it is faster than `zstdcat | grep -F`. It counts matching lines and parses none.

use std::{
    fs::{self, File},
    io::{BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dispatchd::{handle::Handle, query_log::LogRow};
use memchr::memmem::Finder;
use zstd::{Decoder, Encoder};

use crate::{
    Amounts,
    asked::Asked,
    generator,
    memory::{self, Memory, Watch},
    searching::{Found, Loaded, Searched, measure_handles},
};

pub(crate) const SUBJECT: &str = "json";
pub(crate) const SUBJECT_SEARCH: &str = "json-search";
pub(crate) const FOLDER: &str = "json";
const LEVEL: i32 = 3;
const BUFFER_BYTES: usize = 1 << 20;

type Lines = Encoder<'static, BufWriter<File>>;

fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:02}.jsonl.zst"))
}

/// Writes the files.
pub(crate) fn write(amounts: &Amounts) -> anyhow::Result<Loaded> {
    let idle = Memory::now()?;
    let folder = amounts.folder.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let watch = Watch::start(idle);
    let (mut span, mut open, mut text) = (Duration::ZERO, None::<(u32, Lines)>, Vec::new());
    let records = generator::rows(amounts, amounts.peer_records, |number, rows| {
        let start = Instant::now();
        let mut lines = match open.take() {
            Some((hour, lines)) if hour == number => lines,
            other => {
                other.map_or(Ok(()), |(_, lines)| finish(lines))?;
                Encoder::new(BufWriter::new(File::create(path(&folder, number))?), LEVEL)?
            }
        };
        text.clear();
        for row in rows {
            LogRow::write_json(row, &mut text);
            text.push(b'\n');
        }
        lines.write_all(&text)?;
        open = Some((number, lines));
        span += start.elapsed();
        Ok(())
    })?;
    let start = Instant::now();
    open.map_or(Ok(()), |(_, lines)| finish(lines))?;
    span += start.elapsed();
    let bytes = memory::folder_bytes(&folder)?;
    Ok(Loaded { records, span, bytes, peak: watch.peak_above_idle()? })
}

fn finish(lines: Lines) -> anyhow::Result<()> {
    lines.finish()?.flush()?;
    Ok(())
}

/// Searches the files for one handle of each group. Every search reads all files, so more handles would add nothing.
pub(crate) fn search(amounts: &Amounts) -> anyhow::Result<Searched> {
    let asked = Asked::choose(amounts);
    let folder = amounts.folder.join(FOLDER);
    let watch = Watch::start(Memory::now()?);
    let handles = measure_handles(asked.few(), &folder, |handle| find(&folder, handle))?;
    let peak = watch.peak_above_idle()?;
    Ok(Searched {
        opening: Duration::ZERO,
        handles,
        peak,
        everything: None,
        walked: None,
        flips: None,
    })
}

fn find(folder: &Path, handle: &Handle) -> anyhow::Result<Found> {
    let text = format!("\"handle\":\"{}\"", handle.canonical());
    let finder = Finder::new(&text);
    let mut found = Found::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    for entry in fs::read_dir(folder)? {
        let mut lines = Decoder::new(File::open(entry?.path())?)?;
        let mut filled = 0;
        loop {
            let got = lines.read(&mut buffer[filled..])?;
            if got == 0 {
                break;
            }
            filled += got;
            found.rows += finder.find_iter(&buffer[..filled]).count() as u64;
            // Keep a possible beginning of a match for the next read. It is shorter than a match, so no match counts
            // twice.
            let kept = filled.min(text.len() - 1);
            buffer.copy_within(filled - kept..filled, 0);
            filled = kept;
        }
    }
    Ok(found)
}
