//! Groups sorted rows into accounts, and accounts into blocks.

use super::{
    account::AccountBuilder,
    bad_rows::BadRows,
    rows::{Entry, Rows},
    staged::Block,
};

/// The approximate number of rows in a block. 4,096 rows with the longest handles and names fit into a block.
const BLOCK_ROWS: usize = if cfg!(test) { 8 } else { 4_096 };

/// A block of accounts, and the rows that it was made from.
pub(super) struct Grouped {
    pub(super) block: Block,
    pub(super) bad: BadRows,
    pub(super) rows: u64,
}

/// Splits an index that is sorted by account, so that no account is in two parts.
pub(super) fn parts(mut index: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    std::iter::from_fn(move || {
        let (last, _) = index.get(BLOCK_ROWS - 1).or_else(|| index.last())?;
        let end = index.partition_point(|(account, _)| account <= last);
        let (part, rest) = index.split_at(end);
        index = rest;
        Some(part)
    })
}

/// Builds the accounts of one part.
pub(super) fn group(rows: &Rows, part: &[Entry], devices_max: usize) -> Grouped {
    let mut block = Block::default();
    let mut bad = BadRows::default();
    for entries in part.chunk_by(|one, other| one.0 == other.0) {
        let mut builder: Option<AccountBuilder> = None;
        for (_, position) in entries {
            let row = rows.row(*position);
            let builder =
                builder.get_or_insert_with(|| AccountBuilder::new(row.account, devices_max));
            if let Err(reason) = builder.add(&row) {
                bad.add(row.line, reason);
            }
        }
        if let Some(account) = builder.and_then(AccountBuilder::finish) {
            block.push(&account);
        }
    }
    block.finish();
    Grouped { block, bad, rows: part.len() as u64 }
}
