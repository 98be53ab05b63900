//! What nodes tell each other, as fuzz targets give it.

use std::{convert::Infallible, path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;

use super::{
    AnswerLines, HourKeys, HourKeysAnswer, HourKeysRequest, Identity, LinesError, Member,
    MemberKeyFiles, MemberKeyrings,
};
use crate::{
    clock::{ManualClock, SharedClock, Timestamp},
    envelope::{KeyFiles, Keyring},
    registry::ClusterId,
};

/// 2026-11-23T08:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_420_800);
/// It is not there.
const NOWHERE: &str = "/nonexistent";

/// A node without keys.
fn node(name: &str) -> (Identity, HourKeys) {
    let identity = Identity::joining(ClusterId([7; 16]), name.to_owned());
    let own = Keyring::without_keys(KeyFiles::new(Path::new(NOWHERE), None));
    let members = MemberKeyrings::open_read_only(MemberKeyFiles::new(Path::new(NOWHERE), None));
    let clock: SharedClock = ManualClock::at(NOW);
    let retention = crate::limits::LOG_RETENTION_MAX;
    let members = members.expect("nothing is read");
    let keys = HourKeys::open(identity.clone(), Arc::new(own), members, clock, retention);
    (identity, keys.expect("nothing is destroyed"))
}

/// Reads `bytes` as a question for keys of hours, which a node asks that may ask it, and as an answer to one.
///
/// # Panics
/// If what was read is another one once it was written, or a node without keys gives or counts one.
pub fn hour_keys(bytes: &[u8]) {
    let ((asked, asked_keys), (asking, asking_keys)) = (node("a"), node("b"));
    let (private, signed) = asking_keys.request(asked.node);
    if let Ok(request) = serde_json::from_slice::<HourKeysRequest>(bytes) {
        is_written_as_read(&request);
        let caller = Member {
            name: asking.name.clone(),
            node: asking.node,
            address: String::new(),
            format: 1,
            joined_at: NOW,
            key: 0,
            receiving: [0; 32],
            public: asking.key().public(),
        };
        assert!(asked_keys.wanted(&caller, &request).is_err(), "it is not signed");
        let HourKeysRequest { receiving, signature, .. } = signed;
        let request = HourKeysRequest { receiving, signature, ..request };
        if let Ok(wanted) = asked_keys.wanted(&caller, &request) {
            assert!(wanted.is_empty() && asked_keys.sealed(wanted).proven == Default::default());
        }
    }
    if let Ok(answer) = serde_json::from_slice::<HourKeysAnswer>(bytes) {
        is_written_as_read(&answer);
        assert!(asking_keys.take(asked.node, &private, &answer).ok().is_none_or(|it| it == 0));
    }
}

fn is_written_as_read<T: serde::Serialize + serde::de::DeserializeOwned>(read: &T) {
    let written = serde_json::to_string(read).expect("it is written");
    let again: T = serde_json::from_str(&written).expect("it is read again");
    assert!(serde_json::to_string(&again).is_ok_and(|it| it == written), "it changed");
}

/// Reads `bytes` as the lines of an answer that arrives in pieces: each byte 255 ends one. Gives the lines.
///
/// # Panics
/// If the lines are not those of the whole.
pub fn answer_lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let pieces: Vec<_> = bytes.split(|byte| *byte == 0xFF).map(Bytes::copy_from_slice).collect();
    let whole = pieces.concat();
    let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    let mut lines = AnswerLines::of(StreamBody::new(stream::iter(frames)));
    let mut read: Vec<Vec<u8>> = Vec::new();
    let end = loop {
        match lines.next().now_or_never().expect("it has all arrived") {
            Ok(Some(line)) => read.push(line.to_vec()),
            end => break end,
        }
    };
    let mut expected: Vec<_> = whole.split(|byte| *byte == b'\n').collect();
    let rest = expected.pop().unwrap_or_default();
    assert!(read == expected, "other lines");
    match end {
        Ok(_) => assert!(rest.is_empty(), "a cut line was passed over"),
        Err(error) => assert!(matches!(error, LinesError::WithinLine) && !rest.is_empty()),
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_pieces_are_those_of_the_whole() {
        assert_eq!(answer_lines(b"a\xFFb\n\nc\xFF\xFF\n"), [&b"ab"[..], b"", b"c"]);
        assert_eq!(answer_lines(b"a\nb"), [b"a"]);
    }

    #[test]
    fn a_node_without_keys_gives_none_whatever_it_is_asked() {
        for held in [r#"{}"#, r#"{"00c0ffee00c0ffee":[[498728,498730]]}"#] {
            hour_keys(
                format!(
                    r#"{{"receiving":"","signature":"","retention_seconds":60,"held":{held},"proofs":{{"498728":"00"}}}}"#
                )
                .as_bytes(),
            );
        }
        hour_keys(br#"{"time":"2026-11-23T08:00:00Z","keys":[],"more":true,"proven":[[1,2]]}"#);
    }
}
