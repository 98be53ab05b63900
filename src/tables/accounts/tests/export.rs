//! An export can be imported, and the accounts are the same.

use std::os::unix::fs::PermissionsExt as _;

use proptest::{collection::vec, option, prelude::*, sample};

use super::*;
use crate::{
    handle::Handle,
    ids::{AccountId, DeviceId},
    registry::TransferDevice,
    tables::{
        Target,
        accounts::{ExportWriter, FileKind},
    },
    vocabulary::Platform,
};

/// Exports accounts, in the format of the path.
pub(super) fn export(path: &Path, accounts: &[TransferAccount]) {
    export_for(path, accounts, false);
}

fn export_for(path: &Path, accounts: &[TransferAccount], for_spreadsheet: bool) {
    let kind = FileKind::of(path).unwrap();
    let mut writer =
        ExportWriter::create(&Target::File(path.to_owned()), kind, for_spreadsheet).unwrap();
    for account in accounts {
        writer.write(account).unwrap();
    }
    writer.finish().unwrap();
}

/// Instants up to now, to the microsecond.
fn instant() -> impl Strategy<Value = Timestamp> {
    (0..=now().as_micros()).prop_map(Timestamp::from_micros)
}

fn device() -> impl Strategy<Value = TransferDevice> {
    let name = "['=+@-]{0,2}[ -~é\r\n\t\"',;]{1,38}";
    let platform = sample::select(Platform::ALL.to_vec());
    let times = (instant(), option::of(instant()));
    (platform, times, option::of(name), option::of(any::<[u8; 16]>())).prop_map(
        |(platform, (last_check_in_at, registered_at), name, token_hash)| TransferDevice {
            device: DeviceId::from_bits(0),
            platform,
            last_check_in_at,
            registered_at,
            name,
            token_hash,
        },
    )
}

fn handle(number: u64) -> Handle {
    let text = match number % 4 {
        0 => format!("+1415{:07}", 2_000_000 + number),
        1 => format!("user{number}@example.com"),
        2 => format!("'+{number}'@example.com"),
        _ => format!("b\u{fc}ro+{number}!#$%&'*/=?^`|~@example.com"),
    };
    Handle::parse(&text, None).unwrap()
}

/// An account without ids: devices, and for each claim its proof, whether it is discoverable, and a mask of devices.
type Outline = (Vec<TransferDevice>, Vec<(Option<Timestamp>, bool, u8)>);

fn outline() -> impl Strategy<Value = Outline> {
    let claim = (option::of(instant()), any::<bool>(), any::<u8>());
    (vec(device(), 1..=3), vec(claim, 0..5))
}

/// Any set of accounts, in order. Ids and handles are numbered, so that none occurs twice.
pub(super) fn any_accounts() -> impl Strategy<Value = Vec<TransferAccount>> {
    vec(outline(), 0..40).prop_map(|outlines| {
        let mut next = 0_u64;
        let mut number = move || {
            next += 1;
            next
        };
        let account = |(mut devices, claims): Outline| {
            for device in &mut devices {
                device.device = DeviceId::from_bits(number() << 32);
            }
            let claim = |(proved_at, discoverable, mask): (_, _, u8)| {
                let backs = |index: &usize| mask >> index & 1 == 1 || *index == 0;
                let backing = (0..devices.len()).filter(backs).map(|index| devices[index].device);
                let handle = handle(number());
                TransferClaim { handle, proved_at, discoverable, devices: backing.collect() }
            };
            let mut claims: Vec<_> = claims.into_iter().map(claim).collect();
            claims.sort_by_key(|claim| claim.handle.canonical().into_owned());
            TransferAccount { account: AccountId::from_bits(number() << 40), devices, claims }
        };
        outlines.into_iter().map(account).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_import_of_an_export_has_the_same_accounts(
        accounts in any_accounts(), is_csv: bool, for_spreadsheet: bool,
    ) {
        let import = Import::new();
        let path = import.dir.path().join(if is_csv { "out.csv" } else { "out.parquet" });
        let mut shuffled = accounts.clone();
        shuffled.reverse();
        export_for(&path, &shuffled, for_spreadsheet);
        if is_csv && for_spreadsheet {
            for cell in csv::Reader::from_path(&path).unwrap().into_records() {
                let record = cell.unwrap();
                let is_formula = |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
                prop_assert!(!record.iter().any(is_formula), "{:?}", record);
            }
        }
        let staged = import.stage(&path).unwrap();
        prop_assert_eq!(staged.totals.accounts, accounts.len() as u64);
        prop_assert_eq!(super::accounts(&staged.path), accounts);
    }
}

#[test]
fn an_export_appears_only_when_it_is_complete() {
    for name in ["out.csv", "out.parquet"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let kind = FileKind::of(&path).unwrap();
        let target = Target::File(path.clone());
        let writer = ExportWriter::create(&target, kind, false).unwrap();
        assert!(!path.exists());
        drop(writer);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        ExportWriter::create(&target, kind, false).unwrap().finish().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_csv_export_has_these_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let device = |id, name: Option<&str>| TransferDevice {
        device: DeviceId::from_bits(id),
        platform: Platform::Ios,
        last_check_in_at: now(),
        registered_at: None,
        name: name.map(str::to_owned),
        token_hash: Some([7; 16]),
    };
    let account = TransferAccount {
        account: AccountId::from_bits(1),
        devices: vec![device(2, Some("Ann's \"best\", red")), device(3, None)],
        claims: vec![TransferClaim {
            handle: Handle::parse("+14155550123", None).unwrap(),
            proved_at: Some(now()),
            discoverable: false,
            devices: vec![DeviceId::from_bits(2)],
        }],
    };
    export(&path, &[account]);
    let hash = "07".repeat(16);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!(
            "handle,account,device,platform,last_check_in_at,proved_at,registered_at,discoverable,name,token_hash\n\
             +14155550123,a_0000000000002,d_0000000000004,ios,2026-11-23T12:00:00.000000Z,2026-11-23T12:00:00.000000Z,,false,\"Ann's \"\"best\"\", red\",{hash}\n\
             ,a_0000000000002,d_0000000000006,ios,2026-11-23T12:00:00.000000Z,,,true,,{hash}\n"
        )
    );
}
