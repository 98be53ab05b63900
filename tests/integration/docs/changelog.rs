//! `docs/CHANGELOG.md`: each change of a version is told once.

use std::collections::BTreeSet;

use super::document::{Document, document};

/// What a list says twice within a version: the bold names of changes, and whole sentences.
fn repeated(document: &Document) -> Vec<String> {
    let mut faults = Vec::new();
    for version in document.text.split("\n## ").skip(1) {
        let name = version.lines().next().unwrap_or_default();
        let mut seen = BTreeSet::new();
        for item in version.split("\n- ").skip(1) {
            let item = item.split("\n\n").next().unwrap_or_default();
            let item = item.split_whitespace().collect::<Vec<_>>().join(" ");
            let bold = item.strip_prefix("**").and_then(|rest| rest.split_once("**"));
            let (title, rest) = bold.map_or((None, &*item), |(title, rest)| (Some(title), rest));
            let sentences = rest.split(". ").map(|it| it.trim().trim_end_matches('.'));
            for part in title.into_iter().chain(sentences).filter(|part| !part.is_empty()) {
                if !seen.insert(part.trim_end_matches('.').to_owned()) {
                    faults.push(format!("{name}: {part}"));
                }
            }
        }
    }
    faults
}

#[test]
fn no_change_is_told_twice() {
    assert_eq!(repeated(&document("docs/CHANGELOG.md")), Vec::<String>::new());
    let text = "# Changes\n\n## [2]\n\n### Added\n\n- **Flags.** An account is\n  flagged. More.\n\n### Changed\n\n- **Flags.** Other.\n\
                - An account is flagged. New.\n\n## [1]\n\n- **Flags.** First.\n";
    let planted = Document::parse("a.md", text).unwrap();
    assert_eq!(repeated(&planted), ["[2]: Flags.", "[2]: An account is flagged"]);
}
