//! The documents of the package: every relative link leads to a file of the package.

use std::{fs, path::Path, process::Command};

use super::debian::Packages;
use crate::{
    docs::{Document, targets},
    harness::run,
};

#[test]
fn no_link_of_a_packaged_document_is_dead() {
    let packages = Packages::build();
    let root = packages.folder.path().join("extracted");
    let extracted = run(Command::new("dpkg-deb").arg("--extract").arg(&packages.old).arg(&root));
    assert!(extracted.status.success(), "{}", String::from_utf8_lossy(&extracted.stderr));
    let documents = root.join("usr/share/doc/dispatchd");
    let (mut faults, mut count) = (Vec::new(), 0);
    let mut folders = vec![documents.clone(), documents.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.starts_with(documents.join("docs")) {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                count += 1;
                faults.extend(dead(&path));
            }
        }
    }
    assert!(count > 30, "{count} documents");
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The links of a document that lead to no file.
fn dead(path: &Path) -> Vec<String> {
    let name = path.display().to_string();
    let document = Document::parse(&name, &fs::read_to_string(path).unwrap()).unwrap();
    let links = document
        .prose
        .iter()
        .flat_map(|(line, text)| targets(text).into_iter().map(move |target| (*line, target)));
    let links =
        links.filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"));
    let is_dead = |target: &str| {
        let file = target.split('#').next().unwrap_or_default();
        !file.is_empty() && !path.parent().unwrap().join(file).exists()
    };
    let dead = links.filter(|(_, target)| is_dead(target));
    dead.map(|(line, target)| format!("{name}:{line}: {target}")).collect()
}
