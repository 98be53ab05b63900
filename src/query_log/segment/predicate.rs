//! Selects the pages and rows of a sealed segment that match a filter.

use std::io;

use super::{
    client_table::{ClientMatch, ClientSet},
    footer::{Bounds, Group},
    page::Page,
    part::PartError,
};
use crate::{
    clock::{Hour, Timestamp},
    handle::Handle,
    query_log::{
        filter::{Filter, Order},
        record::Outcome,
    },
};

/// A filter, in terms of the columns.
pub(super) struct Predicate<'a> {
    pub(super) filter: &'a Filter,
    /// The time range, in microseconds into the hour: from the first, before the second.
    pub(super) span: Bounds<u64>,
}

/// The rows of a page that match a filter.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) rows: Vec<u32>,
    /// Rows for which damage hides whether they match.
    pub(super) damaged: u64,
}

impl<'a> Predicate<'a> {
    pub(super) fn new(filter: &'a Filter, hour: Hour) -> Self {
        let micros =
            |at: Timestamp| at.min(hour.end()).as_micros().saturating_sub(hour.start().as_micros());
        let since = filter.since.map_or(0, micros);
        let until = micros(filter.until.unwrap_or(Timestamp::MAX));
        Self { filter, span: (since, until) }
    }

    /// Restricts the time range to rows behind `from`, in this order.
    pub(super) fn narrow(&mut self, hour: Hour, order: Order, from: Timestamp) {
        let start = hour.start().as_micros();
        match order {
            Order::Asc if from >= hour.start() => {
                let behind = from.as_micros().saturating_sub(start).saturating_add(1);
                self.span.0 = self.span.0.max(behind);
            }
            Order::Asc => {}
            Order::Desc => self.span.1 = self.span.1.min(from.as_micros().saturating_sub(start)),
        }
    }

    pub(super) const fn needs_clients(&self) -> bool {
        let filter = self.filter;
        filter.account.is_some() || filter.device.is_some() || filter.ip.is_some()
    }

    const fn needs_outcomes(&self) -> bool {
        let filter = self.filter;
        filter.kind.is_some() || filter.route.is_some() || filter.reason.is_some()
    }

    /// Whether a page may hold matching rows, by its bounds.
    pub(super) fn may_match(&self, group: &Group, page: usize) -> bool {
        let (first, last) = group.ats[page];
        let in_time = u64::from(last) >= self.span.0 && u64::from(first) < self.span.1;
        // Rows without a handle come first.
        let may_lack_handle = || {
            group.phones[..page].iter().all(Option::is_none)
                && group.emails[..page].iter().all(Option::is_none)
        };
        in_time
            && (!self.filter.without_handle || may_lack_handle())
            && match &self.filter.handle {
                None => true,
                Some(Handle::Phone(key)) => {
                    group.phones[page].is_some_and(|(min, max)| (min..=max).contains(&key.bits()))
                }
                Some(Handle::Email(address)) => {
                    let text = address.as_str().as_bytes();
                    let bounds = group.emails[page].as_ref();
                    bounds.is_some_and(|(min, max)| (&**min..=&**max).contains(&text))
                }
            }
    }

    pub(super) fn select(
        &self,
        page: &mut Page<'_>,
        clients: Option<&ClientSet>,
    ) -> io::Result<Selection> {
        let mut selection = Selection { rows: (0..page.rows() as u32).collect(), damaged: 0 };
        match self.keep_matching(page, clients, &mut selection) {
            Err(PartError::Damaged) => {
                let damaged = selection.damaged + selection.rows.len() as u64;
                Ok(Selection { rows: Vec::new(), damaged })
            }
            Err(PartError::Io(error)) => Err(error),
            Ok(()) => Ok(selection),
        }
    }

    /// Removes rows column by column. After an error `selection` holds the rows that may still match.
    fn keep_matching(
        &self,
        page: &mut Page<'_>,
        clients: Option<&ClientSet>,
        selection: &mut Selection,
    ) -> Result<(), PartError> {
        let rows = &mut selection.rows;
        if self.filter.without_handle {
            let phones = page.phones()?;
            rows.retain(|row| phones[*row as usize].is_none());
            let emails = page.emails()?;
            rows.retain(|row| emails[*row as usize].is_none());
        }
        match &self.filter.handle {
            None => {}
            Some(Handle::Phone(key)) => {
                let wanted = Some(key.bits().cast_signed());
                let phones = page.phones()?;
                rows.retain(|row| phones[*row as usize] == wanted);
            }
            Some(Handle::Email(address)) => {
                let wanted = address.as_str().as_bytes();
                let emails = page.emails()?;
                let text = |row: &u32| emails[*row as usize].as_ref().map(|email| email.data());
                rows.retain(|row| text(row) == Some(wanted));
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let ats = page.ats()?;
        rows.retain(|row| {
            let at = u64::from(ats[*row as usize].cast_unsigned());
            (self.span.0..self.span.1).contains(&at)
        });
        if self.needs_outcomes() && !rows.is_empty() {
            self.keep_by_outcome(page, rows)?;
        }
        if let Some(set) = clients
            && !rows.is_empty()
        {
            let numbers = page.clients()?;
            rows.retain(|row| match set.classify(numbers[*row as usize].cast_unsigned()) {
                ClientMatch::Wanted => true,
                ClientMatch::Unwanted => false,
                ClientMatch::Damaged => {
                    selection.damaged += 1;
                    false
                }
            });
        }
        Ok(())
    }

    fn keep_by_outcome(&self, page: &mut Page<'_>, rows: &mut Vec<u32>) -> Result<(), PartError> {
        let outcomes = page.outcomes()?;
        // Consecutive rows often have the same outcome.
        let mut last = None;
        let mut unknown = false;
        rows.retain(|row| {
            let bits = outcomes[*row as usize].cast_unsigned();
            if let Some((known, matches)) = last
                && known == bits
            {
                return matches;
            }
            let outcome = Outcome::from_bits(bits);
            unknown |= outcome.is_none();
            let matches = outcome.is_none_or(|outcome| self.filter.matches_outcome(outcome));
            last = Some((bits, matches));
            matches
        });
        if unknown { Err(PartError::Damaged) } else { Ok(()) }
    }
}
