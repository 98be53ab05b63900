//! Accounts from a file: what a running server says of an import, and what an import came to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use crate::registry::Imported;

/// How far the import is that a server accepted last.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ImportState {
    /// Whether it is being applied.
    pub state: ImportPhase,
    /// Accounts that were applied.
    pub accounts: u64,
    /// Accounts that are to be applied.
    pub total: u64,
}

/// Whether an import is being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportPhase {
    /// Accounts are being applied.
    Applying,
    /// Everything that was accepted is applied.
    None,
}

/// A line of the answer to an upload: how far the import is, and at the end how it ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ImportLine {
    /// It is being applied.
    Progress {
        /// Accounts that were applied.
        accounts: u64,
        /// Accounts that are to be applied.
        total: u64,
    },
    /// It is done.
    Imported {
        /// What it came to.
        imported: Imported,
    },
    /// It is not done.
    Problem {
        /// Why, and whether the server continues later.
        problem: Problem,
    },
}

impl ImportLine {
    /// As JSON, with a line end.
    ///
    /// # Panics
    /// Never: a line is numbers and texts, which have a JSON form.
    pub fn to_json(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a line has a JSON form");
        line.push(b'\n');
        line
    }
}

/// What `registry import --json` prints.
#[derive(Serialize, Deserialize)]
pub struct ImportReport {
    /// What came in and what did not.
    #[serde(flatten)]
    pub imported: Imported,
    /// Rows that were left out. Null if an earlier, interrupted run had left them out.
    pub bad_rows: Option<BadRowsReport>,
}

/// The bad rows of a file.
#[derive(Serialize, Deserialize)]
pub struct BadRowsReport {
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub first: Vec<BadRowReport>,
}

/// A bad row.
#[derive(Serialize, Deserialize)]
pub struct BadRowReport {
    /// CSV: the line on which the row begins; the header is line 1. Parquet: the number of the row, counted from 1.
    pub line: u64,
    /// Why the row cannot be imported.
    pub reason: String,
}
