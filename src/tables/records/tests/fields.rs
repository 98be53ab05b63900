//! Every form of a record has the same fields: JSON, the API's description, CSV, Parquet, the reference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
};

use parquet::{
    basic::{LogicalType, TimeUnit, Type as Physical},
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};
use serde_json::{Value, json};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::{rows, write};
use crate::{
    clock::Timestamp,
    query_log::{Kind, LogRow},
};

/// Each field, in the order of the columns: the kinds of records that have it, and its type in Parquet. As in the reference.
const FIELDS: [(&str, &str, &str); 14] = [
    ("at", "all", "`TIMESTAMP`, µs, UTC"),
    ("kind", "all", "text"),
    ("request", "lookup", "text"),
    ("account", "lookup, change", "text"),
    ("device", "lookup, change", "text"),
    ("ip", "lookup", "text"),
    ("handle", "lookup, change", "text"),
    ("route", "lookup", "text"),
    ("reason", "lookup, refusals", "text"),
    ("status", "lookup, refusals", "32-bit integer"),
    ("took_us", "lookup", "64-bit integer"),
    ("change", "change", "text"),
    ("cause", "change", "text"),
    ("count", "refusals", "64-bit integer"),
];

fn fields_of(kind: Kind) -> BTreeSet<&'static str> {
    let has = |of: &str| of == "all" || of.split(", ").any(|code| code == kind.code());
    FIELDS.iter().filter(|(_, of, _)| has(of)).map(|(name, ..)| *name).collect()
}

/// The table of a record in the reference: name, kinds, type.
fn in_reference() -> Vec<(&'static str, &'static str, &'static str)> {
    let page = include_str!("../../../../docs/reference/records.md");
    let (_, table) = page.split_once("## A record\n").expect("the page describes a record");
    let rows = table.trim_start().lines().skip(2).take_while(|line| line.starts_with('|'));
    let fields = rows.flat_map(|row| {
        let cells: Vec<_> = row.split(" | ").map(|cell| cell.trim_start_matches("| ")).collect();
        let names = cells[0].split(", ").map(|name| name.trim_matches('`'));
        names.map(move |name| (name, cells[1], cells[2])).collect::<Vec<_>>()
    });
    fields.collect()
}

/// What the API's description says of each kind of record, by its code.
fn described() -> BTreeMap<String, Value> {
    let mut schemas = Vec::new();
    LogRow::schemas(&mut schemas);
    let schemas = serde_json::to_value(BTreeMap::from_iter(schemas)).unwrap();
    let record = serde_json::to_value(LogRow::schema()).unwrap();
    let mapping = record["discriminator"]["mapping"].as_object().unwrap();
    let found = mapping.iter().map(|(kind, reference)| {
        let (start, name) = reference.as_str().unwrap().rsplit_once('/').unwrap();
        assert_eq!(start, "#/components/schemas");
        assert!(record["oneOf"].as_array().unwrap().contains(&json!({"$ref": reference})));
        (kind.clone(), schemas[name].clone())
    });
    found.collect()
}

fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_form_of_a_record_has_every_field() {
    assert_eq!(in_reference(), FIELDS);
    let described = described();
    assert_eq!(described.len(), Kind::ALL.len());
    for &kind in Kind::ALL {
        let schema = &described[kind.code()];
        let mut properties = names(&schema["properties"]);
        // Which log of a cluster an answer has it from, and where: no columns.
        properties.retain(|name| !["node", "place", "id"].contains(name));
        assert_eq!(properties, fields_of(kind), "{kind}");
        // The example has all of them, also those that may be absent.
        assert_eq!(names(&schema["examples"][0]), fields_of(kind), "{kind}");
    }
    let folder = tempfile::tempdir().unwrap();
    let [csv, parquet] = ["log.csv", "log.parquet"].map(|name| folder.path().join(name));
    write(&csv, &rows(9), None);
    write(&parquet, &rows(9), None);
    let header = csv::Reader::from_path(&csv).unwrap().headers().unwrap().clone();
    assert_eq!(header.iter().collect::<Vec<_>>(), FIELDS.map(|(name, ..)| name));
    let reader = SerializedFileReader::new(File::open(&parquet).unwrap()).unwrap();
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    assert_eq!(columns.len(), FIELDS.len());
    for (column, (name, of, described)) in columns.iter().zip(FIELDS) {
        let (physical, logical) = match described {
            "text" => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            "32-bit integer" => (Physical::INT32, None),
            "64-bit integer" => (Physical::INT64, None),
            _ => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        };
        assert_eq!((column.name(), column.physical_type()), (name, physical));
        assert_eq!(column.logical_type_ref(), logical.as_ref(), "{name}");
        assert_eq!(column.self_type().is_optional(), of != "all", "{name}");
    }
}

#[test]
fn each_example_is_a_record_of_its_kind_and_each_field_is_described() {
    for (kind, schema) in described() {
        let example = &schema["examples"][0];
        let row: LogRow = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(&serde_json::to_value(&row).unwrap(), example);
        assert_eq!((&example["kind"], row.record.kind().code()), (&json!(kind), &*kind));
        assert_eq!(schema["properties"]["kind"]["enum"], json!([kind]));
        for (name, property) in schema["properties"].as_object().unwrap() {
            // Beside a type that may be null, the description is in the first of the two cases.
            let described = property.get("oneOf").map_or(property, |cases| &cases[0]);
            assert!(described["description"].is_string(), "{kind} {name}");
        }
        // A lookup has all fields, null or not; a change only those that it concerns.
        for required in schema["required"].as_array().unwrap() {
            assert!(example.get(required.as_str().unwrap()).is_some());
        }
    }
}

/// The text of a value in JSON, as a cell of CSV has it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        number => number.to_string(),
    }
}

#[test]
fn each_cell_is_what_the_json_says() {
    let folder = tempfile::tempdir().unwrap();
    let [csv, parquet] = ["log.csv", "log.parquet"].map(|name| folder.path().join(name));
    let rows = rows(88);
    write(&csv, &rows, None);
    write(&parquet, &rows, None);
    let mut csv = csv::Reader::from_path(&csv).unwrap();
    let csv: Vec<_> = csv.records().map(Result::unwrap).collect();
    let parquet = SerializedFileReader::new(File::open(&parquet).unwrap()).unwrap();
    let parquet: Vec<_> = parquet.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!((csv.len(), parquet.len()), (rows.len(), rows.len()));
    for ((csv, parquet), row) in csv.iter().zip(&parquet).zip(&rows) {
        let json = serde_json::to_value(row).unwrap();
        for ((name, ..), (cell, (_, field))) in
            FIELDS.into_iter().zip(csv.iter().zip(parquet.get_column_iter()))
        {
            let cell = if name == "handle" { cell.trim_start_matches('\'') } else { cell };
            let wanted = text(&json[name]);
            assert_eq!(cell, wanted.trim_start_matches('\''), "{name}");
            let found = match field {
                Field::Null => String::new(),
                Field::Str(text) => text.clone(),
                Field::Int(number) => number.to_string(),
                Field::Long(number) => number.to_string(),
                Field::TimestampMicros(at) => Timestamp::from_micros(*at as u64).to_string(),
                other => panic!("{name}: {other}"),
            };
            assert_eq!(found, wanted, "{name}");
        }
    }
}
