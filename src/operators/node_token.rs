//! The token that one node of a cluster shows to another one.
//!
//! ```text
//! dm_ · base64url of: 32 bytes public key of the caller · 64 bytes signature with it, over the cluster and the number of the node called
//! ```
//!
//! So what one node is given is good at that node only: a node that keeps the tokens of others opens nothing with them elsewhere, also
//! after it was removed. A secret of the caller, shown to all, would open all of them; a weaker second secret for calls that are made each
//! second would not help against the node at which another one joined. The row of a node's operator keeps the hash of its public key.

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::operator::TokenHash;
use crate::registry::{ClusterId, NodeId, NodeKey, NodePublicKey, Statement};

const PREFIX: &str = "dm_";

/// The token of the node with this key, for the node `to` of the cluster.
pub fn node_token(key: &NodeKey, cluster: ClusterId, to: NodeId) -> Zeroizing<String> {
    let signature = key.sign(Statement::Call(cluster, to));
    let bytes = Zeroizing::new([&key.public().0[..], &signature].concat());
    let text = Zeroizing::new(BASE64URL_NOPAD.encode(&bytes));
    Zeroizing::new(format!("{PREFIX}{}", *text))
}

/// A node's token as it came.
pub(super) struct NodeToken {
    public: NodePublicKey,
    signature: Vec<u8>,
}

impl NodeToken {
    /// None if the text is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.strip_prefix(PREFIX)?.as_bytes()).ok()?;
        let (public, signature) = bytes.split_first_chunk()?;
        Some(Self { public: NodePublicKey(*public), signature: signature.to_vec() })
    }

    /// Whether the owner of its key made it for the node `to` of the cluster.
    pub(super) fn is_for(&self, (cluster, to): (ClusterId, NodeId)) -> bool {
        self.public.has_signed(Statement::Call(cluster, to), &self.signature)
    }

    /// What the row of the caller's operator keeps.
    pub(super) fn hash(&self) -> TokenHash {
        TokenHash::of_node(&self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_at_one_node_of_one_cluster() {
        let (key, cluster, to) = (NodeKey::new(&[1; 32]), ClusterId([2; 16]), NodeId(3));
        let text = node_token(&key, cluster, to);
        assert!(text.len() <= crate::limits::TOKEN_BYTES_MAX, "{} bytes", text.len());
        let token = NodeToken::read(&text).unwrap();
        assert!(token.is_for((cluster, to)) && token.hash() == TokenHash::of_node(&key.public()));
        assert!(!token.is_for((cluster, NodeId(4))));
        assert!(!token.is_for((ClusterId([0; 16]), to)));
        let other = NodeKey::new(&[5; 32]).public();
        assert!(!NodeToken { public: other, ..token }.is_for((cluster, to)));
        for none in ["", "dm_", "do_x", &text[1..], &text[..8], &format!("{}=", *text)] {
            assert!(NodeToken::read(none).is_none(), "{none}");
        }
        let short = NodeToken::read(&text[..text.len() - 4]);
        assert!(short.is_none_or(|token| !token.is_for((cluster, to))));
    }
}
