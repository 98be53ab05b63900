//! What the documents for phone developers say of codes and limits is what the code says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use dispatchd::{
    limits, quota, registry, verification,
    vocabulary::{Limit, ProblemCode, QuotaLimit},
};
use serde_json::Value;

use super::document::{Document, document};
use crate::{openapi::described::KEPT, reference::grouped};

/// The codes that a listener adds to those of the calls: of requests that reach none.
const OF_THE_LISTENER: [ProblemCode; 4] = [
    ProblemCode::NotFound,
    ProblemCode::MethodNotAllowed,
    ProblemCode::UriTooLong,
    ProblemCode::HeadTooLarge,
];

/// The cells of the rows in tables, without heads.
fn rows(section: &Document) -> Vec<Vec<&str>> {
    let is_rule = |line: &str| line.starts_with("| ---");
    let mut found = Vec::new();
    for (at, (_, line)) in section.prose.iter().enumerate() {
        let is_head = section.prose.get(at + 1).is_some_and(|(_, next)| is_rule(next));
        if line.starts_with('|') && !is_rule(line) && !is_head {
            found.push(line.trim_matches('|').split('|').map(str::trim).collect());
        }
    }
    found
}

/// What stands in backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The calls of the phones' listener as `POST /v1/lookup`, with the codes of each and whether it takes a token and a body.
fn calls() -> BTreeMap<String, (BTreeSet<ProblemCode>, bool, bool)> {
    let description: Value = serde_json::from_str(&fs::read_to_string(KEPT).unwrap()).unwrap();
    let mut calls = BTreeMap::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap() {
            let tag = call["tags"][0].as_str().unwrap_or_default();
            let is_health = ["/livez", "/readyz"].contains(&path.as_str());
            let is_phones = is_health || ["lookup", "devices", "handles"].contains(&tag);
            // A path also has fields that are no calls.
            if !is_phones || call.get("operationId").is_none() {
                continue;
            }
            let mut codes = BTreeSet::new();
            for response in call["responses"].as_object().unwrap().values() {
                let schema = &response["content"]["application/problem+json"]["schema"];
                let one = std::slice::from_ref(schema);
                for case in schema["oneOf"].as_array().map_or(one, Vec::as_slice) {
                    let Some(location) = case["$ref"].as_str() else { continue };
                    let schema = description.pointer(&location[1..]).unwrap();
                    let code = schema["properties"]["code"]["enum"][0].as_str().unwrap();
                    codes.insert(ProblemCode::from_code(code).unwrap());
                }
            }
            let name = format!("{} {path}", method.to_uppercase());
            let takes_token = call["security"].as_array().is_some_and(|any| !any.is_empty());
            let takes_body = call.get("requestBody").is_some();
            calls.insert(name, (codes, takes_token, takes_body));
        }
    }
    assert!(calls.len() > 12, "{calls:?}");
    calls
}

#[test]
fn the_guide_lists_every_code_that_a_phone_can_get() {
    let mut expected = BTreeSet::from(OF_THE_LISTENER);
    expected.extend(calls().into_values().flat_map(|(codes, ..)| codes));
    let expected: BTreeSet<_> = expected
        .into_iter()
        .map(|code| (format!("`{code}`"), code.status().to_string(), format!("`{}`", code.retry())))
        .collect();
    let errors = document("docs/client.md").section("## Errors");
    let rows = rows(&errors);
    let listed = rows.iter().filter(|row| row[1].parse::<u16>().is_ok());
    let listed: Vec<_> =
        listed.map(|row| (row[0].to_owned(), row[1].to_owned(), row[2].to_owned())).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(listed.len(), expected.len(), "a code stands twice");
}

#[test]
fn the_reference_has_every_call_with_its_codes() {
    use ProblemCode::{
        BodyTooLarge, ContentTypeUnsupported, HostUnknown, Internal, RegistryBehind,
        RegistryDiverged, RequestInvalid, TokenInvalid, TransferCodingUnsupported,
    };
    let reference = document("docs/api.md");
    let calls = calls();
    let headings = reference.prose.iter().filter_map(|(_, line)| line.strip_prefix("### `"));
    let headings: BTreeSet<_> = headings.map(|line| line.trim_end_matches('`')).collect();
    assert_eq!(headings, calls.keys().map(String::as_str).collect());
    for (call, (codes, takes_token, takes_body)) in calls {
        let section = reference.section(&format!("### `{call}`"));
        let lines: Vec<_> = section.prose.iter().map(|(_, line)| line.as_str()).collect();
        let text = lines.join(" ");
        let errors = text.split_once("Errors: ").map_or("", |(_, after)| after);
        let mut listed: BTreeSet<_> = spans(errors).filter_map(ProblemCode::from_code).collect();
        listed.extend([Internal, RequestInvalid, TransferCodingUnsupported]);
        listed.extend(takes_token.then_some(TokenInvalid));
        // On the operators' listener, which answers them, too.
        let is_health = ["GET /livez", "GET /readyz"].contains(&call.as_str());
        listed.extend(is_health.then_some(HostUnknown));
        listed.extend([RegistryBehind, RegistryDiverged].iter().filter(|_| !is_health));
        listed.extend([BodyTooLarge, ContentTypeUnsupported].iter().filter(|_| takes_body));
        assert_eq!(listed, codes, "{call}");
        let asked = ["GET", "DELETE"].iter().any(|method| call.starts_with(method)) || takes_body;
        let is_shown = reference.of_kind("sh").any(|block| {
            let path = call.split_once(' ').unwrap().1.split('{').next().unwrap();
            block.text.contains(&format!("$URL{path}"))
        });
        assert!(is_shown || !asked, "no block sends {call}");
    }
}

