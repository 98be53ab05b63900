//! [`OfNode`]: a row with the node of a cluster that it comes from.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

use super::call::Row;
use crate::{audit::Listed, query_log::SegmentSummary};

/// A row of one node. On a machine of its own it is the row and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfNode<R> {
    /// The row.
    #[serde(flatten)]
    pub row: R,
    /// The name of the node. None outside a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl<R> OfNode<R> {
    /// A row of the node with this name.
    pub fn new(row: R, node: Option<&str>) -> Self {
        Self { row, node: node.map(str::to_owned) }
    }
}

impl<R: Row> Row for OfNode<R> {
    fn is_record(&self) -> bool {
        self.row.is_record()
    }
}

/// A segment of the query log of one node.
pub type NodeSegment = OfNode<SegmentSummary>;
/// A call that one node has noted.
pub type NodeCall = OfNode<Listed>;

/// That of the row, with one more field.
impl<R: PartialSchema> PartialSchema for OfNode<R> {
    fn schema() -> RefOr<Schema> {
        let schema = R::schema();
        let RefOr::T(Schema::Object(mut object)) = schema else { return schema };
        let about = "The name of the node that it comes from. Absent outside a cluster.";
        let name = ObjectBuilder::new().schema_type(Type::String).description(Some(about));
        object.properties.insert("node".to_owned(), name.into());
        RefOr::T(Schema::Object(object))
    }
}

impl<R: ToSchema> ToSchema for OfNode<R> {
    fn name() -> Cow<'static, str> {
        R::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        R::schemas(schemas);
    }
}
