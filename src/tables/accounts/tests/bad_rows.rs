//! Each reason why a row is bad.

use std::fmt::Write as _;

use super::*;
use crate::{
    ids::AccountId,
    limits,
    tables::accounts::{Note, identity::Identity},
};

const GOOD: &str = "+14155550123,ann,phone,ios,2026-11-20T08:00:00Z,,,";

/// The reason why `row` is bad, next to one good row.
fn fault(row: &str) -> String {
    let import = Import::skipping_bad();
    let (accounts, bad) = import.staged(&[GOOD, row]);
    assert_eq!(accounts.len(), 1, "{row}");
    let faults = faults(&bad);
    assert_eq!(faults.len(), 1, "{row}: {faults:?}");
    assert_eq!(faults[0].0, 3);
    faults[0].1.clone()
}

#[test]
fn a_row_with_an_invalid_cell_is_bad() {
    let long = "x".repeat(129);
    for (row, reason) in [
        ("+1415,b,d,ios,2026-11-20T08:00:00Z,,,", "the handle is invalid: too-short"),
        ("ann@localhost,b,d,ios,2026-11-20T08:00:00Z,,,", "the handle is invalid: not-an-address"),
        (
            "+14155550124,,d,ios,2026-11-20T08:00:00Z,,,",
            "the account's id must have 1 to 128 bytes",
        ),
        ("+14155550124,b,,ios,2026-11-20T08:00:00Z,,,", "the device's id must have 1 to 128 bytes"),
        (
            &format!("+14155550124,{long},d,ios,2026-11-20T08:00:00Z,,,"),
            "the account's id must have 1 to 128 bytes",
        ),
        (
            &format!("+14155550124,b,{long},ios,2026-11-20T08:00:00Z,,,"),
            "the device's id must have 1 to 128 bytes",
        ),
        (
            "+14155550124,b,d,android,2026-11-20T08:00:00Z,,,",
            "the platform is not one of ios, ipados, macos, watchos, visionos, other",
        ),
        (
            "+14155550124,b,d,ios,,,,",
            "last_check_in_at is not an instant such as 2026-11-23T08:41:07Z (RFC 3339)",
        ),
        (
            "+14155550124,b,d,ios,20.11.2026,,,",
            "last_check_in_at is not an instant such as 2026-11-23T08:41:07Z (RFC 3339)",
        ),
        (
            "+14155550124,b,d,ios,1969-12-31T23:59:59Z,,,",
            "last_check_in_at is not an instant such as 2026-11-23T08:41:07Z (RFC 3339)",
        ),
        (
            "+14155550124,b,d,ios,2026-11-20T08:00:00Z,2026-02-30T00:00:00Z,,",
            "proved_at is not an instant such as 2026-11-23T08:41:07Z (RFC 3339)",
        ),
        (
            "+14155550124,b,d,ios,2026-11-24T12:00:01Z,,,",
            "last_check_in_at is more than a day in the future",
        ),
        (
            "+14155550124,b,d,ios,2026-11-20T08:00:00Z,2027-01-01T00:00:00Z,,",
            "proved_at is more than a day in the future",
        ),
        (
            "+14155550124,b,d,ios,2026-11-20T08:00:00Z,,yes,",
            "discoverable is neither true nor false",
        ),
        (
            &format!("+14155550124,b,d,ios,2026-11-20T08:00:00Z,,,{long}"),
            "the device's name is too long",
        ),
        (
            "+14155550124,b,d,ios,2026-11-20T08:00:00Z,,",
            "the number of cells differs from the header",
        ),
        (
            "+14155550124,b,d,ios,2026-11-20T08:00:00Z,,,,",
            "the number of cells differs from the header",
        ),
    ] {
        assert_eq!(fault(row), reason, "{row}");
    }
    let import = Import::new();
    let (accounts, _) =
        import.staged(&["+14155550124,b,d,ios,2026-11-24T12:00:00Z,2026-11-24T12:00:00Z,true,"]);
    assert_eq!(accounts.len(), 1, "one day in the future is accepted");
}

#[test]
fn a_number_with_decimals_is_bad() {
    for handle in ["+4915123456789.0", "4.91512E+12", "'436641234567.00"] {
        let said = fault(&format!("{handle},b,d,ios,2026-11-20T08:00:00Z,,,"));
        let reason = "the handle looks like a spreadsheet changed it; write the column as text";
        assert_eq!(said, reason, "{handle}");
    }
}

