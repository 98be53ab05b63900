//! Handles, other texts, bodies, the configuration; and the seeds of targets that are functions of the crate.

use std::{ffi::OsString, fs, str::FromStr, sync::LazyLock};

use dispatchd::{
    api::{
        self, BatchRequest, ClusterPlace, CodeRequest, FoundRow, HandleChange, HandleRequest,
        Invalid, PagePlace, SearchBody, SignUpRequest, WhyBody,
    },
    clock::{Timestamp, span},
    config,
    files::size,
    handle::{Handle, HandleError, PhoneKey, Region},
    ids::{AccountId, ChangeId, DeviceId, MessageId, RequestId, VerificationId},
    operators,
    query_log::{Cursor, Network},
    registry::NodeId,
};
use serde_json::Value;

use super::folder;

#[path = "../../src/handle/tests/invariants.rs"]
mod invariants;

static REGIONS: LazyLock<Vec<Option<Region>>> = LazyLock::new(invariants::regions);

/// The first byte selects the region; the rest is a handle's text.
pub(super) fn handle(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else { return };
    let region = REGIONS[usize::from(*first) % REGIONS.len()];
    invariants::check(&String::from_utf8_lossy(text), region);
}

/// The bytes as every kind of text that is written as it is read.
pub(super) fn texts(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    is_written_as_read::<AccountId>(text);
    is_written_as_read::<ChangeId>(text);
    is_written_as_read::<DeviceId>(text);
    is_written_as_read::<MessageId>(text);
    is_written_as_read::<RequestId>(text);
    is_written_as_read::<VerificationId>(text);
    is_written_as_read::<Cursor>(text);
    if let Ok(at) = text.parse::<Timestamp>() {
        assert!(at.to_string().parse() == Ok(at), "an instant changed");
    }
    if let Ok(network) = text.parse::<Network>() {
        assert!(network.canonical().parse() == Ok(network), "a network changed");
    }
    let value = || Value::from(text);
    if let Ok(read) = span::deserialize(value()) {
        let written = span::serialize(&read, serde_json::value::Serializer).expect("a text");
        assert!(span::deserialize(written).ok() == Some(read), "a span changed");
    }
    if let Ok(read) = size::deserialize(value()) {
        let written = size::serialize(&read, serde_json::value::Serializer).expect("a text");
        assert!(size::deserialize(written).ok() == Some(read), "an amount changed");
    }
    assert!(!operators::is_name(text) || text.is_ascii());
}

fn is_written_as_read<T: FromStr + ToString>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert!(read.to_string() == text, "two spellings of one value");
    }
}

/// The first byte selects the type; the rest is a body.
pub(super) fn bodies(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    match first % 7 {
        0 => check_refusal(api::read_json::<BatchRequest>(body).err()),
        1 => check_refusal(api::read_json::<SignUpRequest>(body).err()),
        2 => check_refusal(api::read_json::<HandleRequest>(body).err()),
        3 => check_refusal(api::read_json::<HandleChange>(body).err()),
        4 => check_refusal(api::read_json::<CodeRequest>(body).err()),
        5 => check_refusal(api::read_json::<SearchBody>(body).err()),
        _ => check_refusal(api::read_json::<WhyBody>(body).err()),
    }
}

fn check_refusal(refusal: Option<Invalid>) {
    let Some(refusal) = refusal else { return };
    let text = refusal.to_string();
    assert!(!text.contains('@'), "a refusal quotes an address");
    assert!(text.len() < 1_000, "a refusal is long");
}

/// Up to the first zero byte a configuration file; after it variables, one a line. A good configuration is written as it was read.
pub(super) fn config(bytes: &[u8]) {
    let (file, variables) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    let variables = String::from_utf8_lossy(variables).into_owned();
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables: Vec<(OsString, OsString)> =
        variables.map(|(name, value)| (format!("DISPATCHD_{name}").into(), value.into())).collect();
    let path = folder().join("dispatchd.toml");
    fs::write(&path, file).expect("it can be written");
    let Ok((config, None)) = config::load_partly(Some(&path), variables) else { return };
    let text = config.to_toml().expect("a configuration has a form");
    fs::write(&path, &text).expect("it can be written");
    match config::load_partly(Some(&path), []) {
        Ok((again, None)) => assert!(again == config, "a configuration changed"),
        Ok((_, Some(faults))) | Err(faults) => panic!("a good configuration is refused: {faults}"),
    }
}

