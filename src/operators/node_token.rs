//! The token that one node of a cluster shows to another one.
//!
//! ```text
//! dm_ · base64url of: 32 bytes public key of the caller · u32 hour · 64 bytes signature with it, over the cluster, the number of the
//!                     node called, and the hour
//! ```
//!
//! So what one node is given is good at that node only: a node that keeps the tokens of others opens nothing with them elsewhere, also
//! after it was removed. And it is good for this hour, the one before and the next: a call at the turn of the hour passes, and what somebody
//! read along ends. A secret of the caller, shown to all, would open all of them; a weaker second secret for calls that are made each
//! second would not help against the node at which another one joined. The row of a node's operator keeps the hash of its public key.
//!
//! A node asks for the others' clocks with such a token, too. So that question alone is answered at any hour: else a node whose clock is wrong
//! would take all others for silent, and go on.

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::operator::TokenHash;
use crate::{
    clock::Timestamp,
    registry::{ClusterId, NodeId, NodeKey, NodePublicKey, Statement},
};

const PREFIX: &str = "dm_";

/// The token of the node with this key, for the node `to` of the cluster, at `now`.
pub fn node_token(
    key: &NodeKey,
    cluster: ClusterId,
    to: NodeId,
    now: Timestamp,
) -> Zeroizing<String> {
    let hour = hour(now);
    let signature = key.sign(Statement::Call(cluster, to, hour));
    let bytes = [&key.public().0[..], &hour.to_be_bytes(), &signature].concat();
    let text = Zeroizing::new(BASE64URL_NOPAD.encode(&Zeroizing::new(bytes)));
    Zeroizing::new(format!("{PREFIX}{}", *text))
}

/// The number of the hour since 1970.
fn hour(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs() / 3_600).unwrap_or(u32::MAX)
}

/// A node's token as it came.
pub(super) struct NodeToken {
    public: NodePublicKey,
    hour: u32,
    signature: Vec<u8>,
}

impl NodeToken {
    /// None if the text is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.strip_prefix(PREFIX)?.as_bytes()).ok()?;
        let (public, bytes) = bytes.split_first_chunk()?;
        let (hour, signature) = bytes.split_first_chunk()?;
        let (public, hour) = (NodePublicKey(*public), u32::from_be_bytes(*hour));
        Some(Self { public, hour, signature: signature.to_vec() })
    }

    /// Whether the owner of its key made it for the node `to` of the cluster.
    pub(super) fn is_for(&self, (cluster, to): (ClusterId, NodeId)) -> bool {
        self.public.has_signed(Statement::Call(cluster, to, self.hour), &self.signature)
    }

    /// Whether it was made in this hour, or in the one before or behind it.
    pub(super) fn is_of(&self, now: Timestamp) -> bool {
        self.hour.abs_diff(hour(now)) <= 1
    }

    /// What the row of the caller's operator keeps.
    pub(super) fn hash(&self) -> TokenHash {
        TokenHash::of_node(&self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + hour * 3_600)
    }

    #[test]
    fn a_token_is_good_at_one_node_of_one_cluster() {
        let (key, cluster, to) = (NodeKey::new(&[1; 32]), ClusterId([2; 16]), NodeId(3));
        let text = node_token(&key, cluster, to, at(0));
        assert!(text.len() <= crate::limits::TOKEN_BYTES_MAX, "{} bytes", text.len());
        let token = NodeToken::read(&text).unwrap();
        assert!(token.is_for((cluster, to)) && token.hash() == TokenHash::of_node(&key.public()));
        assert!(!token.is_for((cluster, NodeId(4))));
        assert!(!token.is_for((ClusterId([0; 16]), to)));
        let later = NodeToken { hour: token.hour + 1, ..NodeToken::read(&text).unwrap() };
        assert!(!later.is_for((cluster, to)), "the hour is signed");
        let other = NodeKey::new(&[5; 32]).public();
        assert!(!NodeToken { public: other, ..token }.is_for((cluster, to)));
        for none in ["", "dm_", "do_x", &text[1..], &text[..8], &format!("{}=", *text)] {
            assert!(NodeToken::read(none).is_none(), "{none}");
        }
        let short = NodeToken::read(&text[..text.len() - 4]);
        assert!(short.is_none_or(|token| !token.is_for((cluster, to))));
    }

    #[test]
    fn a_token_is_of_its_hour_and_those_beside_it() {
        let token = |now| {
            let text = node_token(&NodeKey::new(&[1; 32]), ClusterId([2; 16]), NodeId(3), now);
            NodeToken::read(&text).unwrap()
        };
        let made = token(at(7));
        let good = [5, 6, 7, 8, 9].map(|hour| made.is_of(at(hour)));
        assert_eq!(good, [false, true, true, true, false]);
        // Of a clock that is a moment behind or ahead, at the turn of the hour.
        assert!(token(at(7).moved(-1)).is_of(at(7)) && token(at(7)).is_of(at(7).moved(-1)));
        assert!(token(Timestamp::from_micros(u64::MAX)).is_of(Timestamp::from_micros(u64::MAX)));
    }
}
