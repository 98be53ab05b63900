//! The description of a record, against the records.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::query_log::{Kind, LogRow};

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

#[test]
fn each_example_is_a_record_of_its_kind_with_every_field() {
    let described = described();
    assert_eq!(described.len(), Kind::ALL.len());
    for kind in Kind::ALL {
        let schema = &described[kind.code()];
        let example = &schema["examples"][0];
        let row: LogRow = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(&serde_json::to_value(&row).unwrap(), example);
        assert_eq!(schema["properties"]["kind"]["enum"], json!([kind.code()]));
        assert_eq!(example["kind"], kind.code());
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&schema["properties"]), names(example));
        for (name, property) in schema["properties"].as_object().unwrap() {
            // Beside a type that may be null it is in the first of two.
            let described = property.get("oneOf").map_or(property, |cases| &cases[0]);
            assert!(described["description"].is_string(), "{kind} {name}");
        }
    }
}
