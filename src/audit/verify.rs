//! Reads the whole chain and says where it is not what was written.

use std::io;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    chain::{AuditError, Chain, io_at},
    entry::{Entry, LineHash, Torn},
    files::FileName,
};
use crate::{clock::Timestamp, limits, vocabulary::codes};

codes! {
    /// What is wrong at a place.
    AuditFault {
        /// The line is not the next after the one before it: that one was changed, or lines were changed, removed or moved
        /// between them.
        Changed = 1 "changed",
        /// A file is missing before this one.
        Gap = 2 "gap",
        /// A part of a line, left by a crash. No fault of the chain.
        Torn = 3 "torn",
    }
}

/// Where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditFaultPosition)]
pub struct FaultPosition {
    /// The file's name.
    #[schema(example = "0000007-0020780.ndjson")]
    pub file: String,
    /// The line, counted from 1; empty ones are not counted.
    pub line: u64,
    /// What is wrong.
    pub fault: AuditFault,
}

/// What is in the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditVerification)]
pub struct VerifyReport {
    /// Whether the chain is whole: nothing changed, no gap. Lines torn by a crash are no fault.
    pub sound: bool,
    /// Entries read.
    pub entries: u64,
    /// Files read.
    pub files: u64,
    /// When the first entry was made.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub from: Option<Timestamp>,
    /// When the last entry was made.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub until: Option<Timestamp>,
    /// Hash of the last entry. Store it elsewhere and compare it later: then nothing up to it was cut off or made anew.
    #[schema(value_type = Option<String>, required, example = "5f0c1d7be2a9446c8b3a90e1d4c7f62a5f0c1d7be2a9446c8b3a90e1d4c7f62a")]
    pub head: Option<LineHash>,
    /// Places where a file is missing.
    pub gaps: u64,
    /// Lines torn by a crash.
    pub torn: u64,
    /// Places where lines were changed, removed or moved.
    pub changed: u64,
    /// The first of these places.
    pub places: Vec<FaultPosition>,
}

#[derive(Default)]
struct Walk {
    report: VerifyReport,
    file: Option<FileName>,
    line: u64,
    /// What the next entry must name; none where that cannot be known.
    expected: Option<LineHash>,
    junk: Vec<Vec<u8>>,
}

pub(super) fn verify(chain: &Chain) -> Result<VerifyReport, AuditError> {
    let mut walk = Walk::default();
    for file in chain.snapshot()? {
        let Some(lines) = chain.lines(file)? else {
            if walk.file.is_none() {
                // Expired since the snapshot.
                continue;
            }
            return Err(io_at(&chain.path(file.0))(io::ErrorKind::NotFound.into()));
        };
        walk.enter(file.0);
        for line in lines {
            walk.line(line?);
        }
    }
    Ok(walk.end())
}

impl Walk {
    fn enter(&mut self, file: FileName) {
        let is_next = self.file.is_none_or(|last| file.place == last.place.saturating_add(1));
        (self.file, self.line) = (Some(file), 0);
        self.report.files += 1;
        if !is_next {
            self.fault(AuditFault::Gap);
            self.expected = None;
            self.junk.clear();
        }
    }

    fn line(&mut self, line: Vec<u8>) {
        self.line += 1;
        let Some(entry) = Entry::read(&line) else {
            self.junk.push(line);
            return;
        };
        let found = Torn::of(&self.junk);
        self.junk.clear();
        let is_next = self.expected.is_none_or(|expected| entry.prev == expected);
        // What was torn before the oldest entry may have expired in part, with the file before.
        let may_be_part = self.expected.is_none() && (found.is_none() || entry.torn.is_some());
        let is_noted = entry.torn == found || may_be_part;
        if !is_next || !is_noted {
            self.fault(AuditFault::Changed);
        } else if found.is_some() {
            self.fault(AuditFault::Torn);
        }
        self.expected = Some(LineHash::of(&line));
        self.report.entries += 1;
        self.report.from.get_or_insert(entry.at);
        self.report.until = Some(entry.at);
        self.report.head = self.expected;
    }

    fn fault(&mut self, fault: AuditFault) {
        let report = &mut self.report;
        match fault {
            AuditFault::Changed => report.changed += 1,
            AuditFault::Gap => report.gaps += 1,
            AuditFault::Torn => report.torn += 1,
        }
        if report.places.len() < limits::AUDIT_PLACES_MAX {
            let file = self.file.map(|file| file.to_string()).unwrap_or_default();
            report.places.push(FaultPosition { file, line: self.line, fault });
        }
    }

    fn end(mut self) -> VerifyReport {
        if !self.junk.is_empty() {
            // No later entry has noted it yet; the next append will.
            self.fault(AuditFault::Torn);
        }
        self.report.sound = self.report.changed == 0 && self.report.gaps == 0;
        self.report
    }
}
