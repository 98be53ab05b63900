//! The checks find a planted cycle and a planted upward import, in each way to write one.

use super::{circles, forbidden};

fn files(texts: &[(&str, &str)]) -> Vec<(String, String)> {
    texts.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
}

/// A crate of three modules whose `low.rs` holds `text`.
fn with_low(text: &str) -> Vec<(String, String)> {
    files(&[
        ("lib.rs", "pub mod high; pub mod low; pub mod middle;"),
        ("high/mod.rs", "mod part;\npub use part::{Part, make};"),
        ("high/part.rs", "use crate::low::Base;\npub struct Part(Base);\npub fn make() {}"),
        ("middle.rs", "use crate::low::Base;\npub struct Middle(Base);"),
        ("low.rs", text),
    ])
}

const TABLE: &[(&str, &[&str])] =
    &[("low", &[]), ("middle", &["low"]), ("high", &["low", "middle"])];

#[test]
fn an_honest_crate_passes() {
    let files = with_low("pub struct Base;");
    assert_eq!(circles(&files), [""; 0]);
    assert_eq!(forbidden(&files, TABLE), [""; 0]);
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    for text in [
        "use crate::high::Part;",
        "use crate::{high::{Part as P}};",
        "use super::high::Part;",
        "use crate::high;\nfn f() { high::make() }",
        "fn f() { crate::high::make() }",
        "fn f() { println!(\"{}\", crate::high::make()) }",
        "impl From<crate::high::Part> for u8 { fn from(_: crate::high::Part) -> u8 { 0 } }",
        "mod inner { use crate::high::Part; }",
        "use crate::high::*;",
    ] {
        let text = format!("pub struct Base;\n{text}");
        let found = forbidden(&with_low(&text), TABLE);
        let expected = if text.contains('*') { "high/mod.rs" } else { "high/part.rs" };
        assert_eq!(found, [format!("low.rs may not import {expected}")], "{text}");
        if !text.contains('*') {
            assert_eq!(circles(&with_low(&text)).len(), 2, "{text}");
        }
    }
}

#[test]
fn a_circle_inside_a_module_is_found() {
    let circle = |folder: &str, part: &str| {
        files(&[
            ("lib.rs", "pub mod one;"),
            ("one/mod.rs", folder),
            ("one/part.rs", part),
            ("one/other.rs", "pub struct Other;"),
        ])
    };
    let folder = "mod other;\nmod part;\npub use other::Other;\npub use part::Part;";
    // The path leads through the re-export to another file.
    assert_eq!(circles(&circle(folder, "use super::Other;\npub struct Part(Other);")), [""; 0]);
    let defines = format!("{folder}\npub struct Whole(Part);");
    for part in [
        "use super::Whole;\npub struct Part(Box<Whole>);",
        "pub struct Part(Box<super::Whole>);",
        "use crate::one::Whole as W;\npub struct Part(Box<W>);",
    ] {
        let found = circles(&circle(&defines, part));
        assert_eq!(found, ["one/mod.rs imports one/part.rs", "one/part.rs imports one/mod.rs"]);
    }
}

#[test]
fn tests_may_import_anything() {
    let tests = "pub struct Base;\n#[cfg(test)]\nmod tests { use crate::high::Part; }\n\
                 #[cfg(any(test, feature = \"simulation\"))]\nuse crate::high::Part;";
    assert_eq!(forbidden(&with_low(tests), TABLE), [""; 0]);
}
