//! What is kept of the handles of one range, sorted by handle and merged with runs of rows in the same order.

use std::{iter::Peekable, mem, vec};

use super::{
    super::segment::{HandleRange, HandleRun},
    kept::{self, Kept},
};

#[derive(Debug)]
pub(in crate::query_log) struct States<K> {
    range: HandleRange,
    /// States of handles that the present run has passed.
    merged: Vec<K>,
    /// States of handles that it has not passed.
    ahead: Peekable<vec::IntoIter<K>>,
    bytes: usize,
    budget: usize,
}

impl<K: Kept> States<K> {
    pub(super) fn new(range: HandleRange, budget: usize) -> Self {
        Self {
            range,
            merged: Vec::new(),
            ahead: Vec::new().into_iter().peekable(),
            bytes: 0,
            budget,
        }
    }

    pub(super) fn range(&self) -> &HandleRange {
        &self.range
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// From here on the handles come from the first on again, and later in time.
    pub(super) fn begin_run(&mut self) {
        self.merged.extend(self.ahead.by_ref());
        let states = mem::take(&mut self.merged);
        self.merged.reserve(states.len());
        self.ahead = states.into_iter().peekable();
    }

    /// Takes rows whose handles are not before those taken since [`Self::begin_run`].
    pub(super) fn apply(&mut self, run: &HandleRun) {
        for (handle, moments) in run.iter() {
            if !self.range.contains(handle) || !moments.iter().any(kept::counts) {
                continue;
            }
            while let Some(state) = self.ahead.next_if(|state| state.handle() <= handle) {
                self.merged.push(state);
            }
            let is_known = self.merged.last().is_some_and(|state| state.handle() == handle);
            if !is_known {
                let fresh = K::new(handle.clone());
                self.bytes += fresh.bytes();
                self.merged.push(fresh);
            }
            if let Some(state) = self.merged.last_mut() {
                self.bytes -= state.bytes();
                let counted = moments.iter().filter(|moment| kept::counts(moment));
                counted.for_each(|moment| state.apply(moment));
                self.bytes += state.bytes();
            }
        }
        while self.bytes > self.budget && self.merged.len() + self.ahead.len() > 1 {
            self.cut();
        }
    }

    /// Ends the range at the handle in the middle, and forgets what is behind it.
    fn cut(&mut self) {
        let keep = (self.merged.len() + self.ahead.len()) / 2;
        let rest = keep.saturating_sub(self.merged.len());
        self.merged.truncate(keep);
        let kept: Vec<K> = self.ahead.by_ref().take(rest).collect();
        self.range.upto = kept.last().or(self.merged.last()).map(|state| state.handle().clone());
        self.bytes = self.merged.iter().chain(&kept).map(K::bytes).sum();
        self.ahead = kept.into_iter().peekable();
    }

    /// The range that was counted, and its states.
    pub(super) fn finish(mut self) -> (HandleRange, Vec<K>) {
        self.merged.extend(self.ahead);
        (self.range, self.merged)
    }
}
