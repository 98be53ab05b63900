//! Which module may import which.
//!
//! A module imports only modules that stand before it in [`TABLE`], and of those only the ones that its line names.
//! No two files import each other, directly or in a longer cycle. Tests may import anything.

mod architecture;
mod graph;
mod planted;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use graph::Sources;

/// Each module and the modules that it may import, bottom up.
const TABLE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("host", &[]),
    ("lock", &[]),
    ("metrics", &[]),
    ("redacted", &[]),
    ("ids", &[]),
    ("shutdown", &[]),
    ("telemetry", &[]),
    ("console", &[]),
    ("files", &[]),
    ("clock", &["files", "limits"]),
    ("background", &["ids", "shutdown"]),
    ("handle", &["limits", "redacted"]),
    ("shared_log", &["limits", "lock", "metrics"]),
    ("object_storage", &["files", "host", "limits", "lock"]),
    ("vocabulary", &["handle", "ids"]),
    ("envelope", &["clock", "files", "ids", "limits", "lock"]),
    (
        "registry",
        &[
            "clock",
            "files",
            "handle",
            "ids",
            "limits",
            "metrics",
            "redacted",
            "shared_log",
            "vocabulary",
        ],
    ),
    (
        "quota",
        &[
            "clock",
            "envelope",
            "files",
            "handle",
            "ids",
            "limits",
            "lock",
            "redacted",
            "vocabulary",
        ],
    ),
    (
        "query_log",
        &[
            "background",
            "clock",
            "envelope",
            "files",
            "handle",
            "ids",
            "limits",
            "lock",
            "metrics",
            "object_storage",
            "shutdown",
            "vocabulary",
        ],
    ),
    (
        "audit",
        &["clock", "envelope", "files", "handle", "limits", "lock", "query_log", "vocabulary"],
    ),
    (
        "tables",
        &["clock", "files", "handle", "ids", "limits", "query_log", "registry", "vocabulary"],
    ),
    ("import_jobs", &["tables", "files", "handle", "ids", "limits", "registry", "shutdown"]),
    (
        "verification",
        &[
            "clock",
            "files",
            "handle",
            "ids",
            "limits",
            "lock",
            "redacted",
            "registry",
            "shutdown",
            "vocabulary",
        ],
    ),
    ("operators", &["clock", "files", "ids", "limits", "redacted", "registry", "shutdown"]),
    (
        "cluster",
        &[
            "clock",
            "envelope",
            "files",
            "host",
            "ids",
            "limits",
            "lock",
            "operators",
            "query_log",
            "quota",
            "redacted",
            "registry",
            "shared_log",
            "verification",
            "vocabulary",
        ],
    ),
    (
        "dispatch",
        &[
            "clock",
            "handle",
            "ids",
            "limits",
            "metrics",
            "query_log",
            "quota",
            "registry",
            "shutdown",
            "vocabulary",
        ],
    ),
    ("timeline", &["clock", "dispatch", "handle", "ids", "limits", "query_log", "vocabulary"]),
    (
        "api",
        &[
            "audit",
            "clock",
            "cluster",
            "handle",
            "ids",
            "limits",
            "operators",
            "query_log",
            "quota",
            "registry",
            "timeline",
            "verification",
            "vocabulary",
        ],
    ),
    (
        "reading",
        &[
            "api",
            "audit",
            "background",
            "clock",
            "cluster",
            "dispatch",
            "envelope",
            "handle",
            "ids",
            "limits",
            "query_log",
            "registry",
            "timeline",
            "vocabulary",
        ],
    ),
    (
        "config",
        &[
            "audit",
            "clock",
            "cluster",
            "dispatch",
            "envelope",
            "files",
            "host",
            "limits",
            "operators",
            "verification",
            "query_log",
            "quota",
            "registry",
            "telemetry",
            "vocabulary",
        ],
    ),
    (
        "doctor",
        &[
            "api",
            "clock",
            "cluster",
            "config",
            "files",
            "limits",
            "operators",
            "query_log",
            "shared_log",
            "verification",
        ],
    ),
    (
        "http",
        &[
            "api",
            "reading",
            "audit",
            "background",
            "clock",
            "cluster",
            "console",
            "dispatch",
            "doctor",
            "files",
            "handle",
            "host",
            "ids",
            "import_jobs",
            "limits",
            "lock",
            "metrics",
            "operators",
            "verification",
            "query_log",
            "quota",
            "registry",
            "shared_log",
            "shutdown",
            "timeline",
            "vocabulary",
        ],
    ),
    (
        "server",
        &[
            "audit",
            "background",
            "clock",
            "cluster",
            "config",
            "dispatch",
            "doctor",
            "envelope",
            "files",
            "handle",
            "http",
            "ids",
            "import_jobs",
            "limits",
            "metrics",
            "operators",
            "verification",
            "query_log",
            "quota",
            "reading",
            "registry",
            "shared_log",
            "shutdown",
        ],
    ),
    (
        "cli",
        &[
            "api",
            "reading",
            "audit",
            "clock",
            "cluster",
            "config",
            "doctor",
            "envelope",
            "tables",
            "files",
            "handle",
            "limits",
            "lock",
            "operators",
            "query_log",
            "registry",
            "server",
            "shared_log",
            "telemetry",
            "timeline",
            "verification",
            "vocabulary",
        ],
    ),
];

