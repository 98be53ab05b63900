//! Reads a row group's client table: all of it, or some entries.

use std::{io, ops::Range};

use super::{
    client::{self, ADDRESS_BYTES, ENTRY_BYTES, PackedClient},
    footer::Sealed,
    group::Table,
    part::{self, PartError, PartSource},
};
use crate::query_log::{filter::Filter, record::Client};

/// The reader reads two entries at this distance or less in one read: the entries between them cost less than a second read.
const BLOCK_ENTRIES: u32 = if cfg!(test) { 4 } else { 128 };
/// Entries in one read of the whole table.
const RUN_ENTRIES: u32 = if cfg!(test) { 16 } else { 4_096 };

/// The entries of `range`, in order; none for a damaged one.
fn read_entries(
    source: &dyn PartSource,
    table: &Table,
    range: Range<u32>,
) -> io::Result<Vec<Option<Client>>> {
    let mut entries = Vec::with_capacity(range.len());
    read_items(source, table.start, ENTRY_BYTES, range, &mut |bytes| {
        entries.push(bytes.and_then(PackedClient::decode));
    })?;
    let addresses = entries.iter().flatten().filter_map(PackedClient::address_index);
    let bounds = addresses.clone().min().zip(addresses.max());
    let mut found = Vec::new();
    // The writer numbers addresses in the order of the entries, so consecutive entries have consecutive addresses.
    if let Some((first, last)) = bounds
        && last < table.size.addresses
        && (last - first) as usize <= entries.len()
    {
        let start = table.start + u64::from(table.size.entries) * ENTRY_BYTES as u64;
        read_items(source, start, ADDRESS_BYTES, first..last + 1, &mut |bytes| {
            found.push(bytes.and_then(client::decode_address));
        })?;
    }
    let first = bounds.map_or(0, |bounds| bounds.0);
    let with_address = |entry: PackedClient| match entry.address_index() {
        None => entry.client(&[]),
        Some(index) => {
            let ip = (*found.get((index - first) as usize)?)?;
            entry.with_address_index(0).client(&[ip])
        }
    };
    Ok(entries.into_iter().map(|entry| entry.and_then(with_address)).collect())
}

/// Passes every client of a table to `each`, in order; none for a damaged one. False if `stop` returned true.
pub(super) fn read_all(
    source: &dyn PartSource,
    table: &Table,
    stop: &dyn Fn() -> bool,
    each: &mut dyn FnMut(Option<Client>),
) -> io::Result<bool> {
    let entries = table.size.entries;
    for first in (0..entries).step_by(RUN_ENTRIES as usize) {
        if stop() {
            return Ok(false);
        }
        let end = first.saturating_add(RUN_ENTRIES).min(entries);
        read_entries(source, table, first..end)?.into_iter().for_each(&mut *each);
    }
    Ok(true)
}

/// Passes the items of `range` to `each`, in order; none for a damaged one. It reads a damaged range again in halves.
fn read_items(
    source: &dyn PartSource,
    start: u64,
    bytes: usize,
    range: Range<u32>,
    each: &mut dyn FnMut(Option<&[u8]>),
) -> io::Result<()> {
    let length = range.len() as u64 * bytes as u64;
    let offset = start.saturating_add(u64::from(range.start) * bytes as u64);
    match part::read_rows(source, offset, length) {
        Ok(found) => found.chunks_exact(bytes).for_each(|item| each(Some(item))),
        Err(PartError::Io(error)) => return Err(error),
        Err(PartError::Damaged) if range.len() <= 1 => range.for_each(|_| each(None)),
        Err(PartError::Damaged) => {
            let middle = range.start + (range.end - range.start) / 2;
            read_items(source, start, bytes, range.start..middle, each)?;
            read_items(source, start, bytes, middle..range.end, each)?;
        }
    }
    Ok(())
}

/// Passes the clients with these ascending numbers to `each`; none for one that is damaged or does not exist.
pub(super) fn read_some(
    source: &dyn PartSource,
    table: &Table,
    numbers: &[u32],
    each: &mut dyn FnMut(u32, Option<Client>),
) -> io::Result<()> {
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let gap = rest.windows(2).take(RUN_ENTRIES as usize - 1);
        let near = gap
            .take_while(|pair| pair[1] - pair[0] <= BLOCK_ENTRIES && pair[1] - first < RUN_ENTRIES);
        let (run, behind) = rest.split_at(1 + near.count());
        read_run(source, table, run, each)?;
        rest = behind;
    }
    Ok(())
}

/// As [`read_some`], for numbers close to each other, in one read.
fn read_run(
    source: &dyn PartSource,
    table: &Table,
    run: &[u32],
    each: &mut dyn FnMut(u32, Option<Client>),
) -> io::Result<()> {
    let existing = &run[..run.partition_point(|number| *number < table.size.entries)];
    if let (Some(first), Some(last)) = (existing.first(), existing.last()) {
        let (mut entries, mut number, mut wanted) =
            (Vec::new(), *first, existing.iter().peekable());
        read_items(source, table.start, ENTRY_BYTES, *first..last + 1, &mut |bytes| {
            if wanted.next_if(|wanted| **wanted == number).is_some() {
                entries.push((number, bytes.and_then(PackedClient::decode)));
            }
            number += 1;
        })?;
        for (number, entry) in entries {
            each(number, read_address(source, table, entry)?);
        }
    }
    run[existing.len()..].iter().for_each(|number| each(*number, None));
    Ok(())
}

fn read_address(
    source: &dyn PartSource,
    table: &Table,
    entry: Option<PackedClient>,
) -> io::Result<Option<Client>> {
    let Some((entry, index)) = entry.and_then(|entry| Some((entry, entry.address_index()?))) else {
        return Ok(entry.and_then(|entry| entry.client(&[])));
    };
    let mut client = None;
    if index < table.size.addresses {
        let start = table.start + u64::from(table.size.entries) * ENTRY_BYTES as u64;
        read_items(source, start, ADDRESS_BYTES, index..index + 1, &mut |bytes| {
            let ip = bytes.and_then(client::decode_address);
            client = ip.and_then(|ip| entry.with_address_index(0).client(&[ip]));
        })?;
    }
    Ok(client)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientMatch {
    Wanted,
    Unwanted,
    /// The entry is damaged, so this is unknown.
    Damaged,
}

/// Which clients of a row group match a filter, by their numbers.
#[derive(Debug)]
pub(super) struct ClientSet {
    matches: Vec<ClientMatch>,
    is_empty: bool,
}

impl ClientSet {
    /// Reads the whole table. None if `stop` returned true.
    pub(super) fn read(
        segment: &Sealed,
        group: usize,
        filter: &Filter,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let (table, mut matches) = (&segment.footer.groups[group].table, Vec::new());
        let is_whole = read_all(&*segment.source, table, stop, &mut |client| {
            matches.push(match client {
                None => ClientMatch::Damaged,
                Some(client) if filter.matches_client(&client) => ClientMatch::Wanted,
                Some(_) => ClientMatch::Unwanted,
            });
        })?;
        let is_empty = matches.iter().all(|client| *client == ClientMatch::Unwanted);
        Ok(is_whole.then_some(Self { matches, is_empty }))
    }

    /// Whether no row of the row group can match.
    pub(super) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether the client with this number matches. A number outside of the table counts as damaged.
    pub(super) fn classify(&self, number: u32) -> ClientMatch {
        self.matches.get(number as usize).copied().unwrap_or(ClientMatch::Damaged)
    }
}
