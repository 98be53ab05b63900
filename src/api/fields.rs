//! The parameters of a `GET` as the fields of a JSON object: a `POST` keeps handles out of addresses.
//!
//! The type of the request stays one, so the names, the words of a refusal and the description stay the same.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Required, Type,
        path::Parameter,
        schema::{AdditionalProperties, Schema, SchemaType},
    },
};

/// A request whose parameters may come as a JSON object.
pub trait Posted: IntoParams + DeserializeOwned {
    /// What the description calls the object.
    const NAME: &'static str;
    /// What the description says about it.
    const ABOUT: &'static str;
}

/// The request, read from such an object.
pub struct Fields<T>(pub T);

impl<'de, T: Posted> Deserialize<'de> for Fields<T> {
    /// An error names no field: [`read_json`](super::read_json) compares the body with the schema below, and says what is wrong.
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let texts = source.deserialize_map(Texts { known: T::into_params(|| None) })?;
        serde_json::from_value(Value::Object(texts)).map(Self).map_err(D::Error::custom)
    }
}

/// Reads an object with known fields into one of texts, as a query string has them.
struct Texts {
    known: Vec<Parameter>,
}

impl<'de> Visitor<'de> for Texts {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Self::Value, A::Error> {
        let mut texts = Map::new();
        while let Some((name, value)) = given.next_entry::<String, Value>()? {
            let Some(parameter) = self.known.iter().find(|known| known.name == name) else {
                return Err(A::Error::custom("a field is unknown"));
            };
            let text = match value {
                Value::String(text) if !is_whole_number(parameter) => text,
                Value::Number(number) if is_whole_number(parameter) => number.to_string(),
                _ => return Err(A::Error::custom("a field has another type")),
            };
            if texts.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            texts.insert(name, Value::String(text));
        }
        Ok(texts)
    }
}

fn is_whole_number(parameter: &Parameter) -> bool {
    matches!(&parameter.schema, Some(RefOr::T(Schema::Object(it))) if it.schema_type == SchemaType::Type(Type::Integer))
}

impl<T: Posted> PartialSchema for Fields<T> {
    fn schema() -> RefOr<Schema> {
        let mut object = ObjectBuilder::new()
            .description(Some(T::ABOUT))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        for parameter in T::into_params(|| None) {
            if matches!(parameter.required, Required::True) {
                object = object.required(&parameter.name);
            }
            let name = parameter.name.clone();
            object = object.property(name, property(parameter));
        }
        object.into()
    }
}

impl<T: Posted> ToSchema for Fields<T> {
    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }
}

/// The schema of a parameter, with what the parameter says beside it.
fn property(parameter: Parameter) -> RefOr<Schema> {
    // The example of a parameter is private.
    let example = serde_json::to_value(&parameter).ok().and_then(|it| it.get("example").cloned());
    let description = parameter.description.unwrap_or_default();
    match parameter.schema.unwrap_or_default() {
        RefOr::Ref(mut reference) => {
            reference.description = description;
            reference.into()
        }
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(description);
            object.example = example;
            Schema::Object(object).into()
        }
        other => other,
    }
}
