//! What an answer of rows lacks, and how its trailers say so.

use crate::{api::MissingNode, query_log::SearchOutcome};

/// The trailer with the number of records.
pub const RECORDS: &str = "dispatchd-records";
/// The trailer with the number of damaged places that were passed over.
pub const DAMAGED: &str = "dispatchd-damaged";
/// The trailer with the number of segments that could not be read.
pub const UNREADABLE_SEGMENTS: &str = "dispatchd-unreadable-segments";
/// The trailer with the nodes whose part is missing: JSON, a list of [`MissingNode`]. Only in a cluster.
pub const MISSING: &str = "dispatchd-missing";

/// What an answer lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What could not be read, in the logs of all nodes that were asked.
    pub passed_over: SearchOutcome,
    /// The nodes whose part is missing. None if the answer is of one node alone.
    pub missing: Option<Vec<MissingNode>>,
}

impl From<SearchOutcome> for Outcome {
    fn from(passed_over: SearchOutcome) -> Self {
        Self { passed_over, missing: None }
    }
}

impl Outcome {
    /// The nodes whose part is missing.
    pub fn missing(&self) -> &[MissingNode] {
        self.missing.as_deref().unwrap_or_default()
    }

    /// What trailers say. None if they did not come.
    pub fn of_trailers<'t>(trailer: impl Fn(&str) -> Option<&'t str>) -> Option<Self> {
        let number = |name: &str| trailer(name)?.parse().ok();
        let (damaged, unreadable_segments) = (number(DAMAGED)?, number(UNREADABLE_SEGMENTS)?);
        let missing = match trailer(MISSING) {
            Some(text) => Some(serde_json::from_str(text).ok()?),
            None => None,
        };
        Some(Self { passed_over: SearchOutcome { damaged, unreadable_segments }, missing })
    }

    /// The trailer that names nodes: text of a header, whatever the reasons say.
    pub fn missing_trailer(&self) -> Option<String> {
        let json = serde_json::to_string(self.missing.as_ref()?).ok()?;
        let escaped = |c: char| match c {
            ' '..='~' => c.to_string(),
            // Only inside of strings of JSON, where it means the character.
            c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        };
        Some(json.chars().map(escaped).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_say_what_is_missing_in_plain_characters() {
        let node =
            MissingNode { node: "c".into(), why: "no answer: „weg“ 🙂 \"x\"\n".into() };
        let passed_over = SearchOutcome { damaged: 2, unreadable_segments: 0 };
        for missing in [None, Some(vec![]), Some(vec![node])] {
            let outcome = Outcome { passed_over, missing };
            let missing = outcome.missing_trailer();
            let is_plain = |text: &String| text.chars().all(|c| (' '..='~').contains(&c));
            assert!(missing.as_ref().is_none_or(is_plain), "{missing:?}");
            let read = Outcome::of_trailers(|name| match name {
                DAMAGED => Some("2"),
                UNREADABLE_SEGMENTS => Some("0"),
                MISSING => missing.as_deref(),
                _ => None,
            });
            assert_eq!(read, Some(outcome));
        }
        assert_eq!(Outcome::of_trailers(|_| None), None);
    }
}
