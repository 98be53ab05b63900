//! The result of an import, for people and for machines.

use std::io::{Write as _, stdout};

use serde_json::{Value, json};

use super::staging::list;
use crate::{registry::Imported, tables::accounts::BadRows};

/// Prints the counts of an import. Rows that were left out are listed on standard error.
pub(super) fn print(
    imported: &Imported,
    bad: Option<&BadRows>,
    is_json: bool,
) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    if is_json {
        let mut object = serde_json::to_value(imported)?;
        object["bad_rows"] = bad.map_or(Value::Null, bad_rows);
        writeln!(out, "{object}")?;
        return Ok(());
    }
    for (count, words) in lines(imported) {
        writeln!(out, "{count:>12}  {words}")?;
    }
    if let Some(bad) = bad {
        writeln!(out, "{:>12}  bad rows left out", bad.total())?;
        list(bad);
    }
    Ok(())
}

fn bad_rows(bad: &BadRows) -> Value {
    let row = |row: &crate::tables::accounts::BadRow| json!({"line": row.line, "reason": row.reason.to_string()});
    let first: Vec<_> = bad.first().iter().map(row).collect();
    json!({"total": bad.total(), "first": first})
}

fn lines(imported: &Imported) -> [(u64, &'static str); 9] {
    [
        (imported.accounts, "accounts came in"),
        (imported.devices, "devices came in"),
        (imported.handles, "handles came in"),
        (imported.moved, "of these moved here from an account with an older proof"),
        (imported.accounts_kept, "accounts were here already and stay as they are"),
        (imported.handles_held, "handles stay with an account that proved them later"),
        (imported.handles_ended, "handles ended here after they were proved, and stay so"),
        (imported.handles_stale, "handles are too old to say whether they have ended"),
        (
            imported.devices_refused,
            "devices were silent for too long, in use, or without an account",
        ),
    ]
}
