//! [`Entry`]: sealed into its bytes, and opened from them.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, ids, limits, shared_log::Head, vocabulary::Change};

use super::{
    error::EntryError,
    key::{EntryKey, EntryKeys},
    node::{ClusterId, NodeId, NodeKey, NodePublicKey, SIGNATURE_BYTES, Statement},
};
use crate::registry::store::{Mutation, read_steps, write_steps};

/// The version of an entry's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EntryFormat {
    /// The first one.
    V1 = 1,
}

impl EntryFormat {
    /// The newest format that this version reads. It reads all before it, too.
    pub const NEWEST: Self = Self::V1;

    fn from_number(number: u8) -> Option<Self> {
        (number == Self::V1 as u8).then_some(Self::V1)
    }
}

/// The first entry of a cluster's log. Nobody opens it: every member's store begins behind it. Always the same, so that a node that
/// crashed while it appended it recognises it.
pub fn genesis(cluster: ClusterId) -> Vec<u8> {
    // No format has the number 0.
    [&[0][..], &cluster.0].concat()
}

/// The cluster that an entry was written for: it is in the clear, also in the [genesis].
pub fn cluster_of(entry: &[u8]) -> Option<ClusterId> {
    Some(ClusterId(*entry.get(1..)?.first_chunk()?))
}

/// The number of the key that the body of an entry is encrypted under: it is in the clear. None if the entry cannot be read.
pub fn key_of(entry: &[u8]) -> Option<u32> {
    read_head(entry).ok().map(|(head, _)| head.key)
}

fn read_head(entry: &[u8]) -> Result<(HeadV1, &[u8]), EntryError> {
    let (format, rest) = entry.split_first().ok_or(EntryError::Unreadable)?;
    let EntryFormat::V1 =
        EntryFormat::from_number(*format).ok_or(EntryError::FormatUnknown(*format))?;
    postcard::take_from_bytes(rest).map_err(|_| EntryError::Unreadable)
}

/// What an entry does, once it is opened.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) struct Entry {
    pub(in crate::registry) node: NodeId,
    pub(in crate::registry) decided_at: Timestamp,
    /// In their order, without steps that concern one node only.
    pub(in crate::registry) steps: Vec<Mutation>,
    pub(in crate::registry) changes: Vec<Change>,
}

#[derive(Serialize, Deserialize)]
struct HeadV1 {
    cluster: [u8; 16],
    place: u64,
    batch: [u8; 16],
    node: u64,
    decided_at: u64,
    before: [u8; 32],
    key: u32,
    nonce: [u8; 12],
}

impl Entry {
    /// The bytes of this entry behind `before`, signed by its node, which has the key `author`.
    ///
    /// # Errors
    /// If they are more than an entry may have.
    pub(in crate::registry) fn seal(
        &self,
        format: EntryFormat,
        cluster: ClusterId,
        before: Head,
        key: &EntryKey,
        author: &NodeKey,
    ) -> Result<Vec<u8>, EntryError> {
        let EntryFormat::V1 = format;
        let mut batch = [0; 16];
        ids::fill_random(&mut batch);
        let nonce = EntryKey::new_nonce();
        let head = HeadV1 {
            cluster: cluster.0,
            place: before.place + 1,
            batch,
            node: self.node.0,
            decided_at: self.decided_at.as_micros(),
            before: before.hash,
            key: key.id(),
            nonce,
        };
        let mut entry = postcard::to_extend(&head, vec![format as u8])
            .expect("a vector takes whatever is written");
        let mut body = write_steps(&self.steps, &self.changes, self.decided_at);
        key.seal(nonce, &entry, &mut body);
        entry.append(&mut body);
        entry.extend_from_slice(&author.sign(Statement::Entry(&entry)));
        match entry.len() <= limits::SHARED_LOG_ENTRY_MAX {
            true => Ok(entry),
            false => Err(EntryError::TooLarge),
        }
    }

    /// Opens `bytes`, which must be the entry of `cluster` behind `before`. `author` gives the key of a node that may write it.
    pub(in crate::registry) fn open(
        bytes: &[u8],
        cluster: ClusterId,
        before: Head,
        keys: &dyn EntryKeys,
        author: impl FnOnce(NodeId) -> Option<NodePublicKey>,
    ) -> Result<Self, EntryError> {
        let (head, body) = read_head(bytes)?;
        if head.cluster != cluster.0 {
            return Err(EntryError::OtherCluster);
        }
        if (head.place, head.before) != (before.place + 1, before.hash) {
            return Err(EntryError::NotNext(head.place));
        }
        let (body, signature) =
            body.split_last_chunk::<SIGNATURE_BYTES>().ok_or(EntryError::Unreadable)?;
        let signed = &bytes[..bytes.len() - SIGNATURE_BYTES];
        let author = author(NodeId(head.node)).ok_or(EntryError::Stranger)?;
        // Before the key is looked for: nobody waits for one that a stranger names.
        if !author.has_signed(Statement::Entry(signed), signature) {
            return Err(EntryError::Stranger);
        }
        let key = keys.find(head.key).ok_or(EntryError::KeyMissing(head.key))?;
        let clear = &signed[..signed.len() - body.len()];
        let body = key.open(head.nonce, clear, body).ok_or(EntryError::NotAuthentic)?;
        let decided_at = Timestamp::from_micros(head.decided_at);
        let (steps, changes) = read_steps(&body, decided_at).map_err(|_| EntryError::Unreadable)?;
        Ok(Self { node: NodeId(head.node), decided_at, steps, changes })
    }
}

#[cfg(test)]
mod tests;
