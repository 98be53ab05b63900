//! The format of rows.

use proptest::prelude::*;

use super::*;

fn ended_rows() -> impl Strategy<Value = Mutation> {
    let hows = [HandleLoss::Unbound, HandleLoss::Deregistered, HandleLoss::DeviceRemoved];
    (handles(), prop::sample::select(hows.to_vec()), any::<u64>().prop_map(Timestamp::from_micros))
        .prop_map(|(handle, how, at)| Mutation::PutTombstone(handle, Tombstone { how, at }))
}

fn change_rows() -> impl Strategy<Value = Mutation> {
    let what =
        (prop::sample::select(ChangeKind::ALL.to_vec()), prop::sample::select(Cause::ALL.to_vec()));
    let whom = (prop::option::of(handles()), any::<Option<u64>>(), any::<Option<u64>>());
    (any::<u64>(), any::<(u64, u64)>(), what, whom).prop_map(
        |(place, (id, at), (kind, cause), (handle, device, account))| {
            let change = Change {
                id: ChangeId::from_bits(id),
                kind,
                handle,
                device: device.map(DeviceId::from_bits),
                account: account.map(AccountId::from_bits),
                cause,
            };
            let decided_at = Timestamp::from_micros(at);
            Mutation::PutUnrecorded(Unrecorded { place, decided_at, change })
        },
    )
}

fn any_row() -> impl Strategy<Value = Mutation> {
    let account = account().prop_map(|account| Mutation::PutAccount { account, known_by: None });
    prop_oneof![account, ended_rows(), change_rows(), expiring_rows()]
}

fn expiring_rows() -> impl Strategy<Value = Mutation> {
    let bytes = prop::collection::vec(any::<u8>(), 0..80);
    // A flag has a form of its own.
    let kind = prop::sample::select(RowKind::ALL[..5].to_vec());
    (kind, bytes.clone(), any::<Option<u64>>(), bytes).prop_map(|(kind, key, ends_at, value)| {
        let ends_at = ends_at.map(Timestamp::from_micros);
        Mutation::PutRow(
            RowKey { kind, key: key.into() },
            ExpiringRow { ends_at, value: value.into() },
        )
    })
}

/// A row's key and value as bytes.
fn write(row: &Mutation) -> (Vec<u8>, Vec<u8>) {
    match row {
        Mutation::PutAccount { account, .. } => {
            (account.id.bits().to_be_bytes().into(), rows::write_account(account))
        }
        Mutation::PutTombstone(handle, ended) => {
            (rows::handle_key(handle), rows::write_ended(*ended))
        }
        Mutation::PutUnrecorded(row) => {
            (row.place.to_be_bytes().into(), rows::write_unrecorded(row))
        }
        Mutation::PutRow(key, row) => (rows::expiring_key(key), rows::write_expiring(row)),
        _ => unreachable!("not a row"),
    }
}

fn read(like: &Mutation, key: &[u8], value: &[u8]) -> Result<Mutation, StoreError> {
    let number = || u64::from_be_bytes(key.try_into().expect("eight bytes"));
    Ok(match like {
        Mutation::PutAccount { .. } => {
            let account = rows::read_account(number(), value)?;
            Mutation::PutAccount { account, known_by: None }
        }
        Mutation::PutTombstone(..) => put(rows::read_ended(key, value)?),
        Mutation::PutRow(..) => put(rows::read_expiring(key, value)?),
        _ => put(Row::Unrecorded(rows::read_unrecorded(number(), value)?)),
    })
}