fn lines(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Seeds behind each of `selectors`.
fn selected(selectors: u8, texts: &[&str]) -> Vec<Vec<u8>> {
    let of = |text: &str| {
        (0..selectors).map(|first| [&[first], text.as_bytes()].concat()).collect::<Vec<_>>()
    };
    texts.iter().flat_map(|text| of(text)).collect()
}

pub(super) fn handles() -> Vec<Vec<u8>> {
    selected(
        3,
        &[
            "+1 (415) 555-0123",
            "tel:+14155550123;ext=5",
            "Ann@Example.COM",
            "\"a b\"@例子.example",
            "+٤٤٧٧٠٠٩٠٠١٢٣",
        ],
    )
}

pub(super) fn text_seeds() -> Vec<Vec<u8>> {
    lines(&[
        "a_1p3k8t5w7y2d4",
        "d_1p3k8t5w7y2d4",
        "2026-11-23T08:41:07.123456Z",
        "2026-11-23T08:41:07+02:00",
        "1h 30m",
        "30d",
        "256MiB",
        "1.5 GB",
        "192.0.2.0/24",
        "::ffff:192.0.2.1/120",
        "2001:db8::7",
        "AgAGHZnxLhrAAAebyAAAAAE",
        "ann.b_c-1",
    ])
}

pub(super) fn code_seeds() -> Vec<Vec<u8>> {
    lines(&[
        "123456",
        " 123\u{a0}456\r\n",
        "１２３-４５６",
        "Your {service} code is {code}, for {minutes} minutes.",
        "{x}",
    ])
}

pub(super) fn reply_seeds() -> Vec<Vec<u8>> {
    lines(&[
        "250 OK\r\n",
        "250-a b\r\n250-\r\n250 c\r\n354 go\r\n",
        "550-5.7.1 no\r\n550 5.7.1 way\r\n",
        "421 caf\u{e9}\n",
    ])
}

pub(super) fn retry_seeds() -> Vec<Vec<u8>> {
    lines(&[
        "120",
        "Sun, 06 Nov 1994 08:49:37 GMT\nSun, 06 Nov 1994 08:49:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ])
}

pub(super) fn body_seeds() -> Vec<Vec<u8>> {
    selected(
        7,
        &[
            r#"{"handles":["+14155550123","ann@example.com"],"region":"US"}"#,
            r#"{"platform":"ios","name":"Ann","link_code":"0123456789"}"#,
            r#"{"handle":"+14155550123","region":"US"}"#,
            r#"{"discoverable":false}"#,
            r#"{"code":"123456"}"#,
            r#"{"handle":"\ud83d"}"#,
            r#"{"handle":"+14155550123","since":"7d","order":"asc","detail":"all","limit":7}"#,
        ],
    )
}

pub(super) fn query_seeds() -> Vec<Vec<u8>> {
    lines(&[
        "handle=%2B14155550123&since=2h&until=1h&limit=5&order=desc&route=sms&kind=lookup",
        "ip=192.0.2.0/24&device=d_1p3k8t5w7y2d4&account=a_1p3k8t5w7y2d4&cursor=AgAGHZnxLhrAAAebyAAAAAE",
        "since=yesterday&until=today&min=4&operator=ann",
        "at=2026-11-23T08:41:07Z&region=US&detail=all",
        "yes=true",
    ])
}

pub(super) fn header_seeds() -> Vec<Vec<u8>> {
    lines(&[
        "Bearer dd_1p3k8t5w7y2d4\n198.51.100.1, 10.0.0.2",
        "bearer  x\n[2001:db8:1::7]:4711\n10.0.0.3",
        "Basic abc\n::ffff:198.51.100.1",
    ])
}

pub(super) fn config_seeds() -> Vec<Vec<u8>> {
    let whole = include_bytes!("../../config/dispatchd.toml").to_vec();
    let mut seeds = lines(&[
        "[log]\nretention = \"7d\"\ndurability = \"os\"\n\0SERVER__PHONES=0.0.0.0:80\nQUOTA__ENABLED=false",
        "[ownership.delivery.text]\nurl = \"https://gateway.example.org/messages\"\nsecret_env = \"GATEWAY_SECRET\"\n",
        "[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\ndisk_reserve = \"1GiB\"\n[clock]\ntrust = \"always\"\n",
        "\0SERVER__THREADS=8\nKEYS__RESERVE=8MiB\nOWNERSHIP__COUNTRIES__ALLOW=[\"1\", \"44\"]",
    ]);
    seeds.push(whole);
    seeds
}

/// Rows by their kind: an account without devices, a tombstone, a change, a flag.
pub(super) fn registry_seeds() -> Vec<Vec<u8>> {
    let phone: &[u8] = &[1, 0, 0, 0, 3, 0x4b, 0xc8, 0x2a, 0x3b];
    vec![
        [&[0, 0, 2, 12, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0, 0, 0]].concat(),
        [&[1, 9][..], phone, &[2, 1, 200, 1]].concat(),
        vec![2, 0, 2, 7, 9, 1, 1, 0, 0, 0],
        [&[3, 9, 1][..], &[0; 8], &[2, 0, 9, 1], &[0; 8]].concat(),
    ]
}

/// An entry's head, and steps by their kind: a check-in, a removed account, a tombstone and its end, a row and its end, a change.
pub(super) fn entry_seeds() -> Vec<Vec<u8>> {
    let phone: &[u8] = &[9, 1, 0, 0, 0, 3, 0x4b, 0xc8, 0x2a, 0x3b];
    let head = [&[1][..], &[0; 16], &[1], &[7; 16], &[3, 9], &[0; 32], &[1], &[5; 12]].concat();
    let micros: &[u8] = &[128, 128, 226, 196, 242, 162, 153, 3];
    let change = [&[2, 7][..], micros, &[1, 1, 0, 0, 0]].concat();
    let steps: Vec<Vec<u8>> = vec![
        [&[0][..], &[7; 16], &[9]].concat(),
        vec![2, 7, 9],
        [&[3][..], phone, &[4, 2, 1, 200, 1]].concat(),
        [&[4][..], phone].concat(),
        vec![5, 2, 3, 97, 4, 2, 0, 1, 7],
        vec![6, 2, 3, 97],
        [&[7, change.len() as u8][..], &change].concat(),
    ];
    let all = steps.concat();
    [vec![[&head[..], &[0; 40]].concat(), all], steps].concat()
}

/// The bytes as the place where a page of the logs of all nodes ended.
pub(super) fn places(bytes: &[u8]) {
    is_written_as_read::<PagePlace>(&String::from_utf8_lossy(bytes));
}

pub(super) fn place_seeds() -> Vec<Vec<u8>> {
    let place = |nodes: &[u64]| {
        let at = Timestamp::from_secs(1_795_420_800);
        let cursor = |node: &u64| (*node, Cursor::from_bytes([*node as u8; Cursor::BYTES]));
        let nodes = nodes.iter().map(cursor).collect();
        ClusterPlace { at, node: NodeId(1), nodes }.to_string().into_bytes()
    };
    vec![place(&[]), place(&[1]), place(&[1, 2, 3])]
}

pub(super) fn hour_key_seeds() -> Vec<Vec<u8>> {
    let node = "00c0ffee00c0ffee";
    let (key, signature, sealed) = ("11".repeat(32), "22".repeat(64), "33".repeat(80));
    let request = format!(
        r#"{{"receiving":"{key}","signature":"{signature}","retention_seconds":2592000,"held":{{"{node}":[[498728,498730],[498740,498740]]}},"proofs":{{"498728":"{}"}}}}"#,
        "44".repeat(16)
    );
    let answer = format!(
        r#"{{"time":"2026-11-23T08:00:00Z","keys":[{{"node":"{node}","hour":498728,"began":"2026-11-23T08:00:00Z","sealed":"{sealed}"}}],"more":false,"proven":[[498728,498730]]}}"#
    );
    vec![request.into_bytes(), answer.into_bytes()]
}

/// The bytes as lines of an answer of another node, in pieces, and each line as a record.
pub(super) fn answer_lines(bytes: &[u8]) {
    for line in dispatchd::cluster::fuzz::answer_lines(bytes) {
        if let Ok(row) = serde_json::from_slice::<FoundRow>(&line) {
            let written = serde_json::to_string(&row).expect("a row is written");
            let again: FoundRow = serde_json::from_str(&written).expect("it is read again");
            assert!(again == row, "a row changed");
            let _ = row.into_placed();
        }
    }
}

pub(super) fn answer_line_seeds() -> Vec<Vec<u8>> {
    let row = r#"{"at":"2026-11-23T08:41:09.123456Z","kind":"refusals","reason":"token-invalid","status":401,"count":17,"place":"AAAA","node":"a"}"#;
    vec![
        format!("{row}\n{row}\n").into_bytes(),
        [&row.as_bytes()[..40], b"\xFF", &row.as_bytes()[40..], b"\n"].concat(),
    ]
}

pub(super) fn quota_seeds() -> Vec<Vec<u8>> {
    (1..=5).map(|kind| [&[kind][..], &[7; 8], &[1; 17 * 3]].concat()).collect()
}

pub(super) fn audit_seeds() -> Vec<Vec<u8>> {
    let zeros = "0".repeat(64);
    let begin = format!(
        r#"{{"n":1,"at":"2026-11-23T08:41:07.123456Z","begin":{{"operator":"ann","call":"search","filters":{{}}}},"prev":"{zeros}"}}"#
    );
    let end = format!(
        r#"{{"n":2,"at":"2026-11-23T08:41:07.123456Z","end":{{"of":1,"records":3,"whole":true}},"torn":{{"bytes":7,"sha256":"{zeros}"}},"prev":"{zeros}"}}"#
    );
    let name = "0000001-0020780.ndjson".to_owned();
    [begin, end, name].map(String::into_bytes).into()
}

/// A frame with a lookup, a change and a count of refusals; a note; a name.
pub(super) fn record_seeds() -> Vec<Vec<u8>> {
    let head: &[u8] = &[1, 0, 0, 0, 0, 0, 0, 6, 0];
    let id = [7; 8];
    let lookup = [&[1, 0, 0][..], &id, &[1, 200, 0, 9]].concat();
    let change = [&[2, 3, 5][..], &id, &[1, 1], &id, &id].concat();
    let note = [&[1, 1, 0, 0][..], &[3; 64]].concat();
    vec![
        [head, &lookup, &change, &[3, 0, 1, 1, 200, 1]].concat(),
        note,
        b"0000498728-000001-000000004096.cut".to_vec(),
    ]
}

/// Headers of the PROXY protocol for IPv4, IPv6, and a connection of the balancer's own.
pub(super) fn announcement_seeds() -> Vec<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let header =
        |head: [u8; 4], rest: &[u8]| [SIGNATURE, &head, rest, b"GET / HTTP/1.1\r\n"].concat();
    vec![
        header([0x21, 0x11, 0, 12], &[198, 51, 100, 7, 192, 0, 2, 1, 0x30, 0x39, 0, 80]),
        header([0x21, 0x21, 0, 36], &[7; 36]),
        header([0x21, 0x11, 0, 16], &[9, 9, 9, 9, 9, 9, 9, 9, 0, 1, 0, 2, 4, 0, 1, 0]),
        header([0x20, 0, 0, 0], &[]),
    ]
}
