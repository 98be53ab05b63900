//! Whether copies of the data directory hold its keys, and whether a key is missing.

use std::path::{Path, PathBuf};

use super::unreadable::unreadable;
use crate::{
    api::{Check, Finding},
    config::Config,
    files::{self, DataDirectory},
};

/// Entries beside the data directory that are looked at.
const BESIDE_MAX: usize = 1_000;

/// Where the keys are.
#[derive(Debug, Default)]
struct Facts {
    data: PathBuf,
    /// Whether a copy of the data directory holds the root key.
    is_root_key_within: bool,
    /// Whether a copy of the data directory's file system holds it.
    is_root_key_beside: bool,
    /// Directories beside the data directory that look like copies of it with their root key, and that no server uses.
    copies: Vec<PathBuf>,
    /// Whether there is a registry, but not the key of its codes.
    is_code_key_missing: bool,
}

/// Looks at the keys of the data directory, and at what lies beside it.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let data = &config.server.data;
    let root_key = config.keys.root_key.as_deref();
    let has_registry = data.join("registry/registry.redb").exists();
    let is_code_key_missing = has_registry && !data.join("keys/verification.key").exists();
    let is_root_key_within = root_key.is_none_or(|root_key| is_within(root_key, data));
    // A directory that is missing is a fault of the start.
    let is_beside = |root_key| files::share_file_system(files::parent(root_key), data);
    let is_root_key_beside = root_key.is_some_and(|it| is_beside(it).unwrap_or(false));
    match copies_beside(data) {
        Ok(copies) => judge(&Facts {
            data: data.clone(),
            is_root_key_within,
            is_root_key_beside,
            copies,
            is_code_key_missing,
        }),
        Err(error) => {
            vec![unreadable(Check::Keys, "the directory that the data directory lies in", &error)]
        }
    }
}

/// Whether a copy of the directory `data` holds the file, also if the path leads there through links.
fn is_within(file: &Path, data: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    // The file may not exist yet.
    match (real(files::parent(file)), real(data)) {
        (Some(directory), Some(data)) => directory.starts_with(data),
        _ => false,
    }
}

fn copies_beside(data: &Path) -> std::io::Result<Vec<PathBuf>> {
    let Ok(data) = data.canonicalize() else { return Ok(Vec::new()) };
    let Some(parent) = data.parent() else { return Ok(Vec::new()) };
    let beside = files::names(parent)?.into_iter().take(BESIDE_MAX).map(|name| parent.join(name));
    let is_copy = |path: &PathBuf| {
        let has_keys =
            ["root.key", "keyring"].iter().all(|name| path.join("keys").join(name).is_file());
        has_keys && *path != data && matches!(DataDirectory::user(path), Ok(None))
    };
    let mut copies: Vec<_> = beside.filter(is_copy).collect();
    copies.sort();
    Ok(copies)
}

fn judge(facts: &Facts) -> Vec<Finding> {
    let data = facts.data.display();
    let mut findings = Vec::new();
    if facts.is_root_key_within {
        findings.push(Finding::warning(
            Check::Keys,
            format!(
                "the root key lies in the data directory ({data}): whoever gets a backup or a snapshot of it can read the log \
                 of its day"
            ),
            "stop the server, move keys/root.key to a directory that no backup reaches, and set keys.root_key to the new path of the file",
        ));
    }
    if facts.is_root_key_beside && !facts.is_root_key_within {
        findings.push(Finding::warning(
            Check::Keys,
            format!(
                "the root key lies on the file system of the data directory ({data}): whoever gets a snapshot or an image of that file \
                 system can read the log of its day"
            ),
            "put keys.root_key on a file system of its own, if anybody takes snapshots or images of this one",
        ));
    }
    if let Some(first) = facts.copies.first() {
        findings.push(Finding::warning(
            Check::Keys,
            format!(
                "beside the data directory, {}, with its root key, such as {}",
                match facts.copies.len() {
                    1 => "1 directory looks like a copy of a data directory".into(),
                    many => format!("{many} directories look like copies of a data directory"),
                },
                first.display()
            ),
            "destroy keys/ in the copy, or the whole copy, if no server is to use it again",
        ));
    }
    if facts.is_code_key_missing {
        findings.push(Finding::warning(
            Check::Keys,
            "keys/verification.key is missing: at the next start open codes become void, and the counts of sent codes begin anew",
            "nothing, if you removed it or restored the registry on a new machine: the next start makes another key",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::api::Severity;

    fn whats(findings: &[Finding]) -> Vec<&str> {
        assert!(
            findings.iter().all(|it| it.check == Check::Keys && it.severity == Severity::Warning)
        );
        findings.iter().map(|finding| finding.what.as_str()).collect()
    }

    #[test]
    fn keys_outside_of_backups_are_good() {
        assert_eq!(judge(&Facts::default()), []);
        let bad = Facts {
            data: "data".into(),
            is_root_key_within: true,
            is_root_key_beside: true,
            copies: vec!["data.bak".into(), "data.old".into()],
            is_code_key_missing: true,
        };
        let found = judge(&bad);
        let found = whats(&found);
        assert_eq!(found.len(), 3);
        assert!(found[0].contains("root key") && found[1].contains("2 directories"), "{found:?}");
        assert!(
            found[1].contains("data.bak") && found[2].contains("verification.key"),
            "{found:?}"
        );
    }

    #[test]
    fn a_root_key_is_found_in_the_data_directory_and_in_its_copies() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for directory in ["data/keys", "data/registry", "root", "copy/keys", "empty/keys"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        symlink(at("data/keys"), at("link")).unwrap();
        let mut config = Config::default();
        config.server.data = at("data");
        let found = |root_key: Option<&str>| {
            let mut config = config.clone();
            config.keys.root_key = root_key.map(at);
            check(&config).len()
        };
        // They share a file system.
        assert_eq!(found(Some("root/root.key")), 1);
        for root_key in [None, Some("data/keys/other.key"), Some("link/root.key")] {
            assert_eq!(found(root_key), 1, "{root_key:?}");
        }
        for name in ["root.key", "keyring"] {
            fs::write(at("copy/keys").join(name), "x").unwrap();
            fs::write(at("data/keys").join(name), "x").unwrap();
        }
        assert_eq!(found(Some("root/root.key")), 2, "the copy, and not the directory itself");
        fs::write(at("data/registry/registry.redb"), "x").unwrap();
        assert_eq!(found(Some("root/root.key")), 3, "no key of codes");
        fs::write(at("data/keys/verification.key"), "x").unwrap();
        let _user = DataDirectory::open(&at("data")).ok();
        assert_eq!(found(Some("root/root.key")), 2);
        // Another file system, on every system.
        assert_eq!(found(Some("/dev/root.key")), 1);
    }
}
