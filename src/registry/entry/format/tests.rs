//! Entries are opened as they were sealed, in their place, or not at all.

use proptest::prelude::*;

use super::*;
use crate::{
    ids::{AccountId, ChangeId, DeviceId},
    registry::{
        expiring::{ExpiringRow, RowKey, RowKind},
        handle_state::Tombstone,
        tests::accounts::{account, handles},
    },
    vocabulary::{Cause, ChangeKind, HandleLoss},
};
use std::sync::Arc;

const CLUSTER: ClusterId = ClusterId([5; 16]);
const BEFORE: Head = Head { place: 41, hash: [9; 32] };
const AT: Timestamp = Timestamp::from_micros(1_795_423_267_123_456);

/// The keys number 1 and, after it came, number 2.
struct Keys(Vec<Arc<EntryKey>>);

impl Keys {
    fn of(ids: &[u32]) -> Self {
        let key = |id: &u32| Arc::new(EntryKey::new(*id, &[*id as u8; 32]));
        Self(ids.iter().map(key).collect())
    }
}

impl EntryKeys for Keys {
    fn newest(&self) -> Arc<EntryKey> {
        self.0.last().expect("there is one").clone()
    }

    fn find(&self, id: u32) -> Option<Arc<EntryKey>> {
        self.0.iter().find(|key| key.id() == id).cloned()
    }
}

fn steps() -> impl Strategy<Value = Vec<Mutation>> {
    let micros = || any::<u64>().prop_map(Timestamp::from_micros);
    let known_by = any::<Option<u64>>().prop_map(|id| id.map(DeviceId::from_bits));
    let key = prop::collection::vec(any::<u8>(), 0..64)
        .prop_map(|key| RowKey { kind: RowKind::Sends, key: key.into() });
    let row = (any::<Option<u64>>(), any::<Vec<u8>>()).prop_map(|(ends_at, value)| ExpiringRow {
        ends_at: ends_at.map(Timestamp::from_micros),
        value: value.into(),
    });
    let step = prop_oneof![
        (account(), known_by)
            .prop_map(|(account, known_by)| Mutation::PutAccount { account, known_by }),
        any::<(u64, u64)>().prop_map(|(id, known_by)| Mutation::RemoveAccount {
            id: AccountId::from_bits(id),
            known_by: DeviceId::from_bits(known_by),
        }),
        (any::<(u64, u64)>(), micros()).prop_map(|((account, device), at)| Mutation::CheckIn {
            account: AccountId::from_bits(account),
            device: DeviceId::from_bits(device),
            at,
        }),
        (handles(), micros()).prop_map(|(handle, at)| {
            Mutation::PutTombstone(handle, Tombstone { how: HandleLoss::Unbound, at })
        }),
        handles().prop_map(Mutation::RemoveTombstone),
        (key.clone(), row).prop_map(|(key, row)| Mutation::PutRow(key, row)),
        key.prop_map(Mutation::RemoveRow),
    ];
    prop::collection::vec(step, 0..6)
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change =
        (any::<(u64, u64)>(), prop::option::of(handles())).prop_map(|(ids, handle)| Change {
            id: ChangeId::from_bits(ids.0),
            kind: ChangeKind::HandleBound,
            handle,
            device: Some(DeviceId::from_bits(ids.1)),
            account: None,
            cause: Cause::Proof,
        });
    prop::collection::vec(change, 0..4)
}

fn entry(steps: Vec<Mutation>, changes: Vec<Change>) -> Entry {
    Entry { node: NodeId(3), decided_at: AT, steps, changes }
}

fn author() -> NodeKey {
    NodeKey::new(&[4; 32])
}

/// Node 3 is the only one.
fn authors(node: NodeId) -> Option<NodePublicKey> {
    (node == NodeId(3)).then(|| author().public())
}

fn seal(entry: &Entry) -> Vec<u8> {
    seal_by(entry, &author())
}

