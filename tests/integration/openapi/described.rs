//! Holds answers to `docs/openapi.json`: the call is known, its status is declared, the body has the schema.

use std::{fs, sync::OnceLock};

use dispatchd::clock::Timestamp;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::Value;

/// The path of the description that the repository keeps.
pub(crate) const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");

/// The description that the repository keeps.
pub(crate) fn kept() -> &'static Value {
    static KEPT_DESCRIPTION: OnceLock<Value> = OnceLock::new();
    KEPT_DESCRIPTION
        .get_or_init(|| serde_json::from_str(&fs::read_to_string(KEPT).unwrap()).unwrap())
}

/// Panics unless the description declares this answer of a call.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, status: u16, headers: &HeaderMap, body: &[u8]) {
    let item = item(path);
    // A server answers HEAD as GET, without the body.
    let name = if method == Method::HEAD { "get" } else { &method.as_str().to_lowercase() };
    let what = format!("{method} {path} was answered with {status} and {}", shown(body));
    let body_json = || serde_json::from_slice::<Value>(body).unwrap_or_default();
    // Only a path that the listener does not have is answered so. That each has its own, another test makes sure. A head that is
    // too large has no path at all.
    let of_no_call = [(404, "not-found"), (414, "uri-too-long"), (431, "head-too-large")];
    if of_no_call.iter().any(|(of, code)| status == *of && body_json()["code"] == *code) {
        return;
    }
    let operation = match item.map(|item| &item[name]) {
        Some(operation @ Value::Object(_)) => operation,
        Some(_) => return assert_eq!(body_json()["code"], "method-not-allowed", "{what}"),
        None => panic!("{what}, a path that the description does not have"),
    };
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{what}, a status that the description does not declare");
    let content_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or_default();
    let content = &response["content"];
    if !content.is_object() || method == Method::HEAD {
        return assert!(body.is_empty(), "{what}, a body that the description does not declare");
    }
    let schema = &content[essence]["schema"];
    assert!(
        schema.is_object(),
        "{what} as `{content_type}`, which the description does not declare"
    );
    if essence.ends_with("json") && !essence.ends_with("x-ndjson") {
        fits(schema, &body_json()).unwrap_or_else(|why| panic!("{what}, but {why}"));
    }
    if let (Some(row), Ok(text)) = (schema.get("contentSchema"), std::str::from_utf8(body)) {
        for line in text.lines().filter(|_| essence.ends_with("x-ndjson")) {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{what}"));
            fits(row, &line).unwrap_or_else(|why| panic!("{what}, but {why} in {line}"));
        }
    }
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(600)]).into_owned()
}

/// The item of a path. A path without a parameter goes before one with a parameter.
fn item(path: &str) -> Option<&'static Value> {
    let paths = kept()["paths"].as_object().unwrap();
    let is_template = |template: &str| {
        let (parts, asked) = (template.split('/'), path.split('/'));
        parts.clone().count() == asked.clone().count()
            && parts.zip(asked).all(|(part, asked)| part.starts_with('{') || part == asked)
    };
    let template = || paths.iter().find(|(template, _)| is_template(template)).map(|found| found.1);
    paths.get(path).or_else(template)
}

/// Whether `value` has the schema, as far as this API's description uses JSON Schema; else what is wrong.
fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(to) = schema["$ref"].as_str() {
        return fits(kept().pointer(to.trim_start_matches('#')).unwrap(), value);
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        let faults: Vec<_> = variants.iter().filter_map(|one| fits(one, value).err()).collect();
        let fitting = variants.len() - faults.len();
        return (fitting == 1).then_some(()).ok_or(format!("{fitting} variants fit: {faults:?}"));
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.as_slice(),
        one => std::slice::from_ref(one),
    };
    let is_type =
        types.iter().any(|name| name == type_of(value) || (name == "number" && value.is_number()));
    if !is_type && !types[0].is_null() {
        return Err(format!("{value} is not of type {types:?}"));
    }
    if schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
        return Err(format!("{value} is not one of {}", schema["enum"]));
    }
    match value {
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let mut missing = required.filter(|name| !fields.contains_key(name.as_str().unwrap()));
            if let Some(missing) = missing.next() {
                return Err(format!("{missing} is missing"));
            }
            if schema["properties"].is_null() && schema["additionalProperties"].is_null() {
                return Ok(());
            }
            for (name, field) in fields {
                let known =
                    schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                if !known.is_object() {
                    return Err(format!("the field `{name}` is not described"));
                }
                fits(known, field).map_err(|why| format!("{name}: {why}"))?;
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| fits(&schema["items"], item)),
        Value::String(text) if schema["format"] == "date-time" => {
            text.parse::<Timestamp>().map(drop).map_err(|_| format!("{text} is no instant"))
        }
        Value::Number(number) => {
            let minimum = schema["minimum"].as_f64().unwrap_or(f64::MIN);
            let is_enough = number.as_f64().is_some_and(|number| number >= minimum);
            is_enough.then_some(()).ok_or(format!("{number} is less than {minimum}"))
        }
        _ => Ok(()),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
