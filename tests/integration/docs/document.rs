//! The documents of the repository, found by themselves, and their fenced blocks.

use std::fs;

use crate::repository::{ROOT, file, text};

/// A fenced block.
#[derive(Clone)]
pub(crate) struct Block {
    /// What stands behind the first three backticks, such as `sh` or `sh by-hand`.
    pub(crate) kind: String,
    pub(crate) text: String,
    /// The number of its first line of text in the document, from 1.
    pub(crate) line: usize,
}

/// A Markdown file.
pub(crate) struct Document {
    /// Its path from the root of the repository, such as `docs/client.md`.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
    /// The lines outside the blocks, with their numbers.
    pub(crate) prose: Vec<(usize, String)>,
}

impl Document {
    /// Reads Markdown. A fence that is indented or stays open is a fault: other readers of Markdown understand it differently.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let (mut blocks, mut prose) = (Vec::new(), Vec::new());
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        while let Some((at, line)) = lines.next() {
            let Some(kind) = line.strip_prefix("```") else {
                if line.trim_start().starts_with("```") {
                    return Err(format!("{name}:{at}: a fence is indented"));
                }
                prose.push((at, line.to_owned()));
                continue;
            };
            let mut inside = Vec::new();
            loop {
                match lines.next() {
                    Some((_, "```")) => break,
                    Some((_, line)) => inside.push(line),
                    None => return Err(format!("{name}:{at}: the block is never closed")),
                }
            }
            let (kind, text) = (kind.trim().to_owned(), inside.join("\n"));
            blocks.push(Block { kind, text, line: at + 1 });
        }
        Ok(Self { name: name.to_owned(), text: text.to_owned(), blocks, prose })
    }

    /// The blocks of a kind.
    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.kind == kind)
    }

    /// The output of a block, if the document shows it: the next block, of the kind `text`.
    pub(crate) fn output_of(&self, block: &Block) -> Option<&Block> {
        let next = self.blocks.iter().find(|next| next.line > block.line);
        next.filter(|next| next.kind == "text")
    }

    /// What stands below a heading such as `## Errors`, up to the next one of its level or above.
    pub(crate) fn section(&self, heading: &str) -> Self {
        let mut after = self.prose.iter().skip_while(|(_, line)| line != heading);
        let found = after.next().map(|(at, _)| *at);
        let start = found.unwrap_or_else(|| panic!("{} has no {heading}", self.name));
        let end = after.find(|(_, line)| (1..=level(heading)).contains(&level(line)));
        let end = end.map_or(usize::MAX, |(at, _)| *at);
        let is_inside = |at: usize| start < at && at < end;
        let lines: Vec<_> = self.text.lines().take(end - 1).skip(start).collect();
        Self {
            name: self.name.clone(),
            text: lines.join("\n"),
            blocks: self.blocks.iter().filter(|block| is_inside(block.line)).cloned().collect(),
            prose: self.prose.iter().filter(|(at, _)| is_inside(*at)).cloned().collect(),
        }
    }
}

/// The level of a heading, and 0 of any other line.
fn level(line: &str) -> usize {
    let mark = line.split(' ').next().unwrap_or_default();
    if mark.bytes().all(|byte| byte == b'#') { mark.len() } else { 0 }
}

/// Every file below a folder, by its path from the root.
pub(crate) fn files_below(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![file(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Each Markdown file beside README and below `docs` and `config`, by path.
pub(crate) fn documents() -> Vec<Document> {
    let beside = fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = beside.map(|name| name.into_string().unwrap()).collect();
    names.extend(["docs", "config"].into_iter().flat_map(files_below));
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    let read = |name: String| {
        Document::parse(&name, &text(&name)).unwrap_or_else(|fault| panic!("{fault}"))
    };
    names.into_iter().map(read).collect()
}

/// The document with this path.
pub(crate) fn document(name: &str) -> Document {
    let found = documents().into_iter().find(|document| document.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn blocks_and_prose_are_told_apart() {
    let text = "# A\n```sh server\nserve\n\nnow\n```\nprose\n```text\n```\n";
    let document = Document::parse("a.md", text).unwrap();
    let blocks: Vec<_> =
        document.blocks.iter().map(|b| (b.kind.as_str(), b.text.as_str(), b.line)).collect();
    assert_eq!(blocks, [("sh server", "serve\n\nnow", 3), ("text", "", 9)]);
    assert_eq!(document.prose, [(1, "# A".to_owned()), (7, "prose".to_owned())]);
    for broken in ["```sh\nls\n", "- a\n  ```sh\n  ls\n  ```\n"] {
        assert!(Document::parse("a.md", broken).is_err(), "{broken}");
    }
}

#[test]
fn a_section_ends_at_the_next_heading_of_its_level_or_above() {
    let text = "## A\none\n```sh\n## no heading\n```\n\n```text\nout\n```\n### B\ntwo\n\n```sh\nls\n```\n#x\n# C\nthree\n";
    let document = Document::parse("a.md", text).unwrap();
    for (heading, prose, blocks) in [
        ("## A", &["one", "", "### B", "two", "", "#x"][..], 3),
        ("### B", &["two", "", "#x"], 1),
        ("# C", &["three"], 0),
    ] {
        let section = document.section(heading);
        let found: Vec<_> = section.prose.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!((&found[..], section.blocks.len()), (prose, blocks), "{heading}");
    }
    assert_eq!(document.section("### B").text, "two\n\n```sh\nls\n```\n#x");
    let outputs = document.of_kind("sh").map(|block| document.output_of(block).map(|it| &*it.text));
    assert_eq!(outputs.collect::<Vec<_>>(), [Some("out"), None]);
}
