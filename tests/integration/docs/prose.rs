//! Plain words: short sentences, and nothing that only the authors understand.

use serde_json::Value;

use super::document::{Document, documents};
use crate::repository;

/// Words that a sentence may have. A code span is one word.
const WORDS_MAX: usize = 30;
/// A dot behind these ends no sentence.
const ABBREVIATIONS: &[&str] = &["e.g.", "i.e.", "etc.", "vs.", "No.", "St.", "approx."];
/// Remarks of authors to themselves.
const REMARKS: &[&str] = &["TODO", "FIXME", "XXX"];
/// Where absolute paths begin that a document may name: the API, and folders of every Debian system.
const ROOTS: &[&str] = &["v1", "console", "dev", "etc", "proc", "run", "tmp", "usr", "var"];

/// A text without what Markdown adds: a code span and a link's text stand for themselves.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    for (at, part) in markdown.split('`').enumerate() {
        let is_code = at % 2 == 1;
        text.push_str(if is_code { "code" } else { part });
    }
    let mut shown = String::new();
    for (at, part) in text.split("](").enumerate() {
        let after = part.split_once(')').map_or("", |(_, after)| after);
        shown.push_str(if at == 0 { part } else { after });
    }
    shown.replace(['[', '*', '!'], "")
}

/// The sentences of a paragraph. One ends at a dot, a question mark or an exclamation mark before white space.
fn sentences(paragraph: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    for word in plain(paragraph).split_whitespace() {
        let last = sentences.last_mut().unwrap();
        last.push_str(word);
        last.push(' ');
        let bare = word.trim_end_matches(['"', ')', '”', '\'']);
        if bare.ends_with(['.', '?', '!']) && !ABBREVIATIONS.contains(&bare.trim_start_matches('('))
        {
            sentences.push(String::new());
        }
    }
    sentences
}

/// The words of a sentence: what has a letter or a digit.
fn count_of_words(sentence: &str) -> usize {
    sentence.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

/// The text of a list's item or of a quotation.
fn item(line: &str) -> Option<&str> {
    let (mark, text) = line.split_once(' ')?;
    let number = mark.strip_suffix('.').unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (["-", "*", ">"].contains(&mark) || is_number).then_some(text)
}

/// The paragraphs of a document with the number of their first line. A heading, an item of a list and a cell of a table are
/// paragraphs.
fn paragraphs(document: &Document) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let (mut is_open, mut before) = (false, 0);
    for (at, line) in &document.prose {
        let text = line.trim();
        let item = item(text);
        if text.starts_with('|') {
            all.extend(text.split('|').map(|cell| (*at, cell.to_owned())));
            is_open = false;
        } else if text.is_empty() || text.starts_with('#') || text.starts_with('<') {
            all.push((*at, text.trim_start_matches('#').to_owned()));
            is_open = false;
        } else if item.is_some() || !is_open || *at != before + 1 {
            all.push((*at, item.unwrap_or(text).to_owned()));
            is_open = true;
        } else if let Some((_, paragraph)) = all.last_mut() {
            paragraph.push(' ');
            paragraph.push_str(text);
        }
        before = *at;
    }
    all
}

/// The sentences of a text that are too long.
fn too_long(paragraph: &str) -> impl Iterator<Item = String> {
    let long = sentences(paragraph).into_iter().filter(|s| count_of_words(s) > WORDS_MAX);
    long.map(|sentence| format!("{} words: {sentence}", count_of_words(&sentence)))
}

/// Each text under `description` and `summary` in a description of an API.
fn descriptions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if ["description", "summary"].contains(&name.as_str()) => {
                        found.push(text.clone());
                    }
                    _ => descriptions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| descriptions(value, found)),
        _ => {}
    }
}

#[test]
fn sentences_are_short() {
    let mut faults = Vec::new();
    for document in documents() {
        for (line, paragraph) in paragraphs(&document) {
            let long = too_long(&paragraph);
            faults.extend(long.map(|fault| format!("{}:{line}: {fault}", document.name)));
        }
    }
    let described = repository::text("docs/openapi.json");
    let mut texts = Vec::new();
    descriptions(&serde_json::from_str(&described).unwrap(), &mut texts);
    assert!(texts.len() > 100, "{}", texts.len());
    for text in texts.iter().flat_map(|text| text.split("\n\n")) {
        faults.extend(too_long(text).map(|fault| format!("docs/openapi.json: {fault}")));
    }
    assert!(faults.is_empty(), "{} sentences are too long:\n{}", faults.len(), faults.join("\n"));
}

/// Whether a line has a place to be filled in, such as `@TIME@`.
fn has_gap(line: &str) -> bool {
    let inside =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_uppercase());
    let parts: Vec<_> = line.split('@').collect();
    parts.len() > 2 && parts[1..parts.len() - 1].iter().any(|part| inside(part))
}

/// Whether a line names a folder that only its author has: an absolute path with another root, or one above the document that
/// is no link. `docs::links` follows the links.
fn names_an_authors_folder(line: &str) -> bool {
    let is_end = |c: char| c.is_whitespace() || "`()[]|,;=:".contains(c);
    let is_foreign = |word: &str| match word.strip_prefix('/').and_then(|rest| rest.split_once('/'))
    {
        // `//` begins a comment of a program.
        Some((root, _)) => !root.is_empty() && !ROOTS.contains(&root),
        None => word.starts_with("../") && !line.contains(&format!("]({word})")),
    };
    line.replace("://", " ").split(is_end).any(is_foreign)
}

#[test]
fn nothing_is_left_to_do() {
    for line in ["see `/home/ann/x.md`", "in /srv/x/y", "as ../other/x says"] {
        assert!(names_an_authors_folder(line), "{line}");
    }
    for line in
        ["`GET /v1/log`, /etc/dispatchd", "[a](../api.md)", "https://example.com/a/b", "a/b/c"]
    {
        assert!(!names_an_authors_folder(line), "{line}");
    }
    assert!(has_gap("it takes @TIME@ minutes") && !has_gap("ann@example.com, BEN@EXAMPLE.COM"));
    let mut faults = Vec::new();
    for document in documents() {
        for (at, line) in document.text.lines().enumerate() {
            let is_remark = REMARKS.iter().any(|word| line.contains(word)) || has_gap(line);
            if is_remark || names_an_authors_folder(line) {
                faults.push(format!("{}:{}: {line}", document.name, at + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn sentences_are_told_apart() {
    let text = "# A heading\nOne `code span, and more` here. Two (see\n[the text](a/b.md)). Is it e.g. three? Yes.\n\
                - an item\n  goes on\n- another\n1. a third\n\n| a | b c |\n| --- | --- |\n> quoted\nmore\n";
    let document = Document::parse("a.md", text).unwrap();
    let mut found = Vec::new();
    for (line, paragraph) in paragraphs(&document) {
        let words = sentences(&paragraph).into_iter().map(|s| count_of_words(&s));
        found.extend(words.filter(|count| *count > 0).map(|count| (line, count)));
    }
    let expected =
        [(1, 2), (2, 3), (2, 4), (2, 4), (2, 1), (4, 4), (6, 1), (7, 2), (9, 1), (9, 2), (11, 2)];
    assert_eq!(found, expected);
    let words = |count: usize| "word ".repeat(count - 1) + "word. Next";
    assert_eq!(too_long(&words(WORDS_MAX)).count(), 0);
    assert_eq!(too_long(&words(WORDS_MAX + 1)).count(), 1);
}
