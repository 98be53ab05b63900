//! The parameters of a `GET` as the fields of a JSON object: a `POST` keeps handles out of addresses.
//!
//! The type of the request stays one, so the names, the words of a refusal and the description stay the same.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
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
    /// Where the object is posted.
    const POSTED_TO: &'static str;
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

impl<T: Posted + Serialize> Fields<T> {
    /// The object that says the same as `request`.
    ///
    /// # Panics
    /// Never: a request is a struct of texts, which has a JSON form.
    pub fn json_of(request: &T) -> String {
        let json = serde_json::to_value(request).expect("a struct of texts has a JSON form");
        let Value::Object(mut object) = json else { unreachable!("a request is a struct") };
        object.retain(|_, value| !value.is_null());
        for parameter in T::into_params(|| None).iter().filter(|it| is_whole_number(it)) {
            let Some(value) = object.get_mut(&parameter.name) else { continue };
            if let Some(number) = value.as_str().and_then(|text| text.parse::<u64>().ok()) {
                *value = number.into();
            }
        }
        Value::Object(object).to_string()
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
                Value::Number(number) if is_whole_number(parameter) && !number.is_f64() => {
                    number.to_string()
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{RecordFilter, SearchRequest, WhyFields, WhyRequest, read_json};

    #[test]
    fn fields_are_read_as_parameters_are() {
        let body =
            br#"{"handle":"415 555 0123","region":"US","limit":7,"order":"asc","case":"INC-1"}"#;
        let Fields(request) = read_json::<Fields<SearchRequest>>(body).unwrap();
        assert_eq!(request.filter.handle.as_deref(), Some("415 555 0123"));
        assert_eq!(request.filter.case.as_deref(), Some("INC-1"));
        let page = (request.page.limit.as_deref(), request.page.order.as_deref());
        assert_eq!(page, (Some("7"), Some("asc")));
        assert!(request.filter.route.is_none() && request.page.cursor.is_none());

        let body = br#"{"limit":2,"handle":"a@b.example"}"#;
        let Fields(fields) = read_json::<Fields<WhyFields>>(body).unwrap();
        let request = WhyRequest::from(fields);
        assert_eq!((&*request.handle, request.limit.as_deref()), ("a@b.example", Some("2")));
    }

    #[test]
    fn a_request_that_is_posted_is_read_as_the_same() {
        let body = br#"{"handle":"+14155550123","limit":7,"order":"asc","scope":"node"}"#;
        let Fields(request) = read_json::<Fields<SearchRequest>>(body).unwrap();
        let posted = Fields::json_of(&request);
        let Fields(read) = read_json::<Fields<SearchRequest>>(posted.as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(request).unwrap());
        assert_eq!(Fields::json_of(&RecordFilter::default()), "{}");
    }

    #[test]
    fn the_description_has_each_parameter_and_no_other_field() {
        fn check<T: Posted>(required: &[&str]) {
            let schema = serde_json::to_value(Fields::<T>::schema()).unwrap();
            let parameters = T::into_params(|| None);
            let properties = schema["properties"].as_object().unwrap();
            assert_eq!(properties.len(), parameters.len());
            for parameter in parameters {
                let property = &properties[&parameter.name];
                assert_eq!(property["description"].as_str(), parameter.description.as_deref());
            }
            let names: Vec<_> =
                schema["required"].as_array().into_iter().flatten().map(|it| it.as_str()).collect();
            assert_eq!(names, required.iter().map(|it| Some(*it)).collect::<Vec<_>>());
            assert_eq!(schema["additionalProperties"], false);
            assert_eq!(Fields::<T>::name(), T::NAME);
        }
        check::<RecordFilter>(&[]);
        check::<SearchRequest>(&[]);
        check::<WhyFields>(&["handle"]);
    }

    #[test]
    fn what_is_no_text_of_a_known_field_is_refused() {
        for (body, says) in [
            (r#"{"handle":"a","x":"b"}"#, "the field `x` is unknown; "),
            (r#"{"handle":"a","handle":"b"}"#, "the field `handle` appears twice"),
            (r#"{"handle":1}"#, "`handle` takes a text, not a number"),
            (r#"{"handle":"a","limit":"1"}"#, "`limit` takes a whole number, not a text"),
            (r#"{"handle":"a","limit":1.5}"#, "`limit` takes a whole number, not a number"),
            (r#"{"handle":"a","region":null}"#, "`region` takes a text, not null"),
            (r#"{"handle":"a","detail":{}}"#, "`detail` takes a text, not an object"),
            (r#"{"region":"US"}"#, "`handle` is missing; it takes a text"),
            ("[]", "the body takes a JSON object with "),
            ("", "the body is empty; "),
        ] {
            let refused = read_json::<Fields<WhyFields>>(body.as_bytes());
            let said = refused.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.starts_with(says), "{body}: {said}");
        }
    }
}
