//! A node of a cluster, and its [`NodeKey`]: by what the others know that something comes from it.
//!
//! The public half is in a row of the registry, which every node has. So each can check what another one states, and none can state it in
//! that one's name: not even with all keys and tokens that it was ever given.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};

use crate::redacted::redacted_debug;

/// Which cluster: which log entries belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterId(pub [u8; 16]);

/// A node of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Bytes of a signature.
pub(super) const SIGNATURE_BYTES: usize = 64;

/// The Ed25519 key of a node.
pub struct NodeKey(Ed25519KeyPair);

redacted_debug!(NodeKey);

/// The public half of a node's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePublicKey(pub [u8; 32]);

/// What a node signs. What is signed as one of them is good for no other.
#[derive(Clone, Copy)]
pub enum Statement<'a> {
    /// It wrote the entry with these bytes.
    Entry(&'a [u8]),
    /// It calls the node of this number, in this cluster, in the hour of this number.
    Call(ClusterId, NodeId, u32),
    /// It asks the node of this number, in this cluster, for keys of hours, and made this key to receive them.
    HourKeys(ClusterId, NodeId, &'a [u8; 32]),
}

impl Statement<'_> {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Entry(bytes) => {
                [&b"dispatchd entry"[..], digest(&SHA256, bytes).as_ref()].concat()
            }
            Self::Call(cluster, node, hour) => {
                let numbers = [&node.0.to_be_bytes()[..], &hour.to_be_bytes()].concat();
                [&b"dispatchd call"[..], &cluster.0, &numbers].concat()
            }
            Self::HourKeys(cluster, node, receiving) => {
                let begin = &b"dispatchd hour keys"[..];
                [begin, &cluster.0, &node.0.to_be_bytes(), receiving].concat()
            }
        }
    }
}

impl NodeKey {
    /// The key with this secret: any 32 random bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(secret);
        Self(pair.expect("32 bytes are the seed of an Ed25519 key"))
    }

    /// Its public half.
    pub fn public(&self) -> NodePublicKey {
        let public = self.0.public_key().as_ref().try_into();
        NodePublicKey(public.expect("a public key of Ed25519 has 32 bytes"))
    }

    /// Signs what the node states.
    pub fn sign(&self, statement: Statement<'_>) -> [u8; SIGNATURE_BYTES] {
        let signature = self.0.sign(&statement.bytes());
        signature.as_ref().try_into().expect("a signature of Ed25519 has 64 bytes")
    }
}

impl NodePublicKey {
    /// Whether the owner of the key signed this.
    pub fn has_signed(&self, statement: Statement<'_>, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(&statement.bytes(), signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_its_owners_and_no_other_statement() {
        let (own, other) = (NodeKey::new(&[1; 32]), NodeKey::new(&[2; 32]));
        let call = Statement::Call(ClusterId([3; 16]), NodeId(4), 5);
        let signature = own.sign(call);
        assert!(own.public().has_signed(call, &signature));
        assert!(!other.public().has_signed(call, &signature));
        for another in [
            Statement::Call(ClusterId([3; 16]), NodeId(5), 5),
            Statement::Call(ClusterId([0; 16]), NodeId(4), 5),
            Statement::Call(ClusterId([3; 16]), NodeId(4), 6),
            Statement::Entry(&call.bytes()),
            Statement::Entry(b""),
            Statement::HourKeys(ClusterId([3; 16]), NodeId(4), &[5; 32]),
        ] {
            assert!(!own.public().has_signed(another, &signature));
        }
        assert!(!own.public().has_signed(call, &signature[1..]));
        let entry = Statement::Entry(b"an entry");
        assert!(own.public().has_signed(entry, &own.sign(entry)));
        assert_eq!(format!("{own:?}"), "NodeKey(…)");
    }
}