/// Files are opened and changed in one module. `cli` also reads and writes what its user named.
const FILES: &[&str] = &["files/", "cli/"];
/// The files that know the fields of a record: its definition, where it is made, its two forms on disk, its columns in an export.
/// `took_us` stands for all of its fields, because no other thing has one of that name.
const FIELDS: &[&str] = &[
    "query_log/record.rs",
    "dispatch/record.rs",
    "query_log/frames/codec.rs",
    "query_log/segment/column.rs",
    "query_log/segment/row.rs",
    "tables/records/columns.rs",
];

/// Names that only some files may use, with the paths of those files below `src/`.
const CONFINED: &[(&str, &[&str])] = &[
    ("took_us", FIELDS),
    ("axum::", &["http/", "server/"]),
    ("StatusCode", &["cli/", "cluster/member_client.rs", "http/", "verification/text/gateway.rs"]),
    ("anyhow", &["server/", "cli/"]),
    ("fs::", FILES),
    ("OpenOptions", FILES),
    ("DirBuilder", FILES),
    ("SystemTime", &["clock/"]),
    ("rtime_clock", &["clock/machine.rs"]),
    ("procfs", &["files/process.rs"]),
    ("prometheus_client", &["http/operator/families.rs"]),
    ("redb::", &["registry/store/"]),
    ("object_store::", &["object_storage/"]),
    ("rlibphonenumber", &["handle/"]),
    (
        "reqwest",
        &[
            "cli/",
            "cluster/client_error.rs",
            "cluster/member_client.rs",
            "shared_log/etcd/metrics.rs",
            "verification/text/",
        ],
    ),
    ("dispatchd_client", &["cli/ask.rs"]),
    ("lettre", &["verification/mail/composer.rs"]),
    ("rustls", &["cli/trust.rs", "http/tls/", "verification/mail/tls.rs"]),
    ("parquet::", &["tables/", "query_log/segment/"]),
    ("arrow_", &["tables/"]),
    ("csv::", &["tables/"]),
    ("use age::", &["tables/output.rs"]),
    ("indicatif", &["cli/progress.rs"]),
    ("tonic", &["shared_log/etcd/members.rs"]),
    ("prost", &["shared_log/etcd/"]),
];

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The path and text of each file of `src`, without tests.
fn source() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    let is_test = |file: &str| file.contains("/tests") || file.ends_with("tests.rs");
    source_files(&root).into_iter().map(read).filter(|(file, _)| !is_test(file)).collect()
}

/// The module of a file: the first part of its path.
fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Imports between modules that `table` does not allow.
fn forbidden(files: &[(String, String)], table: &[(&str, &[&str])]) -> Vec<String> {
    let table: BTreeMap<_, _> = table.iter().copied().collect();
    let mut faults = Vec::new();
    for (file, imported) in Sources::read(files).imports() {
        let module = module_of(&file);
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some(allowed) = table.get(module) else {
            faults.push(format!("{file}: the module {module} is not in the table"));
            continue;
        };
        for other in imported {
            let named = module_of(&other);
            if named != module && !allowed.contains(&named) {
                faults.push(format!("{file} may not import {other}"));
            }
        }
    }
    faults
}

/// The imports within each cycle of files.
fn circles(files: &[(String, String)]) -> Vec<String> {
    let imports = Sources::read(files).imports();
    let mut faults = Vec::new();
    for circle in graph::circles(&imports) {
        for file in &circle {
            let inside = imports[file].iter().filter(|other| circle.contains(other));
            let inside: Vec<_> = inside.map(String::as_str).collect();
            faults.push(format!("{file} imports {}", inside.join(", ")));
        }
    }
    faults
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let faults = forbidden(&source(), TABLE);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_table_is_bottom_up() {
    for (at, (module, allowed)) in TABLE.iter().enumerate() {
        for other in *allowed {
            let is_below = TABLE[..at].iter().any(|(below, _)| below == other);
            assert!(is_below, "{module} imports {other}, which does not stand before it");
        }
    }
}

#[test]
fn no_files_import_each_other() {
    let faults = circles(&source());
    assert!(faults.is_empty(), "files that import each other: {faults:#?}");
}

#[test]
fn libraries_and_wall_time_stay_in_their_modules() {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let mut faults = Vec::new();
    for (file, text) in source() {
        let production = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code: String = production.lines().filter(is_code).collect::<Vec<_>>().join("\n");
        for (word, folders) in CONFINED {
            let is_home = folders.iter().any(|folder| file.starts_with(folder));
            if code.contains(word) && !is_home {
                faults.push(format!("{file} names {word}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_module_is_on_the_map() {
    let map = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    for (module, _) in TABLE {
        assert!(map.contains(&format!("[`{module}`]")), "lib.rs does not mention {module}");
    }
}