proptest! {
    #[test]
    fn rows_survive_their_bytes(row in any_row()) {
        let (key, value) = write(&row);
        prop_assert_eq!(read(&row, &key, &value).expect("what was written is read"), row);
    }

    /// On an account that was stored, a check-in leaves what storing the renewed account leaves, in the store and in the index.
    #[test]
    fn a_check_in_writes_the_row_of_the_renewed_account(
        was in account(),
        number: prop::sample::Index,
        micros in 0..1u64 << 56,
    ) {
        let at = Timestamp::from_micros(micros);
        let mut renewed = was.clone();
        let device = number.index(was.devices.len());
        let device = &mut renewed.devices[device];
        (device.last_check_in_at, device.lapse_recorded) = (at, false);
        let (id, device) = (was.id.bits(), device.id);
        let row = rows::write_account(&renewed);
        let written = rows::write_check_in(id, &rows::write_account(&was), device, at);
        prop_assert_eq!(&written.expect("it has the device"), &row);
        match Mutation::of(&was, renewed) {
            Some(Mutation::CheckIn { account, device: of, at: when }) => {
                prop_assert_eq!((account, of, when), (was.id, device, at));
            }
            step => prop_assert!(step.is_none() && row == rows::write_account(&was)),
        }
        let most = was.devices.iter().map(|one| one.id.bits()).max().unwrap_or(0);
        let nobody = DeviceId::from_bits(most.wrapping_add(1));
        if was.device(nobody).is_none() {
            prop_assert!(rows::write_check_in(id, &row, nobody, at).is_err());
        }
    }

    /// Whatever else changes, the whole account is stored.
    #[test]
    fn only_a_check_in_is_stored_as_one(was in account(), other in account(), number: prop::sample::Index) {
        let mut renamed = was.clone();
        let device = number.index(was.devices.len());
        renamed.devices[device].name = Some("another".into());
        renamed.devices[device].last_check_in_at = Timestamp::from_micros(7);
        let mut lapsed = was.clone();
        lapsed.devices[device].lapse_recorded = true;
        let moved = Account { id: was.id, ..other };
        for account in [renamed, lapsed, moved] {
            let step = Mutation::of(&was, account.clone());
            let is_whole = matches!(step, None | Some(Mutation::PutAccount { .. }));
            prop_assert!(is_whole, "it is no check-in");
            prop_assert_eq!(step.is_none(), was == account);
        }
    }

    #[test]
    fn a_row_cut_short_or_too_long_is_refused(row in any_row(), cut: prop::sample::Index) {
        let (key, value) = write(&row);
        prop_assert!(read(&row, &key, &value[..cut.index(value.len())]).is_err());
        prop_assert!(read(&row, &key, &[&value[..], &[0]].concat()).is_err());
        let newer = [&[3][..], &value[1..]].concat();
        prop_assert!(matches!(read(&row, &key, &newer), Err(StoreError::FormatUnknown(3))));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(row in any_row(), bytes: Vec<u8>, key: Vec<u8>) {
        let _ = rows::read_ended(&key, &bytes);
        let (good_key, _) = write(&row);
        let _ = read(&row, &good_key, &[&[2][..], &bytes].concat());
    }
}

#[test]
fn a_flag_that_cannot_be_read_is_no_missing_flag() {
    let flag = |key: &[u8], value: &[u8]| {
        let row = ExpiringRow { ends_at: None, value: value.into() };
        rows::read_expiring(&[&[6][..], key].concat(), &rows::write_expiring(&row))
    };
    flag(&[0; 8], &[1, 0, 0, 0, 0, 0, 0, 0, 9]).expect("it is whole");
    let bad: [(&[u8], &[u8]); 3] = [(&[0; 7], &[1; 9]), (&[0; 8], &[1; 8]), (&[0; 8], &[9; 9])];
    for (key, value) in bad {
        assert!(matches!(flag(key, value), Err(StoreError::RowUnreadable(_))));
    }
}

#[test]
fn version_2_is_frozen() {
    for (row, key, value) in fixture().into_iter().chain([expiring_fixture()]) {
        let (written_key, written) = write(&row);
        assert_eq!((&*HEXLOWER.encode(&written_key), &*HEXLOWER.encode(&written)), (key, value));
        let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).expect("it is hex");
        assert_eq!(
            read(&row, &bytes(key), &bytes(value)).expect("version 2 is read for ever"),
            row
        );
    }
}
