//! Links between documents.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, documents, files_below};
use crate::repository::file;

/// The targets of the links and images in a line of Markdown. Code is not Markdown.
pub(crate) fn targets(line: &str) -> Vec<String> {
    let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let inline = inline.map(|(target, _)| target.split_whitespace().next().unwrap_or_default());
    let html = ["src=\"", "srcset=\"", "href=\""].into_iter().flat_map(|name| {
        text.split(name).skip(1).filter_map(|rest| rest.split_once('"')).map(|(target, _)| target)
    });
    inline.chain(html).map(str::to_owned).collect()
}

/// The anchors of a document, as GitHub makes them from its headings.
fn anchors(document: &Document) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let headings = document.prose.iter().filter(|(_, line)| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim();
        // A link in a heading counts by its text.
        let text: String = text.split("](").enumerate().fold(String::new(), |all, (at, part)| {
            all + if at == 0 { part } else { part.split_once(')').map_or("", |(_, after)| after) }
        });
        let text = text.to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    let mut all = BTreeSet::new();
    for (_, heading) in headings {
        let name = anchor(heading);
        let count = seen.entry(name.clone()).or_default();
        all.insert(if *count == 0 { name } else { format!("{name}-{count}") });
        *count += 1;
    }
    all
}

/// The path from the root to which `target` leads in a document, without `.` and `..`.
fn resolve(document: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The files to which a document links, and the links that lead nowhere.
fn follow(document: &Document, documents: &[Document]) -> (BTreeSet<String>, Vec<String>) {
    let (mut files, mut faults) = (BTreeSet::new(), Vec::new());
    for (line, text) in &document.prose {
        for target in targets(text) {
            let mut broken = || faults.push(format!("{}:{line}: {target}", document.name));
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) =
                target.split_once('#').map_or((&*target, None), |(p, a)| (p, Some(a)));
            let name = match path {
                "" => Some(document.name.clone()),
                _ => resolve(&document.name, path),
            };
            let Some(name) = name.filter(|name| file(name).exists()) else {
                broken();
                continue;
            };
            let there = documents.iter().find(|document| document.name == name);
            let is_there = match (anchor, there) {
                (None, _) => true,
                (Some(anchor), Some(there)) => anchors(there).contains(anchor),
                (Some(_), None) => false,
            };
            if !is_there {
                broken();
            }
            files.insert(name);
        }
    }
    (files, faults)
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    let faults: Vec<_> = documents.iter().flat_map(|d| follow(d, &documents).1).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn links_lead_from_readme_to_every_document() {
    let documents = documents();
    let mut reached = BTreeSet::from(["README.md".to_owned()]);
    let mut open = vec!["README.md".to_owned()];
    while let Some(name) = open.pop() {
        let Some(document) = documents.iter().find(|document| document.name == name) else {
            continue;
        };
        let new = follow(document, &documents).0.into_iter();
        open.extend(new.filter(|name| reached.insert(name.clone())));
    }
    let beside = documents.iter().map(|document| document.name.clone());
    let all: BTreeSet<_> = beside.chain(files_below("docs")).collect();
    let alone: Vec<_> = all.difference(&reached).collect();
    assert!(alone.is_empty(), "no link leads to {alone:?}");
}

#[test]
fn links_and_anchors_are_read_as_github_reads_them() {
    let text = "# What's on disk?\n[a](b.md) `[no](c.md)` [d](#what-s)\n## A [b](c) `d_e`\n## A b d_e\n\
                <img src=\"e.svg\"> ![f](../g.png \"h\")\n```sh\n[i](j)\n```\n";
    let document = Document::parse("docs/x/y.md", text).unwrap();
    let all: Vec<_> = document.prose.iter().flat_map(|(_, line)| targets(line)).collect();
    assert_eq!(all, ["b.md", "#what-s", "c", "../g.png", "e.svg"]);
    let expected = ["a-b-d_e", "a-b-d_e-1", "whats-on-disk"].map(str::to_owned);
    assert_eq!(anchors(&document), BTreeSet::from(expected));
    assert_eq!(resolve("docs/x/y.md", "../../README.md"), Some("README.md".to_owned()));
    assert_eq!(resolve("README.md", "../out"), None);
    let (_, faults) = follow(&document, &[]);
    assert_eq!(faults.len(), 5, "{faults:?}");
}
