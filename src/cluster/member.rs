//! The rows about members. Every node has them.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    operators::is_node_name,
    registry::{NodeId, NodePublicKey, Registry, RowKind, Rows},
};

/// Another node.
#[derive(Clone, Copy)]
pub struct Callee<'a> {
    /// The origin of its operators' listener.
    pub address: &'a str,
    /// Its number: what it is shown is good at no other node.
    pub node: NodeId,
}

/// A node of the cluster, as all nodes know it. The key of its row is its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, which no other member has.
    pub name: String,
    /// Its number, which no other member has. A directory that joins again has a new one.
    pub node: NodeId,
    /// The origin at which the other members reach its operators' listener.
    pub address: String,
    /// The newest format of entries that it reads. It reads all before it.
    pub format: u8,
    /// When it joined.
    pub joined_at: Timestamp,
    /// The newest key of entries that it has. It has applied every entry before the one with this row.
    pub key: u32,
    /// The X25519 public key to which the next key of entries is sealed for it.
    pub receiving: [u8; 32],
    /// The key with which it signs its entries.
    pub public: NodePublicKey,
}

#[derive(Serialize, Deserialize)]
struct MemberV1 {
    node: u64,
    address: String,
    format: u8,
    joined_at: u64,
    key: u32,
    receiving: [u8; 32],
    public: [u8; 32],
}

impl Member {
    /// All members that `registry` knows, also before it is loaded, in the order of their names. One that cannot be read is left out.
    pub fn all(registry: &Registry) -> Vec<Self> {
        let mut members = Vec::new();
        registry.rows_so_far().each(RowKind::Member, |name, row| match Self::read(name, row) {
            Some(member) => members.push(member),
            None => tracing::error!("the registry has a member that cannot be read"),
        });
        members
    }

    /// A member of its row. None if the row is none that was written.
    pub fn read(name: &[u8], row: &[u8]) -> Option<Self> {
        let row: MemberV1 = postcard::from_bytes(row).ok()?;
        Some(Self {
            name: str::from_utf8(name).ok().filter(|name| is_node_name(name))?.to_owned(),
            node: NodeId(row.node),
            address: row.address,
            format: row.format,
            joined_at: Timestamp::from_micros(row.joined_at),
            key: row.key,
            receiving: row.receiving,
            public: NodePublicKey(row.public),
        })
    }

    /// The key of the member with this number, by the rows of all. None if no member has it.
    pub fn author(node: NodeId, rows: &mut dyn Iterator<Item = &[u8]>) -> Option<NodePublicKey> {
        let member = |row| postcard::from_bytes::<MemberV1>(row).ok();
        rows.filter_map(member).find(|row| row.node == node.0).map(|row| NodePublicKey(row.public))
    }

    /// The newest keys that members have, by the rows of all.
    pub(super) fn newest_keys(rows: &mut dyn Iterator<Item = &[u8]>) -> impl Iterator<Item = u32> {
        let row = |row| postcard::from_bytes::<MemberV1>(row).ok();
        rows.filter_map(row).map(|row| row.key)
    }

    /// How it is called.
    pub fn callee(&self) -> Callee<'_> {
        Callee { address: &self.address, node: self.node }
    }

    /// The value of its row.
    pub fn row(&self) -> Vec<u8> {
        let row = MemberV1 {
            node: self.node.0,
            address: self.address.clone(),
            format: self.format,
            joined_at: self.joined_at.as_micros(),
            key: self.key,
            receiving: self.receiving,
            public: self.public.0,
        };
        postcard::to_stdvec(&row).expect("a vector takes whatever is written")
    }

    /// Puts its row.
    pub fn put(&self, rows: &mut Rows<'_>) {
        rows.put(RowKind::Member, self.name.as_bytes(), None, self.row());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        Member {
            name: "a".to_owned(),
            node: NodeId(300),
            address: "http://a:1".to_owned(),
            format: 1,
            joined_at: Timestamp::from_micros(301),
            key: 302,
            receiving: [7; 32],
            public: NodePublicKey([8; 32]),
        }
    }

    #[test]
    fn rows_give_what_was_put_and_nothing_else_does() {
        let row = member().row();
        assert_eq!(Member::read(b"a", &row), Some(member()));
        assert_eq!(Member::read(b"a b", &row), None);
        assert_eq!(Member::read(b"a", &row[..row.len() - 1]), None);
    }

    #[test]
    fn the_rows_on_disk_keep_their_form() {
        let expected =
            [&[0xAC, 2, 10][..], b"http://a:1", &[1, 0xAD, 2, 0xAE, 2], &[7; 32], &[8; 32]]
                .concat();
        assert_eq!(member().row(), expected);
    }

    #[test]
    fn a_member_is_found_by_its_number() {
        let row = member().row();
        let author = |node| Member::author(NodeId(node), &mut [&b"x"[..], &row].into_iter());
        assert_eq!((author(300), author(301)), (Some(NodePublicKey([8; 32])), None));
    }
}
