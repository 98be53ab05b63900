//! Rows as fuzz targets give them: what is read is written again as it was read.

use super::{
    interface::Row,
    rows::{
        expiring_key, handle_key, read_account, read_ended, read_expiring, read_packed,
        read_unrecorded, write_account, write_ended, write_expiring, write_unrecorded,
    },
};

/// Reads `bytes` as a row: the kind, the length of the key, the key, the row. The row of an account gets its checksum.
///
/// # Panics
/// If a row that was read is another one once it was written.
pub fn rows(bytes: &[u8]) {
    let [kind, key_bytes, rest @ ..] = bytes else { return };
    let (key, row) = rest.split_at(usize::from(*key_bytes).min(rest.len()));
    match kind % 4 {
        0 => account(row),
        1 => match read_ended(key, row) {
            Ok(Row::Tombstone(handle, tombstone)) => {
                let again = read_ended(&handle_key(&handle), &write_ended(tombstone)).ok();
                assert!(again == Some(Row::Tombstone(handle, tombstone)), "a tombstone changed");
            }
            Ok(_) => panic!("another kind of row"),
            Err(_) => {}
        },
        2 => {
            if let Ok(unrecorded) = read_unrecorded(7, row) {
                let again = read_unrecorded(7, &write_unrecorded(&unrecorded)).ok();
                assert!(again == Some(unrecorded), "a change record changed");
            }
        }
        _ => match read_expiring(key, row) {
            Ok(Row::Expiring(key, row)) => {
                let again = read_expiring(&expiring_key(&key), &write_expiring(&row)).ok();
                assert!(again == Some(Row::Expiring(key, row)), "a row changed");
            }
            Ok(_) => panic!("another kind of row"),
            Err(_) => {}
        },
    }
}

fn account(row: &[u8]) {
    let Some(id) = row.get(3..11).and_then(|id| id.try_into().ok()).map(u64::from_le_bytes) else {
        return;
    };
    let whole = [row, &crc32fast::hash(row).to_le_bytes()].concat();
    let packed = read_packed(id, &whole).is_ok();
    if let Ok(account) = read_account(id, &whole) {
        assert!(packed, "an account without its packed form");
        let again = read_account(id, &write_account(&account)).ok();
        assert!(again == Some(account), "an account changed");
    }
}
