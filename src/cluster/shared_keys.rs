//! What a node that joins and the node that lets it in tell each other: [`JoinRequest`], [`JoinAnswer`], and then [`SharedKeys`].

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A node that wants to join, to the node that lets it in.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// Its name, which must be that of the invite.
    #[schema(example = "b")]
    pub name: String,
    /// The origin at which the others reach its operators' listener.
    #[schema(example = "http://10.0.0.2:8081")]
    pub address: String,
    /// Its Ed25519 public key, in hexadecimal: it signs its calls and its entries with it.
    pub public: String,
    /// The newest format of entries that it reads.
    pub format: u8,
    /// Its X25519 public key, in hexadecimal: keys of entries are sealed to it.
    pub receiving: String,
    /// The cluster that its engine holds, in hexadecimal. It must be the cluster that it joins.
    #[schema(example = "00112233445566778899aabbccddeeff")]
    pub cluster: String,
}

/// What a node that has joined needs to know.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct JoinAnswer {
    /// The number of the node, in hexadecimal.
    #[schema(example = "00c0ffee00c0ffee")]
    pub node: String,
}

/// The secrets that all nodes share.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SharedKeys {
    /// The keys of entries.
    pub entries: Vec<SharedKey>,
    /// The key that hashes codes, in hexadecimal: a code that one node sent is answered at any.
    #[schema(value_type = String)]
    pub verification: Zeroizing<String>,
}

/// A key of entries.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SharedKey {
    /// Its number.
    pub number: u32,
    /// Its bytes, in hexadecimal.
    #[schema(value_type = String)]
    pub key: Zeroizing<String>,
}

/// The number and bytes of keys of entries, and the key that hashes codes.
type ReadKeys = (Vec<(u32, Zeroizing<[u8; 32]>)>, Zeroizing<[u8; 32]>);

impl SharedKeys {
    /// As a node shares them.
    pub fn new(entries: &[(u32, Zeroizing<[u8; 32]>)], verification: &[u8; 32]) -> Self {
        let hex = |key: &[u8; 32]| Zeroizing::new(HEXLOWER.encode(key));
        let entries =
            entries.iter().map(|(number, key)| SharedKey { number: *number, key: hex(key) });
        Self { entries: entries.collect(), verification: hex(verification) }
    }

    /// The keys of entries, and the key that hashes codes. None if a text is no key.
    pub fn read(&self) -> Option<ReadKeys> {
        let entries = self.entries.iter().map(|it| Some((it.number, key(&it.key)?)));
        Some((entries.collect::<Option<_>>()?, key(&self.verification)?))
    }
}

fn key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(HEXLOWER.decode(text.as_bytes()).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}
