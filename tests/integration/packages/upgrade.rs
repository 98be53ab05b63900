//! The words of `docs/operators/upgrade.md`: the versions that they name fit their formats, and the blocks lead to another version
//! and back. The one binary of the tests plays both versions, so what a version refuses is played by the file `format`.

use std::{collections::BTreeMap, fs, path::Path};

use super::debian::{Packages, Step, follow, print_what_they_show, steps};
use crate::{
    docs::document,
    harness::{dispatchd, run},
    repository::text,
};

const UPGRADE: &str = "docs/operators/upgrade.md";
const BEFORE: &str = "## From the format before";
const BACK_BEFORE: &str = "### Back to the format before";
/// Stand for the versions of a move that no two versions of today need.
const ANY: [&str; 2] = ["NEW", "OLD"];

/// The format of each version, as the table says. A directory of 0.1.0 has none.
fn formats() -> BTreeMap<String, Option<u32>> {
    let section = document(UPGRADE).section("## What stays the same");
    let rows = section.prose.iter().filter_map(|(_, line)| line.strip_prefix("| "));
    let rows = rows.filter(|row| row.starts_with(|c: char| c.is_ascii_digit()));
    let mut formats = BTreeMap::new();
    for row in rows {
        let (versions, format) = row.split_once(" | ").unwrap();
        let format = format.trim_end_matches(" |").parse().ok();
        formats.extend(versions.split(", ").map(|version| (version.to_owned(), format)));
    }
    formats
}

/// The versions of the packages that the blocks of a section install.
fn installed(heading: &str) -> Vec<String> {
    let section = document(UPGRADE).section(heading);
    let mut versions = Vec::new();
    for block in section.of_kind("sh by-hand") {
        let packages = block.text.split("./dispatchd_").skip(1);
        versions.extend(packages.map(|rest| rest.split('_').next().unwrap().to_owned()));
    }
    versions
}

#[test]
fn each_version_that_is_named_has_the_format_that_its_steps_need() {
    let formats = formats();
    let changes = text("docs/CHANGELOG.md");
    let headings = changes.lines().filter_map(|line| line.strip_prefix("## [")?.split_once(']'));
    for (version, _) in headings {
        assert!(formats.contains_key(version), "{UPGRADE} has no format of {version}");
    }
    let folder = tempfile::tempdir().unwrap();
    let added = run(dispatchd()
        .args(["operator", "add", "ann", "--role", "reader", "--data"])
        .arg(folder.path()));
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let written = fs::read_to_string(folder.path().join("format")).unwrap();
    let own = formats[env!("CARGO_PKG_VERSION")];
    assert_eq!(own.map(|format| format!("{format}\n")), Some(written));

    let of = |heading| installed(heading).iter().map(|it| formats[it]).collect::<Vec<_>>();
    let within = installed("## Within a format");
    assert!(within.len() == 2 && within.iter().all(|it| ANY.contains(&&**it)), "{within:?}");
    let number = own.unwrap();
    assert_eq!(of(BEFORE), [Some(number), Some(number - 1)]);
    for heading in ["## To another format", "## Back to the old version"] {
        let versions = installed(heading);
        assert!(versions.iter().all(|it| ANY.contains(&&**it)), "{versions:?}");
    }
}

/// A script of steps that begins on a machine with the old package.
fn run_from_old(packages: &Packages, name: &str, all: Vec<Step>) {
    let stem = |package: &Path| package.file_stem().unwrap().to_str().unwrap().to_owned();
    let (old, new) = (stem(&packages.old), stem(&packages.new));
    let script = follow(&all);
    let (head, rest) = script.split_once('\n').unwrap();
    let begin = format!(
        "cd {}\ndpkg --install {} >/dev/null\n",
        packages.folder.path().display(),
        packages.old.display()
    );
    let mut script = format!("{head}\n{begin}{PHONE}\n{rest}");
    // The old package of the tests has the version of this repository, which the document names as the new one.
    for (version, package) in [("NEW", &new), ("0.5.0", &new), ("OLD", &old), ("0.4.0", &old)] {
        script = script.replace(&format!("dispatchd_{version}_amd64"), package);
    }
    let path = packages.folder.path().join(name);
    fs::write(&path, script).unwrap();
    let told = packages.run(&path, &[]);
    print_what_they_show(&all, &told);
}

fn own(text: &str) -> Step {
    Step { script: text.to_owned(), output: None }
}

