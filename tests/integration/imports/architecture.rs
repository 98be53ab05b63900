//! The documents for contributors agree with the code: the drawing of the modules with the import table, and each path that
//! they name with a file or a function.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{TABLE, source};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Folders of the repository whose files a document may name by their full path.
const FOLDERS: &[&str] = &["benches/", "clients/", "config/", "docs/", "fuzz/", "src/", "tests/"];

/// The documents for contributors, by their path below the repository.
fn documents() -> BTreeMap<String, String> {
    let named = ["ARCHITECTURE", "CONTRIBUTING", "SECURITY"].map(|name| format!("docs/{name}.md"));
    let adr = fs::read_dir(Path::new(ROOT).join("docs/adr")).unwrap();
    let adr = adr.map(|entry| format!("docs/adr/{}", entry.unwrap().file_name().display()));
    let read = |path: String| {
        let text = fs::read_to_string(Path::new(ROOT).join(&path)).unwrap();
        (path, text)
    };
    named.into_iter().chain(adr).map(read).collect()
}

/// Each module of `table` in the lowest layer that its imports allow.
fn layers(table: &[(&str, &[&str])]) -> BTreeMap<usize, BTreeSet<String>> {
    let mut of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut layers: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (module, imports) in table {
        let layer = 1 + imports.iter().map(|import| of[import]).max().unwrap_or(0);
        of.insert(module, layer);
        layers.entry(layer).or_default().insert((*module).to_owned());
    }
    layers
}

/// The layers of the drawing: lines of a number, what the layer is, and its modules, with two blanks or more in between.
fn drawn(document: &str) -> BTreeMap<usize, BTreeSet<String>> {
    let (_, drawing) = document.split_once("```text shown\nlayer\n").expect("there is a drawing");
    let (drawing, _) = drawing.split_once("```").expect("the drawing ends");
    let mut layers = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for line in drawing.lines() {
        let mut words = line.split("  ").map(str::trim).filter(|word| !word.is_empty());
        let layer = words.next().and_then(|number| number.parse().ok()).expect(line);
        let modules: BTreeSet<_> = words.skip(1).map(str::to_owned).collect();
        for module in &modules {
            assert!(seen.insert(module.clone()), "the drawing names {module} twice");
        }
        assert!(layers.insert(layer, modules).is_none(), "the drawing has layer {layer} twice");
    }
    layers
}

#[test]
fn the_drawing_of_the_modules_agrees_with_the_table() {
    let layers = layers(TABLE);
    let drawn = drawn(&documents()["docs/ARCHITECTURE.md"]);
    for layer in layers.keys().chain(drawn.keys()) {
        let (must, is) = (layers.get(layer), drawn.get(layer));
        assert!(
            must == is,
            "docs/ARCHITECTURE.md draws {is:?} in layer {layer}; by the import table it holds {must:?}"
        );
    }
}

#[test]
fn a_module_stands_above_all_that_it_imports() {
    let table: &[(&str, &[&str])] =
        &[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["a", "c"]), ("e", &[])];
    let of = |modules: &[&str]| modules.iter().map(|name| (*name).to_owned()).collect();
    let expected = BTreeMap::from([(1, of(&["a", "e"])), (2, of(&["b", "c"])), (3, of(&["d"]))]);
    assert_eq!(layers(table), expected);
    let text = "x\n```text shown\nlayer\n  2   top      b  c\n  1   the base   a  e\n```\n";
    assert_eq!(drawn(text).keys().collect::<Vec<_>>(), [&1, &2]);
    assert_eq!(drawn(text)[&1], expected[&1]);
}

/// The text between single backticks, outside of fenced blocks.
fn code_spans(document: &str) -> Vec<&str> {
    let mut is_fenced = false;
    let mut spans = Vec::new();
    for line in document.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    spans
}

/// Whether a code span is meant as a path of a file or a folder.
fn is_path(span: &str) -> bool {
    let is_plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let is_named = FOLDERS.iter().any(|folder| span.starts_with(folder));
    is_plain && (is_named || span.ends_with(".rs") || span.ends_with('/'))
}

/// Whether a code span is meant as an item of the crate: `module::file::Type::function`.
fn is_item(span: &str) -> bool {
    let is_plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    let module = span.split("::").next().unwrap_or_default();
    is_plain && span.contains("::") && TABLE.iter().any(|(name, _)| *name == module)
}

fn path_exists(span: &str) -> bool {
    let below = |folder: &str| -> PathBuf { Path::new(ROOT).join(folder).join(span) };
    below("src").exists() || below("").exists()
}

