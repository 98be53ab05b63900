//! One line of the audit log, and which calls it notes.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::fingerprint::Noted;
use crate::{clock::Timestamp, vocabulary::codes};

codes! {
    /// A call that gives out records of the query log, entries of the audit log or accounts. Or one that takes accounts in, or
    /// decides what is destroyed or who is limited.
    Call {
        /// A search of the query log.
        Search = 1 "search",
        /// Following the query log.
        Tail = 2 "tail",
        /// Reading every segment of the query log to see whether it is sound.
        Verify = 3 "verify",
        /// Copying records to a file.
        Export = 4 "export",
        /// Reading the history of one handle.
        Timeline = 5 "timeline",
        /// Listing the handles whose route went back and forth.
        Flips = 6 "flips",
        /// Listing the audit log.
        AuditList = 7 "audit-list",
        /// Reading the audit log to see whether it is sound.
        AuditVerify = 8 "audit-verify",
        /// Saying that the machine's clock is right, after which what has expired by it is destroyed.
        ClockTrust = 9 "clock-trust",
        /// Listing flagged accounts, or reading what an account has left of its quota.
        QuotaShow = 10 "quota-show",
        /// Clearing the flag of an account.
        QuotaClear = 11 "quota-clear",
        /// Copying the registry's store. An export of a running server is made of such a copy.
        Snapshot = 12 "snapshot",
        /// Taking accounts in from a file.
        Import = 13 "import",
        /// Writing every account of a stopped server to a file.
        RegistryExport = 14 "registry-export",
        /// Letting a node join the cluster.
        ClusterJoin = 15 "cluster-join",
        /// Copying the registry's store, with the operators, to another node.
        ClusterSnapshot = 16 "cluster-snapshot",
        /// Telling another node the keys that all nodes share.
        ClusterKeys = 17 "cluster-keys",
    }
}

/// SHA-256 of a line's bytes, without the line's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineHash([u8; 32]);

/// The second entry of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// The number of the first.
    pub(super) of: u64,
    pub(super) records: u64,
    /// Whether the call came to its end, rather than broke off. Following the log has no other end than breaking off.
    pub(super) whole: bool,
    /// The problem that the call was refused with; text, so that an older program can read a newer one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<String>,
}

/// What the writer of an entry found between it and the last whole one: the part of a line that a crash left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Torn {
    pub(super) bytes: u64,
    pub(super) sha256: LineHash,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Counted from 1 over all files.
    pub(super) n: u64,
    pub(super) at: Timestamp,
    #[serde(flatten)]
    pub(super) what: What,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) torn: Option<Torn>,
    /// Hash of the entry before; zeros in the first of all.
    pub(super) prev: LineHash,
}

/// What a call notes: that it begins, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    /// The first entry of a call: durable before the call gives anything.
    Begin {
        operator: String,
        /// A code of [`Call`]; text, so that an older program can read a newer one's.
        call: String,
        filters: BTreeMap<String, Noted>,
        /// The case that the operator named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        case: Option<String>,
    },
    End(End),
}

impl Entry {
    /// The line, without its end.
    pub(super) fn to_line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text, numbers and maps with text for keys are JSON")
    }

    /// Reads a line; none if it is no entry. A part of an entry is never one: only the last brace closes the object. A line
    /// that says more than its entry is none either.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let entry: Self = serde_json::from_slice(line).ok()?;
        let keys: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
        (!(keys.contains_key("begin") && keys.contains_key("end"))).then_some(entry)
    }
}

impl Torn {
    /// The length and hash of lines that are no entries; none if there is no line. Whether the last one had its line end
    /// does not matter: the writer of the next entry adds it.
    pub(super) fn of(lines: &[Vec<u8>]) -> Option<Self> {
        if lines.is_empty() {
            return None;
        }
        let bytes = lines.iter().map(|line| line.len() as u64).sum();
        Some(Self { bytes, sha256: LineHash::of(&lines.join(&b'\n')) })
    }
}

impl LineHash {
    pub(super) fn of(line: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, line).as_ref());
        Self(hash)
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl Serialize for LineHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| de::Error::custom("not a SHA-256 in hexadecimal"))
    }
}
