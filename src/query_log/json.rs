//! A row as JSON, in the one form that the API, the command line and exports share, and its description.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Discriminator, KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, SchemaFormat, Type,
        schema::Schema,
    },
};

use super::{
    filter::Kind,
    record::{LogRow, LookupRecord, RefusalCount},
};
use crate::vocabulary::Change;

impl LogRow {
    /// Appends the row as one JSON object, without a line end.
    ///
    /// # Panics
    /// Never: a row is made of texts and numbers, which have a JSON form, and a vector takes every byte.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("a row has a JSON form, and a vector takes it");
    }

    /// The row as one JSON object.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(320);
        self.write_json(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

/// Written by hand, because a derived description puts `at` and `kind` beside a `oneOf`, which client generators cannot read:
/// here each kind of record is one object with all of its fields.
impl PartialSchema for LogRow {
    fn schema() -> RefOr<Schema> {
        let reference = |kind| format!("#/components/schemas/{}", name(kind));
        let mapping = Kind::ALL.iter().map(|kind| (kind.code(), reference(*kind)));
        let kinds = Kind::ALL.iter().map(|kind| Ref::new(reference(*kind)));
        kinds
            .fold(OneOfBuilder::new(), OneOfBuilder::item)
            .description(Some("A record of the query log."))
            .discriminator(Some(Discriminator::with_mapping("kind", mapping)))
            .into()
    }
}

impl ToSchema for LogRow {
    fn name() -> Cow<'static, str> {
        "Record".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for &kind in Kind::ALL {
            let fields = match kind {
                Kind::Lookup => fields::<LookupRecord>(schemas),
                Kind::Change => fields::<Change>(schemas),
                Kind::Refusals => fields::<RefusalCount>(schemas),
            };
            schemas.push((name(kind).to_owned(), with_place(fields, kind)));
        }
    }
}

/// The name of the description of a kind of record.
const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Lookup => "LookupRecord",
        Kind::Change => "ChangeRecord",
        Kind::Refusals => "RefusalsRecord",
    }
}

/// The description of a type, whose fields' types it adds to `schemas`.
fn fields<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    T::schemas(schemas);
    T::schema()
}

/// Adds the fields that every row has.
fn with_place(fields: RefOr<Schema>, kind: Kind) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut object)) = fields else { return fields };
    let text =
        |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    let optional = [
        ("node", "The node whose log has it. Absent outside a cluster."),
        (
            "place",
            "Where the log of that node has it: a `cursor` with the scope `node`. Only in a search with that scope, in a cluster.",
        ),
    ];
    for (name, about) in optional {
        object.properties.insert(name.to_owned(), text(about).into());
    }
    if kind == Kind::Change {
        let id = "The id of the change: the logs of all nodes have it. Only with `place`.";
        object.properties.insert("id".to_owned(), text(id).into());
    }
    let at = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("When the log took it, in UTC, to the microsecond."));
    let kind = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([kind.code()]))
        .description(Some("Which kind of record."));
    object.properties.insert("at".to_owned(), at.into());
    object.properties.insert("kind".to_owned(), kind.into());
    object.required.splice(0..0, ["at".to_owned(), "kind".to_owned()]);
    RefOr::T(Schema::Object(object))
}
