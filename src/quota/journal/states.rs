//! [`StatesFile`]: the states of accounts and budgets and of the detector, to and from a file.

use std::time::Duration;

use super::{
    rows::{self, Rows},
    written_file::{WriteError, WrittenFile},
};
use crate::{
    clock::Timestamp,
    limits,
    quota::{
        new_handles::{Instants, NewHandles},
        rate::micros,
        sweep::STATE_BYTES_MAX,
        unwritten::Changes,
    },
};

// The state of the detector is one row, so it fits into one frame.
const _: () = assert!(rows::HEAD_BYTES + STATE_BYTES_MAX <= limits::LOG_FRAME_BYTES_MAX);

/// A file of states that this process writes. After a failed write it must not be used again.
pub(super) struct StatesFile {
    pub(super) file: WrittenFile,
    /// The length of the file when it held all states once; 0 if it does not.
    all_bytes: u64,
    /// The last state of the detector in the file. It is longer than what a call changes, and seldom another.
    detector: Vec<u8>,
}

impl StatesFile {
    /// Without states yet.
    pub(super) const fn new(file: WrittenFile) -> Self {
        Self { file, all_bytes: 0, detector: Vec::new() }
    }

    /// Adds all states. Some of them may be on the disk afterwards; the file's commit writes the others.
    pub(super) fn add_all(&mut self, from: &NewHandles, at: Instants) -> Result<(), WriteError> {
        for shard in from.accounts.shards() {
            let rows = shard.iter().map(|(id, state)| rows::account_row(*id, state, at.boot));
            self.file.add(rows::ACCOUNTS, at.now, rows)?;
        }
        let mut budgets = Vec::new();
        let each = |budget, debt| budgets.push(rows::budget_row(budget, debt));
        from.budgets.for_each_debt(at.boot, each);
        self.file.add(rows::BUDGETS, at.now, budgets)?;
        self.add_detector(from, at.now)?;
        self.all_bytes = self.file.bytes();
        Ok(())
    }

    /// Adds the states that changed.
    pub(super) fn add(
        &mut self,
        from: &NewHandles,
        changes: &Changes,
        at: Instants,
    ) -> Result<(), WriteError> {
        let accounts = changes.accounts.iter();
        let rows = accounts.map(|id| rows::account_row(*id, &from.accounts.get(*id), at.boot));
        self.file.add(rows::ACCOUNTS, at.now, rows)?;
        let budgets = changes.budgets.iter();
        let rows = budgets.map(|it| rows::budget_row(*it, from.budgets.debt(*it, at.boot)));
        self.file.add(rows::BUDGETS, at.now, rows)?;
        self.add_detector(from, at.now)
    }

    fn add_detector(&mut self, from: &NewHandles, now: Timestamp) -> Result<(), WriteError> {
        let detector = from.detector.state(now);
        if detector != self.detector {
            self.file.add_bytes(rows::DETECTOR, now, &detector)?;
            self.detector = detector;
        }
        Ok(())
    }

    /// Whether most of the file is states that later ones replace, so that a new file is worth its writing.
    pub(super) const fn is_long(&self) -> bool {
        self.file.bytes()
            > limits::QUOTA_STATES_BYTES_MIN + limits::QUOTA_STATES_TIMES * self.all_bytes
    }
}

/// Takes states back that were written `elapsed` ago.
pub(super) fn restore(rows: &Rows<'_>, into: &NewHandles, elapsed: Duration, boot: Duration) {
    if rows.kind == rows::BUDGETS {
        for (budget, debt) in rows.bytes.as_chunks().0.iter().filter_map(rows::budget) {
            into.budgets.restore(budget, debt.saturating_sub(elapsed), boot);
        }
        return;
    }
    for row in rows::account_rows(rows) {
        let (account, state) = rows::account(&row, elapsed, boot);
        // If there is no space, the account costs more than it should: it gets no new handles until there is.
        let keep = |kept: &mut _| *kept = state;
        let _ = into.accounts.change_or_add(account, micros(boot), keep);
    }
}
