//! The hook in the writer by which tests plant a mistake. The writer declares this module, since it calls it.

use std::cell::Cell;

use super::super::row::Row;

/// Changes rows that are sorted and about to be written.
pub(crate) type Mistake = fn(&mut Vec<Row>);

thread_local! {
    static MISTAKE: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// The writer makes this mistake on this thread from now on.
pub(crate) fn set(mistake: Option<Mistake>) {
    MISTAKE.set(mistake);
}

pub(super) fn apply(rows: &mut Vec<Row>) {
    if let Some(mistake) = MISTAKE.get() {
        mistake(rows);
    }
}
