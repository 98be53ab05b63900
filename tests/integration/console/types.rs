//! The console's code has types in comments. The compiler of TypeScript checks them against the description of the API.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    harness::run,
    openapi::described::KEPT,
    python::{node_packages, node_tool},
    repository::file,
};

const OPTIONS: &str = "--noEmit --allowJs --checkJs --strict --target es2023 --lib es2023,dom,dom.iterable,dom.asynciterable \
                       --module esnext --moduleResolution bundler";

/// Copies every script below `from`, and what describes scripts of others.
fn copy(from: &Path, to: &Path, own: &mut Vec<PathBuf>) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to, own);
        } else if from.extension().is_some_and(|ending| ending == "js" || ending == "ts") {
            fs::copy(&from, &to).unwrap();
            if !from.components().any(|part| part.as_os_str() == "vendor") {
                own.push(to);
            }
        }
    }
}

/// What the compiler says of the console's scripts and of `more`, which is put beside them.
fn said(more: &str) -> (bool, String) {
    let folder = tempfile::tempdir_in(node_packages()).unwrap();
    let mut own = Vec::new();
    copy(&file("src/console"), folder.path(), &mut own);
    assert!(own.len() >= 3, "{own:?}");
    let added = folder.path().join("app/added.js");
    fs::write(&added, more).unwrap();
    own.push(added);
    let mut types = node_tool("openapi-typescript");
    types.args([KEPT, "--output"]).arg(folder.path().join("app/openapi.d.ts"));
    assert!(run(&mut types).status.success());
    let mut check: Command = node_tool("tsc");
    check.current_dir(folder.path()).args(OPTIONS.split_whitespace()).args(own);
    let output = run(&mut check);
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_scripts_of_the_console_fit_the_description_of_the_api() {
    let (is_good, said) = said("");
    assert!(is_good, "{said}");
}

#[test]
fn a_field_that_the_api_does_not_have_is_found() {
    let wrong = r#"
        /** @param {import("./openapi").components["schemas"]["Timeline"]} timeline */
        export const f = (timeline) => timeline.entrys;
    "#;
    let (is_good, said) = said(wrong);
    assert!(!is_good && said.contains("entrys"), "{said}");
}
