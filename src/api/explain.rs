//! JSON bodies: read as a type, or refused with what is wrong and what the type takes.
//!
//! The common case is one pass of serde. Only a body that serde refuses is read again as a document and compared with the
//! schema of the type, which is also its description in the API.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, error::Category, json};
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::{
    call::Invalid,
    words::{not_one_of, takes, twice, unknown_name},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a body as `T`. Skips a byte order mark. Half a surrogate pair (`\ud83d` alone) is read as U+FFFD, as decoders of
/// UTF-8 do with half a character.
///
/// # Errors
/// What is wrong with the body. The text quotes nothing but plain words.
pub fn read_json<T: DeserializeOwned + ToSchema>(body: &[u8]) -> Result<T, Invalid> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let read = |body| match serde_json::from_slice::<T>(body) {
        // A derived `Deserialize` accepts an array for an object, with the fields by position.
        Ok(_) if body.trim_ascii_start().starts_with(b"[") => Err(None),
        Ok(request) => Ok(request),
        Err(error) => Err(Some(error)),
    };
    let refused = match read(body) {
        Ok(request) => return Ok(request),
        Err(refused) => refused,
    };
    let whole = replace_lone_surrogates(body);
    let refused = match &whole {
        Cow::Owned(whole) => match read(whole) {
            Ok(request) => return Ok(request),
            Err(refused) => refused,
        },
        Cow::Borrowed(_) => refused,
    };
    let mut named = Vec::new();
    T::schemas(&mut named);
    let named = named.iter().map(|(name, schema)| (name.as_str(), json(schema))).collect();
    let types = Types { body: json(&T::schema()), named };
    Err(Invalid::new(types.explain(&whole, refused.as_ref())))
}

/// A closed set that is only named here: the call itself compares the values.
static TEXT: LazyLock<Value> = LazyLock::new(|| json!({"type": "string"}));

/// The schema of a body, and those that it refers to, by their names.
struct Types<'a> {
    body: Value,
    named: BTreeMap<&'a str, Value>,
}

impl Types<'_> {
    fn explain(&self, body: &[u8], refused: Option<&serde_json::Error>) -> String {
        if body.trim_ascii().is_empty() {
            return format!("the body is empty; it takes {}", what_it_takes(&self.body));
        }
        if std::str::from_utf8(body).is_err() {
            return "the body is not JSON in UTF-8".to_owned();
        }
        let document = match serde_json::from_slice::<Value>(body) {
            Ok(document) => document,
            Err(error) => {
                let is_cut = error.classify() == Category::Eof;
                let what = if is_cut { "the JSON ends too early" } else { "the body is not JSON" };
                return format!("{what} (line {}, column {})", error.line(), error.column());
            }
        };
        // serde names the field in this message only, and takes the name from the type.
        let said = refused.map(ToString::to_string).unwrap_or_default();
        let repeated = said.strip_prefix("duplicate field `").and_then(|rest| rest.split_once('`'));
        if let Some((field, _)) = repeated {
            return twice("field", field);
        }
        let fault = self.fault(&self.body, &document, "");
        fault.unwrap_or_else(|| format!("the body takes {}", what_it_takes(&self.body)))
    }

    /// The first thing in `came`, at `path`, that does not fit `schema`.
    fn fault(&self, schema: &Value, came: &Value, path: &str) -> Option<String> {
        let schema = self.resolve(schema, came)?;
        if let Some(known) = texts(&schema["enum"]) {
            return match came {
                Value::String(text) if known.contains(&text.as_str()) => None,
                Value::String(text) => Some(not_one_of(path, text, &known)),
                other => Some(refuse(path, schema, other)),
            };
        }
        let types = &schema["type"];
        let fits = |kind: &Value| kind.as_str().is_some_and(|kind| is_of(kind, came));
        if !types.as_array().map_or_else(|| fits(types), |types| types.iter().any(fits)) {
            return Some(refuse(path, schema, came));
        }
        match came {
            Value::Object(fields) => self.fault_of_object(schema, fields, path),
            Value::Array(items) => {
                // A refused batch has many items, so the path of an item is written only for the one at fault.
                let fault = |item, path: &str| self.fault(&schema["items"], item, path);
                let at = items.iter().position(|item| fault(item, "").is_some())?;
                fault(&items[at], &format!("{path}[{at}]"))
            }
            _ => None,
        }
    }

    /// Unknown fields first: one of them may be the missing one, misspelled.
    fn fault_of_object(
        &self,
        schema: &Value,
        came: &Map<String, Value>,
        path: &str,
    ) -> Option<String> {
        let properties = schema["properties"].as_object()?;
        let known: Vec<_> = properties.keys().map(String::as_str).collect();
        let unknown = came.keys().find(|name| !properties.contains_key(*name));
        if let Some(name) = unknown.filter(|_| schema["additionalProperties"] == false) {
            return Some(unknown_name("field", name, &known));
        }
        let path_of = |name: &str| match path {
            "" => name.to_owned(),
            _ => format!("{path}.{name}"),
        };
        let fault =
            |(name, schema): (&String, &Value)| self.fault(schema, came.get(name)?, &path_of(name));
        let is_missing = |name: &&str| !came.contains_key(*name);
        properties.iter().find_map(fault).or_else(|| {
            let name = texts(&schema["required"])?.into_iter().find(is_missing)?;
            let property = self.resolve(&properties[name], &Value::Bool(true))?;
            Some(format!("`{}` is missing; it takes {}", path_of(name), what_it_takes(property)))
        })
    }

    /// The schema behind references and behind the alternative of null. None if `came` is that null.
    fn resolve<'a>(&'a self, schema: &'a Value, came: &Value) -> Option<&'a Value> {
        if let Some(name) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
            return self.resolve(self.named.get(name).unwrap_or(&TEXT), came);
        }
        let Some(either) = schema["oneOf"].as_array().or(schema["allOf"].as_array()) else {
            return Some(schema);
        };
        let is_null = |schema: &&Value| schema["type"] == "null";
        if came.is_null() && either.iter().any(|schema| is_null(&schema)) {
            return None;
        }
        self.resolve(either.iter().find(|schema| !is_null(schema))?, came)
    }
}

