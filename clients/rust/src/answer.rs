//! Answers to lookups.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::vocabulary::{HandleReason, ProblemCode, Route, Together};

/// Which way a message to one handle goes.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The handle as it was asked for.
    pub input: String,
    /// Its canonical form: the key for contacts.
    pub handle: String,
    /// The way.
    pub route: Route,
    /// The handle's account as only the asking account sees it, with `imessage`. Keep one thread for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Seconds for which the answer may still be reused.
    pub expires_in: u64,
}

/// The answers to a batch.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// One item for each handle, in the order asked.
    pub answers: Vec<Item>,
    /// The route that the whole group can use.
    pub together: Together,
}

impl Batch {
    /// A batch of these items. `together` is that of the server, computed over items of several requests and reused ones.
    pub(crate) fn of(answers: Vec<Item>) -> Self {
        let together = together(&answers);
        Self { answers, together }
    }
}

/// An answer, or what is wrong with one handle of a batch.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// The answer.
    Answer(Answer),
    /// The text is no handle.
    Refused(Refused),
}

/// An item with an error is no answer, whatever else it has.
impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let item = Value::deserialize(deserializer)?;
        let item = match item.get("error") {
            None | Some(Value::Null) => Answer::deserialize(item).map(Self::Answer),
            Some(_) => Refused::deserialize(item).map(Self::Refused),
        };
        item.map_err(D::Error::custom)
    }
}

impl Item {
    /// The text as it was asked for.
    #[must_use]
    pub fn input(&self) -> &str {
        match self {
            Self::Answer(answer) => &answer.input,
            Self::Refused(refused) => &refused.input,
        }
    }
}

/// A text of a batch that is no handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The text as it was asked for.
    pub input: String,
    /// What is wrong with it.
    pub error: ItemError,
}

/// What is wrong with one handle of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemError {
    /// `handle-invalid`.
    pub code: ProblemCode,
    /// Why the text is no handle.
    pub reason: HandleReason,
}

/// The route that a group of these can use. A group without a member has none.
fn together(items: &[Item]) -> Together {
    let route = |item: &Item| match item {
        Item::Answer(answer) => answer.route.clone(),
        Item::Refused(_) => Route::None,
    };
    let routes: Vec<_> = items.iter().map(route).collect();
    match &routes[..] {
        [] => Together::None,
        routes if routes.contains(&Route::None) => Together::None,
        [first, rest @ ..] => {
            let unknown = routes.iter().find(|route| matches!(route, Route::Unknown(_)));
            if let Some(unknown) = unknown {
                return Together::Unknown(unknown.as_str().into());
            }
            if rest.iter().any(|route| route != first) {
                return Together::Mixed;
            }
            Together::from(first.as_str())
        }
    }
}
