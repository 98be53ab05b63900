//! A key, sealed to one member: X25519, HKDF-SHA256, AES-256-GCM.
//!
//! ```text
//! 32  public half of a key pair that is made for this alone
//! 48  the key, encrypted and authenticated
//! ```
//!
//! Who seals forgets the private half at once. So only the member's receiving key opens it, and nothing does once that is destroyed.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    error::Unspecified,
    hkdf,
};
use zeroize::Zeroizing;

use crate::{
    clock::Hour,
    registry::{ClusterId, NodeId},
};

const KEY_BYTES: usize = 32;
/// What a sealed key is about: it is good for nothing else.
#[derive(Clone, Copy)]
pub(super) struct Purpose {
    pub(super) cluster: ClusterId,
    pub(super) key: KeyOf,
    /// The member that it is sealed to.
    pub(super) node: NodeId,
}

/// Which key is sealed.
#[derive(Clone, Copy)]
pub(super) enum KeyOf {
    /// The key of entries with this number.
    Entries(u32),
    /// The key of an hour of this node's log.
    Hour(NodeId, Hour),
}

impl Purpose {
    fn bytes(self) -> Vec<u8> {
        let (cluster, to) = (&self.cluster.0[..], self.node.0.to_be_bytes());
        match self.key {
            KeyOf::Entries(number) => {
                [b"dispatchd key of entries", cluster, &number.to_be_bytes(), &to].concat()
            }
            KeyOf::Hour(origin, hour) => {
                let (origin, hour) = (origin.0.to_be_bytes(), hour.number().to_be_bytes());
                [b"dispatchd key of an hour", cluster, &origin, &hour, &to].concat()
            }
        }
    }
}

/// Seals `key` to the member with the receiving key `receiving`. None if that is no public key.
pub(super) fn seal(
    purpose: Purpose,
    receiving: &[u8; KEY_BYTES],
    key: &[u8; KEY_BYTES],
) -> Option<Vec<u8>> {
    let private = PrivateKey::generate(&X25519).ok()?;
    let mut sealed = private.compute_public_key().ok()?.as_ref().to_vec();
    let cipher = cipher(&private, receiving, [&sealed, receiving], purpose)?;
    let mut body = *key;
    let tag = cipher.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut body).ok()?;
    sealed.extend_from_slice(&body);
    sealed.extend_from_slice(tag.as_ref());
    Some(sealed)
}

/// Opens a sealed key with the private half of a receiving key. None if it was not sealed to that, or for another purpose.
pub(super) fn open(
    purpose: Purpose,
    private: &[u8; KEY_BYTES],
    sealed: &[u8],
) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let (sender, body) = sealed.split_first_chunk::<KEY_BYTES>()?;
    let private = PrivateKey::from_private_key(&X25519, private).ok()?;
    let own = private.compute_public_key().ok()?;
    let cipher = cipher(&private, sender, [sender, own.as_ref()], purpose)?;
    let mut body = Zeroizing::new(body.to_vec());
    let key = cipher.open_in_place(nonce(), Aad::empty(), &mut body).ok()?;
    Some(Zeroizing::new((&*key).try_into().ok()?))
}

/// The cipher between the owner of `private` and that of `public`, for one message. `both` are the public halves, the sender's first.
fn cipher(
    private: &PrivateKey,
    public: &[u8; KEY_BYTES],
    both: [&[u8]; 2],
    purpose: Purpose,
) -> Option<LessSafeKey> {
    let public = UnparsedPublicKey::new(&X25519, public);
    let key = agree(private, public, Unspecified, |shared| {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &both.concat()).extract(shared);
        extracted.expand(&[&purpose.bytes()], hkdf::HKDF_SHA256)?.fill(key.as_mut())?;
        Ok(key)
    });
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.ok()?.as_ref()).ok()?))
}

/// Each cipher encrypts one message.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::entry_keys::public_half;

    #[test]
    fn a_key_is_opened_by_its_member_for_its_purpose_only() {
        let purpose =
            Purpose { cluster: ClusterId([1; 16]), key: KeyOf::Entries(2), node: NodeId(3) };
        let (private, other) = ([4; 32], [5; 32]);
        let sealed = seal(purpose, &public_half(&private), &[6; 32]).unwrap();
        assert_eq!(open(purpose, &private, &sealed), Some(Zeroizing::new([6; 32])));
        assert_eq!(open(purpose, &other, &sealed), None);
        for wrong in [
            Purpose { cluster: ClusterId([0; 16]), ..purpose },
            Purpose { key: KeyOf::Entries(0), ..purpose },
            Purpose { key: KeyOf::Hour(NodeId(3), Hour::from_number(2)), ..purpose },
            Purpose { node: NodeId(0), ..purpose },
        ] {
            assert_eq!(open(wrong, &private, &sealed), None);
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(open(purpose, &private, &damaged), None, "byte {at}");
            assert_eq!(open(purpose, &private, &sealed[..at]), None, "{at} bytes");
        }
        assert_eq!(seal(purpose, &[0; 32], &[6; 32]), None, "no key of anybody");
    }

    #[test]
    fn the_key_of_an_hour_is_that_of_one_node_and_hour() {
        let key = KeyOf::Hour(NodeId(2), Hour::from_number(3));
        let purpose = Purpose { cluster: ClusterId([1; 16]), key, node: NodeId(4) };
        let sealed = seal(purpose, &public_half(&[5; 32]), &[6; 32]).unwrap();
        assert_eq!(open(purpose, &[5; 32], &sealed), Some(Zeroizing::new([6; 32])));
        for key in [
            KeyOf::Hour(NodeId(3), Hour::from_number(3)),
            KeyOf::Hour(NodeId(2), Hour::from_number(2)),
            KeyOf::Entries(3),
        ] {
            assert_eq!(open(Purpose { key, ..purpose }, &[5; 32], &sealed), None);
        }
        assert_eq!(open(Purpose { node: NodeId(5), ..purpose }, &[5; 32], &sealed), None);
    }
}
