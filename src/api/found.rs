//! A record that was found, with the node whose log has it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::call::Row;
use crate::{
    clock::Timestamp,
    ids::ChangeId,
    query_log::{Cursor, LogRow, Record},
};

/// A record of the log. On a machine of its own it is a [`LogRow`] and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRow {
    /// When the log took it.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub record: Record,
    /// The name of the node whose log has it. None outside a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Where the log of that node has it: a `cursor` of a search there. Only in a search of one node of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The id of a change, by which its records in the logs of other nodes are known. Only with `place`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ChangeId>,
}

impl FoundRow {
    /// A row of the log of the node with this name. None outside a cluster.
    pub fn of_node(row: LogRow, node: Option<&str>) -> Self {
        let LogRow { at, record } = row;
        Self { at, record, node: node.map(str::to_owned), place: None, id: None }
    }

    /// The same with its place in the log of its node.
    #[must_use]
    pub fn at_place(self, place: Cursor) -> Self {
        Self { place: Some(place.to_string()), id: self.record.change_id(), ..self }
    }

    /// The row and its place, as another node gives them. None if the place is none, or a change has no id.
    pub fn into_placed(self) -> Option<(Cursor, LogRow)> {
        let place = self.place?.parse().ok()?;
        let mut record = self.record;
        if let Record::Change(change) = &mut record {
            // JSON lacks it in the record itself.
            change.id = self.id?;
        }
        Some((place, LogRow { at: self.at, record }))
    }

    /// The row by itself, and the name of its node.
    pub fn into_parts(self) -> (LogRow, Option<String>) {
        (LogRow { at: self.at, record: self.record }, self.node)
    }
}

impl Row for FoundRow {}

/// That of [`LogRow`], which names all fields.
impl PartialSchema for FoundRow {
    fn schema() -> RefOr<Schema> {
        LogRow::schema()
    }
}

impl ToSchema for FoundRow {
    fn name() -> Cow<'static, str> {
        LogRow::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        LogRow::schemas(schemas);
    }
}
