//! Every form of a record has the same fields: JSON, the API's description, CSV, Parquet, README.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
};

use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::{rows, write};
use crate::query_log::{Kind, LogRow};

/// Each field, in the order of the columns: the kinds of records that have it, and its type in Parquet. As in README.
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

/// The table of a record in README: name, kinds, type.
fn in_readme() -> Vec<(&'static str, &'static str, &'static str)> {
    let readme = include_str!("../../../../README.md");
    let (_, table) = readme.split_once("## A record\n").expect("README describes a record");
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
    assert_eq!(in_readme(), FIELDS);
    let described = described();
    assert_eq!(described.len(), Kind::ALL.len());
    for &kind in Kind::ALL {
        let schema = &described[kind.code()];
        assert_eq!(names(&schema["properties"]), fields_of(kind), "{kind}");
        // The example has all of them, also those that may be absent.
        assert_eq!(names(&schema["examples"][0]), fields_of(kind), "{kind}");
    }
    let folder = tempfile::tempdir().unwrap();
    let [csv, parquet] = ["log.csv", "log.parquet"].map(|name| folder.path().join(name));
    write(&csv, &rows(9), None);
    write(&parquet, &rows(9), None);
    let header = csv::Reader::from_path(&csv).unwrap().headers().unwrap().clone();
    assert_eq!(header.iter().collect::<Vec<_>>(), FIELDS.map(|(name, ..)| name));
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&parquet).unwrap()).unwrap();
    assert_eq!(reader.schema().fields().len(), FIELDS.len());
    for (field, (name, of, data_type)) in reader.schema().fields().iter().zip(FIELDS) {
        let data_type = match data_type {
            "text" => DataType::Utf8,
            "32-bit integer" => DataType::Int32,
            "64-bit integer" => DataType::Int64,
            _ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        assert_eq!((field.name().as_str(), field.data_type()), (name, &data_type));
        assert_eq!(field.is_nullable(), of != "all", "{name}");
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

#[test]
fn each_cell_is_what_the_json_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let rows = rows(44);
    write(&path, &rows, None);
    let text = fs::read_to_string(&path).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    for (cells, row) in reader.records().zip(&rows) {
        let json = serde_json::to_value(row).unwrap();
        for (cell, (name, ..)) in cells.unwrap().iter().zip(FIELDS) {
            let cell =
                if name == "handle" { cell.strip_prefix('\'').unwrap_or(cell) } else { cell };
            let wanted = match &json[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                number => number.to_string(),
            };
            assert_eq!(cell, wanted, "{name}");
        }
    }
}