fn seal_by(entry: &Entry, author: &NodeKey) -> Vec<u8> {
    let key = Keys::of(&[1]).newest();
    entry.seal(EntryFormat::NEWEST, CLUSTER, BEFORE, &key, author).expect("it is short")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn an_entry_is_opened_as_it_was_sealed(
        steps in steps(),
        changes in changes(),
        flip: prop::sample::Index,
        bit in 0..8,
        cut: prop::sample::Index,
    ) {
        let entry = entry(steps, changes);
        let (mut bytes, again) = (seal(&entry), seal(&entry));
        prop_assert_ne!(&bytes, &again, "the same entry twice is two entries");
        let keys = Keys::of(&[2, 1]);
        let open = |bytes: &[u8]| Entry::open(bytes, CLUSTER, BEFORE, &keys, authors);
        prop_assert_eq!(&open(&bytes), &Ok(entry));
        prop_assert!(open(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(open(&[&bytes[..], &[0]].concat()).is_err());
        let at = flip.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(open(&bytes).is_err(), "byte {} of {}", at, bytes.len());
    }
}

#[test]
fn an_entry_is_of_one_cluster_one_place_and_one_chain() {
    let keys = Keys::of(&[1]);
    let bytes = seal(&entry(Vec::new(), Vec::new()));
    let open = |cluster, before| Entry::open(&bytes, cluster, before, &keys, authors).map(drop);
    assert_eq!(open(CLUSTER, BEFORE), Ok(()));
    assert_eq!(open(ClusterId([6; 16]), BEFORE), Err(EntryError::OtherCluster));
    for place in [40, 42] {
        let before = Head { place, ..BEFORE };
        assert_eq!(open(CLUSTER, before), Err(EntryError::NotNext(42)));
    }
    let before = Head { hash: [8; 32], ..BEFORE };
    assert_eq!(open(CLUSTER, before), Err(EntryError::NotNext(42)));
}

#[test]
fn what_cannot_be_read_is_named() {
    let mut bytes = seal(&entry(Vec::new(), Vec::new()));
    let open_with =
        |bytes: &[u8], keys: &Keys| Entry::open(bytes, CLUSTER, BEFORE, keys, authors).map(drop);
    let open = |bytes: &[u8], keys| open_with(bytes, &Keys::of(keys));
    assert_eq!(open(&bytes, &[2]), Err(EntryError::KeyMissing(1)));
    assert_eq!(open(&bytes, &[1, 2]), Ok(()));
    let other = Keys(vec![Arc::new(EntryKey::new(1, &[7; 32]))]);
    assert_eq!(open_with(&bytes, &other), Err(EntryError::NotAuthentic));
    assert_eq!((key_of(&bytes), key_of(&bytes[..9])), (Some(1), None));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(open(&bytes, &[1]), Err(EntryError::Stranger));
    bytes[0] = 2;
    assert_eq!(open(&bytes, &[1]), Err(EntryError::FormatUnknown(2)));
    assert_eq!(open(&[], &[1]), Err(EntryError::Unreadable));
}

/// Whoever has the key of entries could write one in the name of any node.
#[test]
fn an_entry_is_of_the_member_that_signed_it() {
    let open = |bytes: &[u8], keys| {
        Entry::open(bytes, CLUSTER, BEFORE, &Keys::of(keys), authors).map(drop)
    };
    let own = entry(Vec::new(), Vec::new());
    let forged = seal_by(&own, &NodeKey::new(&[5; 32]));
    let of_nobody = seal(&Entry { node: NodeId(2), ..own });
    for bytes in [forged, of_nobody] {
        assert_eq!(open(&bytes, &[1]), Err(EntryError::Stranger));
        assert_eq!(open(&bytes, &[2]), Err(EntryError::Stranger), "nobody waits for its key");
    }
}

/// At a billion handles these are 20 GB a day.
#[test]
fn a_check_in_takes_at_most_24_bytes_of_an_entry() {
    let check_in = |at| Mutation::CheckIn {
        account: AccountId::from_bits(u64::MAX),
        device: DeviceId::from_bits(u64::MAX - 1),
        at,
    };
    let one = seal(&entry(vec![check_in(AT)], Vec::new())).len();
    let many = seal(&entry(vec![check_in(AT); 101], Vec::new())).len();
    assert_eq!((many - one) / 100, 18);
    // Decided an hour before its entry.
    let hour = Timestamp::from_micros(AT.as_micros() - 3_600_000_000);
    let early = seal(&entry(vec![check_in(hour); 101], Vec::new())).len();
    assert!(early - one <= 100 * 24, "{early}");
}

#[test]
fn an_entry_of_more_than_a_mebibyte_is_refused() {
    let put = |bytes: usize| {
        let key = RowKey { kind: RowKind::Sends, key: b"a"[..].into() };
        Mutation::PutRow(key, ExpiringRow { ends_at: None, value: vec![7; bytes].into() })
    };
    let key = Keys::of(&[1]).newest();
    let sealed = |bytes| {
        let entry = entry(vec![put(bytes)], Vec::new());
        entry.seal(EntryFormat::NEWEST, CLUSTER, BEFORE, &key, &author()).map(|entry| entry.len())
    };
    let around = sealed(1_000).expect("it is short") - 1_000;
    let most = limits::SHARED_LOG_ENTRY_MAX - around;
    // Lengths of more than 16,383 take one byte more, twice.
    assert!(sealed(most - 4).is_ok_and(|len| len <= limits::SHARED_LOG_ENTRY_MAX));
    assert_eq!(sealed(most), Err(EntryError::TooLarge));
}