/// The beginning of a limit's second cell in the reference, by the code of the limit.
fn counted() -> BTreeMap<&'static str, u64> {
    let quota = quota::Config::default();
    let of = |limit: QuotaLimit| match limit {
        QuotaLimit::NewHandles => quota.new_handles_per_day,
        QuotaLimit::Requests => quota.requests_per_minute,
        QuotaLimit::Lookups => quota.lookups_per_day,
        QuotaLimit::NetworkLookups => quota.network_lookups_per_minute,
        QuotaLimit::UnprovenLookups => quota.unproven_lookups_per_minute,
        QuotaLimit::SignUps => quota.sign_ups_per_hour,
        QuotaLimit::AllSignUps => quota.all_sign_ups_per_hour,
        QuotaLimit::Changes => limits::CHANGES_PER_HOUR_MAX,
        QuotaLimit::NetworkNewHandles => quota.network_new_handles_per_day,
        QuotaLimit::UnprovenNewHandles => quota.unproven_new_handles_per_day,
        // No new handle at all.
        QuotaLimit::Flagged | QuotaLimit::SweptNumbers => 0,
    };
    let number = |limit: Limit| match limit {
        Limit::Resend => limits::CODE_RESEND_PAUSE.as_secs(),
        Limit::CodesPerHandle => limits::CODES_PER_PERSON_MAX as u64,
        Limit::CodesPerAccount => limits::CODE_SENDS_PER_ACCOUNT_MAX.into(),
        Limit::CodesPerNetwork => limits::CODES_PER_NETWORK.into(),
        Limit::CodesPerCountry => limits::CODES_PER_COUNTRY.into(),
        Limit::CodesOverall => limits::CODES_OVERALL.into(),
        Limit::CountryPaused => limits::COUNTRY_PAUSE_SENDS_MIN,
        Limit::CodeAttempts => limits::CODE_ATTEMPTS_MAX.into(),
        Limit::LinkCodes => limits::LINK_CODES_PER_ACCOUNT_MAX as u64,
        Limit::Quota(limit) => of(limit).into(),
    };
    Limit::ALL.iter().map(|&limit| (limit.code(), number(limit))).collect()
}

#[test]
fn the_reference_has_every_limit_with_its_number() {
    let limits = document("docs/api.md").section("## Limits");
    let rows = rows(&limits);
    let begins = |cell: &str, number: u64| {
        let number = grouped(number.into());
        cell == number
            || cell
                .strip_prefix(&number)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let counted = counted();
    let mut listed = BTreeSet::new();
    for row in &rows {
        let code = row[3].trim_matches('`');
        if !code.is_empty() {
            assert!(begins(row[1], counted[code]), "{code}: {} is not {}", row[1], counted[code]);
            listed.insert(code);
        }
    }
    assert_eq!(listed, counted.keys().copied().collect());
    for (what, number) in [
        ("handles in a batch", limits::BATCH_HANDLES_MAX),
        ("bytes of a batch's body", limits::BATCH_BODY_BYTES_MAX),
        ("bytes of any other body", limits::SMALL_BODY_BYTES_MAX),
        ("bytes of a device's name", limits::DEVICE_NAME_BYTES_MAX),
        ("devices of an account", registry::Config::default().devices_per_account),
        ("handles of an account", limits::HANDLES_PER_ACCOUNT_MAX),
        ("verification sessions of all accounts", verification::Config::default().sessions),
    ] {
        let row = rows.iter().find(|row| row[0] == what);
        let row = row.unwrap_or_else(|| panic!("the reference does not name {what}"));
        assert!(begins(row[1], number as u64), "{what}: {} is not {number}", row[1]);
    }
}

#[test]
fn numbers_and_tables_are_read() {
    let texts = [5, 600, 5_000, 36_000, 524_288].map(grouped);
    assert_eq!(texts, ["5", "600", "5,000", "36,000", "524,288"]);
    let text =
        "## A\n| h | i |\n| --- | --- |\n| `a` | 1 |\n### B\n| h |\n| --- |\n| b |\n## C\n| c |\n";
    let document = Document::parse("a.md", text).unwrap();
    assert_eq!(rows(&document.section("## A")), [vec!["`a`", "1"], vec!["b"]]);
    assert_eq!(rows(&document.section("### B")), [["b"]]);
}
