//! `problems.md`: every problem code, from the vocabulary, and the calls that may answer it, from the description of the API.

use std::collections::BTreeSet;

use dispatchd::vocabulary::{ProblemCode, Retry};
use serde_json::Value;

use super::{code, compare, head, section, sentence, table, wrapped};
use crate::openapi::described::kept;

/// What separates the meaning of a code from what to do about it.
const TO_DO: &str = "To do:";
/// A code that so many calls share is not listed call by call.
const CALLS_LISTED: usize = 12;

/// The calls that declare a problem, by operation id.
fn calls(description: &Value, problem: ProblemCode) -> (BTreeSet<String>, usize) {
    let reference = format!("#/components/schemas/{problem:?}Problem");
    let mut found = BTreeSet::new();
    let mut all = 0;
    for (_, item) in description["paths"].as_object().unwrap() {
        for (_, operation) in item.as_object().unwrap() {
            let Some(id) = operation["operationId"].as_str() else { continue };
            all += 1;
            let responses = operation["responses"].to_string();
            if responses.contains(&format!("\"{reference}\"")) {
                found.insert(id.to_owned());
            }
        }
    }
    (found, all)
}

fn retry(problem: ProblemCode) -> &'static str {
    match problem.retry() {
        Retry::Never => "never",
        Retry::Later => "later",
        Retry::AfterFixing => "after fixing",
    }
}

/// The fields of a problem beyond those that all have.
fn fields(description: &Value, problem: ProblemCode) -> Vec<String> {
    let schemas = &description["components"]["schemas"];
    let standard = ["type", "title", "status", "detail", "code", "retry"];
    let own = schemas[format!("{problem:?}Problem")]["properties"].as_object();
    let own = own.into_iter().flatten().map(|(name, _)| name.clone());
    own.filter(|name| !standard.contains(&name.as_str())).map(code).collect()
}

fn described(description: &Value, problem: ProblemCode) -> String {
    let (meaning, to_do) =
        problem.meaning().split_once(TO_DO).unwrap_or_else(|| panic!("{problem}: no \"{TO_DO}\""));
    let (calls, all) = calls(description, problem);
    let calls: Vec<_> = calls.iter().map(code).collect();
    let calls = match calls.len() {
        0 => "no single call: every path may answer it".to_owned(),
        some if some > CALLS_LISTED => format!("{some} of {all} calls"),
        _ => calls.join(", "),
    };
    let fields = fields(description, problem);
    let fields = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
    let rows = [
        vec!["title".to_owned(), problem.title().to_owned()],
        vec!["what to do".to_owned(), sentence(to_do)],
        vec!["own fields".to_owned(), fields],
        vec!["calls".to_owned(), calls],
    ];
    let status = format!("{}, retry {}", problem.status(), retry(problem));
    format!("{}\n\n{}", wrapped(&sentence(meaning)), table(&["status", &status], rows))
}

fn page() -> String {
    let description = kept();
    let about = "A refused request is answered with problem details (RFC 9457), `application/problem+json`. Its `code` is \
                 stable, and its `type` is `urn:dispatchd:problem:` and the code.";
    let mut page = head("Problem codes", about);
    let rows = [
        vec![code("never"), "The same request will never succeed.".to_owned()],
        vec![
            code("later"),
            "It may succeed after the seconds in `Retry-After` and `retry_after`.".to_owned(),
        ],
        vec![code("after-fixing"), "It may succeed once the request is changed.".to_owned()],
    ];
    section(&mut page, 2, "Whether to retry", &table(&["retry", "meaning"], rows));
    let mut all: Vec<_> = ProblemCode::ALL.to_vec();
    all.sort_by_key(|problem| (problem.status(), problem.code()));
    let rows = all.iter().map(|&problem| {
        let link = format!("[`{problem}`](#{problem})");
        vec![
            problem.status().to_string(),
            link,
            retry(problem).to_owned(),
            problem.title().to_owned(),
        ]
    });
    section(&mut page, 2, "All codes", &table(&["status", "code", "retry", "title"], rows));
    for problem in all {
        section(&mut page, 2, &problem.to_string(), &described(description, problem));
    }
    page
}

#[test]
fn problems() {
    compare("problems.md", &page());
}