#[test]
fn a_token_hash_has_32_hex_digits() {
    let import = Import::skipping_bad();
    let header = "handle,account,device,platform,last_check_in_at,registered_at,token_hash";
    let row = |at: &str, hash: &str| format!(",ann,{hash},ios,2026-11-20T08:00:00Z,{at},{hash}\n");
    let content = [
        header,
        "\n",
        &row("2026-11-20T07:00:00Z", &"aF".repeat(16)),
        &row("", &"0".repeat(31)),
        &row("", &"0".repeat(34)),
        &row("", &"g".repeat(32)),
        &row("2027-01-01T00:00:00Z", &"0".repeat(32)),
    ];
    let staged = import.stage(&import.file(&content.concat())).unwrap();
    let reason = "the token hash is not 32 hex digits".to_owned();
    let future = "registered_at is more than a day in the future".to_owned();
    assert_eq!(
        faults(&staged.bad),
        [(3, reason.clone()), (4, reason.clone()), (5, reason), (6, future)]
    );
    let accounts = accounts(&staged.path);
    let device = &accounts[0].devices[0];
    assert_eq!(device.token_hash, Some([0xaf; 16]));
    assert_eq!(device.registered_at, Some("2026-11-20T07:00:00Z".parse().unwrap()));
}

#[test]
fn a_device_belongs_to_the_account_of_its_first_row() {
    let import = Import::skipping_bad();
    let (accounts, bad) = import.staged(&[
        "+14155550123,ann,phone,ios,2026-11-20T08:00:00Z,,,",
        "+14155550124,ben,phone,ios,2026-11-20T08:00:00Z,,,",
        "+14155550125,ben,tablet,ios,2026-11-20T08:00:00Z,,,",
    ]);
    assert_eq!(faults(&bad), [(3, "an earlier row has the device in another account".into())]);
    assert_eq!(handles(&accounts), [("+14155550123".into(), 1), ("+14155550125".into(), 1)]);
}

#[test]
fn rows_of_one_device_must_agree() {
    let import = Import::skipping_bad();
    let (accounts, bad) = import.staged(&[
        "+14155550123,ann,phone,ios,2026-11-20T08:00:00Z,,,A",
        "+14155550124,ann,phone,ipados,2026-11-20T08:00:00Z,,,A",
        "+14155550125,ann,phone,ios,2026-11-20T08:00:01Z,,,A",
        "+14155550126,ann,phone,ios,2026-11-20T08:00:00Z,,,",
        "+14155550127,ann,phone,ios,2026-11-20T08:00:00Z,,,A",
    ]);
    let reason = "an earlier row has other values for the same device".to_owned();
    assert_eq!(faults(&bad), [(3, reason.clone()), (4, reason.clone()), (5, reason)]);
    assert_eq!(handles(&accounts), [("+14155550123".into(), 1), ("+14155550127".into(), 1)]);
}

#[test]
fn a_handle_belongs_to_the_account_with_the_newest_proof() {
    let row = |account: &str, check_in: &str, proved: &str| {
        format!("+14155550123,{account},{account}-phone,ios,{check_in},{proved},,")
    };
    let (old, new) = ("2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z");
    for (first, second, bad_line) in [
        (row("a", new, old), row("b", old, new), 2),
        (row("a", old, new), row("b", new, old), 3),
        // Without a proof the last check-in counts.
        (row("a", old, ""), row("b", old, new), 2),
        (row("a", new, ""), row("b", new, old), 3),
        // Equally new: the first row decides.
        (row("a", old, new), row("b", old, new), 3),
        (row("a", old, ""), row("b", new, old), 3),
    ] {
        let import = Import::skipping_bad();
        let (accounts, bad) = import.staged(&[&first, &second]);
        let reason = "another account has proved the handle later".to_owned();
        assert_eq!(faults(&bad), [(bad_line, reason)], "{first} {second}");
        assert_eq!(accounts.len(), 1, "a device without a good row is left out");
    }
}

