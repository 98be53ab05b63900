//! What an answer of rows lacks, and how its trailers say so.

use serde::Serialize;

use crate::{
    api::{MissingNode, NodeFromStore, NodeNote},
    query_log::SearchOutcome,
};

/// The trailer with the number of records.
pub const RECORDS: &str = "dispatchd-records";
/// The trailer with the number of damaged places that were passed over.
pub const DAMAGED: &str = "dispatchd-damaged";
/// The trailer with the number of segments that could not be read.
pub const UNREADABLE_SEGMENTS: &str = "dispatchd-unreadable-segments";
/// The trailer with the nodes whose part is missing: JSON, a list of [`MissingNode`]. Only in a cluster.
pub const MISSING: &str = "dispatchd-missing";
/// The trailer with the nodes whose part was read from the object store: JSON, a list of [`NodeFromStore`]. Only in a cluster.
pub const FROM_STORE: &str = "dispatchd-from-store";

/// Bytes that trailers take for one reason at most, as they write it: what they say of sixteen nodes fits 8 KiB.
const WHY_BYTES_MAX: usize = 200;

/// What an answer lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What could not be read, in the logs of all nodes that were asked.
    pub passed_over: SearchOutcome,
    /// The nodes whose part is missing. None if the answer is of one node alone.
    pub missing: Option<Vec<MissingNode>>,
    /// The nodes whose part was read from their copies in the object store.
    pub from_store: Vec<NodeFromStore>,
}

impl From<SearchOutcome> for Outcome {
    fn from(passed_over: SearchOutcome) -> Self {
        Self { passed_over, missing: None, from_store: Vec::new() }
    }
}

impl Outcome {
    /// Of an answer over all nodes.
    pub(super) fn gathered(
        passed_over: SearchOutcome,
        mut missing: Vec<MissingNode>,
        mut from_store: Vec<NodeFromStore>,
    ) -> Self {
        missing.sort_by(|one, other| one.node.cmp(&other.node));
        from_store.sort_by(|one, other| one.node.cmp(&other.node));
        Self { passed_over, missing: Some(missing), from_store }
    }

    /// The nodes whose part is missing.
    pub fn missing(&self) -> &[MissingNode] {
        self.missing.as_deref().unwrap_or_default()
    }

    /// What is said of nodes, one note for each.
    pub fn notes(&self) -> impl Iterator<Item = NodeNote> {
        let missing = self.missing().iter().cloned().map(NodeNote::Missing);
        missing.chain(self.from_store.iter().cloned().map(NodeNote::FromStore))
    }

    /// The same with what these notes say of nodes.
    #[must_use]
    pub fn with_notes(self, notes: impl IntoIterator<Item = NodeNote>) -> Self {
        let (mut missing, mut from_store) = (Vec::new(), Vec::new());
        for note in notes {
            match note {
                NodeNote::Missing(node) => missing.push(node),
                NodeNote::FromStore(node) => from_store.push(node),
                NodeNote::Returned(_) => {}
            }
        }
        Self::gathered(self.passed_over, missing, from_store)
    }

    /// What trailers say. None if they did not come.
    pub fn of_trailers<'t>(trailer: impl Fn(&str) -> Option<&'t str>) -> Option<Self> {
        let number = |name: &str| trailer(name)?.parse().ok();
        let (damaged, unreadable_segments) = (number(DAMAGED)?, number(UNREADABLE_SEGMENTS)?);
        let missing = match trailer(MISSING) {
            Some(text) => Some(serde_json::from_str(text).ok()?),
            None => None,
        };
        let from_store = match trailer(FROM_STORE) {
            Some(text) => serde_json::from_str(text).ok()?,
            None => Vec::new(),
        };
        let passed_over = SearchOutcome { damaged, unreadable_segments };
        Some(Self { passed_over, missing, from_store })
    }

    /// The trailers that name nodes: text of a header, whatever the reasons say.
    pub fn node_trailers(&self) -> Vec<(&'static str, String)> {
        let Some(missing) = &self.missing else { return Vec::new() };
        let (mut missing, mut from_store) = (missing.clone(), self.from_store.clone());
        missing.iter_mut().for_each(|node| shorten(&mut node.why));
        from_store.iter_mut().for_each(|node| shorten(&mut node.why));
        let both = [(MISSING, plain_json(&missing)), (FROM_STORE, plain_json(&from_store))];
        both.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
    }
}

