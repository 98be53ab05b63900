//! The root of a hash tree (RFC 9162 section 2.1.1), from entries that come one after the other.

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

pub(super) type Hash = [u8; SHA256_OUTPUT_LEN];

const LEAF: &[u8] = &[0];
const NODE: &[u8] = &[1];

/// The entries so far. Holds one hash for each bit that is set in their number: the full subtrees, largest first.
#[derive(Clone, Debug, Default)]
pub(super) struct MerkleTree {
    subtrees: Vec<Hash>,
    entries: u64,
}

impl MerkleTree {
    pub(super) fn push(&mut self, entry: &[u8]) {
        let mut root = hash(&[LEAF, entry]);
        // As in a binary count, each trailing one is a subtree of the same size as what is carried.
        for _ in 0..self.entries.trailing_ones() {
            let left = self.subtrees.pop().expect("one subtree for each bit that is set");
            root = hash(&[NODE, &left, &root]);
        }
        self.subtrees.push(root);
        self.entries += 1;
    }

    /// The root over all entries; without any, the hash of nothing.
    pub(super) fn root(&self) -> Hash {
        let joined =
            self.subtrees.iter().rev().copied().reduce(|right, left| hash(&[NODE, &left, &right]));
        joined.unwrap_or_else(|| hash(&[]))
    }
}

fn hash(pieces: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    pieces.iter().for_each(|piece| context.update(piece));
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest;
    use data_encoding::HEXLOWER;

    use super::*;

    /// The definition, word by word.
    fn defined(entries: &[Vec<u8>]) -> Hash {
        match entries {
            [] => digest(&SHA256, b"").as_ref().try_into().unwrap(),
            [one] => digest(&SHA256, &[&[0][..], one].concat()).as_ref().try_into().unwrap(),
            more => {
                let mut k = 1;
                while k * 2 < more.len() {
                    k *= 2;
                }
                let (left, right) = more.split_at(k);
                let joined = [&[1][..], &defined(left), &defined(right)].concat();
                digest(&SHA256, &joined).as_ref().try_into().unwrap()
            }
        }
    }

    fn streamed(entries: &[Vec<u8>]) -> Hash {
        let mut tree = MerkleTree::default();
        entries.iter().for_each(|entry| tree.push(entry));
        tree.root()
    }

    #[test]
    fn the_root_is_the_one_that_the_rfc_defines() {
        let entries: Vec<Vec<u8>> = (0..130u8).map(|n| vec![n; usize::from(n % 7)]).collect();
        for count in 0..=entries.len() {
            assert_eq!(streamed(&entries[..count]), defined(&entries[..count]), "{count} entries");
        }
    }

    // The eight entries with which implementations of Certificate Transparency are tested.
    #[test]
    fn known_roots_come_out() {
        let known = [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ];
        let entries: Vec<Vec<u8>> = [
            &b""[..],
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ]
        .map(<[u8]>::to_vec)
        .into();
        for (count, root) in known {
            assert_eq!(HEXLOWER.encode(&streamed(&entries[..count])), root, "{count} entries");
        }
    }
}
