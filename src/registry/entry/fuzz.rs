//! Entries as fuzz targets give them: what is read is written again as it was read.

use std::sync::Arc;

use super::{
    format::Entry,
    key::{EntryKey, EntryKeys},
    node::{ClusterId, NodeKey},
};
use crate::{
    clock::Timestamp,
    registry::store::{read_steps, write_steps},
    shared_log::Head,
};

struct AnyKey(Arc<EntryKey>);

impl EntryKeys for AnyKey {
    fn newest(&self) -> Arc<EntryKey> {
        self.0.clone()
    }

    fn find(&self, _: u32) -> Option<Arc<EntryKey>> {
        Some(self.0.clone())
    }
}

/// Reads `bytes` as an entry, and as the body of one.
///
/// # Panics
/// If steps that were read are others once they were written, or if an entry that nobody sealed is opened.
pub fn entries(bytes: &[u8]) {
    let keys = AnyKey(Arc::new(EntryKey::new(1, &[1; 32])));
    let author = NodeKey::new(&[2; 32]).public();
    let opened = Entry::open(bytes, ClusterId([0; 16]), Head::EMPTY, &keys, |_| Some(author));
    assert!(opened.is_err(), "an entry of nobody");
    let at = Timestamp::from_secs(1_800_000_000);
    if let Ok((steps, changes)) = read_steps(bytes, at) {
        let again = read_steps(&write_steps(&steps, &changes, at), at).ok();
        assert!(again == Some((steps, changes)), "steps changed");
    }
}
