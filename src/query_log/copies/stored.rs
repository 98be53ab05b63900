//! What the store holds, by the names of its objects.

use std::collections::BTreeMap;

use super::name::{CopiedFile, ObjectName, probe, stop_mark};
use crate::object_storage::{Objects, Stop, StoreError};

/// The objects of one file: where each begins, and its length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extents(BTreeMap<u64, u64>);

impl Extents {
    pub(crate) fn add(&mut self, offset: u64, bytes: u64) {
        self.0.insert(offset, bytes);
    }

    /// How many bytes there are from the file's start on without a gap.
    pub(crate) fn end(&self) -> u64 {
        let mut end = 0;
        for (offset, bytes) in &self.0 {
            if *offset > end {
                break;
            }
            // The store says how long an object is: what it likes.
            end = end.max(offset.saturating_add(*bytes));
        }
        end
    }

    /// Whether objects begin behind [`Self::end`], where one before them is missing.
    pub(crate) fn has_gap(&self) -> bool {
        let end = self.end();
        self.0.keys().any(|offset| *offset > end)
    }

    /// The objects: where each begins, and its length.
    pub(crate) fn each(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(offset, bytes)| (*offset, *bytes))
    }
}

/// The files of one node in the store.
pub(crate) type Stored = BTreeMap<CopiedFile, Extents>;

/// Everything in the store, as one node sees it.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The node's own files.
    pub(crate) own: Stored,
    /// Objects of other nodes.
    pub(crate) others: Vec<ObjectName>,
    /// Names under the node's own that are no copies.
    pub(crate) unknown: Vec<String>,
}

/// Lists the objects of all nodes.
pub(crate) fn list(objects: &Objects, node: &str, stop: Stop<'_>) -> Result<Listing, StoreError> {
    let mut listing = Listing::default();
    let known = [probe(node), stop_mark(node)];
    for object in objects.list(None, stop)? {
        match ObjectName::parse(&object.name) {
            Some(name) if name.node == node => {
                listing.own.entry(name.file).or_default().add(name.offset, object.bytes);
            }
            Some(name) => listing.others.push(name),
            None if !known.contains(&object.name)
                && object.name.starts_with(&format!("{node}/")) =>
            {
                listing.unknown.push(object.name);
            }
            None => {}
        }
    }
    Ok(listing)
}

/// Lists the objects of one node.
pub(crate) fn list_of(objects: &Objects, node: &str, stop: Stop<'_>) -> Result<Stored, StoreError> {
    let mut stored = Stored::new();
    for object in objects.list(Some(node), stop)? {
        if let Some(name) = ObjectName::parse(&object.name) {
            stored.entry(name.file).or_default().add(name.offset, object.bytes);
        }
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_at_its_first_gap() {
        let of = |objects: &[(u64, u64)]| {
            let mut extents = Extents::default();
            objects.iter().for_each(|(offset, bytes)| extents.add(*offset, *bytes));
            (extents.end(), extents.has_gap())
        };
        assert_eq!(of(&[]), (0, false));
        assert_eq!(of(&[(0, 128), (128, 10)]), (138, false));
        assert_eq!(of(&[(0, 128), (129, 10)]), (128, true));
        assert_eq!(of(&[(5, 10)]), (0, true));
    }
}
