//! Makes the schemas that `utoipa` derives plain, so that generated clients have one type for each struct.

use std::collections::BTreeMap;

use utoipa::openapi::{
    Content, Object, ObjectBuilder, OpenApi, Ref, RefOr, Schema, Type,
    schema::{AllOf, Discriminator, KnownFormat, OneOf, SchemaFormat},
};

type Schemas = BTreeMap<String, RefOr<Schema>>;

const REF: &str = "#/components/schemas/";
const INSTANT: &str = "2026-11-23T08:41:07.123456Z";

/// Makes all schemas plain.
pub(super) fn tidy(schemas: &mut Schemas) {
    let derived = schemas.clone();
    for schema in schemas.values_mut() {
        if let RefOr::T(Schema::AllOf(all_of)) = schema
            && let Some(whole) = flatten(all_of, &derived)
        {
            *schema = Schema::Object(whole).into();
        }
    }
    let tags: Vec<_> = schemas.values_mut().flat_map(tagged_variants).collect();
    for (name, tag) in tags {
        if let Some(RefOr::T(Schema::Object(variant))) = schemas.get_mut(&name) {
            *variant = merge(&tag, variant);
        }
    }
    schemas.values_mut().for_each(polish);
}

/// Removes the schemas that nothing refers to, such as a struct that is a part of another only.
pub(super) fn prune(description: &mut OpenApi) {
    loop {
        // As text, since references stand in a dozen places of the model.
        let text = description.to_json().unwrap_or_default();
        let Some(components) = &mut description.components else { return };
        let before = components.schemas.len();
        components.schemas.retain(|name, _| text.contains(&format!("\"{REF}{name}\"")));
        if components.schemas.len() == before {
            return;
        }
    }
}

/// Describes a content that is not JSON: OpenAPI 3.1 takes it for a text or bytes. The schema of a stream's rows goes into that of
/// the text.
pub(super) fn describe_bytes((content_type, content): (&String, &mut RefOr<Content>)) {
    let RefOr::T(Content { schema, .. }) = content else { return };
    let text = ObjectBuilder::new().schema_type(Type::String);
    match content_type.as_str() {
        "application/octet-stream" => {
            let binary = Some(SchemaFormat::KnownFormat(KnownFormat::Binary));
            *schema = Some(text.format(binary).into());
        }
        "application/x-ndjson" | "text/event-stream" => {
            let mut text = text.content_media_type(content_type).build();
            text.content_schema = schema.take().map(Box::new);
            *schema = Some(Schema::Object(text).into());
        }
        _ => {}
    }
}

/// The lines of a paragraph as one line.
pub(super) fn unwrap_lines(text: &mut String) {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    *text = paragraphs.collect::<Vec<_>>().join("\n\n");
}

/// A variant of a tagged enum is derived as the struct and, beside it, an object with the tag. Replaces it with a reference to
/// the struct and returns the struct's name with the tag, which becomes a field of it: clients then have a type with that name.
fn tagged_variants(schema: &mut RefOr<Schema>) -> Vec<(String, Object)> {
    let RefOr::T(Schema::OneOf(OneOf { items, discriminator, .. })) = schema else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        let RefOr::T(Schema::AllOf(AllOf { items: parts, .. })) = item else { continue };
        let [RefOr::Ref(variant), RefOr::T(Schema::Object(tag))] = parts.as_slice() else {
            continue;
        };
        let Some((field, RefOr::T(Schema::Object(values)))) = tag.properties.first() else {
            continue;
        };
        let value = values.enum_values.iter().flatten().next().and_then(|value| value.as_str());
        let (Some(value), Some(name)) = (value, variant.ref_location.strip_prefix(REF)) else {
            continue;
        };
        let discriminator = discriminator.get_or_insert_with(|| Discriminator::new(field));
        discriminator.mapping.insert(value.to_owned(), variant.ref_location.clone());
        let mut tag = tag.clone();
        if let Some(RefOr::T(Schema::Object(values))) = tag.properties.get_mut(field) {
            values.description = Some(format!("Always `{value}`."));
        }
        found.push((name.to_owned(), tag));
        *item = RefOr::Ref(Ref::new(&variant.ref_location));
    }
    found
}

/// One object with the fields of all. None if one of them is not an object.
fn flatten(all_of: &AllOf, schemas: &Schemas) -> Option<Object> {
    let mut whole = Object::new();
    for item in &all_of.items {
        let item = match item {
            RefOr::Ref(to) => schemas.get(to.ref_location.strip_prefix(REF)?)?,
            RefOr::T(_) => item,
        };
        match item {
            RefOr::T(Schema::Object(object)) => whole = merge(&whole, object),
            RefOr::T(Schema::AllOf(inner)) => whole = merge(&whole, &flatten(inner, schemas)?),
            _ => return None,
        }
    }
    whole.description.clone_from(&all_of.description);
    Some(whole)
}

/// The second object, with the fields of the first before its own.
fn merge(first: &Object, second: &Object) -> Object {
    let mut whole = second.clone();
    whole.properties = first.properties.clone();
    whole.properties.extend(second.properties.clone());
    whole.required = [first.required.as_slice(), &second.required].concat();
    whole
}

/// Unwraps the descriptions in a schema, and gives instants an example.
fn polish(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::Ref(to) => unwrap_lines(&mut to.description),
        RefOr::T(Schema::Object(object)) => {
            object.description.iter_mut().for_each(unwrap_lines);
            object.properties.values_mut().for_each(polish);
            let instant = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));
            if object.format == instant && object.example.is_none() {
                object.example = Some(INSTANT.into());
            }
        }
        RefOr::T(Schema::Array(array)) => array.description.iter_mut().for_each(unwrap_lines),
        RefOr::T(Schema::OneOf(one_of)) => {
            one_of.description.iter_mut().for_each(unwrap_lines);
            one_of.items.iter_mut().for_each(polish);
        }
        RefOr::T(_) => {}
    }
}
