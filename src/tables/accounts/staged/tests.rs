//! Files with impossible content and correct checksums: only the checks of the content can refuse them.

use foldhash::fast::FixedState;

use super::{
    format::{HEADER_BYTES, Header},
    *,
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    limits,
    tables::accounts::{
        identity::Identity,
        rows::{PieceOfRows, Row, Rows},
        source::ImportDigest,
    },
    vocabulary::Platform,
};

fn row(account: u64, device: u64, handle: &str) -> Row<'static> {
    Row {
        line: device,
        account: Identity { bits: account, check: None },
        device: Identity { bits: device, check: Some([7; 8]) },
        handle: Some(Handle::from_canonical(handle).unwrap()),
        platform: Platform::Ios,
        last_check_in_at: Timestamp::from_secs(1),
        proved_at: None,
        registered_at: None,
        discoverable: true,
        name: None,
        token_hash: None,
    }
}

/// Two handles, and two devices that back the first of them.
fn account(id: u64) -> Vec<Row<'static>> {
    let (one, other) = ("+14155550123", "ann@example.com");
    vec![row(id, 1, one), row(id, 2, one), row(id, 1, other)]
}

/// The rows, uncompressed.
fn encoded(rows: &[Row<'_>]) -> Vec<u8> {
    let mut piece = PieceOfRows::default();
    rows.iter().for_each(|row| piece.push(row, &FixedState::default()));
    let mut all = Rows::default();
    all.add(piece);
    let mut bytes = Vec::new();
    // The index of an equal key has the order of the file.
    all.index(|_, _| Some(0)).into_iter().for_each(|(_, position)| all.copy(position, &mut bytes));
    bytes
}

/// A file with these frames and totals.
fn file(frames: &[Vec<u8>], totals: StagedTotals) -> Vec<u8> {
    let mut bytes = Header { digest: ImportDigest([9; 32]), totals }.encode();
    assert_eq!(bytes.len(), HEADER_BYTES);
    for frame in frames {
        bytes.extend(zstd::bulk::compress(frame, 1).unwrap());
    }
    bytes
}

const fn totals(accounts: u64, devices: u64, handles: u64) -> StagedTotals {
    StagedTotals { accounts, devices, handles }
}

fn check(frames: &[Vec<u8>], totals: StagedTotals) -> Result<(), String> {
    verify(&file(frames, totals)[..]).map(drop).map_err(|error| error.to_string())
}

fn invalid(what: &str) -> Result<(), String> {
    Err(format!("the content of the staged file is impossible: {what}"))
}

#[test]
fn an_impossible_account_is_refused() {
    assert_eq!(check(&[encoded(&account(1))], totals(1, 2, 2)), Ok(()));
    let with = |change: &dyn Fn(&mut Vec<Row<'static>>)| {
        let mut rows = account(1);
        change(&mut rows);
        check(&[encoded(&rows)], totals(1, 2, 2))
    };
    let contradicts = invalid("rows of an account contradict");
    assert_eq!(with(&|rows| rows.push(rows[0].clone())), contradicts);
    assert_eq!(with(&|rows| rows[2].platform = Platform::Macos), contradicts);
    assert_eq!(with(&|rows| rows[1].discoverable = false), contradicts);
    assert_eq!(with(&|rows| rows[2].device.check = None), contradicts);
    assert_eq!(with(&|rows| rows[2].account.check = Some([1; 8])), contradicts);
    let devices = 2..=limits::STAGED_DEVICES_PER_ACCOUNT_MAX as u64 + 1;
    let many =
        |rows: &mut Vec<_>| rows.extend(devices.clone().map(|id| row(1, id, "b@example.com")));
    assert_eq!(with(&many), contradicts);
    let handles = 0..limits::HANDLES_PER_ACCOUNT_MAX;
    let many = |rows: &mut Vec<_>| {
        rows.extend(handles.clone().map(|n| row(1, 1, &format!("b{n}@example.com"))));
    };
    assert_eq!(with(&many), contradicts);

    static LONG: [u8; limits::DEVICE_NAME_BYTES_MAX + 1] = [b'x'; _];
    for name in ["", str::from_utf8(&LONG).unwrap()] {
        let named = with(&|rows| rows[0].name = Some(name));
        assert_eq!(named, invalid("a device's name has a wrong length"));
    }
    let not_canonical = invalid("a handle is not in canonical form");
    for text in ["Ann@example.com", "ann\"\n@example.com", "ann@localhost"] {
        let mut rows = account(1);
        rows[2].handle = Handle::from_canonical(text);
        let bytes = file(&[encoded(&rows)], totals(1, 2, 2));
        assert_eq!(
            verify(&bytes[..]).map(drop).map_err(|e| e.to_string()),
            not_canonical,
            "{text}"
        );
        // The reader refuses it as well, since such text would break the lines of the log.
        let outcome = StagedReader::new(&bytes[..]).unwrap().next_batch(1);
        assert!(matches!(outcome, Err(StagedError::Invalid(_))), "{text}");
    }
    // The reader checks only the form of a number; `verify` parses it.
    let dialled = Handle::from_canonical("+4900891234567");
    assert_eq!(with(&|rows| rows[2].handle = dialled.clone()), not_canonical);
}

#[test]
fn accounts_must_be_in_order_and_counted() {
    let one = |id| encoded(&account(id));
    assert_eq!(check(&[one(1), one(2)], totals(2, 4, 4)), Ok(()));
    assert_eq!(check(&[], totals(0, 0, 0)), Ok(()));
    let out_of_order = invalid("accounts are not in order");
    assert_eq!(check(&[one(2), one(1)], totals(2, 4, 4)), out_of_order);
    assert_eq!(check(&[one(2), one(2)], totals(2, 4, 4)), out_of_order);
    assert_eq!(check(&[[one(2), one(1)].concat()], totals(2, 4, 4)), out_of_order);
    let unreadable = invalid("a row cannot be read");
    assert_eq!(check(&[[one(1), vec![0]].concat()], totals(1, 2, 2)), unreadable);
    let cut = one(1);
    assert_eq!(check(&[cut[..cut.len() - 1].to_vec()], totals(1, 2, 2)), unreadable);
    assert_eq!(check(&[Vec::new()], totals(0, 0, 0)), invalid("a frame contains no row"));
    for wrong in [totals(1, 4, 4), totals(2, 3, 4), totals(2, 4, 5)] {
        assert_eq!(check(&[one(1), one(2)], wrong), invalid("the totals are wrong"));
    }
    let cut_off = Err("the staged file is cut off".to_owned());
    assert_eq!(check(&[one(1)], totals(2, 4, 4)), cut_off);
}

#[test]
fn bytes_after_the_end_are_an_error() {
    let mut bytes = file(&[], totals(0, 0, 0));
    bytes.extend([0; 20]);
    assert!(matches!(verify(&bytes[..]), Err(StagedError::Damaged)));
}

#[test]
fn a_frame_that_decompresses_to_too_much_is_refused() {
    let zeros = vec![0; limits::STAGED_BLOCK_BYTES_MAX + 2];
    assert_eq!(check(&[zeros], totals(1, 1, 1)), invalid("a frame is too long"));
    // A window of 1 GiB, which a decoder would allocate.
    let mut bytes = file(&[], totals(1, 1, 1));
    bytes.extend(b"\x28\xB5\x2F\xFD\x04\xA0\x01\0\0");
    assert!(matches!(verify(&bytes[..]), Err(StagedError::Damaged)));
}
