//! Files that pandas, polars, DuckDB and pyarrow write: each comes in whole, or is refused by what it is.

use std::{collections::BTreeMap, thread};

use super::*;
use crate::python::python;

/// People with every kind of value, whose export the tools read and write again.
fn accounts(folder: &Path) {
    let people = folder.join("people.csv");
    let (at, seen) = (ago(3_600), ago(2));
    let header = format!("{HEADER},registered_at,discoverable,name");
    let mut rows: Vec<_> = (0..40)
        .map(|n| {
            let name = ["\"Ann's \"\"best\"\", red\"", "", "Grün", "007", "'tis"][n as usize % 5];
            format!("{},{},{},{name}", Person::number(n).row(at), ago(7_200 + n), n % 3 > 0)
        })
        .collect();
    rows.push(format!(",eve,eve-pad,ipados,{seen},,,,,"));
    rows.push(format!("+14155550123,ann,ann-mac,macos,{seen},{at},,,true,"));
    rows.push(format!("ann@example.com,ann,ann-mac,macos,{seen},,,,false,"));
    fs::write(&people, format!("{header}\n{}\n", rows.join("\n"))).unwrap();
    let data = folder.join("data");
    printed(&mut on_files(&data, "import", &[&people]));
    for name in ["accounts.csv", "accounts.parquet"] {
        printed(&mut on_files(&data, "export", &[&folder.join(name)]));
    }
}

/// What an import of this file comes to, as the sorted rows of an export, or what the command says.
fn imported(file: &Path) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&mut on_files(folder.path(), "import", &[file]));
    if output.status.code() != Some(0) {
        return Err(errors(&output));
    }
    let mut rows: Vec<_> = exported(folder.path()).lines().map(str::to_owned).collect();
    rows.sort_unstable();
    Ok(rows)
}

/// The files of a folder, each with what its import comes to.
fn all_imported(folder: &Path) -> BTreeMap<String, Result<Vec<String>, String>> {
    const THREADS: usize = 4;
    let names = left_in(folder);
    let import = |name: &String| (name.clone(), imported(&folder.join(name)));
    let parts: Vec<&[String]> = names.chunks(names.len().div_ceil(THREADS)).collect();
    thread::scope(|scope| {
        let run = |part: &'_ [String]| part.iter().map(import).collect::<Vec<_>>();
        let parts: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || run(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

#[test]
fn files_of_every_tool_come_in_whole_or_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    accounts(folder.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/account_files.py");
    let output = run(Command::new(python()).arg(script).arg(folder.path()));
    assert!(output.status.success(), "{}", errors(&output));

    let wanted = imported(&folder.path().join("accounts.csv"));
    assert_eq!(wanted.as_ref().map(Vec::len), Ok(44));
    let same = all_imported(&folder.path().join("same"));
    assert!(same.len() > 60, "{}", same.len());
    for (name, came) in &same {
        assert_eq!(came, &wanted, "{name}");
    }
    let ids = all_imported(&folder.path().join("ids"));
    for (name, came) in &ids {
        assert_eq!((came, came.is_ok()), (&ids["reference.csv"], true), "{name}");
    }
    let words = fs::read_to_string(folder.path().join("refused.json")).unwrap();
    let words: BTreeMap<String, Vec<String>> = serde_json::from_str(&words).unwrap();
    let refused = all_imported(&folder.path().join("refused"));
    assert_eq!(refused.len(), words.len());
    for (name, came) in &refused {
        let said = came.as_ref().expect_err(name);
        assert!(words[name].iter().all(|word| said.contains(word)), "{name}: {said}");
    }
}
