//! The pages in `docs/reference/`: made from the code, kept in the repository, and compared with the code.

mod commands;
mod files;
mod keys;
mod limits;
mod metrics;
mod problems;
mod records;

use std::{fmt::Write as _, fs};

use crate::repository::file;

/// Columns of a line of prose.
const WIDTH: usize = 128;

/// Compares a page with the kept one. With `UPDATE_REFERENCE=1` it writes the page instead.
fn compare(name: &str, page: &str) {
    let path = file("docs/reference").join(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(path, page).unwrap();
        return;
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    let mut lines = kept.lines().zip(page.lines());
    let differs = lines.find(|(kept, made)| kept != made);
    assert!(
        kept == page,
        "docs/reference/{name} is not what the code says; renew it with \
         `UPDATE_REFERENCE=1 cargo test --test integration reference::` and look at the difference, which begins with \
         {differs:#?}"
    );
}

/// A number with commas between the thousands, as the documents write it.
pub(crate) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// The head of a page: its title, and what it answers.
fn head(title: &str, about: &str) -> String {
    let note = "This page is made from the code; a test compares the two.";
    format!("# {title}\n\n{}\n{note}\n", wrapped(about))
}

/// A table.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<_> = header.iter().map(|&cell| cell.to_owned()).collect();
    let mut text = line(&header);
    text.push_str(&line(&vec!["---".to_owned(); header.len()]));
    for row in rows {
        assert_eq!(row.len(), header.len(), "{row:?}");
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        text.push_str(&line(&cells));
    }
    text
}

/// Prose in lines of at most [`WIDTH`] columns. Paragraphs are separated by an empty line. Code is not broken.
fn wrapped(text: &str) -> String {
    let wrap = |paragraph: &str| {
        let mut lines: Vec<String> = Vec::new();
        let mut is_in_code = false;
        for word in paragraph.split_whitespace() {
            let columns = |line: &String| line.chars().count() + 1 + word.chars().count();
            match lines.last_mut() {
                Some(line) if is_in_code || columns(line) <= WIDTH => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
            is_in_code ^= word.matches('`').count() % 2 == 1;
        }
        lines.join("\n")
    };
    text.split("\n\n").map(wrap).collect::<Vec<_>>().join("\n\n")
}

/// Text as code, such as the name of a key.
fn code(text: impl std::fmt::Display) -> String {
    format!("`{text}`")
}

/// Adds a section to a page.
fn section(page: &mut String, level: usize, title: &str, body: &str) {
    let hashes = "#".repeat(level);
    write!(page, "\n{hashes} {title}\n").unwrap();
    if !body.trim().is_empty() {
        write!(page, "\n{}\n", body.trim_end()).unwrap();
    }
}

/// The first letter in upper case, and a full stop at the end.
fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    let text: String = first.chain(letters).collect();
    if text.ends_with(['.', ':', '?']) { text } else { format!("{text}.") }
}

#[test]
fn prose_is_wrapped_between_words() {
    let text = "word ".repeat(60);
    let page = wrapped(&format!("{text}\n\n{text}"));
    assert_eq!(page.split_whitespace().count(), 120);
    assert!(page.lines().all(|line| line.len() <= WIDTH && line == line.trim()), "{page}");
    assert_eq!(page.split("\n\n").count(), 2);
    let (long, text) = ("word ".repeat(25), "`a piece of code`");
    assert!(wrapped(&format!("{long}{text}")).contains(text));
}
