//! Entries on their way to who reads them.

use std::collections::VecDeque;

use super::entry::Entry;

/// Gives entries to `each` as they come, or only the latest of them at the end.
pub(super) struct Latest<'a> {
    each: &'a mut dyn FnMut(Entry) -> bool,
    limit: Option<usize>,
    kept: VecDeque<Entry>,
    omitted: u64,
}

impl<'a> Latest<'a> {
    /// The latest `limit` entries; all if none.
    pub(super) fn new(limit: Option<usize>, each: &'a mut dyn FnMut(Entry) -> bool) -> Self {
        Self { each, limit, kept: VecDeque::new(), omitted: 0 }
    }

    /// Gives `entries`, or keeps them. False once nobody takes them.
    pub(super) fn offer(&mut self, entries: &mut Vec<Entry>) -> bool {
        let Some(limit) = self.limit else {
            return entries.drain(..).all(&mut *self.each);
        };
        for entry in entries.drain(..) {
            if self.kept.len() >= limit {
                self.omitted += u64::from(self.kept.pop_front().is_some());
            }
            self.kept.push_back(entry);
        }
        true
    }

    /// Gives what was kept. How many were left out; none if nobody takes them any more.
    pub(super) fn finish(mut self) -> Option<u64> {
        self.kept.drain(..).all(&mut *self.each).then_some(self.omitted)
    }
}
