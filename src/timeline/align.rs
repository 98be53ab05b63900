//! [`align`]: what several nodes have of one handle, in one order.

use std::convert::Infallible;

use super::{
    change_order::{self, Recorded},
    interleave::{Aligned, Interleave},
};
use crate::clock::Timestamp;

/// Puts the rows of one handle, which `nodes` give in the order of their names, into the order in which a timeline has them: see
/// [`interleave`](super::interleave). A change that was decided from `fresh` on may be on its way to some of the nodes.
pub fn align<R: Aligned>(mut nodes: Vec<Vec<R>>, fresh: Timestamp) -> Vec<R> {
    nodes.retain(|rows| !rows.is_empty());
    if nodes.len() < 2 {
        return nodes.pop().unwrap_or_default();
    }
    let recorded = |rows: &Vec<R>| -> Recorded {
        rows.iter().filter_map(|row| Some((row.change()?, row.at()))).collect()
    };
    let lists: Vec<_> = nodes.iter().map(recorded).collect();
    let order = change_order::merge(&lists, fresh);
    let rows = nodes.into_iter().map(|rows| rows.into_iter().map(Ok::<_, Infallible>));
    let rows = Interleave::new(rows.collect(), order);
    rows.map(|Ok(row)| row).collect()
}
