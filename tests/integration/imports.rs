//! Who may import whom, read from the source.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Each module and the modules it may import, besides its own parts. The order is bottom up.
const TABLE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("ids", &[]),
    ("shutdown", &[]),
    ("telemetry", &[]),
    ("files", &[]),
    ("clock", &[]),
    ("background", &["ids", "shutdown"]),
    ("handle", &["limits"]),
    ("envelope", &["clock", "files", "ids", "limits"]),
    ("registry", &["clock", "files", "handle", "ids", "limits"]),
    ("quota", &["clock", "handle", "ids", "limits"]),
    (
        "query_log",
        &["background", "clock", "envelope", "files", "handle", "ids", "limits", "shutdown"],
    ),
    ("audit", &["clock", "envelope", "files", "handle", "limits", "query_log"]),
    ("tables", &["clock", "files", "handle", "ids", "limits", "query_log", "registry"]),
    ("import_jobs", &["tables", "files", "handle", "ids", "limits", "registry", "shutdown"]),
    ("timeline", &["clock", "handle", "ids", "limits", "query_log"]),
    ("verification", &["clock", "files", "handle", "ids", "limits", "registry", "shutdown"]),
    ("operators", &["clock", "files", "ids", "limits"]),
    ("dispatch", &["clock", "handle", "ids", "limits", "query_log", "quota", "registry"]),
    (
        "http",
        &[
            "audit",
            "background",
            "clock",
            "dispatch",
            "files",
            "handle",
            "ids",
            "import_jobs",
            "limits",
            "operators",
            "verification",
            "query_log",
            "quota",
            "registry",
            "shutdown",
            "timeline",
        ],
    ),
    (
        "server",
        &[
            "audit",
            "background",
            "clock",
            "config",
            "dispatch",
            "envelope",
            "files",
            "handle",
            "http",
            "ids",
            "import_jobs",
            "operators",
            "verification",
            "query_log",
            "quota",
            "registry",
            "shutdown",
        ],
    ),
    (
        "config",
        &[
            "audit",
            "dispatch",
            "envelope",
            "files",
            "verification",
            "query_log",
            "quota",
            "clock",
            "registry",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "audit",
            "clock",
            "config",
            "envelope",
            "tables",
            "files",
            "handle",
            "operators",
            "query_log",
            "registry",
            "server",
            "telemetry",
            "timeline",
            "verification",
        ],
    ),
];

/// Files are opened and changed in one module. `cli` also reads and writes what its user named.
const FILES: &[&str] = &["files/", "cli/"];

/// What only some files may name, with the paths (below `src/`) that may.
const CONFINED: &[(&str, &[&str])] = &[
    ("axum::", &["http/", "server/"]),
    ("StatusCode", &["http/", "verification/text/gateway.rs"]),
    ("anyhow", &["server/", "cli/"]),
    ("fs::", FILES),
    ("OpenOptions", FILES),
    ("DirBuilder", FILES),
    ("SystemTime", &["clock/"]),
    ("redb::", &["registry/store/"]),
    ("rlibphonenumber", &["handle/"]),
    ("reqwest", &["cli/", "verification/text/gateway.rs"]),
    ("lettre", &["verification/mail/"]),
    ("parquet::", &["tables/", "query_log/segment/"]),
    ("arrow_", &["tables/"]),
    ("csv::", &["tables/"]),
    ("use age::", &["tables/records/"]),
    ("indicatif", &["cli/progress.rs"]),
];

/// A test may import everything.
fn is_test(file: &str) -> bool {
    file.contains("/tests") || file.ends_with("tests.rs") || file.contains("sim_disk")
}

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

fn source() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    source_files(&root).into_iter().map(read).collect()
}

/// The module of a file: the first part of its path.
fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Lines that are code, tests left out (a test may borrow from anywhere).
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// The modules that `code` names: after `crate::`, in a path or in a braced `use`.
fn named_modules(code: &str) -> Vec<String> {
    let first_word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut modules = Vec::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            let mut depth = 0;
            let mut start = 0;
            for (at, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth > 0 => depth -= 1,
                    ',' | '}' if depth == 0 => {
                        modules.push(first_word(&list[start..at]));
                        start = at + 1;
                        if c == '}' {
                            break;
                        }
                    }
                    _ => {}
                }
            }
        } else {
            modules.push(first_word(after));
        }
    }
    modules.retain(|module| !module.is_empty());
    modules
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let table: BTreeMap<_, _> = TABLE.iter().copied().collect();
    let mut faults = Vec::new();
    for (file, text) in source() {
        let module = module_of(&file);
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some(allowed) = table.get(module) else {
            faults.push(format!("{file}: the module {module} is not in the table"));
            continue;
        };
        if is_test(&file) {
            continue;
        }
        for named in named_modules(&code(&text)) {
            if named != module && !allowed.contains(&named.as_str()) {
                faults.push(format!("{file} may not import {named}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn http_database_files_and_wall_time_stay_in_their_modules() {
    let mut faults = Vec::new();
    for (file, text) in source().into_iter().filter(|(file, _)| !is_test(file)) {
        for (word, folders) in CONFINED {
            let is_home = folders.iter().any(|folder| file.starts_with(folder));
            if code(&text).contains(word) && !is_home {
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

#[test]
fn the_reader_of_imports_sees_what_it_must() {
    let code = "use crate::{\n clock::{SharedClock, span},\n handle::Handle,\n};\nlet x = crate::ids::random_u64();";
    assert_eq!(named_modules(code), ["clock", "handle", "ids"]);
}
