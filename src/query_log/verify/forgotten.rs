//! Checks that the log has forgotten what it must: no key, no file and no readable record is older than the retention.
//!
//! The check reads the directory and the keys anew and does not trust what this process remembers. It opens records without
//! the clamp of every other read, so it finds whatever the existing keys can open.
//!
//! An hour is due when its oldest possible record reaches the retention. The next tick of a running server destroys the key
//! and the files. A server that was stopped at that time does so when it starts; until then this check reports the hour.

use std::io;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::{Hour, Timestamp},
    envelope::{FILE_HEADER_BYTES, KeyringError},
    limits,
    query_log::{
        catalog::{Form, Segment},
        copies::Copies,
        filter::{Filter, Order},
        frames::segment_reader::{ReadStep, SegmentReader},
        recovery::inspect::list,
        sealer::sealed_file,
        search::Sources,
        segment::SliceRequest,
        segment_error::SegmentError,
    },
    vocabulary::codes,
};

/// Why the check cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ForgottenError {
    /// The log's directory cannot be read.
    #[error("cannot read the log's directory: {0}")]
    Directory(#[from] io::Error),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

/// What the check read, and what it found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgottenReport {
    /// Whether the check found nothing older than the retention.
    pub proved: bool,
    /// The time of the check.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Nothing that may hold a record older than this should exist.
    #[schema(value_type = String, format = DateTime)]
    pub horizon: Timestamp,
    /// Hours that have a key.
    pub keys: usize,
    /// The first instant of the oldest hour that has a key.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub oldest_key: Option<Timestamp>,
    /// Files of the log.
    pub files: usize,
    /// Segments that the keys open.
    pub opened: usize,
    /// The oldest record in them.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub oldest_record: Option<Timestamp>,
    /// Copies in the object store, those of other nodes included. None without a store, and if it cannot be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub copies: Option<usize>,
    /// What should not exist.
    pub findings: Vec<Finding>,
}

/// Something that should not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ForgottenFinding)]
pub struct Finding {
    /// Its kind.
    pub what: ForgottenKind,
    /// The hour of a key, or the name of a file.
    #[schema(example = "495368")]
    pub name: String,
    /// What is wrong with it.
    #[schema(example = "its hour began at 2026-10-20T08:00:00Z and has expired")]
    pub detail: String,
}

codes! {
    /// The kind of a finding.
    ForgottenKind {
        /// A key of an expired hour.
        Key = 1 "key",
        /// A file of an expired hour.
        File = 2 "file",
        /// An expired record that can be read.
        Record = 3 "record",
        /// A root key that should have been destroyed.
        RootKey = 4 "root-key",
        /// A file that is not the log's.
        UnknownFile = 5 "unknown-file",
        /// An object in the store that should have been deleted, or is no copy.
        Copy = 6 "copy",
        /// The object store, which cannot be listed.
        Store = 7 "store",
    }
}

pub(crate) fn check(
    sources: &Sources,
    copies: Option<&Copies>,
) -> Result<ForgottenReport, ForgottenError> {
    // By the later of both times: if they disagree, nothing older than the retention may pass as forgotten.
    let now = sources.clock.latest();
    let hours = sources.keyring.reread()?;
    let due = |hour: Hour| sources.expiry(hour).plus(limits::LOG_FORGOTTEN_WITHIN) <= now;
    let mut findings = Vec::new();
    let late = |what, name: String, hour: Hour| {
        let detail = format!("its hour began at {} and has expired", hour.start());
        Finding { what, name, detail }
    };
    for hour in hours.keys().filter(|hour| due(**hour)) {
        findings.push(late(ForgottenKind::Key, hour.number().to_string(), *hour));
    }
    for detail in sources.keyring.loose_ends()? {
        let name = "keys".to_owned();
        findings.push(Finding { what: ForgottenKind::RootKey, name, detail });
    }
    let listing = list(sources.catalog.dir())?;
    for name in listing.names.iter().filter(|name| due(name.segment().hour)) {
        findings.push(late(ForgottenKind::File, name.to_string(), name.segment().hour));
    }
    for name in &listing.unknown {
        let (what, name) = (ForgottenKind::UnknownFile, name.to_string_lossy().into_owned());
        let detail = "not a file of the log; its content and age are unknown".to_owned();
        findings.push(Finding { what, name, detail });
    }
    let (mut opened, mut oldest_record) = (0, None);
    for segment in sources.catalog.segments() {
        let Some(first) = first_record(sources, &segment).ok().flatten() else {
            continue;
        };
        opened += 1;
        oldest_record = Some(oldest_record.map_or(first, |oldest: Timestamp| oldest.min(first)));
        let hour = segment.id.hour;
        if !hour.contains(first) || (first <= sources.horizon(hour.era()) && due(hour)) {
            let (what, name) = (ForgottenKind::Record, segment.id.to_string());
            let detail = format!("it can be opened, and its first record is of {first}");
            findings.push(Finding { what, name, detail });
        }
    }
    let copies = copies.and_then(|copies| check_copies(sources, copies, &mut findings));
    Ok(ForgottenReport {
        proved: findings.is_empty(),
        at: now,
        horizon: now.minus(sources.retention),
        keys: hours.len(),
        oldest_key: hours.keys().next().map(|hour| hour.start()),
        files: listing.names.len(),
        opened,
        oldest_record,
        copies,
        findings,
    })
}

/// How many objects the store holds. None if it cannot be listed, which is a finding: then nothing is proved.
fn check_copies(sources: &Sources, copies: &Copies, findings: &mut Vec<Finding>) -> Option<usize> {
    let found = match copies.findings(sources) {
        Ok(found) => found,
        Err(error) => {
            let (what, name) = (ForgottenKind::Store, "log.store".to_owned());
            let detail = format!("it cannot be listed, so what it holds is unknown: {error}");
            findings.push(Finding { what, name, detail });
            return None;
        }
    };
    for (name, began) in found.expired {
        let detail = format!("its hour began at {began} and has expired");
        findings.push(Finding { what: ForgottenKind::Copy, name, detail });
    }
    for name in found.unknown {
        let detail = "not a copy of the log; its content and age are unknown".to_owned();
        findings.push(Finding { what: ForgottenKind::Copy, name, detail });
    }
    Some(found.objects)
}

/// The instant of the first record that can be decrypted, whatever its age.
fn first_record(sources: &Sources, segment: &Segment) -> Result<Option<Timestamp>, SegmentError> {
    if segment.form == Form::Sealed {
        let sealed = sealed_file::open(segment, &sources.keyring)?;
        let (filter, mut histogram, mut from) = (Filter::default(), None, None);
        let (order, rows_max, stop) = (Order::Asc, 1, &|| false);
        loop {
            let request = SliceRequest { filter: &filter, order, from, rows_max, stop };
            let slice = sealed.time_slice(&request, &mut histogram)?;
            if !slice.rows.is_empty() || !slice.more {
                return Ok(slice.rows.next_at());
            }
            from = slice.read_to;
        }
    }
    let mut reader = SegmentReader::open(segment, &sources.keyring)?;
    let mut offset = FILE_HEADER_BYTES;
    loop {
        match reader.next(Order::Asc, &mut offset)? {
            ReadStep::Edge => return Ok(None),
            ReadStep::Damaged => {}
            ReadStep::Frame(rows) => return Ok(rows.first().map(|row| row.at)),
        }
    }
}
