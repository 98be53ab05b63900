//! What is personal is a fingerprint, which dies with its hour's key.

use std::collections::BTreeSet;

use super::*;
use crate::{
    audit::Noted,
    ids::{AccountId, DeviceId},
    query_log::Filter,
};

const HOUR: Duration = Duration::from_secs(3600);

fn search(audit: &Audit, filter: &Filter) {
    audit.begin("ann", Call::Search, &Filters::of(filter)).unwrap().finish();
}

fn by_handle(text: &str) -> Filter {
    Filter { handle: Some(handle(text)), ..Filter::default() }
}

fn naming(audit: &Audit, text: &str) -> usize {
    listed(audit, Wanted { handle: Some(handle(text)), ..Wanted::default() }).len()
}

#[test]
fn fingerprints_differ_by_hour_and_are_found_while_the_key_lives() {
    let bench = Bench::new();
    let audit = bench.open();
    for _ in 0..2 {
        for text in ["+14155550123", "ann@example.com"] {
            search(&audit, &by_handle(text));
            search(&audit, &by_handle(text));
        }
        bench.clock.advance(HOUR);
    }
    let all = listed(&audit, Wanted::default());
    let unique: BTreeSet<_> = all
        .iter()
        .map(|call| match &call.filters["handle"] {
            Noted::Fingerprint(noted) => noted.fingerprint.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((all.len(), unique.len()), (8, 4), "one for each value and hour");
    assert_eq!((naming(&audit, "+14155550123"), naming(&audit, "+14155550124")), (4, 0));
    bench.keyring.prune(&[START.hour(Default::default())]).unwrap();
    assert_eq!(naming(&audit, "+14155550123"), 2);
    bench.keyring.prune(&[START.plus(HOUR).hour(Default::default())]).unwrap();
    assert_eq!(naming(&audit, "+14155550123"), 0);
}

#[test]
fn nothing_personal_is_in_the_clear_and_everything_else_is() {
    let bench = Bench::new();
    let audit = bench.open();
    let (device, account) = (DeviceId::from_bits(1), AccountId::from_bits(2));
    let filter = Filter {
        handle: Some(handle("zyxwv@quuxmail.example")),
        device: Some(device),
        account: Some(account),
        ip: Some("192.0.2.77".parse().unwrap()),
        since: Some(START),
        ..Filter::default()
    };
    search(&audit, &filter);
    let text = String::from_utf8(bench.read(&bench.files()[0])).unwrap();
    let (device, account) = (device.to_string(), account.to_string());
    for personal in ["zyxwv", "quuxmail", &device[2..], &account[2..], "192.0.2"] {
        assert!(!text.contains(personal), "{personal} is in {text}");
    }
    let call = listed(&audit, Wanted::default()).pop().unwrap();
    let names: Vec<_> = call.filters.keys().map(String::as_str).collect();
    assert_eq!(names, ["account", "device", "handle", "ip", "since"]);
    assert_eq!(call.filters["since"], Noted::Plain(START.to_string()));
    assert!(!format!("{:?}", Filters::of(&filter)).contains("zyxwv"));
}

#[test]
fn beside_keys_that_may_only_be_read_the_newest_hour_s_is_taken_and_none_is_made() {
    let mut bench = Bench::new();
    let keys = TempDir::new().unwrap();
    let files = KeyFiles::new(&keys.path().join("keys"), None);
    let keyring = Keyring::open(Arc::new(UnsyncedDisk), files.clone(), false).unwrap();
    bench.keyring = Arc::new(Keyring::open_read_only(files.clone()).unwrap());
    search(&bench.open(), &by_handle("+14155550123"));
    let call = listed(&bench.open(), Wanted::default()).pop().unwrap();
    assert_eq!(call.filters["handle"], Noted::Unkeyed);
    for hour in [
        START.minus(2 * HOUR).hour(Default::default()),
        START.plus(9 * HOUR).hour(Default::default()),
    ] {
        keyring.ensure(hour).unwrap();
    }
    bench.keyring = Arc::new(Keyring::open_read_only(files).unwrap());
    search(&bench.open(), &by_handle("+14155550123"));
    let call = listed(&bench.open(), Wanted::default()).pop().unwrap();
    let Noted::Fingerprint(noted) = &call.filters["handle"] else { panic!("{call:?}") };
    assert_eq!(noted.hour, START.minus(2 * HOUR).hour(Default::default()).number());
    assert_eq!(naming(&bench.open(), "+14155550123"), 1);
}
