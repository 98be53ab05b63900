//! Files with impossible content and correct checksums: only the checks of the content can refuse them.

use aws_lc_rs::digest::{SHA256, digest};

use super::{
    account_codec::encode_account,
    layout::{HEADER_BYTES, Header, push_crc},
    *,
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    registry::{TransferAccount, TransferClaim, TransferDevice},
    tables::accounts::source::ImportDigest,
    vocabulary::Platform,
};

fn device(id: u64) -> TransferDevice {
    TransferDevice {
        device: DeviceId::from_bits(id),
        platform: Platform::Ios,
        last_check_in_at: Timestamp::from_secs(1),
        registered_at: None,
        name: None,
        token_hash: None,
    }
}

fn claim(text: &str) -> TransferClaim {
    TransferClaim {
        handle: Handle::from_canonical(text).unwrap(),
        proved_at: None,
        discoverable: true,
        devices: vec![DeviceId::from_bits(1)],
    }
}

fn account(id: u64) -> TransferAccount {
    TransferAccount {
        account: AccountId::from_bits(id),
        devices: vec![device(1), device(2)],
        claims: vec![claim("+14155550123"), claim("ann@example.com")],
    }
}

fn block(accounts: &[TransferAccount], extra: &[u8]) -> Vec<u8> {
    let mut payload = accounts.iter().fold(Vec::new(), |out, each| encode_account(each, out));
    payload.extend_from_slice(extra);
    let mut bytes = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend(payload);
    push_crc(&mut bytes);
    bytes
}

/// A file of these blocks with these totals.
fn file(blocks: &[Vec<u8>], totals: StagedTotals) -> Vec<u8> {
    let blocks = blocks.concat();
    let sha256 = digest(&SHA256, &blocks).as_ref().try_into().unwrap();
    let header = Header { digest: ImportDigest([9; 32]), totals, sha256 }.encode();
    [header, blocks].concat()
}

const fn totals(accounts: u64, devices: u64, handles: u64) -> StagedTotals {
    StagedTotals { accounts, devices, handles }
}

/// Why a file of one block with one account is refused.
fn refusal(account: &TransferAccount) -> String {
    let blocks = [block(std::slice::from_ref(account), &[])];
    let (devices, handles) = (account.devices.len() as u64, account.claims.len() as u64);
    match verify(&file(&blocks, totals(1, devices, handles))[..]) {
        Ok(_) => "none".into(),
        Err(error) => error.to_string().split(": ").last().unwrap().to_owned(),
    }
}

#[test]
fn an_impossible_account_is_refused() {
    assert_eq!(refusal(&account(1)), "none");
    let with = |change: &dyn Fn(&mut TransferAccount)| {
        let mut account = account(1);
        change(&mut account);
        refusal(&account)
    };
    let out_of_order = "an account's devices are not in order";
    assert_eq!(with(&|a| a.devices.push(device(2))), out_of_order);
    assert_eq!(with(&|a| a.devices.push(device(0))), out_of_order);
    let none = |a: &mut TransferAccount| {
        a.devices.clear();
        a.claims.clear();
    };
    assert_eq!(with(&none), "an account has no device");
    let many = |a: &mut TransferAccount| {
        a.devices = (0..=limits::STAGED_DEVICES_PER_ACCOUNT_MAX as u64).map(device).collect();
    };
    assert_eq!(with(&many), "an account has too many devices");
    for len in [0, limits::DEVICE_NAME_BYTES_MAX + 1] {
        let named = with(&|a| a.devices[0].name = Some("x".repeat(len)));
        assert_eq!(named, "a device's name has a wrong length");
    }
    let out_of_order = "an account's handles are not in order";
    assert_eq!(with(&|a| a.claims.push(claim("ann@example.com"))), out_of_order);
    assert_eq!(with(&|a| a.claims.reverse()), out_of_order);
    let many = |a: &mut TransferAccount| {
        a.claims = (0..65).map(|n| claim(&format!("ann{n:02}@example.com"))).collect();
    };
    assert_eq!(with(&many), "an account has too many handles");
    assert_eq!(with(&|a| a.claims[0].devices.clear()), "a handle has no device");
    let twice = DeviceId::from_bits(1);
    let out_of_order = "a handle's devices are not in order";
    assert_eq!(with(&|a| a.claims[0].devices.push(twice)), out_of_order);
    let not_canonical = "a handle is not in canonical form";
    for text in ["Ann@example.com", "ann\"\n@example.com", "ann@localhost"] {
        assert_eq!(with(&|a| a.claims[1] = claim(text)), not_canonical, "{text}");
        // The reader refuses it as well, since such text would break the lines of the log.
        let mut bad = account(1);
        bad.claims[1] = claim(text);
        let bytes = file(&[block(&[bad], &[])], totals(1, 2, 2));
        let outcome = StagedReader::new(&bytes[..]).unwrap().next_batch(1);
        assert!(matches!(outcome, Err(StagedError::Invalid(_))), "{text}");
    }
    // The reader checks only the form of a number; `verify` parses it.
    assert_eq!(with(&|a| a.claims[0] = claim("+4900891234567")), not_canonical);
}

