//! What docs/CONTRIBUTING.md tells a new contributor: a first change, done as it says, and the fuzz targets.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use crate::{
    docs::document,
    harness::{run, say},
    repository::{ROOT, text},
};

/// The commands of the section, block by block.
fn blocks() -> Vec<String> {
    let section = document("docs/CONTRIBUTING.md").section("## A first change, in five minutes");
    section.of_kind("sh by-hand").map(|block| block.text.clone()).collect()
}

/// Runs a script with bash in `folder`. Returns whether it succeeded, and what it printed.
fn bash(script: &str, folder: &Path) -> (bool, String) {
    let mut command = Command::new("bash");
    command.args(["-ec", script]).current_dir(folder).env("CARGO_TERM_COLOR", "never");
    // The variables that cargo sets for this test would describe the other copy.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_")) {
        if !["CARGO_HOME", "CARGO_INCREMENTAL"].contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
    let output = run(&mut command);
    let text =
        [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned());
    (output.status.success(), text.concat())
}

/// A copy of the repository with a commit of its own. It has the built dependencies, as after a first build, but not the
/// built crate.
fn copy(to: &Path) {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let target = target.parent().expect("the target directory holds tmp").display();
    let script = format!(
        "mkdir -p '{to}/target'
         cd '{ROOT}'
         tar --exclude=./target --exclude=./.git --exclude=./fuzz/target --exclude=./data -cf - . | tar -xf - -C '{to}'
         if [ -d '{target}/debug/deps' ]; then
             cp -al '{target}/debug' '{to}/target/debug'
             cd '{to}/target/debug'
             rm -rf .cargo-lock incremental deps/*dispatchd* .fingerprint/dispatchd-* build/dispatchd-*
         fi
         cd '{to}'
         git init --quiet
         git add --all
         git -c user.name=test -c user.email=test@example.org commit --quiet --message 'as it was'",
        to = to.display(),
    );
    let (copied, text) = bash(&script, Path::new(ROOT));
    assert!(copied, "{text}");
}

#[test]
fn the_first_change_is_described() {
    let blocks = blocks();
    assert_eq!(blocks.len(), 3, "{blocks:#?}");
    assert!(blocks[..2].iter().all(|block| block.contains("cargo test --locked --lib ")));
    // What the commands change must be in the file once.
    let file = text("src/query_log/config.rs");
    for text in
        ["must be at least 2h: ", "assert_eq!(config.validate().unwrap_err().0, \"retention\");"]
    {
        assert_eq!(file.matches(text).count(), 1, "src/query_log/config.rs: {text}");
        assert!(blocks.concat().contains(text), "docs/CONTRIBUTING.md: {text}");
    }
}

#[test]
#[ignore = "builds the crate twice and lints it: minutes"]
fn long_a_first_change_is_made_as_the_document_says() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    copy(folder.path());
    let started = Instant::now();
    let [test, change, check] = blocks().try_into().expect("three blocks");
    let (passed, text) = bash(&test, folder.path());
    assert!(!passed && text.contains("test result: FAILED. "), "the new test fails first: {text}");
    let (passed, text) = bash(&change, folder.path());
    assert!(passed && text.contains("test result: ok. "), "then it passes: {text}");
    say(&format!("a first change and its test took {} s", started.elapsed().as_secs()));
    let (passed, text) = bash(&check, folder.path());
    assert!(passed && text.contains("1 file changed"), "{text}");
    say(&format!("with the lints {} s", started.elapsed().as_secs()));
}

/// The packages of a lock file by name and version, and the names that the package `dispatchd` depends on.
fn locked(path: &str) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let lock: toml::Table = toml::from_str(&text(path)).unwrap();
    let (mut packages, mut needed) = (BTreeSet::new(), BTreeSet::new());
    for package in lock["package"].as_array().unwrap() {
        let of = |key: &str| package[key].as_str().unwrap().to_owned();
        packages.insert((of("name"), of("version")));
        if of("name") == "dispatchd" {
            let names = package["dependencies"].as_array().unwrap().iter();
            let name = |text: &toml::Value| {
                text.as_str().unwrap().split(' ').next().unwrap_or_default().to_owned()
            };
            needed.extend(names.map(name));
        }
    }
    (packages, needed)
}

#[test]
fn the_fuzz_targets_use_the_versions_of_the_service() {
    const RENEW: &str = "fuzz/Cargo.lock is not that of the service: \
                         see the section Dependencies in docs/CONTRIBUTING.md";
    let (service, _) = locked("Cargo.lock");
    let (fuzz, needed) = locked("fuzz/Cargo.lock");
    let own = ["arbitrary", "dispatchd-fuzz", "libfuzzer-sys"];
    let other: Vec<_> =
        fuzz.difference(&service).filter(|(name, _)| !own.contains(&&**name)).collect();
    assert!(other.is_empty(), "{RENEW}: {other:?}");
    let manifest: toml::Table = toml::from_str(&text("Cargo.toml")).unwrap();
    let missing: Vec<_> = manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .filter(|name| !needed.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{RENEW}: {missing:?}");
}

/// `tests/tools/again` with a cargo of the test's own, which prints a summary and ends with a status.
fn ran_again(summary: &str, status: u8) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let cargo = format!(
        "#!/bin/sh\nprintf 'test a::b ... what it prints\\nok\\n\\n{summary}\\n'\nexit {status}\n"
    );
    fs::write(folder.path().join("cargo"), cargo).unwrap();
    // As cargo prints a failed run.
    let failed = "failures:\n    a::b\n\ntest result: FAILED. 5 passed; 1 failed\n\nerror: 1 target failed:\n    `--test integration`\n";
    fs::write(folder.path().join("output"), failed).unwrap();
    let script = format!(
        "chmod +x {0}/cargo; PATH={0}:$PATH '{ROOT}/tests/tools/again' {0}/output",
        folder.path().display()
    );
    bash(&script, folder.path())
}

#[test]
fn a_test_that_passes_by_itself_is_named_and_one_that_fails_twice_ends_the_run() {
    let (went_on, text) = ran_again("test result: ok. 1 passed; 0 failed", 0);
    assert!(went_on && text.contains("unstable, failed once, in --test integration"), "{text}");
    assert!(text.ends_with("a::b\n"), "{text}");
    // The program died before a test ran, or no test has that name any more.
    let (went_on, text) = ran_again("test result: ok. 0 passed; 0 failed", 0);
    assert!(!went_on && !text.contains("unstable"), "{text}");
    let (went_on, text) = ran_again("test result: FAILED. 0 passed; 1 failed", 101);
    assert!(!went_on && !text.contains("unstable"), "{text}");
}
