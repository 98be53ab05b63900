//! The rules that the console's files keep, which a browser enforces in part only.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// The files of the directory that belong to the application, as `/console/` names them.
fn on_disk() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console");
    let (mut found, mut directories) = (Vec::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|ending| ending != "rs") {
                found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn text(name: &str) -> &'static str {
    let file = FILES.iter().find(|file| file.0 == name).unwrap();
    std::str::from_utf8(file.1).unwrap()
}

#[test]
fn every_file_is_listed_once() {
    let mut listed: Vec<_> = FILES.iter().map(|file| file.0).collect();
    listed.sort_unstable();
    assert_eq!(listed, on_disk());
}

#[test]
fn the_page_has_no_script_and_no_style_of_its_own() {
    let page = text(PAGE);
    for forbidden in ["<style", " style=", " on", "javascript:", "://"] {
        assert!(!page.contains(forbidden), "the page has `{forbidden}`");
    }
    for script in page.split("<script").skip(1) {
        let (head, body) = script.split_once('>').unwrap();
        assert!(head.contains(" src=\"") && body.starts_with("</script>"), "{script}");
    }
}

#[test]
fn what_the_page_loads_is_listed() {
    let page = text(PAGE);
    let places = page.split('"').filter(|part| part.ends_with(".js") || part.ends_with(".css"));
    let mut loaded = 0;
    for place in places {
        assert!(
            FILES.iter().any(|file| place.strip_prefix("/console/") == Some(file.0)),
            "{place}"
        );
        loaded += 1;
    }
    assert!(loaded >= 2, "{loaded}");
}

#[test]
fn no_module_makes_html_or_code_from_text_or_loads_something_from_elsewhere() {
    let forbidden = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "setHTMLUnsafe",
        "parseFromString",
        "createContextualFragment",
        "srcdoc",
        "document.write",
        "eval(",
        "new Function",
        "setAttribute(\"style\"",
        "cssText",
        "localStorage",
        "document.cookie",
        "https://",
    ];
    let modules = FILES.iter().filter(|file| file.0.ends_with(".js"));
    for (name, bytes) in modules.clone() {
        let code = std::str::from_utf8(bytes).unwrap();
        for word in forbidden {
            assert!(!code.contains(word), "{name} has `{word}`");
        }
        // Only names of the application's own files follow `from` and `import`.
        for line in code.lines().filter(|line| line.starts_with("import ")) {
            let from = line.rsplit('"').nth(1).unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(from.starts_with("./") || from.starts_with("../"), "{name}: {line}");
        }
    }
    assert!(modules.count() >= 10);
}

#[test]
fn no_style_loads_something() {
    for (name, bytes) in FILES.iter().filter(|file| file.0.ends_with(".css")) {
        let style = std::str::from_utf8(bytes).unwrap();
        for word in ["@import", "url(", "expression("] {
            assert!(!style.contains(word), "{name} has `{word}`");
        }
    }
}
