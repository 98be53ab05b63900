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

/// What public keys of small order look like, the sign bit apart: whoever says that one is their own can have "signed" anything. The last
/// two are other texts of the first and the second.
const SMALL_ORDER: [[u8; 32]; 7] = [
    point(0x00, [0; 30], 0x00),
    point(0x01, [0; 30], 0x00),
    point(
        0x26,
        [
            0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
            0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d,
            0x53, 0xfc,
        ],
        0x05,
    ),
    point(
        0xc7,
        [
            0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
            0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92,
            0xac, 0x03,
        ],
        0x7a,
    ),
    point(0xec, [0xff; 30], 0x7f),
    point(0xed, [0xff; 30], 0x7f),
    point(0xee, [0xff; 30], 0x7f),
];

const fn point(first: u8, middle: [u8; 30], last: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes.split_at_mut(1).1.split_at_mut(30).0.copy_from_slice(&middle);
    bytes
}

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
    /// Whether the owner of the key signed this. False if anybody could have: see [`Self::is_weak`].
    pub fn has_signed(&self, statement: Statement<'_>, signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        !self.is_weak() && key.verify(&statement.bytes(), signature).is_ok()
    }

    /// Whether the key has a small order: for such a key everybody can make signatures, and one may fit many statements.
    pub fn is_weak(&self) -> bool {
        let mut unsigned = self.0;
        unsigned[31] &= 0x7f;
        SMALL_ORDER.contains(&unsigned)
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

    #[test]
    fn a_key_for_which_anybody_can_sign_signs_nothing() {
        // The neutral point, and a signature that fits whatever is stated: 0 times the base point is that point.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let signature = [neutral, [0; 32]].concat();
        let statement = Statement::Entry(b"whatever");
        let verified =
            UnparsedPublicKey::new(&ED25519, neutral).verify(&statement.bytes(), &signature);
        assert!(verified.is_ok(), "the library leaves it to its callers");
        assert!(!NodePublicKey(neutral).has_signed(statement, &signature));
        for key in SMALL_ORDER {
            let mut negative = key;
            negative[31] |= 0x80;
            assert!(NodePublicKey(key).is_weak() && NodePublicKey(negative).is_weak());
        }
        assert!((0..100).all(|seed| !NodeKey::new(&[seed; 32]).public().is_weak()));
    }
}
