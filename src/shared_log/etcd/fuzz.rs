//! Answers of etcd, as fuzz targets give them.

use prost::{Message as _, bytes::Bytes};

use super::{
    entries_in, head_in,
    keys::{Keys, head_value, parse_head},
    messages::{KeyValue, PartAnswer, Ranged, ResponseOp, Status, TxnAnswer},
    ranged,
    version::Version,
};
use crate::shared_log::interface::Head;

/// The place from which entries are read.
const FIRST: u64 = 2;

fn keys() -> Keys {
    Keys::new("/".to_owned())
}

/// Reads `bytes` as a head, as the answer to a read of entries, and as what a member says of itself.
///
/// # Panics
/// If a head that was read is another one once it was written, or if entries that were read have gaps.
pub fn answers(bytes: &[u8]) {
    if let Ok(head) = parse_head(bytes) {
        assert!(head_value(head) == bytes, "a head changed");
    }
    if let Ok(status) = Status::decode(bytes) {
        let _ = Version::parse(&status.version);
    }
    let Ok(answer) = TxnAnswer::decode(bytes) else { return };
    let mut answers = answer.answers.into_iter();
    let (Ok(head), Ok(page)) = (ranged(answers.next()), ranged(answers.next())) else { return };
    let Ok(head) = head_in(head) else { return };
    let entries = entries_in(&keys(), FIRST, head, page).unwrap_or_default();
    for (entry, place) in entries.iter().zip(FIRST..) {
        assert!(entry.place == place && place <= head.place, "entries have gaps");
    }
}

/// Good inputs of [`answers`].
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let first = Head::EMPTY.after(b"first");
    let head = first.after(b"second").after(b"third");
    let pair = |key: Bytes, value: &'static [u8]| KeyValue { key, value: value.into() };
    let answer = |pairs| {
        let answer = Some(PartAnswer::Ranged(Ranged { pairs, has_more: false }));
        ResponseOp { answer }
    };
    let keys = keys();
    let entries = vec![pair(keys.entry(2), b"second"), pair(keys.entry(3), b"third")];
    let head = KeyValue { key: keys.head(), value: head_value(head) };
    let value = head.value.to_vec();
    let read = TxnAnswer { is_success: true, answers: vec![answer(vec![head]), answer(entries)] };
    let status = Status { version: "3.4.23".to_owned(), ..Status::default() };
    vec![value, read.encode_to_vec(), status.encode_to_vec()]
}
