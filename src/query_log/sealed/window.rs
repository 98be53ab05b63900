//! The next rows in the order of time, out of a file that is in another order.
//!
//! First the columns that the filter is about are read, and of the rows that match only the places of the nearest ones in
//! time are kept, as many as are asked for; then those rows alone are read. So memory is bounded by the request, whatever
//! the segment and the filter.
//!
//! Damage is often met only in the second step, and then rows are missing that the first step counted on. What was met is
//! remembered, and both steps are repeated without it: otherwise a window could come out empty although there is more, and
//! whoever pages would stand still. Each repetition knows of more damage, so they end.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use super::{
    client_table::ClientSet,
    error::SealedError,
    page::{Page, PageFault, Segment, give_client},
    select::Plan,
};
use crate::{
    clock::Timestamp,
    query_log::{filter::Filter, record::LogRow, search::Order},
};

/// Pages of the first step that are kept for the second: a handle has one or two.
const PAGES_KEPT: usize = 4;

/// Rows in the order of time.
#[derive(Debug, Default)]
pub(in crate::query_log) struct Window {
    /// The rows.
    pub(in crate::query_log) rows: Vec<LogRow>,
    /// Whether matching rows that can be read lie behind the last of them.
    pub(in crate::query_log) more: bool,
    /// Rows that were met, cannot be read and may be asked for, anywhere behind `from`: damage may hide their instants. The
    /// next window counts most of them again, so whoever pages takes the largest number.
    pub(in crate::query_log) damaged_rows: u64,
    /// It was asked to stop: there may be more of everything.
    pub(in crate::query_log) stopped: bool,
}

/// See [`Sealed::window`](super::reader::Sealed::window).
pub(super) fn window(
    segment: &Segment,
    filter: &Filter,
    order: Order,
    from: Option<Timestamp>,
    rows_max: usize,
    stop: &dyn Fn() -> bool,
) -> Result<Window, SealedError> {
    let mut plan = Plan::new(filter, segment.hour);
    if let Some(from) = from {
        plan.narrow(segment.hour, order, from);
    }
    let mut search = WindowSearch {
        segment,
        plan,
        stop,
        nearest: Nearest::new(order, rows_max),
        pages: HashMap::new(),
        sets: segment.footer.groups.iter().map(|_| None).collect(),
        lost: HashSet::new(),
        damaged_rows: 0,
        stopped: false,
    };
    loop {
        search.find()?;
        let found = search.fetch()?;
        if search.stopped {
            return Ok(Window { stopped: true, more: true, ..Window::default() });
        }
        if let Some(mut rows) = found {
            rows.sort_unstable_by_key(|row| row.at);
            if order == Order::Desc {
                rows.reverse();
            }
            let damaged_rows = search.damaged_rows;
            return Ok(Window { rows, more: search.nearest.more, damaged_rows, stopped: false });
        }
    }
}

struct WindowSearch<'a> {
    segment: &'a Segment,
    plan: Plan<'a>,
    stop: &'a dyn Fn() -> bool,
    nearest: Nearest,
    pages: HashMap<(usize, usize), Page<'a>>,
    /// The clients of each row group, once they matter: to the filter, or because some are damaged.
    sets: Vec<Option<ClientSet>>,
    /// Pages of which rows are damaged.
    lost: HashSet<(usize, usize)>,
    damaged_rows: u64,
    stopped: bool,
}

impl<'a> WindowSearch<'a> {
    /// Finds where the rows are.
    fn find(&mut self) -> io::Result<()> {
        self.nearest.clear();
        self.damaged_rows = 0;
        for (group, found) in self.segment.footer.groups.iter().enumerate() {
            let mut pages = (0..found.pages()).filter(|page| self.plan.may_hold(found, *page));
            let Some(first) = pages.next() else { continue };
            if self.plan.asks_for_clients() && !self.learn_clients(group)? {
                return Ok(());
            }
            if self.sets[group].as_ref().is_some_and(ClientSet::is_empty) {
                continue;
            }
            for page in first..found.pages() {
                if self.plan.may_hold(found, page) {
                    if (self.stop)() {
                        self.stopped = true;
                        return Ok(());
                    }
                    self.find_in(group, page)?;
                }
            }
        }
        self.nearest.settle();
        Ok(())
    }

    fn find_in(&mut self, group: usize, number: usize) -> io::Result<()> {
        let key = (group, number);
        let kept = self.pages.remove(&key);
        let mut page = kept.unwrap_or_else(|| Page::new(self.segment, group, number));
        let selection = self.plan.select(&mut page, self.sets[group].as_ref())?;
        self.damaged_rows += selection.damaged;
        if self.lost.contains(&key) {
            self.damaged_rows += selection.rows.len() as u64;
            return Ok(());
        }
        if !selection.rows.is_empty() {
            // Selected by it, so it is there.
            let ats = page.ats().unwrap_or_default();
            for row in selection.rows {
                let at = ats[row as usize].cast_unsigned();
                self.nearest.offer(at, RowPlace::new(group, number, row));
            }
            if self.pages.len() < PAGES_KEPT {
                self.pages.insert(key, page);
            }
        }
        Ok(())
    }