/// What a machine does that no block says: a device signs up, proves a number, and asks after itself with `me`.
const PHONE: &str = r#"
TOKEN=$(curl --silent --fail --json '{"platform":"ios"}' 127.0.0.1:8080/v1/devices | sed 's/.*"token":"\([^"]*\)".*/\1/')
me() { curl --silent --show-error --fail --header "Authorization: Bearer $TOKEN" 127.0.0.1:8080/v1/devices/me; }
prove() {
    claim=$(curl --silent --fail --json "{\"handle\":\"$1\"}" --header "Authorization: Bearer $TOKEN" 127.0.0.1:8080/v1/devices/me/handles)
    verification=$(sed 's/.*"verification":"\([^"]*\)".*/\1/' <<<"$claim")
    code=$(grep "$verification" /var/lib/dispatchd/outbox.ndjson | sed 's/.*"code":"\([^"]*\)".*/\1/')
    curl --silent --show-error --fail --json "{\"code\":\"$code\"}" "127.0.0.1:8080/v1/verifications/$verification" >/dev/null
}
lose() { curl --silent --show-error --fail --request DELETE --header "Authorization: Bearer $TOKEN" "127.0.0.1:8080/v1/devices/me/handles/%2B${1#+}"; }
prove +14155550123
NUMBER=$(cat /var/lib/dispatchd/format)
# refuses FORMAT: what a binary says that does not read the directory.
refuses() {
    systemctl stop dispatchd
    echo "$1" >/var/lib/dispatchd/format
    if systemctl start dispatchd 2>/tmp/refused; then fail "it started on format $1"; fi
    has "$(cat /tmp/refused)" "its files have format version $1, and this dispatchd reads version $NUMBER"
    has "$(cat /tmp/refused)" "dispatchd registry export"
    echo "$NUMBER" >/var/lib/dispatchd/format
}
"#;

#[test]
fn the_words_of_upgrade_lead_to_a_version_of_the_same_format_and_back() {
    let mut all = steps(UPGRADE, "## Within a format");
    all.push(own(r#"has "$(me)" '"handle":"+14155550123"'"#));
    run_from_old(&Packages::build(), "within.sh", all);
}

#[test]
fn the_words_of_upgrade_lead_from_the_format_before_and_back() {
    let packages = Packages::build();
    // Steps there; steps that both ways back begin with.
    let (there, shared) = (2, 1);
    let count = |heading| steps(UPGRADE, heading).len();
    assert_eq!((count(BEFORE), count(BACK_BEFORE)), (there + shared + 2, shared + 2));
    for (name, way, handles) in [
        // What came and went since the upgrade is as it is.
        ("import.sh", shared, ["+14155550199", "+14155550123"]),
        // The registry is as it was.
        ("snapshot.sh", shared + 1, ["+14155550123", "+14155550199"]),
    ] {
        let mut all = steps(UPGRADE, BEFORE);
        all.truncate(there);
        // The old version wrote the format before.
        all.insert(1, own(r#"echo $((NUMBER - 1)) >/var/lib/dispatchd/format"#));
        all.push(own(SINCE));
        let mut back = steps(UPGRADE, BACK_BEFORE);
        let chosen = back.swap_remove(way);
        back.truncate(shared);
        all.extend(back);
        all.push(chosen);
        let [is, was] = handles;
        all.push(own(&format!(
            "has \"$(me)\" '\"handle\":\"{is}\"'\ncase \"$(me)\" in *{was}*) fail \"{was} is there\" ;; esac\n{OLD_RUNS}"
        )));
        run_from_old(&packages, name, all);
    }
}

/// On the new version one number goes and another one comes. Then the old version would refuse the directory.
const SINCE: &str = r#"
has "$(dpkg --status dispatchd)" "Version: 99."
has "$(me)" '"handle":"+14155550123"'
lose +14155550123
prove +14155550199
refuses $((NUMBER + 1))
systemctl start dispatchd
"#;

const OLD_RUNS: &str = r#"
has "$(dpkg --status dispatchd)" "Version: 0."
is "files of other users" "" "$(find /var/lib/dispatchd -not -user dispatchd)"
"#;

#[test]
fn the_words_of_upgrade_lead_to_another_format_and_back() {
    let between = steps(UPGRADE, "## To another format");
    let back = steps(UPGRADE, "## Back to the old version");
    assert!(between.len() >= 4 && back.len() >= 2);
    let mut all = vec![own("refuses 2\nsystemctl start dispatchd")];
    all.extend(between);
    all.push(own(GONE));
    all.extend(back);
    all.push(own(&format!("has \"$(me)\" '\"handle\":\"+14155550123\"'\n{OLD_RUNS}")));
    run_from_old(&Packages::build(), "between.sh", all);
}

/// After the step to the new version: the device and its handle are there, and the new version has a change of its own.
const GONE: &str = r#"
has "$(me)" '"handle":"+14155550123"'
has "$(dpkg --status dispatchd)" "Version: 99."
lose +14155550123
has "$(me)" '"handles":[]'
"#;
