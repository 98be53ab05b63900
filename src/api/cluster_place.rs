//! A place in the answers of all nodes, as opaque text: where a page of a gathered search ended.
//!
//! ```text
//! version (1 byte, 3), at (8), node (8), then for each node of which the pages gave rows: its number (8), its last place (16)
//! ```
//!
//! Big endian, base64url. Any node takes it: it holds what each of them needs to continue. A node that gave no row continues behind the
//! instant of the last one. The instant alone would not do for all: if a node's clock was set back, its rows are not in the order of time.

use std::{collections::BTreeMap, fmt, str::FromStr};

use bytes::{Buf as _, BufMut as _};
use data_encoding::BASE64URL_NOPAD;

use crate::{
    clock::Timestamp,
    limits,
    query_log::{Cursor, CursorError},
    registry::NodeId,
};

const VERSION: u8 = 3;
const HEAD_BYTES: usize = 16;
const NODE_BYTES: usize = 8 + Cursor::BYTES;

/// Where a page of a gathered search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterPlace {
    /// The instant of its last row.
    pub at: Timestamp,
    /// The node of its last row.
    pub node: NodeId,
    /// The last row of each node that was given, or left out because another node has the same change.
    pub nodes: BTreeMap<u64, Cursor>,
}

/// Where a page ended: in the log of the node that was asked, or in the logs of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagePlace {
    /// Of one node.
    Own(Cursor),
    /// Of all nodes.
    Cluster(ClusterPlace),
}

impl PagePlace {
    /// That of one node.
    pub fn own(self) -> Option<Cursor> {
        if let Self::Own(place) = self { Some(place) } else { None }
    }

    /// That of all nodes.
    pub fn of_cluster(self) -> Option<ClusterPlace> {
        if let Self::Cluster(place) = self { Some(place) } else { None }
    }
}

impl fmt::Display for ClusterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.put_u64(self.at.as_micros());
        bytes.put_u64(self.node.0);
        for (node, place) in &self.nodes {
            bytes.put_u64(*node);
            bytes.put_slice(&place.to_bytes());
        }
        f.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for ClusterPlace {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CursorError)?;
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return Err(CursorError) };
        let (head, parts) = rest.split_at_checked(HEAD_BYTES).ok_or(CursorError)?;
        rest = head;
        let (at, node) = (Timestamp::from_micros(rest.get_u64()), NodeId(rest.get_u64()));
        let (parts, left) = parts.as_chunks::<NODE_BYTES>();
        if !left.is_empty() || limits::CLUSTER_PLACES_MAX < parts.len() {
            return Err(CursorError);
        }
        let mut nodes = BTreeMap::new();
        for part in parts {
            let mut part = part.as_slice();
            let node = part.get_u64();
            let place = part.try_into().map_err(|_| CursorError)?;
            nodes.insert(node, Cursor::from_bytes(place));
        }
        let place = Self { at, node, nodes };
        // Numbers that are out of order, or come twice: no program wrote it.
        if place.nodes.len() == parts.len() && place.to_string() == text {
            Ok(place)
        } else {
            Err(CursorError)
        }
    }
}

impl fmt::Display for PagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(place) => place.fmt(f),
            Self::Cluster(place) => place.fmt(f),
        }
    }
}

impl FromStr for PagePlace {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        match text.parse() {
            Ok(own) => Ok(Self::Own(own)),
            Err(CursorError) => Ok(Self::Cluster(text.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_survive_their_text(at: u64, node: u64, nodes: BTreeMap<u64, [u8; Cursor::BYTES]>) {
            let nodes = nodes.into_iter().take(limits::CLUSTER_MEMBERS_MAX);
            let nodes = nodes.map(|(node, place)| (node, Cursor::from_bytes(place))).collect();
            let place = ClusterPlace { at: Timestamp::from_micros(at), node: NodeId(node), nodes };
            prop_assert_eq!(place.to_string().parse(), Ok(PagePlace::Cluster(place)));
        }

        #[test]
        fn one_machine_s_cursors_are_those_of_one_node(place: [u8; Cursor::BYTES]) {
            let place = Cursor::from_bytes(place);
            prop_assert_eq!(place.to_string().parse(), Ok(PagePlace::Own(place)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(Aw[A-Za-z0-9_-]{0,130})|(\\PC{0,40})") {
            if let Ok(place) = text.parse::<PagePlace>() {
                prop_assert_eq!(place.to_string(), text);
            }
        }
    }
}
