//! Whether what was to be forgotten is: no key, no file, no readable record older than the retention.
//!
//! The directory and the keys are looked at anew, not what this process remembers of them, and records are opened without
//! the clamp that every other read goes through: whatever the keys that exist can open is found. What is looked for is
//! what retention promises: the key and the files of an hour go when its oldest possible record reaches the retention, at
//! the next tick of a running server. A server that was stopped for longer forgets when it starts; until then this says so.

use std::{io, sync::Arc};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::{Hour, Timestamp},
    envelope::{FILE_HEADER_BYTES, KeyringError},
    limits,
    query_log::{
        catalog::{Form, Segment},
        filter::Filter,
        frames::segment_reader::{ReadStep, SegmentError, SegmentReader},
        recovery::inspect::list,
        retention,
        sealer::sealed_file,
        search::{Order, Sources},
        segment::Wanted,
        segment_name::{LogFileName, SegmentId},
    },
};

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ForgottenError {
    /// The log's directory cannot be read.
    #[error("the log's directory: {0}")]
    Directory(#[from] io::Error),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyringError),
}

/// What was looked at, and what should not be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgottenReport {
    /// Whether nothing older than the retention is there.
    pub proved: bool,
    /// When it was looked at.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Nothing that may hold an older record should exist.
    #[schema(value_type = String, format = DateTime)]
    pub horizon: Timestamp,
    /// Keys of hours that exist.
    pub keys: usize,
    /// The first instant of the oldest hour that has a key.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest_key: Option<Timestamp>,
    /// Files of the log.
    pub files: usize,
    /// Segments that the keys open.
    pub opened: usize,
    /// The oldest record in them.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest_record: Option<Timestamp>,
    /// What should not be there.
    pub findings: Vec<Finding>,
}

/// Something that should not be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Of which kind it is.
    pub what: FindingKind,
    /// Its name: an hour's or a file's.
    pub name: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Of which kind a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A key of an hour that has expired.
    Key,
    /// A file of an hour that has expired.
    File,
    /// A record that has expired and can be read.
    Record,
    /// A root key that should have been destroyed.
    RootKey,
    /// A file that is no file of the log.
    UnknownFile,
}

pub(in crate::query_log) fn look(sources: &Sources) -> Result<ForgottenReport, ForgottenError> {
    let now = sources.clock.now();
    let horizon = now.minus(sources.retention);
    let hours = sources.keyring.reread()?;
    let due = |hour: Hour| {
        let expiry = retention::expiry(hour, hours.get(&hour).copied(), sources.retention, now);
        expiry.plus(limits::LOG_FORGOTTEN_WITHIN) <= now
    };
    let mut findings = Vec::new();
    let late = |what, name: String, hour: Hour| {
        let detail = format!("its hour began at {} and should be forgotten", hour.start());
        Finding { what, name, detail }
    };
    for hour in hours.keys().filter(|hour| due(**hour)) {
        findings.push(late(FindingKind::Key, hour.epoch_hours().to_string(), *hour));
    }
    for detail in sources.keyring.loose_ends()? {
        let name = "keys".to_owned();
        findings.push(Finding { what: FindingKind::RootKey, name, detail });
    }
    let listing = list(sources.catalog.dir())?;
    let names = listing.frames.iter().map(|id| LogFileName::Frames(*id));
    let names = names.chain(listing.sealed.iter().map(|id| LogFileName::Sealed(*id)));
    let names = names.chain(listing.sealing.iter().map(|id| LogFileName::Sealing(*id)));
    let names: Vec<(SegmentId, String)> = names
        .map(|name| (name.segment(), name.to_string()))
        .chain(listing.cuts.iter().map(|(id, path)| (*id, file_name(path))))
        .collect();
    for (id, name) in names.iter().filter(|(id, _)| due(id.hour)) {
        findings.push(late(FindingKind::File, name.clone(), id.hour));
    }
    for name in &listing.unknown {
        let name = name.to_string_lossy().into_owned();
        let detail = "not a file of the log: what is in it, and how old, cannot be told".to_owned();
        findings.push(Finding { what: FindingKind::UnknownFile, name, detail });
    }
    let (mut opened, mut oldest_record) = (0, None);
    for segment in sources.catalog.segments() {
        let Some(first) = first_record(sources, &segment) else {
            continue;
        };
        opened += 1;
        oldest_record = Some(oldest_record.map_or(first, |oldest: Timestamp| oldest.min(first)));
        if first.hour() != segment.id.hour || (first <= horizon && due(first.hour())) {
            let detail = format!("it can be opened and begins at {first}");
            let (what, name) = (FindingKind::Record, segment.id.to_string());
            findings.push(Finding { what, name, detail });
        }
    }
    Ok(ForgottenReport {
        proved: findings.is_empty(),
        at: now,
        horizon,
        keys: hours.len(),
        oldest_key: hours.keys().next().map(|hour| hour.start()),
        files: names.len(),
        opened,
        oldest_record,
        findings,
    })
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The instant of the first record that opens, whatever its age.
fn first_record(sources: &Sources, segment: &Arc<Segment>) -> Option<Timestamp> {
    let read = || -> Result<Option<Timestamp>, SegmentError> {
        if segment.form == Form::Sealed {
            let sealed = sealed_file::open(segment, &sources.keyring)?;
            let (filter, mut known, mut from) = (Filter::default(), None, None);
            let (order, rows_max, stop) = (Order::Asc, 1, &|| false);
            loop {
                let wanted = Wanted { filter: &filter, order, from, rows_max, stop };
                let window = sealed.window(&wanted, &mut known)?;
                if !window.rows.is_empty() || !window.more {
                    return Ok(window.rows.next_at());
                }
                from = window.read_to;
            }
        }
        let mut reader = SegmentReader::open(segment, &sources.keyring)?;
        let mut offset = FILE_HEADER_BYTES;
        loop {
            match reader.after(&mut offset)? {
                ReadStep::Edge => return Ok(None),
                ReadStep::Damaged => {}
                ReadStep::Frame(rows) => return Ok(rows.first().map(|row| row.at)),
            }
        }
    };
    read().ok().flatten()
}
