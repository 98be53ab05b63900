//! `records.md`: the fields of a record, and what each code means, from the description of the API.

use dispatchd::tables::records::names;
use serde_json::Value;

use super::{code, compare, head, section, sentence, table};
use crate::openapi::described::kept;

/// The kinds of records and their schemas.
const KINDS: [(&str, &str); 3] =
    [("lookup", "LookupRecord"), ("change", "ChangeRecord"), ("refusals", "RefusalsRecord")];
/// The codes in a record: the title on the page, and the schema.
const CODES: [(&str, &str); 5] = [
    ("kind", "Kind"),
    ("route", "Route"),
    ("reason", "Reason"),
    ("change", "ChangeKind"),
    ("cause", "Cause"),
];
/// Codes that have no text for people, or a page of their own.
const LEFT_OUT: [&str; 2] = ["ProblemCode", "SummaryKind"];

/// A schema, through the reference to it, or the case that is not null.
fn resolved<'a>(schemas: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = schema.get("oneOf").map_or(schema, |cases| &cases[0]);
    match schema["$ref"].as_str() {
        Some(reference) => &schemas[reference.rsplit('/').next().unwrap()],
        None => schema,
    }
}

fn description(property: &Value) -> String {
    let described = property.get("oneOf").map_or(property, |cases| &cases[0]);
    sentence(described["description"].as_str().expect("each field is described"))
}

/// A sentence as it stands after a colon. An acronym keeps its letters.
fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().filter(|_| letters.clone().next().is_some_and(char::is_lowercase));
    first.map_or(text.to_owned(), |first| first.to_lowercase().chain(letters).collect())
}

/// The type of a field in Parquet.
fn column_type(schemas: &Value, property: &Value) -> &'static str {
    let schema = resolved(schemas, property);
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("integer"), Some("int32")) => "32-bit integer",
        (Some("integer"), _) => "64-bit integer",
        (_, Some("date-time")) => "`TIMESTAMP`, µs, UTC",
        _ => "text",
    }
}

/// Which log an answer of a cluster has a record from, and where: no fields of the record itself, so they are no columns.
const OF_ANSWERS: [&str; 3] = ["node", "place", "id"];

fn fields(schemas: &Value) -> String {
    let of_kind = |field: &str, schema: &str| schemas[schema]["properties"].get(field).cloned();
    let rows = names().map(|field| {
        let having: Vec<_> = KINDS
            .iter()
            .filter_map(|(kind, schema)| Some((*kind, of_kind(field, schema)?)))
            .collect();
        let of = match having.len() {
            3 => "all".to_owned(),
            _ => having.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", "),
        };
        let mut meanings: Vec<(String, Vec<&str>)> = Vec::new();
        for (kind, property) in &having {
            let meaning = description(property);
            match meanings.iter_mut().find(|(known, _)| *known == meaning) {
                Some((_, kinds)) => kinds.push(kind),
                None => meanings.push((meaning, vec![kind])),
            }
        }
        let meaning = match &meanings[..] {
            [(meaning, _)] => meaning.clone(),
            several => {
                let each = several.iter().map(|(meaning, of)| {
                    format!("Of {}: {}", of.join(", "), uncapitalised(meaning))
                });
                each.collect::<Vec<_>>().join(" ")
            }
        };
        vec![code(field), of, column_type(schemas, &having[0].1).to_owned(), meaning]
    });
    for (_, schema) in KINDS {
        for field in schemas[schema]["properties"].as_object().unwrap().keys() {
            let is_of_record = !OF_ANSWERS.contains(&field.as_str());
            let is_column = names().any(|name| name == field);
            assert_eq!(is_column, is_of_record, "{schema} has the field {field}");
        }
    }
    table(&["field", "of", "in Parquet", "meaning"], rows)
}

/// The codes of a schema with their meanings; those of problems have a page of their own.
fn codes(schemas: &Value, name: &str) -> String {
    let schema = &schemas[name];
    let problems = schemas["ProblemCode"]["enum"].as_array().unwrap();
    let all = schema["enum"].as_array().expect("a set of codes");
    let is_own = |code: &&Value| name == "ProblemCode" || !problems.contains(code);
    let rows: Vec<_> = all
        .iter()
        .filter(is_own)
        .map(|value| {
            let text = value.as_str().unwrap();
            let meaning = schema["x-enumDescriptions"][text].as_str().unwrap_or_default();
            assert!(!meaning.is_empty(), "{name}: {text} has no meaning");
            vec![code(text), sentence(meaning)]
        })
        .collect();
    let about = sentence(schema["description"].as_str().unwrap());
    let more = if rows.len() < all.len() {
        "\nA refused lookup has the code of [the problem](problems.md) as its reason.\n"
    } else {
        ""
    };
    format!("{about}\n\n{}{more}", table(&["code", "meaning"], rows))
}

fn page() -> String {
    let description = kept();
    let schemas = &description["components"]["schemas"];
    let about = "The fields of a record of the query log, and what each code of the API means. [Read the log]\
                 (../operators/log.md) says how to find records.";
    let mut page = head("Records", about);
    let kinds = KINDS.map(|(kind, schema)| {
        vec![code(kind), sentence(schemas[schema]["description"].as_str().unwrap())]
    });
    section(&mut page, 2, "Kinds of records", &table(&["kind", "meaning"], kinds));
    let after = "In an export every record has every column: null where the field is not of its kind. In JSON, a lookup has all \
                 of its fields, null or not. A change has only those that it concerns.";
    section(&mut page, 2, "A record", &format!("{}\n{}", fields(schemas), super::wrapped(after)));
    let examples = KINDS.map(|(_, schema)| schemas[schema]["examples"][0].to_string());
    let examples =
        format!("One of each kind:\n\n```json\n{}\n```", examples.join("\n```\n\n```json\n"));
    section(&mut page, 3, "Examples", &examples);
    for (title, name) in CODES {
        section(&mut page, 2, title, &codes(schemas, name));
    }
    let all = schemas.as_object().unwrap().iter();
    let others = all.filter(|(_, schema)| schema.get("x-enumDescriptions").is_some());
    let others: Vec<_> = others.map(|(name, _)| name.as_str()).collect();
    section(
        &mut page,
        2,
        "Other codes",
        "Answers of the API and reports of the command line use these codes.",
    );
    for name in others {
        if !LEFT_OUT.contains(&name) && !CODES.iter().any(|(_, known)| *known == name) {
            section(&mut page, 3, name, &codes(schemas, name));
        }
    }
    page
}

#[test]
fn records() {
    compare("records.md", &page());
}