#[test]
fn all_rows_of_the_older_claim_are_bad_and_the_account_keeps_the_rest() {
    let import = Import::skipping_bad();
    let (accounts, bad) = import.staged(&[
        "+14155550123,ann,phone,ios,2026-11-20T08:00:00Z,2024-01-01T00:00:00Z,,",
        "+14155550123,ann,tablet,ios,2026-11-20T08:00:00Z,2024-01-01T00:00:00Z,,",
        "ann@example.com,ann,phone,ios,2026-11-20T08:00:00Z,2024-01-01T00:00:00Z,,",
        "+14155550123,ben,ben-phone,ios,2026-11-20T08:00:00Z,2025-01-01T00:00:00Z,,",
    ]);
    assert_eq!(bad.first().iter().map(|row| row.line).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(handles(&accounts), [("+14155550123".into(), 1), ("ann@example.com".into(), 1)]);
    assert_eq!(accounts.iter().map(|account| account.devices.len()).sum::<usize>(), 2);
}

#[test]
fn rows_of_one_claim_must_agree_and_not_repeat() {
    let import = Import::skipping_bad();
    let (accounts, bad) = import.staged(&[
        "+14155550123,ann,d1,ios,2026-11-20T08:00:00Z,2024-01-01T00:00:00Z,,",
        "+14155550123,ann,d2,ios,2026-11-20T08:00:00Z,2024-01-01T00:00:01Z,,",
        "+14155550123,ann,d2,ios,2026-11-20T08:00:00Z,2024-01-01T00:00:00Z,false,",
        "tel:+14155550123,ann,d1,ios,2026-11-20T08:00:00Z,2024-01-01T00:00:00Z,,",
        ",ann,d3,ios,2026-11-20T08:00:00Z,,,",
        ",ann,d3,ios,2026-11-20T08:00:00Z,,,",
    ]);
    let differs = "an earlier row has other values for the same handle".to_owned();
    let repeated = "an earlier row has the same handle and device".to_owned();
    assert_eq!(
        faults(&bad),
        [(3, differs.clone()), (4, differs), (5, repeated.clone()), (7, repeated)]
    );
    assert_eq!(accounts[0].devices.len(), 2);
    assert_eq!(accounts[0].claims[0].devices.len(), 1);
}

#[test]
fn devices_and_handles_of_an_account_are_limited() {
    let import = Import::skipping_bad();
    let devices: Vec<_> =
        (1..=5).map(|n| format!("+14155550123,ann,d{n},ios,2026-11-20T08:00:00Z,,,")).collect();
    let devices: Vec<_> = devices.iter().map(String::as_str).collect();
    let reason = "the account has too many devices".to_owned();
    assert_eq!(import.faults(&devices), [(5, reason.clone()), (6, reason)]);

    let count = limits::HANDLES_PER_ACCOUNT_MAX + 2;
    let handles: Vec<_> = (0..count)
        .map(|n| format!("ann{n}@example.com,ann,d,ios,2026-11-20T08:00:00Z,,,"))
        .collect();
    let handles: Vec<_> = handles.iter().map(String::as_str).collect();
    let (accounts, bad) = import.staged(&handles);
    assert_eq!(accounts[0].claims.len(), limits::HANDLES_PER_ACCOUNT_MAX);
    let reason = "the account has too many handles".to_owned();
    let last = count as u64 + 1;
    assert_eq!(faults(&bad), [(last - 1, reason.clone()), (last, reason)]);
}

#[test]
fn ids_with_the_same_hash_do_not_merge_two_people() {
    // An own id that equals the hash of a foreign id. Without this construction it would be a rare accident.
    let colliding = AccountId::from_bits(Identity::account("customer-1").unwrap().bits);
    let import = Import::skipping_bad();
    let (accounts, bad) = import.staged(&[
        "+14155550123,customer-1,d1,ios,2026-11-20T08:00:00Z,,,",
        &format!("+14155550124,{colliding},d2,ios,2026-11-20T08:00:00Z,,,"),
    ]);
    let reason = "the id has the same hash as another id of the file; change one of them";
    assert_eq!(faults(&bad), [(3, reason.into())]);
    assert_eq!(handles(&accounts), [("+14155550123".into(), 1)]);

    let colliding = Identity::device("phone-1").unwrap().bits;
    let colliding = crate::ids::DeviceId::from_bits(colliding);
    for account in ["ann", "ben"] {
        let row = format!("+14155550124,{account},{colliding},ios,2026-11-20T08:00:00Z,,,");
        let (_, bad) =
            import.staged(&["+14155550123,ann,phone-1,ios,2026-11-20T08:00:00Z,,,", &row]);
        assert_eq!(faults(&bad), [(3, reason.into())], "{account}");
    }
}

#[test]
fn one_bad_row_prevents_the_staging_and_the_report_lists_the_first_twenty() {
    let import = Import::new();
    let mut content = format!("{HEADER}\n{GOOD}\n");
    for number in 0..1_000 {
        let handle = if number % 2 == 0 { "bad" } else { "" };
        writeln!(content, "{handle},x{number},y{number},ios,2026-11-20T08:00:00Z,,,").unwrap();
    }
    let error = import.stage(&import.file(&content)).unwrap_err();
    assert_eq!(error.to_string(), "500 rows are bad");
    let StageError::BadRows(bad) = error else { panic!("{error:?}") };
    assert_eq!(bad.total(), 500);
    let lines: Vec<_> = bad.first().iter().map(|row| row.line).collect();
    assert_eq!(lines, (0..20).map(|n| 3 + 2 * n).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(import.directory()).unwrap().count(), 0);
}

#[test]
fn an_invalid_header_prevents_the_staging() {
    let rest = "account,device,platform,last_check_in_at";
    for (content, message) in [
        ("", "this is an empty file; its first line must name the columns"),
        ("+14155550123,ann,phone,ios,2026-11-20T08:00:00Z\n", "the file has no header"),
        ("handle,account,device,platform\n", "the column \"last_check_in_at\" is missing"),
        (&format!("handle,{rest},shoe_size\n"), "unknown column \"shoe_size\"; the columns are"),
        (&format!("hanlde,{rest}\n"), "unknown column \"hanlde\"; did you mean `handle`?"),
        (&format!("handle,{rest},handle\n"), "the column \"handle\" occurs twice"),
        (&format!("handle,{rest}\n").replace(',', ";"), "a file separated by semicolons; save"),
        (&format!("handle,{rest}\n").replace(',', "\t"), "a file separated by tabs; save it with"),
        (&format!("Handle,{rest}\n").replace(',', " | "), "a file separated by vertical bars"),
        (&format!("sep=;\nhandle;{rest}\n"), "the line sep= that only Excel reads; remove that"),
        (&format!("\u{FEFF}SEP=,\nhandle,{rest}\n"), "the line sep= that only Excel reads"),
        ("{\"handle\":\"+14155550123\"}\n", "this is JSON; write it as CSV or Parquet"),
    ] {
        let import = Import::new();
        let error = import.stage(&import.file(content)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("4155550123"), "{error}");
    }
    let import = Import::new();
    let path = import.file("");
    fs::write(&path, b"handle,account,device,platform,last_check_in_at,caf\xE9\n").unwrap();
    let error = import.stage(&path).unwrap_err().to_string();
    assert!(error.contains("first line is not UTF-8"), "{error}");
}

#[test]
fn rows_are_read_as_other_programs_write_them() {
    let mut import = Import::new();
    import.options.region = Some(crate::handle::Region::parse("DE").unwrap());
    let content = "\u{FEFF}\"HANDLE\",Account,Device,Platform,Last_Check_In_At,Discoverable\r\n\
                   '+14155550123,ann,phone,iOS,2026-11-20 08:00:00+00,TRUE\r\n\
                   ,,,,,\r\n\
                   \"ann@example.com\", ann ,phone,IOS,2026-11-20T08:00:00+0000,False\r\n\
                   ,,,,,,,\r\n";
    let staged = import.stage(&import.file(content)).unwrap();
    assert_eq!((staged.rows, staged.notes), (2, vec![]));
    let read = accounts(&staged.path);
    assert_eq!(handles(&read), [("+14155550123".into(), 1), ("ann@example.com".into(), 1)]);
    assert!(read[0].claims[0].discoverable && !read[0].claims[1].discoverable);

    // pandas writes an index, and no zone for naive instants.
    let content = ",handle,account,device,platform,last_check_in_at\n\
                   0,0151 23456789,ann,phone,ios,2026-11-20 08:00:00\n";
    let staged = import.stage(&import.file(content)).unwrap();
    assert_eq!(staged.notes, [Note::IndexColumn, Note::LocalTime]);
    assert_eq!(handles(&accounts(&staged.path)), [("+4915123456789".into(), 1)]);
}

#[test]
fn a_number_that_lost_its_plus_sign_is_bad_where_two_readings_fit() {
    let mut import = Import::skipping_bad();
    import.options.region = Some(crate::handle::Region::parse("DE").unwrap());
    let row = |handle: &str| format!("{handle},{handle},{handle},ios,2026-11-20T08:00:00Z,,,");
    let (accounts, bad) = import.staged(&[&row("4915123456789"), &row("015123456780")]);
    assert_eq!(faults(&bad), [(2, "the handle has two readings: write it with +".into())]);
    assert_eq!(handles(&accounts), [("+4915123456780".into(), 1)]);
}

#[test]
fn no_report_contains_the_content_of_a_row() {
    let import = Import::new();
    let rows = [
        "secret@localhost,secret,secret,ios,2026-11-20T08:00:00Z,,,secret",
        "ann@example.com,secret,secret,secret,2026-11-20T08:00:00Z,,,",
        "ann@example.com,secret,secret,ios,secret,,,",
        "ann@example.com,secret,secret,ios,2026-11-20T08:00:00Z,,secret,",
        "secret,\"secret\"",
    ];
    let error = import.stage(&import.csv(&rows)).unwrap_err();
    let StageError::BadRows(bad) = &error else { panic!("{error}") };
    assert_eq!(bad.total(), 5);
    let said = format!("{error} {error:?} {:?}", faults(bad));
    assert!(!said.contains("secret") && !said.contains("ann@"), "{said}");
}