fn json(schema: &RefOr<Schema>) -> Value {
    // A schema always has a JSON form.
    serde_json::to_value(schema).unwrap_or_default()
}

fn texts(array: &Value) -> Option<Vec<&str>> {
    Some(array.as_array()?.iter().filter_map(Value::as_str).collect())
}

fn is_of(kind: &str, came: &Value) -> bool {
    match kind {
        "integer" => came.is_u64() || came.is_i64(),
        "number" => came.is_number(),
        "string" => came.is_string(),
        "boolean" => came.is_boolean(),
        "array" => came.is_array(),
        "object" => came.is_object(),
        "null" => came.is_null(),
        _ => true,
    }
}

fn refuse(path: &str, schema: &Value, came: &Value) -> String {
    let came = match came {
        Value::Null => "null",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let what = format!("{}, not {came}", what_it_takes(schema));
    if path.is_empty() { format!("the body takes {what}") } else { takes(path, &what) }
}

/// What fits a schema that refers to no other.
fn what_it_takes(schema: &Value) -> String {
    if let Some(known) = texts(&schema["enum"]) {
        return format!("one of {}", known.join(", "));
    }
    let kinds = &schema["type"];
    let kind = kinds.as_str().or_else(|| kinds[0].as_str()).unwrap_or_default();
    match kind {
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "string" => "a text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" if schema["items"]["type"] == "string" => "an array of texts".to_owned(),
        "array" => "an array".to_owned(),
        _ => {
            let fields = schema["properties"].as_object();
            let names: Vec<_> =
                fields.into_iter().flat_map(Map::keys).map(String::as_str).collect();
            format!("a JSON object with {}", names.join(", "))
        }
    }
}

/// Replaces escapes of half a surrogate pair, which no UTF-8 text can hold, by escapes of U+FFFD. Lengths stay, so that
/// columns in errors stay right.
fn replace_lone_surrogates(body: &[u8]) -> Cow<'_, [u8]> {
    let unit = |at: usize| -> Option<u16> {
        let escape = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
    };
    let mut whole = Cow::Borrowed(body);
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        at += match (byte, unit(at)) {
            (b'\\', Some(0xd800..=0xdbff)) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            (b'\\', Some(0xd800..=0xdfff)) => {
                whole.to_mut()[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;
    use crate::api::{BatchRequest, CodeRequest, HandleChange, HandleRequest, SignUpRequest};

    fn said<T: DeserializeOwned + ToSchema + Debug>(body: &str) -> String {
        read_json::<T>(body.as_bytes()).unwrap_err().to_string()
    }

    const PLATFORMS: &str = "ios, ipados, macos, watchos, visionos, other";

    #[test]
    fn a_body_that_does_not_fit_names_the_field_what_came_and_what_it_takes() {
        let platforms = |before: &str| format!("{before}{PLATFORMS}");
        for (body, text) in [
            (r#"{"platform":"android"}"#, platforms(r#"platform: "android" is not one of "#)),
            (
                r#"{"platform":"IOS"}"#,
                platforms(r#"platform: "IOS" is not one of "#) + "; did you mean `ios`?",
            ),
            (r#"{"platform":"+14155550123"}"#, platforms("`platform` takes one of ")),
            (r#"{"platform":7}"#, platforms("`platform` takes one of ") + ", not a number"),
            (r#"{"platform":null}"#, platforms("`platform` takes one of ") + ", not null"),
            ("{}", platforms("`platform` is missing; it takes one of ")),
            (
                r#"{"platfrom":"ios"}"#,
                "the field `platfrom` is unknown; this call takes link_code, name, platform; did you mean `platform`?"
                    .to_owned(),
            ),
            (
                r#"{"platform":"ios","+14155550123":1}"#,
                "a field is unknown; this call takes link_code, name, platform".to_owned(),
            ),
            (r#"{"platform":"ios","name":["Ann"]}"#, "`name` takes a text, not an array".to_owned()),
            (
                r#"{"platform":"ios","platform":"ios"}"#,
                "the field `platform` appears twice".to_owned(),
            ),
            (
                r#"["ios",null,null]"#,
                "the body takes a JSON object with link_code, name, platform, not an array".to_owned(),
            ),
            (
                r#""ios""#,
                "the body takes a JSON object with link_code, name, platform, not a text".to_owned(),
            ),
            (
                " \n",
                "the body is empty; it takes a JSON object with link_code, name, platform".to_owned(),
            ),
            (r#"{"platform":"ios""#, "the JSON ends too early (line 1, column 17)".to_owned()),
            ("{\n 'platform'", "the body is not JSON (line 2, column 2)".to_owned()),
            (r#"{"platform":"ios"} x"#, "the body is not JSON (line 1, column 20)".to_owned()),
        ] {
            assert_eq!(said::<SignUpRequest>(body), text, "{body}");
        }
        assert_eq!(
            said::<BatchRequest>(r#"{"handles":7}"#),
            "`handles` takes an array of texts, not a number"
        );
        assert_eq!(
            said::<BatchRequest>(r#"{"handles":["a","b","c",{"x":1}]}"#),
            "`handles[3]` takes a text, not an object"
        );
        assert_eq!(
            said::<BatchRequest>(r#"{"handles":["a"],"region":1}"#),
            "`region` takes a text, not a number"
        );
        assert_eq!(said::<BatchRequest>("{}"), "`handles` is missing; it takes an array of texts");
        assert_eq!(
            said::<HandleChange>(r#"{"discoverable":"no"}"#),
            "`discoverable` takes true or false, not a text"
        );
        assert_eq!(said::<HandleRequest>(r#"{"handle":true}"#), "`handle` takes a text, not true");
        let latin = read_json::<HandleRequest>(b"{\"handle\":\"\xe9@example.com\"}").unwrap_err();
        assert_eq!(latin.to_string(), "the body is not JSON in UTF-8");
    }

    #[test]
    fn what_fits_is_read_with_a_byte_order_mark_and_with_null_for_what_may_be_absent() {
        let body = "\u{feff}{\"platform\":\"ios\",\"name\":null}";
        let request = read_json::<SignUpRequest>(body.as_bytes()).unwrap();
        assert_eq!((request.platform, request.name), (crate::vocabulary::Platform::Ios, None));
    }

    #[test]
    fn half_a_surrogate_pair_is_one_odd_character_and_not_a_broken_body() {
        for (body, read) in [
            (r#"{"handle":"a\ud83d@b"}"#, "a\u{fffd}@b"),
            (r#"{"handle":"a\uDE00@b"}"#, "a\u{fffd}@b"),
            (r#"{"handle":"a\ud83d\ud83d\ude00@b"}"#, "a\u{fffd}\u{1f600}@b"),
            (r#"{"handle":"\\ud83d"}"#, "\\ud83d"),
            (r#"{"handle":"\\\ud83d"}"#, "\\\u{fffd}"),
            (r#"{"handle":"\ud83d\n"}"#, "\u{fffd}\n"),
        ] {
            assert_eq!(read_json::<HandleRequest>(body.as_bytes()).unwrap().handle, read, "{body}");
        }
        assert_eq!(
            said::<HandleRequest>(r#"{"handle":"\ud8"}"#),
            "the body is not JSON (line 1, column 17)"
        );
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic_and_no_error_quotes_a_secret(
            template in prop::sample::select(vec![
                r#"{"S":1}"#,
                r#"{"platform":"S"}"#,
                r#"{"platform":"ios","name":{"S":"S"}}"#,
                r#"{"code":S}"#,
                r#"{"code":["S"],"S":"S"}"#,
                r#"{"handles":["S",S],"region":"S"}"#,
                r#"[["S"],S]"#,
                "\u{feff}S \\ud83d\"S",
            ]),
            odd in ".{0,3}",
            cut in 0..60_usize,
        ) {
            let whole = template.replace('S', &format!("4155550123{odd}"));
            for body in [whole.as_bytes(), whole.as_bytes().get(..cut).unwrap_or_default()] {
                for result in [
                    read_json::<BatchRequest>(body).map(drop),
                    read_json::<SignUpRequest>(body).map(drop),
                    read_json::<CodeRequest>(body).map(drop),
                ] {
                    let text = result.map_err(|error| error.to_string()).err().unwrap_or_default();
                    prop_assert!(!text.contains("4155550123"), "{text}");
                }
            }
        }
    }
}