#[test]
fn accounts_must_be_in_order_and_counted() {
    let one = |id| block(&[account(id)], &[]);
    let check = |blocks: &[Vec<u8>], totals| {
        verify(&file(blocks, totals)[..]).map(drop).map_err(|error| error.to_string())
    };
    let invalid = |what: &str| Err(format!("the content of the staged file is impossible: {what}"));
    assert_eq!(check(&[one(1), one(2)], totals(2, 4, 4)), Ok(()));
    assert_eq!(check(&[], totals(0, 0, 0)), Ok(()));
    let out_of_order = invalid("accounts are not in order");
    assert_eq!(check(&[one(2), one(1)], totals(2, 4, 4)), out_of_order);
    assert_eq!(check(&[one(2), one(2)], totals(2, 4, 4)), out_of_order);
    let swapped = block(&[account(2), account(1)], &[]);
    assert_eq!(check(&[swapped], totals(2, 4, 4)), out_of_order);
    let extra = block(&[account(1)], &[0]);
    assert_eq!(check(&[extra], totals(1, 2, 2)), invalid("an account cannot be read"));
    let none = block(&[], &[]);
    assert_eq!(check(&[none], totals(1, 2, 2)), invalid("a block contains no account"));
    for wrong in [totals(1, 2, 2), totals(3, 4, 4)] {
        assert!(check(&[one(1), one(2)], wrong).is_err());
    }
    let both = block(&[account(1), account(2)], &[]);
    for wrong in [totals(1, 4, 4), totals(2, 3, 4), totals(2, 4, 5)] {
        assert_eq!(check(std::slice::from_ref(&both), wrong), invalid("the totals are wrong"));
    }
}

#[test]
fn blocks_of_two_files_do_not_make_a_third() {
    // Header and blocks are valid; only the SHA-256 of the blocks differs.
    let (one, other) = (block(&[account(1)], &[]), block(&[account(2)], &[]));
    let mut bytes = file(&[one], totals(1, 2, 2));
    bytes.splice(HEADER_BYTES.., other);
    assert!(matches!(verify(&bytes[..]), Err(StagedError::Damaged)));
}

#[test]
fn bytes_after_the_end_are_an_error() {
    let mut bytes = file(&[], totals(0, 0, 0));
    bytes.push(0);
    assert!(matches!(verify(&bytes[..]), Err(StagedError::Invalid(_))));
}

#[test]
fn a_false_length_allocates_nothing() {
    let mut bytes = file(&[], totals(1, 1, 1));
    let mut long = bytes.clone();
    long.extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(verify(&long[..]), Err(StagedError::Damaged)));
    bytes.extend_from_slice(&(limits::STAGED_BLOCK_BYTES_MAX as u32).to_le_bytes());
    assert!(matches!(verify(&bytes[..]), Err(StagedError::CutOff)));
}