    /// Reads the rows found. None if damage was met that [`Self::find`] did not know of.
    fn fetch(&mut self) -> io::Result<Option<Vec<LogRow>>> {
        let mut places: Vec<RowPlace> =
            self.nearest.places.iter().map(|(_, place)| *place).collect();
        places.sort_unstable();
        let mut rows = Vec::with_capacity(places.len());
        let mut is_whole = true;
        for of_group in places.chunk_by(|a, b| a.group == b.group) {
            let (group, first) = (of_group[0].group as usize, rows.len());
            let mut numbers = Vec::with_capacity(of_group.len());
            for of_page in of_group.chunk_by(|a, b| a.page == b.page) {
                if (self.stop)() {
                    self.stopped = true;
                    return Ok(None);
                }
                let key = (group, of_page[0].page as usize);
                let kept = self.pages.remove(&key);
                let mut page = kept.unwrap_or_else(|| Page::new(self.segment, group, key.1));
                let of_page: Vec<u32> = of_page.iter().map(|place| place.row).collect();
                let built = page.build_clientless(&of_page, |client, row| {
                    numbers.push(client);
                    rows.push(row);
                });
                match built {
                    Ok(()) => {}
                    Err(PageFault::Io(error)) => return Err(error),
                    Err(PageFault::Damaged) => {
                        self.lost.insert(key);
                        is_whole = false;
                    }
                }
            }
            if is_whole && !self.give_clients(group, &numbers, &mut rows[first..])? {
                is_whole = false;
                if !self.learn_clients(group)? {
                    return Ok(None);
                }
            }
        }
        Ok(is_whole.then_some(rows))
    }

    /// Reads the clients of rows of one row group, in the order of their numbers: so each place of the table is read and
    /// decrypted once, and nothing need be kept. False if one is damaged.
    fn give_clients(&self, group: usize, numbers: &[u32], rows: &mut [LogRow]) -> io::Result<bool> {
        let mut clients = self.segment.clients_in_order(group);
        let mut by_number: Vec<(u32, u32)> = numbers.iter().copied().zip(0..).collect();
        by_number.sort_unstable();
        for (number, row) in by_number {
            match clients.get(number)? {
                Some(client) => give_client(&mut rows[row as usize], &client),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads the whole table of clients of a row group. False if it was asked to stop.
    fn learn_clients(&mut self, group: usize) -> io::Result<bool> {
        if self.sets[group].is_none() {
            self.sets[group] = ClientSet::read(self.segment, group, self.plan.filter, self.stop)?;
            self.stopped |= self.sets[group].is_none();
        }
        Ok(!self.stopped)
    }
}

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RowPlace {
    group: u32,
    page: u32,
    row: u32,
}

impl RowPlace {
    fn new(group: usize, page: usize, row: u32) -> Self {
        let fits = "a footer in memory has fewer row groups and pages than 32 bits count";
        Self {
            group: u32::try_from(group).expect(fits),
            page: u32::try_from(page).expect(fits),
            row,
        }
    }
}

/// The rows that come first in an order of time.
struct Nearest {
    order: Order,
    rows_max: usize,
    /// With their rank: the instant, or its complement.
    places: Vec<(u32, RowPlace)>,
    /// What is behind this rank need not be kept.
    horizon: u32,
    more: bool,
}

impl Nearest {
    fn new(order: Order, rows_max: usize) -> Self {
        let rows_max = rows_max.max(1);
        Self { order, rows_max, places: Vec::new(), horizon: u32::MAX, more: false }
    }

    fn clear(&mut self) {
        self.places.clear();
        self.horizon = u32::MAX;
        self.more = false;
    }

    fn offer(&mut self, at: u32, place: RowPlace) {
        let rank = match self.order {
            Order::Asc => at,
            Order::Desc => !at,
        };
        if rank > self.horizon {
            self.more = true;
            return;
        }
        self.places.push((rank, place));
        // Twice as many, so that sorting out costs a constant for each row.
        if self.places.len() >= self.rows_max.saturating_mul(2) {
            self.settle();
        }
    }

    /// Drops what is not among the first.
    fn settle(&mut self) {
        if self.places.len() > self.rows_max {
            let last = self.rows_max - 1;
            self.places.select_nth_unstable(last);
            self.places.truncate(self.rows_max);
            self.horizon = self.places[last].0;
            self.more = true;
        }
    }
}
