//! The format of rows, and the embedded store's ways to say no.

mod file;
mod format;
mod full_disk;
pub(in crate::registry) mod memory;
mod power;

use std::{
    fs::{self, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use ::redb::{StorageBackend, backends::FileBackend};
use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::{rows, *};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId},
    registry::{
        account::{Account, Claim, Device, LostDetails},
        expiring::{ExpiringRow, RowKey, RowKind},
        handle_state::Tombstone,
        tests::accounts::{account, handles},
        token::TokenHash,
    },
    shared_log::Head,
    vocabulary::{Cause, Change, ChangeKind, HandleLoss, Platform},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn put(row: Row) -> Mutation {
    match row {
        Row::Tombstone(handle, ended) => Mutation::PutTombstone(handle, ended),
        Row::Unrecorded(row) => Mutation::PutUnrecorded(row),
        Row::Expiring(key, row) => Mutation::PutRow(key, row),
    }
}

/// One row of each table, with everything in it.
fn fixture() -> [(Mutation, &'static str, &'static str); 3] {
    let phone = Handle::from_canonical("+14155550123").expect("canonical");
    let mail = Handle::from_canonical("a@example.org").expect("canonical");
    let [first, second] = [0x0102_0304_0506_0708, 9].map(DeviceId::from_bits);
    let at = Timestamp::from_micros(1_795_423_267_123_456);
    let device = |id, name: Option<&str>, lapse_recorded| Device {
        id,
        token_hash: TokenHash([0xab; 16]),
        registered_at: at,
        last_check_in_at: Timestamp::from_secs(1),
        name: name.map(Into::into),
        platform: Platform::Watchos,
        lapse_recorded,
    };
    let claim = |handle: &Handle, discoverable, devices| Claim {
        handle: handle.clone(),
        proved_at: at,
        discoverable,
        devices,
    };
    let account = Account {
        id: AccountId::from_bits(0xfedc_ba98_7654_3210),
        devices: vec![device(first, Some("Zoë"), true), device(second, None, false)],
        claims: vec![claim(&phone, false, vec![second]), claim(&mail, true, vec![first, second])],
        lost: vec![LostDetails { handle: phone.clone(), how: HandleLoss::Moved, at }],
    };
    let change = Change {
        id: ChangeId::from_bits(77),
        kind: ChangeKind::HandleMoved,
        handle: Some(phone.clone()),
        device: Some(first),
        account: None,
        cause: Cause::NewerProof,
    };
    [
        (
            Mutation::PutAccount { account, known_by: None },
            "fedcba9876543210",
            "026b001032547698badcfe028200f10e8eed60060807060504030201abababababababababababababababab40420f000000000c0900000000000000abababababababababababababababab40420f000000000404ab8dbc4b03000002030d61406578616d706c652e6f72670280e2bbf0d89d980301045a6fc3ab80e2bbf0d89d9803000280e2bbf0d89d980380e2bbf0d89d9803010901000000034bbc8dab0180e2bbf0d89d980347734e58",
        ),
        (
            Mutation::PutTombstone(mail, Tombstone { how: HandleLoss::Deregistered, at }),
            "0261406578616d706c652e6f7267",
            "020280e2bbf0d89d9803",
        ),
        (
            Mutation::PutUnrecorded(Unrecorded { place: 3, decided_at: at, change }),
            "0000000000000003",
            "024d80e2bbf0d89d98030508010901000000034bbc8dab01888e98a8c0e080810100",
        ),
    ]
}

/// An expiring row: format 3 has them, format 2 had not.
fn expiring_fixture() -> (Mutation, &'static str, &'static str) {
    let key = RowKey { kind: RowKind::LinkCode, key: b"ab"[..].into() };
    let ends_at = Some(Timestamp::from_micros(1_795_423_267_123_456));
    let row = ExpiringRow { ends_at, value: Box::from([7, 8, 9]) };
    (Mutation::PutRow(key, row), "036162", "020180e2bbf0d89d980303070809")
}

fn all(store: &mut RedbStore) -> Vec<Mutation> {
    try_all(store).expect("the rows are good")
}

fn try_all(store: &mut RedbStore) -> Result<Vec<Mutation>, StoreError> {
    let (reader, mut ids) = (store.reader(), Vec::new());
    for part in 0..3 {
        reader.packed(part, 3, &mut |packed| ids.push(packed.account()))?;
    }
    let mut rows = Vec::new();
    for id in ids {
        let account = reader.account(id)?.expect("it was just seen");
        rows.push(Mutation::PutAccount { account, known_by: None });
    }
    store.load(&mut |row| rows.push(put(row)))?;
    Ok(rows)
}
