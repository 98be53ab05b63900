//! Problems in the description: each call declares the codes that it can be refused with, each code has a schema.

use std::collections::BTreeMap;

use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        Content, ObjectBuilder, Ref, RefOr, Response, Schema, Type,
        path::Operation,
        schema::{Discriminator, OneOf},
    },
};

use super::headers;
use crate::{
    api::Problem,
    http::fence::is_fenced,
    vocabulary::{ProblemCode as Code, Retry},
};

type Schemas = BTreeMap<String, RefOr<Schema>>;

const CONTENT_TYPE: &str = "application/problem+json";
/// The fields that every problem has.
const STANDARD: &[&str] = &["type", "title", "status", "detail", "code", "retry"];

/// The fields that a code adds to the standard ones: those that it always has, and those that it may have.
const fn own_fields(code: Code) -> (&'static [&'static str], &'static [&'static str]) {
    match code {
        Code::HandleInvalid => (&["reason"], &[]),
        Code::CodeWrong => (&["attempts_left"], &[]),
        Code::RateLimited => (&["limit", "cost"], &["attempts_left"]),
        Code::LookupQuota => (&["limit", "cost", "remaining"], &[]),
        Code::RegistryLoading
        | Code::RegistryBehind
        | Code::RegistryDiverged
        | Code::LogUnwritable => (&[], &["missing"]),
        _ => (&[], &[]),
    }
}

/// Declares the problems of a call: those that a response's description names, and those that follow from its token, its
/// body, and what it reads. Adds their schemas to `schemas`.
pub(super) fn declare(operation: &mut Operation, schemas: &mut Schemas) {
    for code in common(operation) {
        let response = operation.responses.responses.entry(code.status().to_string());
        let response = response.or_insert_with(|| Response::default().into());
        let RefOr::T(Response { description, .. }) = response else { continue };
        if !named(description).contains(&code) {
            let gap = if description.is_empty() { "" } else { ". " };
            description.push_str(&format!("{gap}`{code}`: {}", code.title()));
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) {
            refuse(response, schemas);
        }
    }
}

/// The codes that follow from what a call takes.
fn common(operation: &Operation) -> impl Iterator<Item = Code> + use<> {
    let takes_json = operation.request_body.as_ref().is_some_and(|body| match body {
        RefOr::T(body) => body.content.contains_key("application/json"),
        RefOr::Ref(_) => false,
    });
    let body = [Code::BodyTooLarge, Code::ContentTypeUnsupported];
    let body = body.into_iter().filter(move |_| takes_json);
    // Of any request that is no valid HTTP.
    let http = [Code::RequestInvalid, Code::TransferCodingUnsupported, Code::Internal];
    let host = is_of_operators(operation).then_some(Code::HostUnknown);
    let token = operation.security.is_some().then_some(Code::TokenInvalid);
    let role = takes_a_role(operation).then_some(Code::RoleInsufficient);
    let not_current = [Code::RegistryBehind, Code::RegistryDiverged];
    let is_fenced = is_fenced(operation);
    let fence = not_current.into_iter().filter(move |_| is_fenced);
    body.chain(token).chain(role).chain(fence).chain(host).chain(http)
}

/// Whether a call refuses some operators: each that takes a role, because nodes and people have no call in common.
fn takes_a_role(operation: &Operation) -> bool {
    role(operation).is_some()
}

/// Whether the operators' listener has a call. Those with these tags are on both.
fn is_of_operators(operation: &Operation) -> bool {
    let mut tags = operation.tags.iter().flatten();
    role(operation).is_some()
        || tags.any(|tag| ["health", "description", "joining"].contains(&tag.as_str()))
}

/// The least role that an operator's call takes.
fn role(operation: &Operation) -> Option<String> {
    // The fields of a requirement are private.
    let security = serde_json::to_value(&operation.security).unwrap_or_default();
    security.pointer("/0/operator/0").and_then(|role| role.as_str()).map(str::to_owned)
}

/// The codes that a description names in backticks.
fn named(description: &str) -> Vec<Code> {
    description.split('`').filter_map(Code::from_code).collect()
}

/// Gives a refusal the schema of its codes.
fn refuse(response: &mut Response, schemas: &mut Schemas) {
    let codes = named(&response.description);
    if codes.iter().any(|code| code.retry() == Retry::Later) {
        response.headers.insert("Retry-After".to_owned(), headers::reference("RetryAfter"));
    }
    let mut own: Vec<_> = codes.iter().map(|code| (name(*code), schema(*code))).collect();
    Problem::schemas(&mut own);
    schemas.extend(own);
    let mut items: Vec<_> = codes.iter().map(|code| reference(*code)).collect();
    let schema = match items.len() {
        1 => items.remove(0),
        _ => {
            let mapping = codes.iter().map(|code| (code.to_string(), location(*code)));
            let discriminator = Some(Discriminator::with_mapping("code", mapping));
            RefOr::T(Schema::OneOf(OneOf { items, discriminator, ..OneOf::default() }))
        }
    };
    response.content.insert(CONTENT_TYPE.to_owned(), RefOr::T(Content::new(Some(schema))));
}

fn reference(code: Code) -> RefOr<Schema> {
    Ref::new(location(code)).into()
}

fn location(code: Code) -> String {
    format!("#/components/schemas/{}", name(code))
}

/// The name of a code's schema, such as `HandleInvalidProblem`.
fn name(code: Code) -> String {
    format!("{code:?}Problem")
}

/// The problem with this code.
fn schema(code: Code) -> RefOr<Schema> {
    let mut schema = Problem::schema();
    let RefOr::T(Schema::Object(object)) = &mut schema else { return schema };
    let (own, at_times) = own_fields(code);
    let later: &[_] = if code.retry() == Retry::Later { &["retry_after"] } else { &[] };
    let always = [STANDARD, own, later].concat();
    let is_there = |field: &String| [&always, at_times].concat().contains(&field.as_str());
    object.properties.retain(|field, _| is_there(field));
    object.required = always.into_iter().map(str::to_owned).collect();
    for (field, value) in [("code", code.code()), ("retry", code.retry().code())] {
        let only = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([value]));
        let described = object.properties.get(field).map(description).unwrap_or_default();
        object.properties.insert(field.to_owned(), only.description(Some(described)).into());
    }
    for (field, example) in [
        ("type", format!("urn:dispatchd:problem:{code}").into()),
        ("title", code.title().into()),
        ("status", code.status().into()),
    ] {
        if let Some(RefOr::T(Schema::Object(field))) = object.properties.get_mut(field) {
            field.example = Some(example);
        }
    }
    if code != Code::HandleInvalid
        && let Some(RefOr::T(Schema::Object(detail))) = object.properties.get_mut("detail")
    {
        detail.example = None;
    }
    object.description = Some(code.title().to_owned());
    schema
}

fn description(schema: &RefOr<Schema>) -> String {
    match schema {
        RefOr::Ref(to) => to.description.clone(),
        RefOr::T(Schema::Object(object)) => object.description.clone().unwrap_or_default(),
        RefOr::T(_) => String::new(),
    }
}
