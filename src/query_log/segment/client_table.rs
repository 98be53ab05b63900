//! Reads a row group's table of clients, whole or a few.

use std::{io, ops::Range};

use super::{
    client::{self, ADDRESS_BYTES, Client, ENTRY_BYTES, PackedClient},
    group::Table,
    page::Segment,
    part::{self, PartError, PartSource},
};
use crate::query_log::filter::Filter;

/// Entries between two that are asked for and read through: they cost hardly more than a second reading.
const BLOCK_ENTRIES: u32 = if cfg!(test) { 4 } else { 128 };
/// Entries read at once when all are.
const RUN_ENTRIES: u32 = if cfg!(test) { 16 } else { 4_096 };

/// The entries of `range`, in order; none for one that is damaged.
fn read_entries(
    source: &dyn PartSource,
    table: &Table,
    range: Range<u32>,
) -> io::Result<Vec<Option<Client>>> {
    let mut entries = Vec::with_capacity(range.len());
    read_items(source, table.start, ENTRY_BYTES, range, &mut |bytes| {
        entries.push(bytes.and_then(PackedClient::unpack));
    })?;
    let addresses = entries.iter().flatten().filter_map(PackedClient::place);
    let bounds = addresses.clone().min().zip(addresses.max());
    let mut found = Vec::new();
    // Entries name their addresses in order, so those of a run are a run: anything else was not written so.
    if let Some((first, last)) = bounds
        && last < table.size.addresses
        && (last - first) as usize <= entries.len()
    {
        let start = table.start + u64::from(table.size.entries) * ENTRY_BYTES as u64;
        read_items(source, start, ADDRESS_BYTES, first..last + 1, &mut |bytes| {
            found.push(bytes.and_then(client::unpack_address));
        })?;
    }
    let first = bounds.map_or(0, |bounds| bounds.0);
    let whole = |entry: PackedClient| match entry.place() {
        None => entry.client(&[]),
        Some(place) => {
            let ip = (*found.get((place - first) as usize)?)?;
            entry.moved(0).client(&[ip])
        }
    };
    Ok(entries.into_iter().map(|entry| entry.and_then(whole)).collect())
}

/// Gives every client of a table in order, none for one that is damaged.
pub(super) fn read_all(
    source: &dyn PartSource,
    table: &Table,
    each: &mut dyn FnMut(Option<Client>),
) -> io::Result<()> {
    let entries = table.size.entries;
    for first in (0..entries).step_by(RUN_ENTRIES as usize) {
        let end = first.saturating_add(RUN_ENTRIES).min(entries);
        read_entries(source, table, first..end)?.into_iter().for_each(&mut *each);
    }
    Ok(())
}

/// Gives the items of `range` in order, none for one that is damaged: what cannot be read at once is read in halves.
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

/// Gives the clients with these numbers, which ascend; none for one that is damaged, or if there is none.
pub(super) fn read_some(
    source: &dyn PartSource,
    table: &Table,
    numbers: &[u32],
    each: &mut dyn FnMut(u32, Option<Client>),
) -> io::Result<()> {
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        // Entries in between are read through, if they are few.
        let gap = rest.windows(2).take(RUN_ENTRIES as usize - 1);
        let near = gap
            .take_while(|pair| pair[1] - pair[0] <= BLOCK_ENTRIES && pair[1] - first < RUN_ENTRIES);
        let (run, behind) = rest.split_at(1 + near.count());
        read_run(source, table, run, each)?;
        rest = behind;
    }
    Ok(())
}

/// The same of numbers that lie close together.
fn read_run(
    source: &dyn PartSource,
    table: &Table,
    run: &[u32],
    each: &mut dyn FnMut(u32, Option<Client>),
) -> io::Result<()> {
    let there = &run[..run.partition_point(|number| *number < table.size.entries)];
    if let (Some(first), Some(last)) = (there.first(), there.last()) {
        let (mut entries, mut number, mut wanted) = (Vec::new(), *first, there.iter().peekable());
        read_items(source, table.start, ENTRY_BYTES, *first..last + 1, &mut |bytes| {
            if wanted.next_if(|wanted| **wanted == number).is_some() {
                entries.push((number, bytes.and_then(PackedClient::unpack)));
            }
            number += 1;
        })?;
        for (number, entry) in entries {
            each(number, whole(source, table, entry)?);
        }
    }
    run[there.len()..].iter().for_each(|number| each(*number, None));
    Ok(())
}

/// An entry with its address.
fn whole(
    source: &dyn PartSource,
    table: &Table,
    entry: Option<PackedClient>,
) -> io::Result<Option<Client>> {
    let Some((entry, place)) = entry.and_then(|entry| Some((entry, entry.place()?))) else {
        return Ok(entry.and_then(|entry| entry.client(&[])));
    };
    let mut client = None;
    if place < table.size.addresses {
        let start = table.start + u64::from(table.size.entries) * ENTRY_BYTES as u64;
        read_items(source, start, ADDRESS_BYTES, place..place + 1, &mut |bytes| {
            let ip = bytes.and_then(client::unpack_address);
            client = ip.and_then(|ip| entry.moved(0).client(&[ip]));
        })?;
    }
    Ok(client)
}

/// Numbers of clients.
#[derive(Debug, Default)]
struct Numbers {
    words: Vec<u64>,
    any: bool,
}

impl Numbers {
    fn new(count: u32) -> Self {
        Self { words: vec![0; count.div_ceil(64) as usize], any: false }
    }

    fn insert(&mut self, number: u32) {
        if let Some(word) = self.words.get_mut((number / 64) as usize) {
            *word |= 1 << (number % 64);
            self.any = true;
        }
    }

    fn has(&self, number: u32) -> bool {
        self.words.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

/// Which clients of a row group a filter asks for.
#[derive(Debug)]
pub(super) struct ClientSet {
    wanted: Numbers,
    damaged: Numbers,
    entries: u32,
}

/// What is known of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientMatch {
    Wanted,
    Unwanted,
    /// It cannot be read.
    Damaged,
}

impl ClientSet {
    /// Reads the whole table. None if it was asked to stop.
    pub(super) fn read(
        segment: &Segment,
        group: usize,
        filter: &Filter,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let table = &segment.footer.groups[group].table;
        let entries = table.size.entries;
        let mut set =
            Self { wanted: Numbers::new(entries), damaged: Numbers::new(entries), entries };
        let mut first = 0;
        while first < entries {
            if stop() {
                return Ok(None);
            }
            let end = first.saturating_add(RUN_ENTRIES).min(entries);
            let clients = read_entries(&*segment.source, table, first..end)?;
            for (number, client) in (first..).zip(clients) {
                match client {
                    None => set.damaged.insert(number),
                    Some(client) if is_wanted(&client, filter) => set.wanted.insert(number),
                    Some(_) => {}
                }
            }
            first = end;
        }
        Ok(Some(set))
    }

    /// Whether no row of the row group can be asked for.
    pub(super) const fn is_empty(&self) -> bool {
        !self.wanted.any && !self.damaged.any
    }

    pub(super) fn standing(&self, number: u32) -> ClientMatch {
        if self.wanted.has(number) {
            ClientMatch::Wanted
        } else if self.damaged.has(number) || number >= self.entries {
            ClientMatch::Damaged
        } else {
            ClientMatch::Unwanted
        }
    }
}

fn is_wanted(client: &Client, filter: &Filter) -> bool {
    filter.account.is_none_or(|account| client.account == Some(account))
        && filter.device.is_none_or(|device| client.device == Some(device))
        && filter.ip.is_none_or(|prefix| client.ip.is_some_and(|ip| prefix.contains(ip)))
}