/// Whether the file that the beginning of the path names defines its last word.
fn item_exists(span: &str, files: &BTreeMap<String, String>) -> bool {
    let words: Vec<_> = span.split("::").collect();
    let file = (1..words.len()).rev().find_map(|depth| {
        let stem = words[..depth].join("/");
        files.get(&format!("{stem}.rs")).or_else(|| files.get(&format!("{stem}/mod.rs")))
    });
    let name = words[words.len() - 1];
    let defines = |text: &&String| {
        ["fn", "struct", "enum", "trait", "type", "const"].iter().any(|kind| {
            let definition = format!("{kind} {name}");
            let mut at = text.match_indices(&definition);
            at.any(|(at, _)| {
                let next = text[at + definition.len()..].chars().next();
                next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            })
        })
    };
    file.filter(defines).is_some()
}

#[test]
fn every_path_in_the_documents_for_contributors_exists() {
    let files: BTreeMap<_, _> = source().into_iter().collect();
    let (mut missing, mut found) = (Vec::new(), 0);
    for (document, text) in documents() {
        for span in code_spans(&text) {
            let exists = match (is_item(span), is_path(span)) {
                (true, _) => item_exists(span, &files),
                (_, true) => path_exists(span),
                _ => continue,
            };
            found += 1;
            if !exists {
                missing.push(format!("{document}: {span}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 100, "only {found} paths were found");
}

#[test]
fn missing_paths_are_noticed() {
    let files = BTreeMap::from([
        ("one/two.rs".to_owned(), "pub fn make() {}\nstruct Longer;".to_owned()),
        ("one/mod.rs".to_owned(), "mod two;".to_owned()),
    ]);
    assert!(item_exists("one::two::make", &files));
    assert!(item_exists("one::two::Type::make", &files));
    assert!(item_exists("one::two::Longer", &files));
    for missing in ["one::make", "one::two::mak", "one::two::Long", "one::three::make", "two::make"]
    {
        assert!(!item_exists(missing, &files), "{missing}");
    }
    assert!(path_exists("dispatch/lookup.rs") && path_exists("src/lib.rs"));
    assert!(!path_exists("dispatch/look.rs") && !path_exists("docs/nothing.md"));
    assert!(is_path("http/phone/") && is_path("docs/adr/README.md") && !is_path("data/*.rs"));
    assert!(is_item("files::atomic::replace") && !is_item("std::fs::read"));
    assert_eq!(code_spans("a `b` c\n```sh\n`d`\n```\n`e` `f`"), ["b", "e", "f"]);
}

#[test]
fn every_decision_is_listed_and_has_all_its_parts() {
    let documents = documents();
    let index = &documents["docs/adr/README.md"];
    let decisions: Vec<_> =
        documents.iter().filter(|(path, _)| path.starts_with("docs/adr/0")).collect();
    assert_eq!(index.matches("| [").count(), decisions.len(), "docs/adr/README.md lists each once");
    for (path, text) in decisions {
        let (_, name) = path.rsplit_once('/').unwrap();
        let title = text.lines().next().unwrap().split_once(". ").expect("a number and a title").1;
        let row = format!("| {} | [{title}]({name}) |\n", &name[..4]);
        assert!(index.contains(&row), "docs/adr/README.md must have the row {row}");
        let headings: Vec<_> = text.lines().filter(|line| line.starts_with("## ")).collect();
        let expected = ["Context", "Decision", "Figures", "Alternatives", "What would change it"];
        assert_eq!(headings, expected.map(|heading| format!("## {heading}")), "{path}");
    }
}

/// The words behind each `before` in the documents of decisions, up to `after`.
fn named<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let parts = text.split(before).skip(1);
    parts.filter_map(|part| Some(part.split_once(after)?.0)).collect()
}

#[test]
fn the_commands_of_decisions_name_tests_and_benches() {
    let exists = |path: &str| Path::new(ROOT).join(path).exists();
    let mut found = 0;
    for (document, text) in documents() {
        if !document.starts_with("docs/adr/0") {
            continue;
        }
        for test in named(&text, "--test integration ", "::") {
            let file = format!("tests/integration/{test}");
            let is_there = exists(&format!("{file}.rs")) || exists(&format!("{file}/mod.rs"));
            assert!(is_there, "{document}: there is no test {test}");
            found += 1;
        }
        for bench in named(&text, "--bench ", "`") {
            // Its own options follow ` -- `.
            let bench = bench.split_once(' ').map_or(bench, |(bench, _)| bench);
            assert!(exists(&format!("benches/{bench}/main.rs")), "{document}: no bench {bench}");
            found += 1;
        }
    }
    assert!(found > 20, "only {found} commands were found");
}

#[test]
fn the_table_of_benches_has_each() {
    let table = &documents()["docs/CONTRIBUTING.md"];
    for entry in fs::read_dir(Path::new(ROOT).join("benches")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(table.contains(&format!("\n| `{name}` | ")), "CONTRIBUTING has no bench {name}");
    }
}
