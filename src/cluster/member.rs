//! The rows about members: [`Member`] and [`Invite`]. Every node has them.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    limits,
    operators::is_name,
    registry::{NodeId, RowKind, Rows},
};

/// What the name of a member's operator begins with.
const OPERATOR_PREFIX: &str = "member-";

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
}

#[derive(Serialize, Deserialize)]
struct MemberV1 {
    node: u64,
    address: String,
    format: u8,
    joined_at: u64,
    key: u32,
    receiving: [u8; 32],
}

impl Member {
    /// The kind of its row.
    pub const KIND: RowKind = RowKind::Member;

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
        })
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
        };
        postcard::to_stdvec(&row).expect("a vector takes whatever is written")
    }

    /// Puts its row.
    pub fn put(&self, rows: &mut Rows<'_>) {
        rows.put(Self::KIND, self.name.as_bytes(), None, self.row());
    }
}

/// A permission to join once, under one name. The key of its row is the SHA-256 hash of its token. The row ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The name of the node that may join.
    pub name: String,
}

impl Invite {
    /// The kind of its row.
    pub const KIND: RowKind = RowKind::Invite;

    /// An invite of its row. None if the row is none that was written.
    pub fn read(row: &[u8]) -> Option<Self> {
        postcard::from_bytes::<Self>(row).ok().filter(|invite| is_node_name(&invite.name))
    }

    /// The value of its row.
    pub fn row(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a vector takes whatever is written")
    }
}

/// Whether a node could have this name: an operator's name, but short enough that the name of its own operator is one, too.
pub fn is_node_name(text: &str) -> bool {
    text.len() <= limits::CLUSTER_NODE_NAME_BYTES_MAX && is_name(text)
}

/// The name of the operator as whom the member of this name calls other members.
pub fn operator_name(node: &str) -> String {
    format!("{OPERATOR_PREFIX}{node}")
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
        }
    }

    #[test]
    fn rows_give_what_was_put_and_nothing_else_does() {
        let row = member().row();
        assert_eq!(Member::read(b"a", &row), Some(member()));
        assert_eq!(Member::read(b"a b", &row), None);
        assert_eq!(Member::read(b"a", &row[..row.len() - 1]), None);
        let invite = Invite { name: "b".to_owned() };
        assert_eq!(Invite::read(&invite.row()), Some(invite));
        assert_eq!(Invite::read(&Invite { name: "b b".to_owned() }.row()), None);
    }

    #[test]
    fn the_rows_on_disk_keep_their_form() {
        let expected =
            [&[0xAC, 2, 10][..], b"http://a:1", &[1, 0xAD, 2, 0xAE, 2], &[7; 32]].concat();
        assert_eq!(member().row(), expected);
        assert_eq!(Invite { name: "b".to_owned() }.row(), [1, b'b']);
    }

    #[test]
    fn the_longest_node_has_an_operator() {
        let longest = "n".repeat(limits::CLUSTER_NODE_NAME_BYTES_MAX);
        assert!(is_node_name(&longest) && is_name(&operator_name(&longest)));
        assert!(!is_node_name(&format!("{longest}n")) && !is_node_name("") && !is_node_name("a/b"));
    }
}
