//! What somebody learns who has a copy of every file at one moment: those of etcd, and those of the nodes.
//!
//! The thief tries every key that lies on a disk on everything in etcd's files that looks like an entry, deleted or not. What opens may
//! hold keys of other entries, sealed to a node. The thief opens these too if the private half lies on a disk, and begins anew.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    error::Unspecified,
    hkdf,
};
use data_encoding::HEXLOWER;
use dispatchd::{
    cluster::ClusterKeys,
    envelope::{KeyFiles, Keyring},
};
use serde_json::Value;

use super::trio::Trio;
use crate::{enumeration::everything, harness::bytes_below};

/// The beginning of an entry behind its format: cluster, place, batch, node, time, the hash before, number of the key, nonce.
type Clear = ([u8; 16], u64, [u8; 16], u64, u64, [u8; 32], u32, [u8; 12]);
pub(super) type Key = [u8; 32];

/// Numbers from here on are those of receiving keys.
const RECEIVING: u32 = 1 << 31;
const SIGNATURE_BYTES: usize = 64;
const PUBLIC_BYTES: usize = 32;
const SEALED_BYTES: usize = PUBLIC_BYTES + 48;
/// What may stand between the key and the value of a row.
const GAP_BYTES: usize = 24;
const INFO: &[u8] = b"dispatchd key of entries";

/// Keys that lie on disks.
#[derive(Clone, Default)]
pub(super) struct Keys {
    /// Of entries, and of hours of the logs.
    ciphers: BTreeSet<Key>,
    /// Private halves of receiving keys.
    halves: BTreeSet<Key>,
}

/// The numbers of the keys of entries in a data directory, the oldest first. None while they are changed.
pub(super) fn numbers(data: &Path) -> Option<Vec<u32>> {
    let keyring = Keyring::open_read_only(KeyFiles::new(&ClusterKeys::directory(data), None));
    let numbers = keyring.ok()?.hours().into_iter().map(|hour| hour.number());
    Some(numbers.filter(|number| *number < RECEIVING).collect())
}

impl Keys {
    /// The keys of entries, and of hours of the logs.
    pub(super) fn ciphers(&self) -> impl Iterator<Item = &Key> {
        self.ciphers.iter()
    }

    /// Every key in a data directory.
    pub(super) fn of(data: &Path) -> Self {
        let mut keys = Self::default();
        let members = fs::read_dir(data.join("keys/members")).into_iter().flatten();
        let members = members.map(|entry| (entry.unwrap().path(), false));
        let own = [(data.join("keys"), false), (ClusterKeys::directory(data), true)];
        for (folder, is_shared) in own.into_iter().chain(members) {
            let keyring = Keyring::open_read_only(KeyFiles::new(&folder, None)).unwrap();
            for hour in keyring.hours() {
                let is_half = is_shared && RECEIVING <= hour.number();
                let into = if is_half { &mut keys.halves } else { &mut keys.ciphers };
                into.insert(*keyring.get(hour).unwrap().reveal());
            }
        }
        assert!(
            !keys.halves.is_empty() && 1 < keys.ciphers.len(),
            "the thief knows where keys lie"
        );
        keys
    }

    pub(super) fn with(mut self, other: &Self) -> Self {
        self.ciphers.extend(&other.ciphers);
        self.halves.extend(&other.halves);
        self
    }
}

/// A copy of every file.
pub(super) struct Thief {
    cluster: [u8; 16],
    /// The nodes' numbers, as rows name them.
    nodes: Vec<[u8; 8]>,
    /// Of each etcd member. Zeros at the end of a file are cut off.
    pub(super) etcd: Vec<Vec<u8>>,
    /// Of each node, by their paths.
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) keys: Keys,
}

/// What the thief has read, by the batches of the entries.
pub(super) type Read = HashMap<[u8; 16], Vec<u8>>;

impl Thief {
    /// Copies everything as it is now.
    pub(super) fn copies(trio: &Trio) -> Self {
        let identity = |data: &Path| -> Value {
            serde_json::from_slice(&fs::read(data.join("cluster.json")).unwrap()).unwrap()
        };
        let identities: Vec<_> = trio.nodes.iter().map(|node| identity(&node.data)).collect();
        let cluster = HEXLOWER.decode(identities[0]["cluster"].as_str().unwrap().as_bytes());
        let mut etcd = Vec::new();
        for member in 0..3 {
            for (_, mut bytes) in bytes_below(&trio.etcd.data(member)) {
                // The write-ahead log has 64 MB from the start.
                while bytes.ends_with(&[0; 4_096]) {
                    bytes.truncate(bytes.len() - 4_096);
                }
                etcd.push(bytes);
            }
        }
        let keys = trio.nodes.iter().map(|node| Keys::of(&node.data));
        Self {
            cluster: cluster.unwrap().try_into().unwrap(),
            nodes: identities.iter().map(|it| it["node"].as_u64().unwrap().to_be_bytes()).collect(),
            etcd,
            files: trio.nodes.iter().flat_map(|node| everything(&node.data)).collect(),
            keys: keys.fold(Keys::default(), |all, of| all.with(&of)),
        }
    }

