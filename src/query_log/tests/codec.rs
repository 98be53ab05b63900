//! Records as bytes and as JSON.

use std::net::IpAddr;

use proptest::{option, prelude::*, sample::select};

use super::support::START;
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    query_log::{
        LogRow, LookupRecord, Record, RefusalCount,
        frames::codec::{self, FrameDecoder},
    },
    vocabulary::{Cause, Change, ChangeKind, ProblemCode, Reason, Route},
};

/// Bytes before the first record of a frame.
const FRAME_START_BYTES: usize = 9;

fn handles() -> impl Strategy<Value = Handle> {
    let phones = (1_000_000u64..1_000_000_000_000_000).prop_map(|number| format!("+{number}"));
    let mails = "[a-z0-9\"\\\\ é]{1,60}@[a-z]{1,60}\\.example";
    prop_oneof![phones, mails].prop_map(|text| Handle::from_canonical(&text).unwrap())
}

prop_compose! {
    fn lookups()(
        request: u64, account in option::of(any::<u64>()), device in option::of(any::<u64>()), ip: Option<IpAddr>,
        handle in option::of(handles()), route in option::of(select(Route::ALL)), reason in select(Reason::ALL),
        status: u16, took_us: u32,
    ) -> Record {
        let (account, device) = (account.map(AccountId::from_bits), device.map(DeviceId::from_bits));
        let request = RequestId::from_bits(request);
        Record::Lookup(LookupRecord { request, account, device, ip, handle, route, reason, status, took_us })
    }
}

prop_compose! {
    fn changes()(
        id: u64, account in option::of(any::<u64>()), device in option::of(any::<u64>()), handle in option::of(handles()),
        change in select(ChangeKind::ALL), cause in select(Cause::ALL),
    ) -> Record {
        let (account, device) = (account.map(AccountId::from_bits), device.map(DeviceId::from_bits));
        Record::Change(Change { id: ChangeId::from_bits(id), kind: change, handle, device, account, cause })
    }
}

prop_compose! {
    fn refusals()(code in select(ProblemCode::ALL), count: u64) -> Record {
        Record::Refusals(RefusalCount::new(code, count))
    }
}

fn encode(rows: &[(u64, Record)]) -> (Vec<u8>, Vec<LogRow>) {
    let (mut bytes, mut at) = (Vec::new(), START.as_micros());
    codec::start_frame(&mut bytes, START);
    let mut wanted = Vec::new();
    for (delta, record) in rows {
        at += delta;
        let before = bytes.len();
        codec::encode(&mut bytes, *delta, record);
        assert!(bytes.len() - before <= codec::RECORD_BYTES_MAX);
        wanted.push(LogRow { at: Timestamp::from_micros(at), record: record.clone() });
    }
    (bytes, wanted)
}

/// The rows before the first error, and whether there was no error.
fn decode(mut decoder: FrameDecoder<'_>) -> (Vec<LogRow>, bool) {
    let mut rows = Vec::new();
    while !decoder.is_at_end() {
        let Some(view) = decoder.next_view() else { return (rows, false) };
        rows.push(view.row().unwrap());
    }
    (rows, true)
}

proptest! {
    #[test]
    fn records_survive_their_bytes(rows in prop::collection::vec((0..4_000_000_000u64, prop_oneof![lookups(), changes(), refusals()]), 0..20)) {
        let (bytes, wanted) = encode(&rows);
        prop_assert_eq!(decode(FrameDecoder::new(&bytes).unwrap()), (wanted, true));
    }

    #[test]
    fn a_shortened_frame_gives_a_prefix_and_perhaps_an_error(rows in prop::collection::vec((0..9u64, lookups()), 1..4), cut: prop::sample::Index) {
        let (bytes, wanted) = encode(&rows);
        if let Some(decoder) = FrameDecoder::new(&bytes[..cut.index(bytes.len())]) {
            let (whole, _) = decode(decoder);
            prop_assert_eq!(&whole[..], &wanted[..whole.len()]);
            prop_assert!(whole.len() < wanted.len());
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
        let mut framed = vec![1; FRAME_START_BYTES];
        framed.extend(bytes);
        decode(FrameDecoder::new(&framed).unwrap());
    }

    #[test]
    fn rows_survive_their_json(record in prop_oneof![lookups(), changes(), refusals()]) {
        let row = LogRow { at: START, record };
        let back = serde_json::from_str::<LogRow>(&row.to_json()).unwrap();
        let mut wanted = row.clone();
        if let Record::Change(change) = &mut wanted.record {
            change.id = ChangeId::from_bits(0);
        }
        prop_assert_eq!(back, wanted);
    }
}

#[test]
fn a_lookup_of_a_number_from_ipv4_takes_few_bytes() {
    let (bytes, _) = encode(&[(250, super::support::lookup(u64::MAX))]);
    assert!(bytes.len() - FRAME_START_BYTES <= 52, "{}", bytes.len());
}

#[test]
fn json_matches_the_contract() {
    let at = "2026-11-23T08:41:07.123456Z".parse().unwrap();
    let lookup = LookupRecord {
        request: RequestId::from_bits(1),
        account: Some(AccountId::from_bits(2)),
        device: None,
        ip: Some([192, 0, 2, 7].into()),
        handle: Handle::from_canonical("+14155550123"),
        route: None,
        reason: Reason::Refused(ProblemCode::LookupQuota),
        status: 429,
        took_us: 17,
    };
    let row = LogRow { at, record: Record::Lookup(lookup) };
    let (request, account) = (RequestId::from_bits(1), AccountId::from_bits(2));
    assert_eq!(
        row.to_json(),
        format!(
            r#"{{"at":"2026-11-23T08:41:07.123456Z","kind":"lookup","request":"{request}","account":"{account}","device":null,"ip":"192.0.2.7","handle":"+14155550123","route":null,"reason":"lookup-quota","status":429,"took_us":17}}"#
        )
    );
    let change = Change {
        id: ChangeId::from_bits(9),
        kind: ChangeKind::LeaseExpired,
        handle: None,
        device: Some(DeviceId::from_bits(3)),
        account: None,
        cause: Cause::Silence,
    };
    let row = LogRow { at, record: Record::Change(change) };
    let device = DeviceId::from_bits(3);
    assert_eq!(
        row.to_json(),
        format!(
            r#"{{"at":"2026-11-23T08:41:07.123456Z","kind":"change","change":"lease-expired","device":"{device}","cause":"silence"}}"#
        )
    );
    let refusals = RefusalCount::new(ProblemCode::TokenInvalid, 170_000);
    assert_eq!(
        LogRow { at, record: Record::Refusals(refusals) }.to_json(),
        r#"{"at":"2026-11-23T08:41:07.123456Z","kind":"refusals","reason":"token-invalid","status":401,"count":170000}"#
    );
    for wrong in [
        r#"{"at":"2026-11-23T08:41:07Z","kind":"refusals","reason":"live-device","count":1}"#,
        "",
        "{}",
        r#"{"at":"2026-11-23T08:41:07Z","kind":"lookup"}"#,
        r#"{"at":1,"kind":"change"}"#,
        r#"{"at":"2026-11-23T08:41:07Z","kind":"change","change":"handle-bound","cause":"proof","handle":"Ann"}"#,
    ] {
        assert!(serde_json::from_str::<LogRow>(wrong).is_err());
    }
    // A newer server may add a field.
    let newer = r#"{"at":"2026-11-23T08:41:07Z","kind":"refusals","reason":"token-invalid","status":401,"count":1,"more":1}"#;
    assert!(serde_json::from_str::<LogRow>(newer).is_ok());
}
