//! Every type is that of `docs/openapi.json`: fields, values, calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::Fake;
use crate::{
    Answer, Batch, CheckedIn, DeregisteredHandle, Error, HandleLoss, HandleReason, ItemError,
    Limit, LostHandle, MadeLinkCode, Missing, OwnDevice, OwnHandle, Platform, Problem, ProblemCode,
    ProvedHandle, Refused, Retry, Route, SentBy, SignUp, SignedUp, Together, Verification,
    device::{BatchRequest, CodeRequest, HandleChange, HandleRequest},
};

fn description() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The schema that a reference leads to.
fn resolved<'a>(schema: &'a Value, all: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => resolved(all.pointer(&path[1..]).unwrap(), all),
        None => schema,
    }
}

/// A value that the schema describes, with every property.
fn example(schema: &Value, all: &Value) -> Value {
    let schema = resolved(schema, all);
    if let Some(first) = schema["enum"].get(0).or_else(|| schema["examples"].get(0)) {
        return first.clone();
    }
    if let Some(case) = schema["oneOf"].get(0) {
        return example(case, all);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap();
    match kind {
        "object" => {
            let properties = schema["properties"].as_object().unwrap().iter();
            properties.map(|(name, schema)| (name.clone(), example(schema, all))).collect()
        }
        "array" => json!([example(&schema["items"], all)]),
        "string" => "text".into(),
        "boolean" => true.into(),
        "integer" => 7.into(),
        _ => panic!("{kind}"),
    }
}

/// Checks that a type reads each property of a schema, needs only the required ones, and takes more.
fn reads<T: DeserializeOwned>(name: &str) {
    let all = description();
    let schema = &all["components"]["schemas"][name];
    let Value::Object(whole) = example(schema, &all) else { panic!("{name} is no object") };
    let read = |fields: &Map<String, Value>| T::deserialize(Value::from(fields.clone()));
    assert!(read(&whole).is_ok(), "{name}: {whole:?}");
    let mut more = whole.clone();
    more.insert("new_field".into(), json!({"new": [1]}));
    assert!(read(&more).is_ok(), "{name} takes a field of a newer server");
    let required = schema["required"].as_array().unwrap();
    for field in whole.keys() {
        let mut fields = whole.clone();
        fields.insert(field.clone(), json!({"wrong": [1]}));
        assert!(read(&fields).is_err(), "{name} does not read {field}");
        fields.remove(field);
        let is_required = required.contains(&Value::from(field.as_str()));
        assert!(is_required || read(&fields).is_ok(), "{name} needs {field}");
    }
}

#[test]
fn every_field_of_an_answer_is_read() {
    reads::<SignedUp>("SignUpAnswer");
    reads::<OwnDevice>("OwnDevice");
    reads::<OwnHandle>("HandleDetails");
    reads::<LostHandle>("LostDetails");
    reads::<CheckedIn>("CheckInAnswer");
    reads::<MadeLinkCode>("LinkCodeAnswer");
    reads::<Verification>("Verification");
    reads::<ProvedHandle>("ProvedHandle");
    reads::<DeregisteredHandle>("DeregisteredHandle");
    reads::<Answer>("LookupAnswer");
    reads::<Batch>("BatchAnswer");
    reads::<Refused>("RefusedItem");
    reads::<ItemError>("ItemError");
    reads::<Problem>("Problem");
}

#[test]
fn every_field_of_a_request_can_be_sent() {
    let all = description();
    let sends = |name: &str, request: Value| {
        let properties = all["components"]["schemas"][name]["properties"].as_object().unwrap();
        let ours = request.as_object().unwrap();
        assert!(properties.keys().eq(ours.keys()), "{name}: {request}");
    };
    let name = Some("a phone".to_owned());
    let device = SignUp { platform: Platform::Ios, name, link_code: Some("x".into()) };
    sends("SignUpRequest", json!(device));
    sends("HandleRequest", json!(HandleRequest { handle: "+1", region: Some("US") }));
    sends("HandleChange", json!(HandleChange { discoverable: true }));
    sends("CodeRequest", json!(CodeRequest { code: "123456" }));
    sends("BatchRequest", json!(BatchRequest { handles: vec!["+1"], region: Some("US") }));
}

#[test]
fn every_value_is_known_and_a_new_one_is_no_other() {
    let all = description();
    macro_rules! knows {
        ($($ours:ident $schema:literal,)*) => {$(
            let values = all["components"]["schemas"][$schema]["enum"].as_array().unwrap();
            let theirs: BTreeSet<_> = values.iter().map(|value| value.as_str().unwrap()).collect();
            let ours: BTreeSet<_> = $ours::KNOWN.iter().map($ours::as_str).collect();
            assert_eq!(ours, theirs, $schema);
            for value in $ours::KNOWN {
                assert_eq!($ours::from(value.as_str()), *value);
            }
            for text in ["new-value", "", "SMS", " sms", "Unknown"] {
                let new = $ours::deserialize(Value::from(text)).unwrap();
                assert_eq!(new, $ours::Unknown(text.into()));
                assert_eq!(serde_json::to_value(&new).unwrap(), text);
            }
        )*};
    }
    knows! {
        Route "Route",
        Together "Together",
        Platform "Platform",
        SentBy "SentBy",
        HandleLoss "HandleLoss",
        HandleReason "HandleReason",
        Retry "Retry",
        Missing "Missing",
        Limit "Limit",
        ProblemCode "ProblemCode",
    }
}

/// The phones' calls with whether each takes a body.
fn described_calls() -> BTreeMap<String, bool> {
    let all = description();
    let mut calls = BTreeMap::new();
    for (path, item) in all["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap() {
            let tag = call["tags"][0].as_str().unwrap_or_default();
            if ["lookup", "devices", "handles"].contains(&tag) {
                let name = format!("{} {path}", method.to_uppercase());
                calls.insert(name, call.get("requestBody").is_some());
            }
        }
    }
    calls
}

#[tokio::test(start_paused = true)]
async fn every_call_is_made_as_described() {
    let fake = Fake::new(|_, _| Err(Error::Unreadable));
    let (server, phone) = (fake.server(), fake.phone());
    server.sign_up(&SignUp::new(Platform::Ios)).await.unwrap_err();
    server.deregister("+1", None).await.unwrap_err();
    phone.confirm("v_1", "123456").await.unwrap_err();
    phone.device().await.unwrap_err();
    phone.check_in().await.unwrap_err();
    phone.make_link_code().await.unwrap_err();
    phone.claim("+1", None).await.unwrap_err();
    phone.set_discoverable("+1", true).await.unwrap_err();
    phone.give_up("+1").await.unwrap_err();
    phone.look_up("+1", None).await.unwrap_err();
    phone.sign_out().await.unwrap_err();
    let named = |path: String| path.replace("/v_1", "/{verification}").replace("/+1", "/{handle}");
    let made: BTreeMap<_, _> =
        fake.sent().into_iter().map(|(path, body, _)| (named(path), !body.is_null())).collect();
    let mut described = described_calls();
    // A proxy would log the handle.
    assert!(described.remove("GET /v1/lookup/{handle}").is_some());
    assert_eq!(made, described);
}