    /// Everything that may be an entry, deleted or not, by batch. One that lies there several times counts once.
    fn entries(&self) -> HashMap<[u8; 16], BTreeSet<&[u8]>> {
        let mut entries: HashMap<_, BTreeSet<&[u8]>> = HashMap::new();
        let begin = [&[1][..], &self.cluster].concat();
        for file in &self.etcd {
            let places = file.windows(begin.len()).enumerate();
            for (at, _) in places.filter(|(_, window)| *window == begin) {
                for candidate in lengths(file, at).filter_map(|len| file.get(at..at + len)) {
                    if let Some((clear, _)) = parted(candidate) {
                        entries.entry(clear.2).or_default().insert(candidate);
                    }
                }
            }
        }
        entries
    }

    /// How many entries there are, whether they can be read or not.
    pub(super) fn count(&self) -> usize {
        self.entries().len()
    }

    /// What these keys open, and what the keys open that are found thereby.
    pub(super) fn reads(&self, keys: &Keys) -> Read {
        let (entries, mut keys, mut read) = (self.entries(), keys.clone(), Read::new());
        loop {
            let known = keys.ciphers.len();
            for (batch, candidates) in &entries {
                if !read.contains_key(batch) {
                    let mut bodies = candidates
                        .iter()
                        .flat_map(|it| keys.ciphers.iter().map(|key| opened(it, key)));
                    read.extend(bodies.find_map(|body| Some((*batch, body?))));
                }
            }
            let stores = self.files.iter().filter(|(name, _)| name.ends_with(".redb"));
            let places = read.values().chain(stores.map(|(_, bytes)| bytes));
            let found: Vec<_> =
                places.flat_map(|bytes| self.unsealed(bytes, &keys.halves)).collect();
            keys.ciphers.extend(found);
            if keys.ciphers.len() == known {
                return read;
            }
        }
    }

    /// The keys of entries that lie here, sealed to one of these halves.
    fn unsealed(&self, bytes: &[u8], halves: &BTreeSet<Key>) -> Vec<Key> {
        let mut keys = Vec::new();
        for node in &self.nodes {
            let places = bytes.windows(8).enumerate().skip(4);
            for (at, _) in places.filter(|(_, window)| *window == node) {
                // The number of the key stands before the node.
                let purpose = [INFO, &self.cluster, &bytes[at - 4..at + 8]].concat();
                let gaps =
                    (0..GAP_BYTES).filter_map(|gap| bytes.get(at + 8 + gap..)?.get(..SEALED_BYTES));
                for sealed in gaps {
                    keys.extend(halves.iter().find_map(|half| unseal(&purpose, half, sealed)));
                }
            }
        }
        keys
    }
}

/// The lengths that may stand before this place: varints, as etcd's database and its write-ahead log have them.
fn lengths(file: &[u8], at: usize) -> impl Iterator<Item = usize> {
    (1..=3).filter_map(move |digits| {
        let (last, rest) = file.get(at.checked_sub(digits)?..at)?.split_last()?;
        let is_varint = last & 0x80 == 0 && rest.iter().all(|digit| digit & 0x80 != 0);
        let add = |len: usize, digit: &u8| len << 7 | usize::from(digit & 0x7F);
        is_varint.then(|| rest.iter().rev().fold(usize::from(*last), add))
    })
}

/// An entry's clear beginning, and what is encrypted.
fn parted(entry: &[u8]) -> Option<(Clear, &[u8])> {
    let (signed, _) = entry.split_at_checked(entry.len().checked_sub(SIGNATURE_BYTES)?)?;
    postcard::take_from_bytes::<Clear>(signed.get(1..)?).ok()
}

/// What an entry says, if the key opens it. The number of the key does not matter.
fn opened(entry: &[u8], key: &Key) -> Option<Vec<u8>> {
    let (clear, body) = parted(entry)?;
    let head = &entry[..entry.len() - SIGNATURE_BYTES - body.len()];
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let (nonce, mut body) = (Nonce::assume_unique_for_key(clear.7), body.to_vec());
    Some(cipher.open_in_place(nonce, Aad::from(head), &mut body).ok()?.to_vec())
}

/// The key of entries that was sealed to a receiving key, if this is its private half.
fn unseal(purpose: &[u8], half: &Key, sealed: &[u8]) -> Option<Key> {
    let (sender, body) = sealed.split_at(PUBLIC_BYTES);
    let private = PrivateKey::from_private_key(&X25519, half).ok()?;
    let own = private.compute_public_key().ok()?;
    let salt = [sender, own.as_ref()].concat();
    let derive = |shared: &[u8]| {
        let mut key = Key::default();
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(shared);
        extracted.expand(&[purpose], hkdf::HKDF_SHA256)?.fill(&mut key)?;
        Ok(key)
    };
    let key = agree(&private, UnparsedPublicKey::new(&X25519, sender), Unspecified, derive).ok()?;
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?);
    let (nonce, mut body) = (Nonce::assume_unique_for_key([0; 12]), body.to_vec());
    let key = cipher.open_in_place(nonce, Aad::empty(), &mut body).ok()?;
    Key::try_from(&*key).ok()
}