/// Cuts a reason that takes more than [`WHY_BYTES_MAX`] in plain JSON.
fn shorten(why: &mut String) {
    let written = |c: char| match c {
        '"' | '\\' => 2,
        ' '..='~' => 1,
        c => 6 * c.len_utf16(),
    };
    let mut bytes = 0;
    let is_over = |(_, c): &(usize, char)| {
        bytes += written(*c);
        WHY_BYTES_MAX < bytes
    };
    if let Some((at, _)) = why.char_indices().find(is_over) {
        why.truncate(at);
    }
}

/// JSON in plain characters.
fn plain_json(list: &impl Serialize) -> Option<String> {
    let json = serde_json::to_string(list).ok()?;
    let escaped = |c: char| match c {
        ' '..='~' => c.to_string(),
        // Only inside of strings of JSON, where it means the character.
        c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    Some(json.chars().map(escaped).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn trailers_say_what_is_missing_in_plain_characters() {
        let node =
            MissingNode { node: "c".into(), why: "no answer: „weg“ 🙂 \"x\"\n".into() };
        let passed_over = SearchOutcome { damaged: 2, unreadable_segments: 0 };
        let stored = NodeFromStore {
            node: "d".into(),
            why: "weg …".into(),
            until: Some(Timestamp::from_secs(1_795_420_800)),
            complete: true,
            gaps: vec!["0000498728-000001".into()],
        };
        let gathered = |missing: &[MissingNode], from_store: &[NodeFromStore]| {
            Outcome::gathered(passed_over, missing.to_vec(), from_store.to_vec())
        };
        let outcomes = [
            Outcome::from(passed_over),
            gathered(&[], &[]),
            gathered(std::slice::from_ref(&node), &[]),
            gathered(&[node], &[stored]),
        ];
        for outcome in outcomes {
            let trailers = outcome.node_trailers();
            let is_plain = |text: &str| text.chars().all(|c| (' '..='~').contains(&c));
            assert!(trailers.iter().all(|(_, text)| is_plain(text)), "{trailers:?}");
            let read = Outcome::of_trailers(|name| match name {
                DAMAGED => Some("2"),
                UNREADABLE_SEGMENTS => Some("0"),
                name => trailers.iter().find(|it| it.0 == name).map(|it| it.1.as_str()),
            });
            assert_eq!(read, Some(outcome));
        }
        assert_eq!(Outcome::of_trailers(|_| None), None);
    }

    #[test]
    fn trailers_are_short_whatever_the_reasons_say() {
        for c in ["x", "\"", "\\", "\n", "\u{7f}", "é", "🙂"] {
            let missing =
                |number| MissingNode { node: format!("{number:032}"), why: c.repeat(9_000) };
            let from_store = |number| NodeFromStore {
                node: format!("{number:032}-00c0ffee00c0ffee"),
                why: c.repeat(9_000),
                until: Some(Timestamp::from_secs(1_795_420_800)),
                complete: false,
                gaps: vec!["0000498728-000001".into(); 8],
            };
            let lists = ((0..16).map(missing).collect(), (0..16).map(from_store).collect());
            let outcome = Outcome::gathered(SearchOutcome::default(), lists.0, lists.1);
            for (name, text) in outcome.node_trailers() {
                assert!(text.len() <= 8 * 1024, "{c}: {name} has {}", text.len());
                let nodes: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
                assert!(nodes.iter().all(|node| node["why"].as_str().unwrap().starts_with(c)));
            }
        }
    }
}
